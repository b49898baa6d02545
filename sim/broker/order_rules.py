"""Checks the fields of an order by Alpaca's rules, before the account is looked at.

Refusals have Alpaca's words where they were recorded; the others follow their pattern.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from sim.amounts import CENT, SMALLEST_QTY, is_finer, plain
from sim.broker.order_classes import check_legs, leg_tickets
from sim.broker.order_requests import OrderRequest
from sim.broker.orders import Ticket
from sim.exchange.assets import Asset, Assets
from sim.refusals import forbidden, invalid, malformed

STOCK_TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
CRYPTO_TYPES = ("market", "limit", "stop_limit")
FRACTIONAL_TYPES = ("market", "limit", "stop", "stop_limit")
STOCK_TIMES = ("day", "gtc", "opg", "cls", "ioc", "fok")
CRYPTO_TIMES = ("gtc", "ioc")
CLASSES = ("simple", "bracket", "oco", "oto")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
MOST = Decimal(1_000_000_000)  # shares, or dollars; below it sums of money stay exact in 28 digits
_LEAST_NOTIONAL = Decimal(1)
_LEAST_TRAIL_PERCENT = Decimal("0.1")
_LONGEST_CLIENT_ID = 128
_MOST_DECIMALS = 40  # more is an error, and would take memory to write out
_SUB_DOLLAR_STEP = Decimal("0.0001")
_OPTION = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")


def ticket(request: OrderRequest, assets: Assets, new_client_id: Callable[[], str]) -> Ticket:
    """Return the request as a checked ticket, with its legs. Raises Refused in Alpaca's words."""
    asset = _asset(request, assets)
    order_class = request.order_class or "simple"
    if order_class not in CLASSES:
        raise malformed("invalid order_class")
    side = _side(request)
    kind = _kind(request, asset)
    limit_price = request.limit_price
    if order_class == "oco":
        if kind != "limit":
            raise malformed("oco orders must be limit orders")
        # The order itself is the take-profit; a limit price beside it must be the same or absent.
        limit_price = request.take_profit.limit_price if request.take_profit else None
    made = Ticket(
        client_order_id=request.client_order_id or new_client_id(),
        asset=asset,
        side=side,
        type=kind,
        time_in_force=time_in_force(request.time_in_force, asset),
        qty=request.qty,
        notional=request.notional,
        limit_price=limit_price,
        stop_price=request.stop_price,
        extended_hours=bool(request.extended_hours),
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        order_class="" if order_class == "simple" else order_class,
        position_intent=request.position_intent,
    )
    legs = leg_tickets(made, request.take_profit, request.stop_loss, new_client_id)
    return checked(replace(made, legs=legs))


def checked(made: Ticket) -> Ticket:
    """Return the ticket if it and its legs keep every rule about fields. Raises Refused."""
    if len(made.client_order_id) > _LONGEST_CLIENT_ID:
        raise malformed(f"client_order_id must be no more than {_LONGEST_CLIENT_ID} characters")
    _check_size(made)
    _check_fractions(made)
    _check_prices(made, "")
    _check_times(made)
    if made.legs:
        check_legs(made)
        for leg in made.legs:
            _check_prices(leg, "take_profit." if leg.type == "limit" else "stop_loss.")
    return made


def time_in_force(value: str | None, asset: Asset) -> str:
    """Return the time in force if the asset allows it. Raises Refused."""
    if value is None:
        raise malformed("time_in_force is required")
    if value not in STOCK_TIMES:
        raise malformed("invalid time_in_force")
    if asset.is_crypto and value not in CRYPTO_TIMES:
        raise invalid("invalid crypto time_in_force")
    return value


def _asset(request: OrderRequest, assets: Assets) -> Asset:
    is_option = request.symbol is not None and _OPTION.fullmatch(request.symbol)
    if request.order_class == "mleg" or request.legs or is_option:
        raise invalid("options and multi-leg orders are not supported by this simulator")
    if request.advanced_instructions:
        raise forbidden("account not allowed to use advanced_instructions")
    if not request.symbol:
        raise malformed("symbol is required")
    asset = assets.find(request.symbol)
    if asset is None:
        raise invalid(f'asset "{request.symbol}" not found')
    if not asset.is_active:
        raise malformed(f"asset {asset.symbol} is not active")
    if not asset.is_tradable:
        raise invalid(f'asset "{asset.symbol}" is not tradable')
    return asset


def _side(request: OrderRequest) -> str:
    """Return the side, or the one that the position intent implies."""
    if request.position_intent is not None and request.position_intent not in INTENTS:
        raise malformed("invalid position_intent")
    if request.side is None:
        if request.position_intent is None:
            raise malformed("side is required")
        return request.position_intent.partition("_")[0]
    if request.side not in ("buy", "sell"):
        raise malformed("invalid side")
    return request.side


def _kind(request: OrderRequest, asset: Asset) -> str:
    kind = request.type if request.type is not None else request.order_type
    if kind is None:
        raise malformed("type is required")
    if kind not in STOCK_TYPES:
        raise malformed("invalid order type")
    if asset.is_crypto and kind not in CRYPTO_TYPES:
        raise malformed("invalid order type for crypto order")
    return kind


def _check_size(made: Ticket) -> None:
    if made.qty is None and made.notional is None:
        raise malformed("qty or notional is required")
    if made.qty is not None and made.notional is not None:
        raise malformed("only one of qty or notional is accepted")
    if made.qty is not None:
        _check_amount("qty", made.qty)
        if is_finer(made.qty, SMALLEST_QTY):
            raise invalid("qty must be limited to 9 decimal places")
    if made.notional is not None:
        if not made.notional.is_finite() or made.notional < _LEAST_NOTIONAL:
            raise invalid("notional amount must be >= 1.00")
        _check_amount("notional", made.notional)
        if is_finer(made.notional, CENT):
            raise invalid("notional value must be limited to 2 decimal places")


def _check_fractions(made: Ticket) -> None:
    if not made.is_fractional or made.asset.is_crypto:
        return
    if not made.asset.is_fractionable:
        raise forbidden(f'asset "{made.asset.symbol}" is not fractionable')
    if made.order_class:
        raise invalid("fractional orders must be simple orders")
    if made.time_in_force != "day":
        raise invalid("fractional orders must be DAY orders")
    # Only market orders can be by notional (OpenAPI, and alpaca-py's own description).
    if made.type != "market" and made.notional is not None:
        raise invalid("fractional orders must be market orders")
    if made.type not in FRACTIONAL_TYPES:
        raise invalid("fractional orders must be market, limit, stop, or stop_limit orders")


def _check_prices(made: Ticket, prefix: str) -> None:
    """Refuse a missing price of the type, and any other; `prefix` names the leg that they were given in."""
    has_limit, has_stop = made.limit_price is not None, made.stop_price is not None
    if made.type == "market" and (has_limit or has_stop):
        raise malformed("market orders require no stop or limit price")
    if made.type == "trailing_stop" and (has_limit or has_stop):
        raise malformed("trailing stop orders require no stop or limit price")
    if made.type == "stop_limit" and not (has_limit and has_stop):
        raise malformed("stop limit orders require both stop and limit price")
    if made.type == "limit" and not has_limit:
        raise malformed("limit orders require a limit price")
    if made.type == "limit" and has_stop:
        raise malformed("limit orders require no stop price")
    if made.type == "stop" and not has_stop:
        raise malformed("stop orders require a stop price")
    if made.type == "stop" and has_limit:
        raise malformed("stop orders require no limit price")
    for name, price in (("limit_price", made.limit_price), ("stop_price", made.stop_price)):
        if price is not None:
            _check_price(made.asset, prefix + name, price)
    _check_trail(made)


def _check_price(asset: Asset, name: str, price: Decimal) -> None:
    _check_amount(name.replace("_", " "), price)
    if is_finer(price, _step(asset, price)):
        raise invalid(
            f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        )


def _check_trail(made: Ticket) -> None:
    price, percent = made.trail_price, made.trail_percent
    if made.type != "trailing_stop":
        for name, trail in (("trail_price", price), ("trail_percent", percent)):
            if trail is not None:
                raise malformed(f"{made.type.replace('_', ' ')} orders must not have {name}")
        return
    if (price is None) == (percent is None):
        raise malformed("trailing stop orders must specify one of trail_price or trail_percent")
    if price is not None:
        _check_amount("trail_price", price)
    if percent is not None:
        _check_amount("trail_percent", percent)
        if percent < _LEAST_TRAIL_PERCENT:
            raise malformed("trail_percent must be greater than or equal to 0.1")
        if percent >= 100:
            raise malformed("trail_percent must be less than 100")


def _check_times(made: Ticket) -> None:
    if made.extended_hours:
        if made.type in ("stop", "stop_limit"):
            raise invalid("stop orders are not eligible for extended hours trading")
        if made.type != "limit" or made.time_in_force not in ("day", "gtc"):
            raise invalid("extended hours order must be DAY or GTC limit orders")
        if made.order_class:
            raise invalid("extended hours order must be simple orders")
    if made.asset.is_crypto or made.time_in_force in ("day", "gtc"):
        return
    if made.order_class:
        raise invalid(f"{made.order_class} orders must be DAY or GTC orders")
    # Only market and limit orders can be opg, cls, ioc or fok (documented table of times in force).
    if made.type not in ("market", "limit"):
        raise invalid(f"{made.type.replace('_', ' ')} orders must be DAY or GTC orders")


def _check_amount(name: str, amount: Decimal) -> None:
    if not amount.is_finite() or amount <= 0:
        raise malformed(f"{name} must be > 0")
    if amount > MOST:
        raise malformed(f"{name} must be <= {plain(MOST)}")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MOST_DECIMALS:
        raise malformed(f"{name} must have no more than {_MOST_DECIMALS} decimal places")


def _step(asset: Asset, price: Decimal) -> Decimal:
    """Return the smallest price increment: a cent, below $1 a hundredth of one (Rule 612 of Reg NMS)."""
    if asset.is_crypto:
        return SMALLEST_QTY
    return CENT if price >= 1 else _SUB_DOLLAR_STEP
