"""What a well-formed order is: Alpaca's rules about fields, before anything is known of the account."""

from dataclasses import replace
from decimal import Decimal

import msgspec

from sim.amounts import CENT, SMALLEST_QTY, is_finer, plain
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Asset, Assets
from sim.refusals import invalid, malformed

STOCK_TYPES = ("market", "limit", "stop", "stop_limit")
CRYPTO_TYPES = ("market", "limit", "stop_limit")
STOCK_TIMES = ("day", "gtc", "opg", "cls", "ioc", "fok")
CRYPTO_TIMES = ("gtc", "ioc")
MOST = Decimal(1_000_000_000)  # of shares, and of dollars: sums of money stay exact in 28 digits
_LONGEST_CLIENT_ID = 128
_SUB_DOLLAR_STEP = Decimal("0.0001")


class OrderRequest(msgspec.Struct, frozen=True):
    """The body of POST /v2/orders; numbers may come as numbers or as strings."""

    symbol: str | None = None
    qty: Decimal | None = None
    notional: Decimal | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    client_order_id: str | None = None
    extended_hours: bool | None = None
    order_class: str | None = None


class ReplaceRequest(msgspec.Struct, frozen=True):
    """The body of PATCH /v2/orders/{id}."""

    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    client_order_id: str | None = None


def ticket(request: OrderRequest, assets: Assets, new_client_id: str) -> Ticket:
    """The request as a checked ticket; raises Refused in Alpaca's words."""
    if not request.symbol:
        raise malformed("symbol is required")
    asset = assets.find(request.symbol)
    if asset is None:
        raise invalid(f'asset "{request.symbol}" not found')
    if request.order_class not in (None, "", "simple"):
        raise invalid(f"order_class {request.order_class} is not supported here; allowed: simple")
    made = Ticket(
        client_order_id=request.client_order_id or new_client_id,
        asset=asset,
        side=_one_of("side", request.side, ("buy", "sell")),
        type=_one_of("type", request.type, CRYPTO_TYPES if asset.is_crypto else STOCK_TYPES),
        time_in_force=_one_of(
            "time_in_force", request.time_in_force, CRYPTO_TIMES if asset.is_crypto else STOCK_TIMES
        ),
        qty=request.qty,
        notional=request.notional,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        extended_hours=bool(request.extended_hours),
    )
    return _checked(made)


def replaced(order: Order, request: ReplaceRequest, new_client_id: str) -> Ticket:
    """The ticket of the order that replaces `order`, for what is left of it.

    A new `qty` counts what is filled already, as FIX does; Alpaca does not say.
    """
    old = order.ticket
    if old.qty is None or old.qty % 1 != 0:
        if request.qty is not None:
            raise invalid("qty of a notional or fractional order cannot be replaced")
        qty = None if old.qty is None else order.remaining_qty
    else:
        qty = (old.qty if request.qty is None else request.qty) - order.filled_qty
        if qty <= 0:
            raise invalid(f"qty must be more than what is filled: {plain(order.filled_qty)}")
    for name in ("limit_price", "stop_price"):
        if getattr(request, name) is not None and getattr(old, name) is None:
            raise invalid(f"{name} cannot be replaced: the order has none")
    times = CRYPTO_TIMES if old.asset.is_crypto else STOCK_TIMES
    return _checked(
        replace(
            old,
            client_order_id=request.client_order_id or new_client_id,
            time_in_force=_one_of("time_in_force", request.time_in_force or old.time_in_force, times),
            qty=qty,
            limit_price=old.limit_price if request.limit_price is None else request.limit_price,
            stop_price=old.stop_price if request.stop_price is None else request.stop_price,
        )
    )


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> str:
    if value is None:
        raise malformed(f"{name} is required")
    if value not in allowed:
        raise invalid(f"invalid {name} {value}; allowed: {', '.join(allowed)}")
    return value


def _checked(made: Ticket) -> Ticket:
    if len(made.client_order_id) > _LONGEST_CLIENT_ID:
        raise malformed(f"client_order_id must be no longer than {_LONGEST_CLIENT_ID} characters")
    _check_size(made)
    _check_price(made, "limit_price", made.limit_price, made.type in ("limit", "stop_limit"))
    _check_price(made, "stop_price", made.stop_price, made.type in ("stop", "stop_limit"))
    if made.extended_hours and (made.type != "limit" or made.time_in_force not in ("day", "gtc")):
        raise invalid("extended hours order must be DAY or GTC limit orders")
    return made


def _check_size(made: Ticket) -> None:
    if (made.qty is None) == (made.notional is None):
        raise malformed("qty or notional is required, and only one of them")
    if made.qty is not None:
        if not made.qty.is_finite() or not 0 < made.qty <= MOST:
            raise malformed(f"qty must be > 0 and <= {plain(MOST)}")
        if is_finer(made.qty, SMALLEST_QTY):
            raise invalid("qty must be limited to 9 decimal places")
        if made.qty % 1 != 0 and not made.asset.is_crypto and made.time_in_force != "day":
            raise invalid("fractional orders must be DAY orders")
    if made.notional is not None:
        if not made.notional.is_finite() or not 1 <= made.notional <= MOST:
            raise invalid(f"notional amount must be >= 1.00 and <= {plain(MOST)}")
        if is_finer(made.notional, CENT):
            raise invalid("notional value must be limited to 2 decimal places")
        if made.type != "market" or not (made.asset.is_crypto or made.time_in_force == "day"):
            raise invalid("notional orders must be DAY market orders")


def _check_price(made: Ticket, name: str, price: Decimal | None, is_needed: bool) -> None:
    if price is None:
        if is_needed:
            raise malformed(f"{made.type} orders require {name}")
        return
    if not is_needed:
        raise malformed(f"{made.type} orders must not have {name}")
    if not price.is_finite() or not 0 < price <= MOST:
        raise malformed(f"{name} must be > 0 and <= {plain(MOST)}")
    if is_finer(price, _step(made.asset, price)):
        raise invalid(
            f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        )


def _step(asset: Asset, price: Decimal) -> Decimal:
    if asset.is_crypto:
        return SMALLEST_QTY
    return CENT if price >= 1 else _SUB_DOLLAR_STEP
