"""New York's trading days: holidays, early closes, and the next open and close after a moment."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_OPEN = time(9, 30)
_CLOSE = time(16)
_EARLY_CLOSE = time(13)
# Closed by decision of the day, since 2016, where Alpaca's data begin.
_DAYS_OF_MOURNING = (date(2018, 12, 5), date(2025, 1, 9))


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; both times are aware, in New York."""

    day: date
    opens_at: datetime
    closes_at: datetime


def _easter(year: int) -> date:
    """Return Easter Sunday, by the Gregorian computus (Meeus, Astronomical Algorithms, chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    """Return the n-th such weekday of a month; n = -1 is the last. Monday is 0."""
    if n > 0:
        first = date(year, month, 1)
        return first + timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(1)
    return last - timedelta((last.weekday() - weekday) % 7)


def _observed(day: date) -> date:
    """Return when a holiday is kept: on Friday if it is a Saturday, on Monday if it is a Sunday."""
    return day + timedelta({5: -1, 6: 1}.get(day.weekday(), 0))


def _holidays(year: int) -> set[date]:
    days = {
        _observed(date(year, 1, 1)),  # on a Saturday it would be kept in the old year, and is not
        _nth(year, 1, 0, 3),
        _nth(year, 2, 0, 3),
        _easter(year) - timedelta(2),
        _nth(year, 5, 0, -1),
        _observed(date(year, 7, 4)),
        _nth(year, 9, 0, 1),
        _nth(year, 11, 3, 4),
        _observed(date(year, 12, 25)),
    }
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return days


def session(day: date) -> Session | None:
    """Return the session of a day; None where the exchange is closed."""
    if day.weekday() >= 5 or day in _holidays(day.year) or day in _DAYS_OF_MOURNING:
        return None
    is_early = day in (
        date(day.year, 7, 3),
        date(day.year, 12, 24),
        _nth(day.year, 11, 3, 4) + timedelta(1),
    )
    closes = _EARLY_CLOSE if is_early else _CLOSE
    return Session(day, datetime.combine(day, _OPEN, NEW_YORK), datetime.combine(day, closes, NEW_YORK))


def sessions(start: date, end: date) -> list[Session]:
    """Return every session from start to end, both included."""
    days = (start + timedelta(n) for n in range((end - start).days + 1))
    return [found for found in map(session, days) if found is not None]


def next_open(moment: datetime) -> datetime:
    """Return the first regular open after an aware moment."""
    return next(s.opens_at for s in _from(moment) if s.opens_at > moment)


def next_close(moment: datetime) -> datetime:
    """Return the first regular close after an aware moment."""
    return next(s.closes_at for s in _from(moment) if s.closes_at > moment)


def _from(moment: datetime) -> list[Session]:
    today = moment.astimezone(NEW_YORK).date()
    return sessions(today, today + timedelta(10))
