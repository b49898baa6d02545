"""Keeps each symbol's minute bars, and its daily bars for far longer."""

from bisect import insort
from collections import deque

from sim.exchange.aggregation import aggregate, joined, starting
from sim.exchange.market_messages import Bar
from sim.exchange.timeframes import DAY, period, zone_of

MINUTES = 10_080  # of each symbol: a week of a market that never closes, in about 4 MB
MINUTES_IN_ALL = 170_000  # and of all symbols together, in about 70 MB
MINUTES_AT_LEAST = 120
DAYS = 800  # of each symbol: three years of sessions, in about 0.3 MB
DAYS_IN_ALL = 100_000
DAYS_AT_LEAST = 10


def _time(bar: Bar) -> int:
    time_ns: int = bar.time_ns
    return time_ns


class BarHistory:
    """Takes minute bars as they end; `symbols` is about how many there are, so that memory stays bounded."""

    def __init__(self, symbols: int = 1) -> None:
        symbols = max(1, symbols)
        self._most_minutes = max(MINUTES_AT_LEAST, min(MINUTES, MINUTES_IN_ALL // symbols))
        self._most_days = max(DAYS_AT_LEAST, min(DAYS, DAYS_IN_ALL // symbols))
        self._minutes: dict[str, deque[Bar]] = {}
        self._days: dict[str, deque[Bar]] = {}
        self._day_ends_ns: dict[str, int] = {}

    def add(self, bar: Bar) -> None:
        """Add the symbol's next minute."""
        symbol = bar.symbol
        minutes = self._minutes.get(symbol)
        if minutes is None:
            minutes = self._minutes[symbol] = deque(maxlen=self._most_minutes)
            self._days[symbol] = deque(maxlen=self._most_days)
        minutes.append(bar)
        days = self._days[symbol]
        if days and bar.time_ns < self._day_ends_ns[symbol]:
            days[-1] = joined(days[-1], bar)
            return
        start_ns, self._day_ends_ns[symbol] = period(bar.time_ns, DAY, zone_of(symbol))
        days.append(starting(bar, start_ns))

    def amend(self, symbol: str, start_ns: int, bar: Bar | None) -> None:
        """Replace a minute's bar, or remove it (None) where it has no trade left.

        Its day is made again from its minutes, if all of them are still kept. Does nothing where the minute
        is older than those kept.
        """
        kept = self._minutes.setdefault(symbol, deque(maxlen=self._most_minutes))
        is_whole = len(kept) < self._most_minutes
        if not is_whole and start_ns < kept[0].time_ns:
            return
        minutes = [minute for minute in kept if minute.time_ns != start_ns]
        if bar is not None:
            insort(minutes, bar, key=_time)
        self._minutes[symbol] = deque(minutes, maxlen=self._most_minutes)
        day_ns, end_ns = period(start_ns, DAY, zone_of(symbol))
        if is_whole or minutes[0].time_ns < day_ns:
            days = [day for day in self._days.get(symbol, ()) if day.time_ns != day_ns]
            within = (minute for minute in minutes if day_ns <= minute.time_ns < end_ns)
            days += aggregate(within, DAY, zone_of(symbol))
            days.sort(key=_time)
            self._days[symbol] = deque(days, maxlen=self._most_days)
            if days:
                _, self._day_ends_ns[symbol] = period(days[-1].time_ns, DAY, zone_of(symbol))

    def latest(self, symbol: str) -> Bar | None:
        """Return the last complete minute."""
        minutes = self._minutes.get(symbol)
        return minutes[-1] if minutes else None

    def minutes(self, symbol: str) -> list[Bar]:
        """Return the minutes kept, oldest first."""
        return list(self._minutes.get(symbol, ()))

    def days(self, symbol: str) -> list[Bar]:
        """Return the days kept, oldest first; the last one may be incomplete."""
        return list(self._days.get(symbol, ()))
