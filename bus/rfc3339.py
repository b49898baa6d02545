"""Reads and writes times as Alpaca does over HTTP, exact to the nanosecond. Pure."""

import re
from datetime import UTC, datetime

from bus.errors import Unreadable

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*(Z|[+-]\d\d:\d\d)")


def time_ns(written: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine decimals. Raises Unreadable."""
    match = _TIME.fullmatch(written)
    if match is None:
        raise Unreadable(f"{written[:64]!r} is not a time such as 2026-01-02T15:04:05.123456789Z")
    seconds, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone))
    except ValueError as error:
        raise Unreadable(f"{written[:64]!r} is no time: {error}") from error
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def written(at_ns: int) -> str:
    """A time as text, such as 2026-01-02T15:04:05.123456789Z; `time_ns` reads it back."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"
