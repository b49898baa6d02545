"""What the entries that name an order tell of it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from bus.codec import Message, MessageCodec
from bus.errors import Unreadable
from bus.events import EVENTS
from bus.order_events import (
    ExternalOrderFound,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderNotUnderstood,
    OrderRefused,
    OrdersRefused,
    OrderUpdated,
)
from bus.order_messages import REQUESTS
from ops.message_lines import message_line, number, terms

CODEC = MessageCodec((*REQUESTS, *EVENTS), keep_unknown=True)

# An end of an id that is shorter may be that of many orders.
LEAST_CHARACTERS = 8

_BEGINNINGS = (OrderApproved, OrdersRefused, ExternalOrderFound, LegFound, OrderNotUnderstood)
_IDS = ("client_order_id", "broker_order_id")


class Told(msgspec.Struct, frozen=True):
    """An entry: where it stands, and what it says, in a line and as it was written.

    `version` is that of its type.
    """

    id: str
    where: str
    type: str
    version: str
    text: str
    data: Any


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """An order, by what the entries say of it, oldest first. Amounts are decimals as text.

    `what` are its terms in a line. `status` is the last that was heard. `responsible_person` answers for its
    algorithm's orders, "" where the limits named nobody. `is_whole`: its decision was found, so that nothing
    before is missing. `notes` say what was not looked through.
    """

    client_order_id: str
    broker_order_ids: tuple[str, ...]
    algorithm: str
    symbol: str
    what: str
    status: str
    filled: str
    average_price: str | None
    responsible_person: str
    is_whole: bool
    entries: tuple[Told, ...]
    notes: tuple[str, ...] = ()


def decision(found: Story) -> tuple[str, OrderApproved | OrderRefused] | None:
    """The event by which risk decided on the order, and its entry's id; None where no entry is that."""
    for told in found.entries:
        fields = {
            b"type": told.type.encode(),
            b"version": told.version.encode(),
            b"data": msgspec.json.encode(told.data),
        }
        for event in _one_by_one(read(fields)):
            is_risks = isinstance(event, OrderApproved) or (
                isinstance(event, OrderRefused) and event.by == "risk"
            )
            if is_risks and event.client_order_id == found.client_order_id:
                return told.id, event
    return None


def named_by(data: bytes, text: str) -> str:
    """The client id of the order of which an entry's data has an id that ends with `text`; "" for none."""
    return next((str(one["client_order_id"]) for one in _objects(_parsed(data)) if _is_named(one, text)), "")


def names(data: bytes, client_order_id: str) -> bool:
    """Whether any value in an entry's data is this id."""
    return any(value == client_order_id for value in _values(_parsed(data)))


def is_beginning(fields: dict[bytes, bytes], client_order_id: str) -> bool:
    """Whether nothing of this order stands before an entry with these fields."""
    message = read(fields)
    if isinstance(message, OrdersRefused):
        return any(one.client_order_id == client_order_id for one in message.orders)
    if getattr(message, "client_order_id", "") != client_order_id:
        return False
    return isinstance(message, _BEGINNINGS) or (isinstance(message, OrderRefused) and message.by == "risk")


def read(fields: dict[bytes, bytes]) -> Message | None:
    """What an entry says; None where it cannot be read."""
    try:
        return CODEC.decode(fields)
    except Unreadable:
        return None


def story(
    client_order_id: str,
    found: Sequence[tuple[str, str, dict[bytes, bytes]]],
    *,
    is_whole: bool,
    notes: Iterable[str] = (),
) -> Story:
    """The story that entries tell, oldest first, each with its id and where it stands."""
    messages = [(id_, where, fields, read(fields)) for id_, where, fields in found]
    own = [one for _, _, _, one in messages if getattr(one, "client_order_id", "") == client_order_id]
    fills = {one.execution_id: one for one in own if isinstance(one, OrderFilled)}.values()
    filled = sum((one.quantity for one in fills), Decimal(0))
    paid = sum((one.quantity * one.price for one in fills), Decimal(0))
    decided = next((one for one in own if isinstance(one, (*_BEGINNINGS, OrderRefused))), None)
    basis = getattr(decided, "basis", None)
    brokers = dict.fromkeys(getattr(one, "broker_order_id", "") for one in own)
    return Story(
        client_order_id=client_order_id,
        broker_order_ids=tuple(filter(None, brokers)),
        algorithm=next(filter(None, (getattr(one, "algorithm", "") for one in own)), ""),
        symbol=next(filter(None, map(_symbol, own)), ""),
        what=_what(decided),
        status=next(filter(None, map(_status, reversed(own))), "unknown"),
        filled=number(filled),
        average_price=number(paid / filled) if filled else None,
        responsible_person="" if basis is None else basis.responsible_person,
        is_whole=is_whole,
        entries=tuple(
            Told(
                id_,
                where,
                fields.get(b"type", b"").decode(errors="replace"),
                fields.get(b"version", b"").decode(errors="replace"),
                _line(message),
                _data(fields),
            )
            for id_, where, fields, message in messages
        ),
        notes=tuple(notes),
    )


def _one_by_one(message: Message | None) -> Sequence[Any]:
    return message.one_by_one() if isinstance(message, OrdersRefused) else (message,)


def _what(decided: Any) -> str:
    if isinstance(decided, ExternalOrderFound):
        return message_line(decided)
    order = getattr(decided, "terms", None)
    return "" if order is None else terms(order)


def _symbol(message: Any) -> str:
    order = getattr(message, "terms", None)
    return getattr(message, "symbol", "") or ("" if order is None else order.symbol)


def _status(message: Any) -> str:
    if isinstance(message, OrderUpdated | OrderFilled | ExternalOrderFound | LegFound):
        return message.status
    if isinstance(message, OrderRefused):
        return f"refused by {message.by}"
    return {"OrderApproved": "approved", "OrderSent": "sent", "OrderUncertain": "uncertain"}.get(
        type(message).__name__, ""
    )


def _line(message: Message | None) -> str:
    return "cannot be read" if message is None else message_line(message)


def _data(fields: dict[bytes, bytes]) -> Any:
    return _parsed(fields.get(b"data", b""))


def _parsed(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data.decode(errors="replace")


def _is_named(found: dict[str, Any], text: str) -> bool:
    return any(isinstance(value := found.get(name), str) and value.endswith(text) for name in _IDS)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object with a client id in a value of JSON."""
    if isinstance(value, dict):
        if "client_order_id" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _objects(one)


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _values(one)
    else:
        yield value
