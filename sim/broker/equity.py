"""Keeps an account's equity minute by minute, and for ever at each close of New York."""

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from sim.amounts import CENT
from sim.exchange.hours import TradingDay, new_york, trading_day

MOST_NOTES = 30 * 24 * 60  # changes kept, at least a minute apart: 30 days, in 6 MB
_SURPLUS = 24 * 60  # how many more may gather before the oldest are dropped together


@dataclass(frozen=True, slots=True)
class Close:
    """The equity at a trading day's close, in dollars and whole cents."""

    day: date
    equity: Decimal


class EquityCurve:
    """One account's equity over time; `opening` is its equity when it was opened, in dollars."""

    def __init__(self, opened_ns: int, opening: Decimal) -> None:
        self.opened_ns = opened_ns
        self.opening = in_cents(opening)
        self.closes: list[Close] = []
        self._times_ns = [opened_ns]
        self._values = [self.opening]
        self._next: TradingDay = closing_next(opened_ns)

    def note(self, now_ns: int, equity: Decimal) -> None:
        """Record the equity now; called on every full minute, so that closes are met exactly."""
        value = in_cents(equity)
        if value != self._values[-1]:
            self._times_ns.append(now_ns)
            self._values.append(value)
        if now_ns >= self._next.close_ns:
            self.closes.append(Close(self._next.day, value))
            self._next = closing_next(now_ns)
        if len(self._times_ns) > MOST_NOTES + _SURPLUS:
            del self._times_ns[:_SURPLUS]
            del self._values[:_SURPLUS]

    def at(self, time_ns: int) -> Decimal | None:
        """Return the equity at a moment; None before the account's opening, or where it is no longer kept."""
        place = bisect_right(self._times_ns, time_ns)
        return self._values[place - 1] if place else None

    def close_before(self, day: date) -> Close | None:
        """Return the last close before this day; None where the account is younger."""
        place = bisect_left(self.closes, day, key=lambda close: close.day)
        return self.closes[place - 1] if place else None


def in_cents(amount: Decimal) -> Decimal:
    """Round as the account shows its equity."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def closing_next(now_ns: int) -> TradingDay:
    """Return the first trading day whose close is still to come."""
    today = new_york(now_ns).date()
    days = (trading_day(today + timedelta(n)) for n in itertools.count())
    return next(day for day in days if day is not None and now_ns < day.close_ns)
