"""Times as people type them, in New York where they name no zone. Pure."""

import re
from datetime import datetime, timedelta

from bus.errors import InvalidInput
from bus.trading_day import NEW_YORK

_SECOND_NS = 1_000_000_000

_TYPED = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?")

ALLOWED = "a day such as 2026-11-27, or a time such as 2026-11-27T09:30 (New York) or 2026-11-27T14:30:00Z"


def moment_ns(typed: str, field: str) -> int:
    """Nanoseconds since 1970 of a typed time; a day alone means its beginning.

    Raises InvalidInput, naming the field, for what is no time, or not one time: New York's clocks skip an
    hour in March, and repeat one in November.
    """
    match = _TYPED.fullmatch(typed.strip())
    if match is None:
        raise InvalidInput(f"{field} {typed!r}: write {ALLOWED}")
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(zone or '').replace('Z', '+00:00')}")
    except ValueError as error:
        raise InvalidInput(f"{field} {typed!r}: {error}; write {ALLOWED}") from None
    if moment.tzinfo is None:
        moment = _in_new_york(moment, f"{field} {typed!r}")
    return round(moment.timestamp()) * _SECOND_NS + int((fraction or "0").ljust(9, "0"))


def shown(at_ns: int) -> str:
    """A moment as New York's clocks show it, for people: `2026-11-27 09:30:00`."""
    return f"{_new_york(at_ns):%Y-%m-%d %H:%M:%S}"


def short(at_ns: int) -> str:
    """The same as part of a name: `20261127t0930`, with seconds where there are any."""
    moment = _new_york(at_ns)
    return f"{moment:%Y%m%dt%H%M%S}" if moment.second else f"{moment:%Y%m%dt%H%M}"


def _new_york(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // _SECOND_NS, NEW_YORK)


def _in_new_york(naive: datetime, what: str) -> datetime:
    early, late = (naive.replace(tzinfo=NEW_YORK, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    zones = " or ".join(f"{naive:%Y-%m-%dT%H:%M}{_offset(one)}" for one in (early, late))
    if early.timestamp() < late.timestamp():
        raise InvalidInput(f"{what}: New York's clocks show that twice; write {zones}")
    raise InvalidInput(f"{what}: New York's clocks skip that hour; write {zones}")


def _offset(moment: datetime) -> str:
    seconds = (moment.utcoffset() or timedelta()).total_seconds()
    hours, minutes = divmod(round(abs(seconds)) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"
