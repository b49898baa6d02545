"""The day and the phase of the market to which a moment belongs, by the calendar. Pure.

Shares have New York's trading days. One begins when the extended hours of the one before have ended (20:00,
or 17:00 after an early close): what is traded overnight belongs to the day that it leads to, and so does a
weekend. Crypto trades at all times, and its day is that of UTC.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")

Phase = Literal["closed", "overnight", "pre_market", "regular", "after_hours"]

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS
_EXTENDED_OPEN, _OPEN, _CLOSE, _EARLY_CLOSE = time(4), time(9, 30), time(16), time(13)
_AFTER_HOURS_NS = 4 * 3600 * _SECOND_NS
_OVERNIGHT_OPEN = time(20)

_SATURDAY, _SUNDAY = 5, 6
_THURSDAY, _MONDAY = 3, 0

# Days on which the exchange was closed by a decision of its own, not by a rule.
_CLOSED_ONCE = frozenset({date(2018, 12, 5), date(2025, 1, 9)})


class Session(NamedTuple):
    """One trading day of shares; the times at which its phases begin and end, since 1970."""

    day: date
    extended_opens_ns: int
    opens_ns: int
    closes_ns: int
    extended_closes_ns: int


def is_crypto(symbol: str) -> bool:
    """Whether this is a pair, which trades at all times."""
    return "/" in symbol


def trading_day(at_ns: int, symbol: str = "") -> date:
    """The day for which a daily limit counts what happens at this moment.

    Without a symbol that of the account, which is New York's.
    """
    return _utc_day(at_ns) if is_crypto(symbol) else session_from(at_ns).day


def session_from(at_ns: int) -> Session:
    """The session of the trading day of this moment: the first whose extended hours are not over."""
    # Sessions begin and end on the minute, and many questions come within one.
    return _session_from_minute(at_ns // _MINUTE_NS)


def is_regular(at_ns: int) -> bool:
    """Whether the regular session of shares is on."""
    return _is_regular_minute(at_ns // _MINUTE_NS)


def phase(at_ns: int) -> Phase:
    """What the market of shares does at this moment."""
    return phase_before_end(session_from(at_ns), at_ns)


def phase_before_end(session: Session, at_ns: int) -> Phase:
    """What the market of shares does; `session` is the first whose extended hours are not over by then."""
    if at_ns < session.extended_opens_ns:
        eve = datetime.combine(session.day - timedelta(1), _OVERNIGHT_OPEN, NEW_YORK)
        return "overnight" if at_ns >= _ns(eve) else "closed"
    if at_ns < session.opens_ns:
        return "pre_market"
    return "regular" if at_ns < session.closes_ns else "after_hours"


def session_on(day: date) -> Session | None:
    """The session of a date; None where New York does not trade."""
    if day.weekday() >= _SATURDAY or day in _CLOSED_ONCE or day in _holidays(day.year):
        return None
    closes_at = datetime.combine(day, _EARLY_CLOSE if _closes_early(day) else _CLOSE, NEW_YORK)
    return session_closing(day, _ns(closes_at))


def session_closing(day: date, closes_ns: int) -> Session:
    """The session of a trading day whose regular hours end at this time."""
    return Session(
        day,
        _ns(datetime.combine(day, _EXTENDED_OPEN, NEW_YORK)),
        _ns(datetime.combine(day, _OPEN, NEW_YORK)),
        closes_ns,
        closes_ns + _AFTER_HOURS_NS,
    )


@lru_cache(maxsize=256)
def _session_from_minute(minute: int) -> Session:
    at_ns = minute * _MINUTE_NS
    day = datetime.fromtimestamp(at_ns // _SECOND_NS, NEW_YORK).date()
    while True:
        session = session_on(day)
        if session is not None and at_ns < session.extended_closes_ns:
            return session
        day += timedelta(1)


@lru_cache(maxsize=256)
def _is_regular_minute(minute: int) -> bool:
    session = _session_from_minute(minute)
    return session.opens_ns <= minute * _MINUTE_NS < session.closes_ns


def _utc_day(at_ns: int) -> date:
    return datetime.fromtimestamp(at_ns // _SECOND_NS, UTC).date()


def _ns(moment: datetime) -> int:
    """An aware moment of a whole second, since 1970."""
    return int(moment.timestamp()) * _SECOND_NS


def _closes_early(day: date) -> bool:
    """The days before Independence Day and Christmas, and the day after Thanksgiving (NYSE rule 7.2)."""
    after_thanksgiving = _weekday_of(day.year, 11, _THURSDAY, 4) + timedelta(1)
    return (day.month, day.day) in ((7, 3), (12, 24)) or day == after_thanksgiving


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    """New York's holidays of a year, on the weekday on which they are kept (NYSE rule 7.2)."""
    fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 12, 25)]
    if year >= 2022:
        fixed.append(date(year, 6, 19))
    found = {
        _weekday_of(year, 1, _MONDAY, 3),
        _weekday_of(year, 2, _MONDAY, 3),
        _good_friday(year),
        _weekday_of(year, 6, _MONDAY, 1) - timedelta(7),  # Memorial Day, the last Monday of May
        _weekday_of(year, 9, _MONDAY, 1),
        _weekday_of(year, 11, _THURSDAY, 4),
    }
    for day in fixed:
        if day.weekday() == _SUNDAY:
            found.add(day + timedelta(1))
        elif day.weekday() == _SATURDAY and day.month != 1:
            # A new year that begins on a Saturday is not kept on the last day of the old one.
            found.add(day - timedelta(1))
        else:
            found.add(day)
    return frozenset(found)


def _weekday_of(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th such weekday of a month; Monday is 0."""
    first = date(year, month, 1)
    return first + timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))


def _good_friday(year: int) -> date:
    """Two days before Easter Sunday, which is reckoned after Butcher (1876): the anonymous Gregorian rule."""
    golden, century, rest = year % 19, year // 100, year % 100
    leap_centuries, skipped = century // 4, (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - skipped + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    since_march = epact + to_sunday - 7 * late + 21
    return date(year, 3, 1) + timedelta(since_march - 2)
