"""The fields of faults and their allowed values; a field's name means the same in every fault."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bus.errors import InvalidInput
from sim.stream_errors import ERRORS

STREAMS = ("stocks", "crypto", "options", "news", "test", "trade_updates")
APIS = ("trading", "data")
MOMENTS = ("request", "response")
STATUSES = (408, 422, 425, 499, 500, 502, 503, 504)
REQUESTS = ("submit", "replace", "cancel", "close", "read", "trading", "data", "any")
BAD_QUOTES = ("crossed", "zero", "stale")
STEPS = ("connected", "auth", "subscription")
HELD_STATES = ("suspended", "stopped", "done_for_day", "calculated")


@dataclass(frozen=True, slots=True)
class Field:
    """A field's allowed values, in words, and its check: returns the value to use, or None to refuse it."""

    allowed: str
    check: Callable[[Any], Any]


def _one_of(choices: tuple[Any, ...]) -> Field:
    def check(value: Any) -> Any:
        if isinstance(value, str):
            # "trade updates" is how people say it.
            value = value.replace(" ", "_").replace("-", "_")
        return value if not isinstance(value, bool) and value in choices else None

    return Field(", ".join(str(choice) for choice in choices), check)


def _number(words: str, least: Decimal, most: Decimal, is_whole: bool = False) -> Field:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
            return None
        # A NaN is not equal to itself, and cannot be compared with a Decimal.
        return value if value == value and least <= value <= most else None

    return Field(words, check)


def _text(words: str) -> Field:
    return Field(words, lambda value: value if isinstance(value, str) and value else None)


def _account(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_number or (isinstance(value, str) and value) else None


_SMALL = Decimal("1e-9")

FIELDS: dict[str, Field] = {
    "stream": _one_of(STREAMS),
    "api": _one_of(APIS),
    "at": _one_of(MOMENTS),
    "on": _one_of(REQUESTS),
    "status": _one_of(STATUSES),
    "code": _one_of(tuple(ERRORS)),
    "quote": _one_of(BAD_QUOTES),
    "step": _one_of(STEPS),
    "state": _one_of(HELD_STATES),
    "accepted": Field("true, false", lambda value: value if isinstance(value, bool) else None),
    "html": Field("true, false", lambda value: value if isinstance(value, bool) else None),
    "seconds": _number("a number greater than 0, up to 86400", _SMALL, Decimal(86_400)),
    "count": _number("a whole number greater than 0, up to 1000000", Decimal(1), Decimal(1_000_000), True),
    "ms": _number("a number greater than 0, up to 3600000", _SMALL, Decimal(3_600_000)),
    "skew_ms": _number("a number from -86400000 to 86400000", Decimal(-86_400_000), Decimal(86_400_000)),
    "bytes": _number("a whole number from 1 to 65535", Decimal(1), Decimal(65_535), True),
    "mib": _number("a number from 0.01 to 16", Decimal("0.01"), Decimal(16)),
    "percent": _number("a number from -90 to 1000", Decimal(-90), Decimal(1_000)),
    "size": _number("a whole number from 1 to 1000000", Decimal(1), Decimal(1_000_000), True),
    "chance": _number("a number from 0 to 1", Decimal(0), Decimal(1)),
    "symbol": _text("a symbol of GET /v2/assets"),
    "account": Field("the API key of an account, or its number: 1 is the first", _account),
}


def checked(name: str, value: Any) -> Any:
    """Return the value to use. Raises InvalidInput naming the field and what it may be."""
    field = FIELDS[name]
    found = field.check(value)
    if found is None:
        raise InvalidInput(f"{name} is {value!r}; allowed: {field.allowed}")
    return found
