"""Converts times between Alpaca's form (RFC 3339 in UTC) and integer nanoseconds."""

import re
from datetime import UTC, datetime
from functools import lru_cache

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS

_FRACTION = re.compile(r"[.,](\d+)")


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(time_ns: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 in UTC, without trailing zeros, as Go does."""
    second, fraction_ns = divmod(time_ns, SECOND_NS)
    if fraction_ns == 0:
        return f"{_second(second)}Z"
    return f"{_second(second)}.{fraction_ns:09d}".rstrip("0") + "Z"


@lru_cache(maxsize=4096)
def _whole_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND_NS


def parse_ns(text: str) -> int:
    """Return RFC 3339 or a date (midnight UTC) in nanoseconds since 1970. Raises ValueError otherwise."""
    fraction = _FRACTION.search(text)
    if fraction is None:
        return _whole_ns(text)
    digits = fraction.group(1)[:9].ljust(9, "0")
    return _whole_ns(text[: fraction.start()] + text[fraction.end() :]) + int(digits)
