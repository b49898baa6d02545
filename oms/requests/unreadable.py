"""What is answered to a request that cannot be read, where the id that it is about can be. Pure."""

import re
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from bus.codec import Message
from bus.errors import Unreadable
from bus.order_events import CancelRefused, OrderRefused
from bus.order_id import algorithm_of
from bus.order_messages import CancelRequest, OrderRequest, Reason, ReplaceRequest
from oms.state.inputs import RequestRead

_ABOUT_AN_ORDER: dict[bytes, type[Message]] = {
    kind.wire.encode(): kind for kind in (OrderRequest, ReplaceRequest, CancelRequest)
}

# As the codec writes what is wrong: the field, and where it stands.
_MISSING = re.compile(r"required field `(\w+)`")
_PLACE = re.compile(r"at `\$\.?([\w.]*)`")

_ALLOWED = {
    Decimal: 'a decimal number, such as "1.5"',
    int: "a whole number",
    str: "text",
    bool: "true or false",
}

# Somebody's text may be of any length.
_MOST_CHARACTERS = 300


class _Head(msgspec.Struct, frozen=True):
    client_order_id: str


_read_head = msgspec.json.Decoder(_Head).decode


def answer(
    read: RequestRead, error: Unreadable, known: Callable[[str], bool], at_ns: int
) -> OrderRefused | CancelRefused | None:
    """The refusal of a request that cannot be read; None where its id cannot be read, or is another's.

    That is one of another algorithm, and for an order one that is `known`: the order that stands under it
    keeps its state. A cancel that is refused leaves its order as it is, so that one is answered.
    """
    fields = read.delivery.fields
    kind = _ABOUT_AN_ORDER.get(fields.get(b"type", b""))
    if kind is None:
        return None
    try:
        order_id = _read_head(fields.get(b"data", b"")).client_order_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if order_id.startswith("bb-") and algorithm_of(order_id) != read.algorithm:
        return None
    reason = Reason(code="unreadable_request", message=_sentence(kind, str(error)))
    if kind is CancelRequest:
        return CancelRefused(algorithm=read.algorithm, client_order_id=order_id, reason=reason, at_ns=at_ns)
    if known(order_id):
        return None
    return OrderRefused(
        algorithm=read.algorithm, client_order_id=order_id, by="risk", reasons=(reason,), at_ns=at_ns
    )


def _sentence(kind: type[Message], error: str) -> str:
    """What is wrong, and what the field that is wrong may be."""
    place = _PLACE.search(error)
    missing = _MISSING.search(error)
    path = [*(place.group(1).split(".") if place else ()), *((missing.group(1),) if missing else ())]
    path = [name for name in path if name]
    allowed = _allowed(kind, path)
    shown = error if len(error) <= _MOST_CHARACTERS else f"{error[:_MOST_CHARACTERS]}..."
    return f"the request cannot be read: {shown}" + (f"; {'.'.join(path)} is {allowed}" if allowed else "")


def _allowed(kind: type[Message], path: list[str]) -> str:
    """What may stand in a field, in words; empty where the path leads to none."""
    found: Any = kind
    for name in path:
        if not (isinstance(found, type) and issubclass(found, msgspec.Struct)):
            return ""
        found = next((one.type for one in msgspec.structs.fields(found) if one.name == name), None)
    if get_origin(found) in (Union, types.UnionType):
        found = next(one for one in get_args(found) if one is not type(None))
    if get_origin(found) is Literal:
        *most, last = get_args(found)
        return f"one of {', '.join(most)} and {last}"
    return _ALLOWED.get(found, "") if isinstance(found, type) else ""
