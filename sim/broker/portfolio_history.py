"""Computes an account's portfolio history: equity by windows of a timeframe, and profit against a base.

Where Alpaca's documentation and its examples differ, this holds here. A window of less than a day is named by
its beginning and has the equity at its end; the last one has the equity of now. A day is named by 20:00 in
New York and has the equity at its close. Profit is measured against the close before, or, in an account that
has none, against its opening equity.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from sim.broker.equity import EquityCurve, closing_next
from sim.exchange.hours import nanoseconds, new_york, trading_day
from sim.exchange.sessions import NEW_YORK
from sim.times import MINUTE_NS, SECOND_NS

TIMEFRAMES_NS = {
    "1Min": MINUTE_NS, "5Min": 5 * MINUTE_NS, "15Min": 15 * MINUTE_NS, "1H": 60 * MINUTE_NS,
}  # fmt: skip
DAILY = "1D"
REPORTS = ("market_hours", "extended_hours", "continuous")
_MILLIONTH = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Span:
    """The span asked for: days of New York, both included, and moments that cut the first and the last."""

    timeframe: str
    first_day: date
    last_day: date
    start_ns: int
    end_ns: int
    reporting: str = "market_hours"
    resets_daily: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """One window: its name in seconds since 1970, equity and profit in dollars, and profit as a ratio."""

    time_s: int
    equity: Decimal
    profit: Decimal
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class PortfolioHistory:
    """The windows, and the first one's base: in dollars, with the day whose close it is, if it is one."""

    points: list[Point]
    base: Decimal
    base_day: date | None


@dataclass(frozen=True, slots=True)
class _Item:
    day: date
    time_s: int
    equity: Decimal


def portfolio_history(
    curve: EquityCurve, equity: Decimal, now_ns: int, span: Span, never_closes: bool
) -> PortfolioHistory:
    """Return the history of a span; `equity` is the account's equity now, in dollars and whole cents."""
    if span.timeframe == DAILY:
        items = list(_days(curve, equity, now_ns, span, never_closes))
    else:
        items = list(_windows(curve, equity, now_ns, span, never_closes))
    first_day = items[0].day if items else span.first_day
    base, base_day = _base(curve, first_day)
    resets = span.resets_daily and span.timeframe != DAILY
    points = []
    for item in items:
        against = _base(curve, item.day)[0] if resets else base
        profit = item.equity - against
        share = (profit / against).quantize(_MILLIONTH, ROUND_HALF_EVEN) if against else None
        points.append(Point(item.time_s, item.equity, profit, share))
    return PortfolioHistory(points, base, base_day)


def _base(curve: EquityCurve, day: date) -> tuple[Decimal, date | None]:
    close = curve.close_before(day)
    return (curve.opening, None) if close is None else (close.equity, close.day)


def _days(
    curve: EquityCurve, equity: Decimal, now_ns: int, span: Span, never_closes: bool
) -> Iterator[_Item]:
    for close in curve.closes:
        if span.first_day <= close.day <= span.last_day:
            yield _Item(close.day, _day_name_s(close.day), close.equity)
    # The present day; where the exchange closes, it begins with its session.
    current = closing_next(now_ns)
    has_begun = never_closes or current.open_ns <= now_ns
    if has_begun and span.end_ns >= now_ns and span.first_day <= current.day:
        yield _Item(current.day, _day_name_s(current.day), equity)


def _day_name_s(day: date) -> int:
    found = trading_day(day)
    assert found is not None, "only trading days are named"
    return found.extended_close_ns // SECOND_NS


def _windows(
    curve: EquityCurve, equity: Decimal, now_ns: int, span: Span, never_closes: bool
) -> Iterator[_Item]:
    length_ns = TIMEFRAMES_NS[span.timeframe]
    end_ns = min(span.end_ns, now_ns)
    for begin_ns, last_ns in _stretches(span, length_ns, never_closes):
        # There is nothing before the account was opened.
        missed = max(0, curve.opened_ns - begin_ns) // length_ns
        for time_ns in range(begin_ns + missed * length_ns, min(last_ns, end_ns) + 1, length_ns):
            over_ns = time_ns + length_ns
            value = equity if over_ns > now_ns else curve.at(over_ns)
            if value is not None:
                yield _Item(new_york(time_ns).date(), time_ns // SECOND_NS, value)


def _stretches(span: Span, length_ns: int, never_closes: bool) -> Iterator[tuple[int, int]]:
    """Yield the first and the last window of each span without a gap: a session, or the whole time."""
    if never_closes or span.reporting == "continuous":
        start_ns = max(span.start_ns, nanoseconds(datetime.combine(span.first_day, time(), NEW_YORK)))
        yield start_ns - start_ns % length_ns, span.end_ns
        return
    for n in range((span.last_day - span.first_day).days + 1):
        day = trading_day(span.first_day + timedelta(n))
        if day is None:
            continue
        if span.reporting == "extended_hours":
            yield day.extended_open_ns, day.extended_close_ns
        else:
            yield day.open_ns, day.close_ns
