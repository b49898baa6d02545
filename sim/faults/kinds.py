"""Every kind of fault by its name, and how one is asked for: as a JSON object, or in one line."""

import json
import re
from collections.abc import Iterator
from typing import Any

from bus.errors import InvalidInput
from sim.faults.fields import checked
from sim.faults.kind import Kind
from sim.faults.market_kinds import MARKET_KINDS
from sim.faults.order_kinds import ORDER_KINDS, UPDATE_KINDS
from sim.faults.request_kinds import REQUEST_KINDS
from sim.faults.stream_kinds import STREAM_KINDS

KINDS: dict[str, Kind] = STREAM_KINDS | REQUEST_KINDS | UPDATE_KINDS | ORDER_KINDS | MARKET_KINDS

_ONE_LINE = re.compile(r"[a-z0-9_]+(:[a-z_]+=[^,=]+(,[a-z_]+=[^,=]+)*)?")


def parse(body: Any) -> dict[str, Any]:
    """The fault as a full set of fields; raises InvalidInput naming the field and what it may be."""
    if not isinstance(body, dict):
        raise InvalidInput(f"a fault is a JSON object such as {KINDS['disconnect'].example}")
    name = body.get("fault", body.get("name"))
    if not isinstance(name, str) or name not in KINDS:
        raise InvalidInput(f"fault is {name!r}; allowed: {', '.join(KINDS)}")
    kind = KINDS[name]
    unknown = sorted(set(map(str, body)) - set(kind.fields) - {"fault", "name"})
    if unknown:
        raise InvalidInput(f"{unknown[0]} is no field of {name}; example: {dict(kind.example)}")
    return {"fault": name, **dict(_fields(kind, body))}


def parse_line(text: str) -> dict[str, Any]:
    """The same of `name` or `name:field=value,field=value`; raises InvalidInput."""
    if not _ONE_LINE.fullmatch(text):
        raise InvalidInput(f"a fault is {text!r}; allowed: such as disconnect:stream=stocks,seconds=2")
    name, _, rest = text.partition(":")
    body: dict[str, Any] = {"fault": name}
    for pair in rest.split(",") if rest else ():
        field, _, value = pair.partition("=")
        if field in body:
            raise InvalidInput(f"{field} is given twice in {text!r}; allowed: once")
        body[field] = _value(value)
    return parse(body)


def _fields(kind: Kind, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in kind.fields:
        if body.get(field) is not None:
            yield field, checked(field, body[field])
        elif field not in kind.optional:
            raise InvalidInput(f"{field} is missing; example: {dict(kind.example)}")
        elif field == "count" and body.get("seconds") is not None:
            yield field, None  # for so long, however often
        else:
            yield field, kind.optional[field]


def _value(text: str) -> Any:
    """A value of one line: what JSON would make of it, or else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
