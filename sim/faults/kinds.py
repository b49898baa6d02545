"""Every kind of fault by its name, and the parsing of a fault from a JSON object or one line."""

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
    """Return the fault with all of its fields. Raises InvalidInput naming the field and what it may be."""
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
    """Parse `name` or `name:field=value,field=value`. Raises InvalidInput."""
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
            yield field, None  # for so long, any number of times
        else:
            yield field, kind.optional[field]


def _value(text: str) -> Any:
    """Return a value of one line: as JSON where it is JSON, or else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
