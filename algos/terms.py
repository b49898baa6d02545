"""The terms of an order from what an author writes: exact numbers, the order type inferred."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import msgspec

from bus.order_messages import (
    Change,
    OrderClass,
    OrderTerms,
    OrderType,
    Side,
    TimeInForce,
)
from bus.symbols import canonical_symbol

# What Alpaca can tell apart.
_FINEST = -9

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OrderTerms).decode


def exact(what: str, value: object) -> Decimal:
    """A quantity or price as an exact decimal, taken as it prints.

    Raises ValueError, naming `what`, unless it is a positive number of nine decimal places at most.
    """
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{what} {value!r} is not a number") from None
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"{what} {value!r}: it must be a number above zero")
    _, digits, exponent = amount.as_tuple()
    # By its digits: a calculation would round to the context's precision.
    if isinstance(exponent, int) and exponent < _FINEST and any(digits[exponent - _FINEST :]):
        raise ValueError(f"{what} {value!r} has more than nine decimal places: round it")
    return amount


def order_terms(
    symbol: str,
    side: Side,
    quantity: object | None,
    *,
    notional: object | None = None,
    limit_price: object | None = None,
    stop_price: object | None = None,
    take_profit: object | None = None,
    stop_loss: object | None = None,
    stop_loss_limit: object | None = None,
    trail_price: object | None = None,
    trail_percent: object | None = None,
    time_in_force: TimeInForce | None = None,
    extended_hours: bool = False,
) -> OrderTerms:
    """A market order, unless a limit or stop price (or both) or a trail makes it another.

    With both exits it is a bracket, with one an OTO. Without a time in force it is `day`; `gtc` for crypto,
    which has no day. Raises ValueError for whatever is no order.
    """
    if not isinstance(symbol, str):
        raise ValueError(f"{side} {symbol!r}: a symbol is text, such as AAPL")
    if (quantity is None) == (notional is None):
        raise ValueError(f"{side} {symbol}: give either a quantity or a notional")
    trails = trail_price is not None or trail_percent is not None
    if trails and (limit_price is not None or stop_price is not None):
        raise ValueError(f"{side} {symbol}: a trailing stop has neither limit_price nor stop_price")
    symbol = canonical_symbol(symbol)
    terms = OrderTerms(
        symbol=symbol,
        side=side,
        type="trailing_stop" if trails else _order_type(limit_price is not None, stop_price is not None),
        time_in_force=time_in_force or ("gtc" if "/" in symbol else "day"),
        quantity=_exact_or_none("quantity", quantity),
        notional=_exact_or_none("notional", notional),
        limit_price=_exact_or_none("limit_price", limit_price),
        stop_price=_exact_or_none("stop_price", stop_price),
        extended_hours=extended_hours,
        order_class=_order_class(take_profit is not None, stop_loss is not None),
        take_profit=_exact_or_none("take_profit", take_profit),
        stop_loss=_exact_or_none("stop_loss", stop_loss),
        stop_loss_limit=_exact_or_none("stop_loss_limit", stop_loss_limit),
        trail_price=_exact_or_none("trail_price", trail_price),
        trail_percent=_exact_or_none("trail_percent", trail_percent),
    )
    return _readable(terms)


def exit_terms(
    symbol: str,
    held: Decimal,
    quantity: object | None,
    *,
    take_profit: object,
    stop_loss: object,
    stop_loss_limit: object | None = None,
    time_in_force: TimeInForce | None = None,
) -> OrderTerms:
    """The terms of an OCO that closes so much of what is held, all of it by default.

    Raises ValueError where nothing is held, or less than that.
    """
    if not held:
        raise ValueError(f"exit {symbol}: nothing is held; open with take_profit and stop_loss instead")
    wanted = abs(held) if quantity is None else exact("quantity", quantity)
    if wanted > abs(held):
        raise ValueError(f"exit {wanted} {symbol}: {abs(held)} are held")
    return _readable(
        OrderTerms(
            symbol=canonical_symbol(symbol),
            side="sell" if held > 0 else "buy",
            type="limit",
            time_in_force=time_in_force or "day",
            quantity=wanted,
            limit_price=exact("take_profit", take_profit),
            order_class="oco",
            stop_loss=exact("stop_loss", stop_loss),
            stop_loss_limit=_exact_or_none("stop_loss_limit", stop_loss_limit),
        )
    )


def changed_terms(terms: OrderTerms, changes: Mapping[Change, object]) -> OrderTerms:
    """The same terms with what is given changed; raises ValueError for a price that the order type lacks."""
    if not changes:
        raise ValueError("a replacement changes something: give a quantity, a price or a time in force")
    for name in changes:
        if name not in ("quantity", "time_in_force") and getattr(terms, name) is None:
            raise ValueError(f"a {terms.type} order has no {name}: cancel it and place another")
    changed = {
        name: value if name == "time_in_force" else exact(name, value) for name, value in changes.items()
    }
    return _readable(msgspec.structs.replace(terms, **changed))


def _readable(terms: OrderTerms) -> OrderTerms:
    """The same terms, read back as the OMS reads them: nobody hears of a request that it cannot read."""
    try:
        return _decode(_encode(terms))
    except (msgspec.ValidationError, UnicodeEncodeError, TypeError) as error:
        raise ValueError(f"{terms.side} {terms.symbol!r} is no order: {error}") from None


def _order_type(limit: bool, stop: bool) -> OrderType:
    if limit and stop:
        return "stop_limit"
    if limit:
        return "limit"
    return "stop" if stop else "market"


def _order_class(profit: bool, loss: bool) -> OrderClass:
    if profit and loss:
        return "bracket"
    return "oto" if profit or loss else "simple"


def _exact_or_none(what: str, value: object | None) -> Decimal | None:
    return None if value is None else exact(what, value)
