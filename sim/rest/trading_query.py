"""Reads and checks the parameters of a request to the trading API; refusals are 422 and name what is allowed.

An empty parameter counts as left out, and unknown ones are ignored.
"""

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from sim.refusals import malformed
from sim.times import parse_ns

Query = Mapping[str, str]

# The words of Go's ParseBool; alpaca-py writes True and False.
TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_MOST_DIGITS = 18
_FINEST_EXPONENT = -9
_LARGEST = Decimal(1_000_000_000)


def count(query: Query, name: str, default: int, most: int) -> int:
    """Return a number from 1 to most. Raises Refused (422) for any other."""
    text = query.get(name)
    if not text:
        return default
    if not (text.isdecimal() and len(text) <= _MOST_DIGITS and 1 <= int(text) <= most):
        raise malformed(f"invalid {name} {text}; allowed: 1 to {most}")
    return int(text)


def truth(query: Query, name: str) -> bool:
    """Return whether a flag is set. Raises Refused (422) where it is neither true nor false."""
    text = query.get(name)
    if not text or text in FALSE:
        return False
    if text not in TRUE:
        raise malformed(f"invalid {name} {text}; allowed: true, false")
    return True


def one_of(query: Query, name: str, allowed: Collection[str], default: str) -> str:
    """Return one of several words. Raises Refused (422) for any other."""
    text = query.get(name)
    if not text:
        return default
    if text not in allowed:
        raise malformed(f"invalid {name} {text}; allowed: {', '.join(allowed)}")
    return text


def several(query: Query, name: str, allowed: Collection[str] | None = None) -> tuple[str, ...]:
    """Return words separated by commas, each once. Raises Refused (422) for one that is not allowed."""
    words = tuple(dict.fromkeys(word for word in query.get(name, "").split(",") if word))
    if allowed is not None:
        for word in words:
            if word not in allowed:
                raise malformed(f"invalid {name} {word}; allowed: {', '.join(allowed)}")
    return words


def moment_ns(query: Query, name: str) -> int | None:
    """Return RFC 3339, or a date as its midnight in UTC. Raises Refused (422) for anything else."""
    text = query.get(name)
    if not text:
        return None
    try:
        # A plus sign that was not encoded arrives as a blank.
        return parse_ns(text.replace(" ", "+") if "T" in text else text)
    except (ValueError, OverflowError) as error:
        raise malformed(f"invalid {name} {text}; allowed: RFC 3339, or a date") from error


def day(query: Query, name: str) -> date | None:
    """Return a date, also as the first part of a time. Raises Refused (422) for anything else."""
    text = query.get(name)
    if not text:
        return None
    try:
        if len(text) > 10:
            parse_ns(text.replace(" ", "+"))
        return date.fromisoformat(text[:10])
    except (ValueError, OverflowError) as error:
        raise malformed(f"invalid {name} {text}; allowed: a date such as 2026-01-31") from error


def amount(query: Query, name: str, most: Decimal = _LARGEST) -> Decimal | None:
    """Return a number above 0, at most `most`, of nine decimals. Raises Refused (422) for any other."""
    text = query.get(name)
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 < value <= most or not _is_fine(value):
        raise malformed(f"invalid {name} {text}; allowed: more than 0, at most {most:f}, of 9 decimals")
    return value


def _is_fine(value: Decimal) -> bool:
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= _FINEST_EXPONENT
