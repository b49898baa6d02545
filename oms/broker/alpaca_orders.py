"""Alpaca's orders and ours: read tolerantly, written exactly. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from bus.errors import Unreadable
from bus.order_messages import Change, OrderTerms, Role, Side
from bus.rfc3339 import time_ns
from oms.amounts import ZERO, text
from oms.broker.protocol import BrokerOrder, UnreadableOrder
from oms.risk.terms import profit_price


class AlpacaOrder(msgspec.Struct, frozen=True):
    """The fields of an order that matter here. Words such as status are taken as they come."""

    id: str
    client_order_id: str
    symbol: str
    status: str
    side: str = ""
    type: str = ""
    time_in_force: str = ""
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_qty: Decimal | None = None
    filled_avg_price: Decimal | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    extended_hours: bool = False
    order_class: str | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    legs: "list[AlpacaOrder] | None" = None


# Names of ours that are others in the body of a request.
_BODY_NAMES = {"quantity": "qty"}

# Those of a trail, of which a replace says the new size alone.
_TRAILS = ("trail_price", "trail_percent")

_AMOUNTS = (
    "qty",
    "notional",
    "limit_price",
    "stop_price",
    "filled_qty",
    "filled_avg_price",
    "trail_price",
    "trail_percent",
)

# No quantity and no price of a real order has more digits before the point, or places behind it, than this.
_MOST_DIGITS = 30


def read_order(raw: Any) -> BrokerOrder:
    """An order of a REST answer. Raises Unreadable, naming the field that is wrong."""
    try:
        order = msgspec.convert(raw, AlpacaOrder, strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(f"an order of Alpaca's: {error}") from error
    check_numbers(order)
    return broker_order(order)


def read_listed(raw: Any) -> BrokerOrder | UnreadableOrder:
    """An order of a list: what cannot be read of it must not hide the others."""
    try:
        return read_order(raw)
    except Unreadable as error:
        ids = raw if isinstance(raw, dict) else {}
        order_id, client_order_id = (str(ids.get(name) or "")[:128] for name in ("id", "client_order_id"))
        return UnreadableOrder(order_id, client_order_id, str(error))


def resumes_ns(page: list[Any]) -> int:
    """The time after which the orders that follow a full page begin.

    Legs are submitted at one moment with their order, and `after` leaves its own moment out: a page that
    ends between them is followed by one that begins with that moment again. An order that does not say when
    it was submitted hides no other. Raises Unreadable where none says it.
    """
    said = [raw["submitted_at"] for raw in page if isinstance(raw, dict) and raw.get("submitted_at")]
    if not said:
        raise Unreadable("no order of a full page says when it was submitted: what follows is not known")
    times_ns = [time_ns(str(one)) for one in said]
    return next((at_ns for at_ns in reversed(times_ns) if at_ns != times_ns[-1]), times_ns[-1])


def not_canceled(raw: Any) -> list[str]:
    """The ids of those orders that the answer to a cancel of all names as not taken. Raises Unreadable."""
    if not isinstance(raw, list) or not all(isinstance(line, dict) for line in raw):
        raise Unreadable("the answer to a cancel of all is no list of orders")
    return [str(line.get("id"))[:64] for line in raw if line.get("status") != 200]


def check_numbers(order: AlpacaOrder) -> None:
    """Raises Unreadable for a number that sums cannot hold: NaN, Infinity, or one of absurd size."""
    for name in _AMOUNTS:
        value: Decimal | None = getattr(order, name)
        if value is not None and not is_countable(value):
            raise Unreadable(f"order {order.id[:64]}: {name} is {str(value)[:64]}")
    for leg in order.legs or ():
        check_numbers(leg)


def is_countable(value: Decimal) -> bool:
    """Whether this is a finite number with a sane count of digits."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MOST_DIGITS and value.adjusted() <= _MOST_DIGITS


def broker_order(order: AlpacaOrder, parent: str = "") -> BrokerOrder:
    """Alpaca's order in the broker protocol's words; `parent` is the client id of the order that shows it."""
    return BrokerOrder(
        id=order.id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        status=order.status,
        quantity=order.qty,
        notional=order.notional,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        filled_quantity=order.filled_qty or ZERO,
        filled_average_price=order.filled_avg_price,
        replaces=order.replaces,
        replaced_by=order.replaced_by,
        extended_hours=order.extended_hours,
        order_class=order.order_class or "",
        trail_price=order.trail_price,
        trail_percent=order.trail_percent,
        legs=tuple(broker_order(leg, order.client_order_id) for leg in order.legs or ()),
        parent=parent,
    )


def role_of(leg: BrokerOrder) -> Role:
    """Which exit a leg is: the one that waits for a stop price ends a loss."""
    return "take_profit" if leg.type == "limit" else "stop_loss"


def new_order(terms: OrderTerms, client_order_id: str) -> dict[str, Any]:
    """The body of a new order. Numbers are strings: a float would not be the number that was approved."""
    body: dict[str, Any] = {
        "symbol": terms.symbol,
        "side": terms.side,
        "type": terms.type,
        "time_in_force": terms.time_in_force,
        "client_order_id": client_order_id,
    }
    for name, value in (
        ("qty", terms.quantity),
        ("notional", terms.notional),
        ("limit_price", terms.limit_price),
        ("stop_price", None if terms.type == "trailing_stop" else terms.stop_price),
        ("trail_price", terms.trail_price),
        ("trail_percent", terms.trail_percent),
    ):
        if value is not None:
            body[name] = text(value)
    if terms.extended_hours:
        body["extended_hours"] = True
    if terms.order_class != "simple":
        body |= _exits(terms)
    return body


def _exits(terms: OrderTerms) -> dict[str, Any]:
    exits: dict[str, Any] = {"order_class": terms.order_class}
    if (profit := profit_price(terms)) is not None:
        exits["take_profit"] = {"limit_price": text(profit)}
    if terms.stop_loss is not None:
        exits["stop_loss"] = {"stop_price": text(terms.stop_loss)}
        if terms.stop_loss_limit is not None:
            exits["stop_loss"]["limit_price"] = text(terms.stop_loss_limit)
    return exits


def replacement(terms: OrderTerms, changes: Sequence[Change], client_order_id: str) -> dict[str, Any]:
    """The body of a replace: nothing but what changes of a working order, and the new client id."""
    body = new_order(terms, client_order_id)
    names = [_BODY_NAMES.get(name, name) for name in changes if name not in _TRAILS]
    changed = {name: body[name] for name in (*names, "client_order_id")}
    for name in _TRAILS:
        if name in changes:
            changed["trail"] = body[name]
    return changed


def terms_of(order: BrokerOrder) -> OrderTerms:
    """The terms of an order that was found at the broker.

    An exit that was found with its order stands alone: its own terms name no others. Raises Unreadable for a
    kind of order that our terms have no word for.
    """
    exits = {role_of(leg): leg for leg in order.legs}
    profit, loss = exits.get("take_profit"), exits.get("stop_loss")
    raw = {
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "quantity": order.quantity,
        "notional": order.notional if order.quantity is None else None,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "extended_hours": order.extended_hours,
        "order_class": "simple" if order.parent else order.order_class or "simple",
        "take_profit": None if profit is None else profit.limit_price,
        "stop_loss": None if loss is None else loss.stop_price,
        "stop_loss_limit": None if loss is None else loss.limit_price,
        "trail_price": order.trail_price,
        "trail_percent": order.trail_percent,
    }
    try:
        return msgspec.convert(raw, OrderTerms)
    except msgspec.ValidationError as error:
        raise Unreadable(f"order {order.id} at the broker: {error}") from error


def side_of(word: str) -> Side:
    """Buy or sell. Raises Unreadable for any other word."""
    if word.startswith("buy"):
        return "buy"
    if word.startswith("sell"):
        return "sell"
    raise Unreadable(f"side {word!r} of an order: known here are buy and sell")
