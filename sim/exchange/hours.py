"""Tells when the market is open: in New York's sessions, or always."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from sim.exchange.sessions import NEW_YORK, session
from sim.times import MINUTE_NS, SECOND_NS

_EXTENDED_OPEN = time(4)
_AUCTIONS_ASK_AGAIN = time(19)  # from this time on orders are for the next day's auctions
HOUR_NS = 3600 * SECOND_NS
_AFTER_HOURS_NS = 4 * HOUR_NS  # until 20:00, and until 17:00 after an early close, as Alpaca's calendar says
_AGED_DAYS = 90  # Alpaca cancels gtc orders after so many days, at a quarter past four
_AGED_AT = time(16, 15)
# How long before an auction the last orders for it are taken.
_LAST_CALL_NS = {"opg": 2 * MINUTE_NS, "cls": 5 * MINUTE_NS}


class Phase(StrEnum):
    """A phase of the trading day."""

    CLOSED = "closed"
    PRE_MARKET = "pre_market"
    REGULAR = "regular"
    AFTER_HOURS = "after_hours"


@dataclass(frozen=True, slots=True)
class TradingDay:
    """The times of one trading day, in nanoseconds since 1970."""

    day: date
    extended_open_ns: int
    open_ns: int
    close_ns: int
    extended_close_ns: int


def nanoseconds(moment: datetime) -> int:
    """Return an aware datetime as nanoseconds since 1970, exactly."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000


def new_york(time_ns: int) -> datetime:
    """Return the moment in New York's time, to the microsecond."""
    seconds, rest_ns = divmod(time_ns, SECOND_NS)
    moment = datetime.fromtimestamp(seconds, NEW_YORK)
    return moment.replace(microsecond=rest_ns // 1000)


@lru_cache(maxsize=4096)
def trading_day(day: date) -> TradingDay | None:
    """Return the trading day of this date; None where the exchange is closed."""
    found = session(day)
    if found is None:
        return None
    return TradingDay(
        day,
        nanoseconds(datetime.combine(day, _EXTENDED_OPEN, NEW_YORK)),
        nanoseconds(found.opens_at),
        nanoseconds(found.closes_at),
        nanoseconds(found.closes_at) + _AFTER_HOURS_NS,
    )


def next_trading_day(now_ns: int) -> TradingDay:
    """Return the first trading day whose close is still to come."""
    return next(day for day in _days_from(now_ns) if day.close_ns > now_ns)


class MarketHours:
    """The hours of shares; crypto pairs trade at all times.

    A market that never closes has days too: they end at New York's close, and orders of a day's last hour
    belong to the next day, so that none expires within minutes.
    """

    def __init__(self, never_closes: bool) -> None:
        self.never_closes = never_closes

    def phase(self, now_ns: int) -> Phase:
        """Return the phase of the day."""
        return Phase.REGULAR if self.never_closes else _phase_of_minute(now_ns // MINUTE_NS)

    def day_of(self, now_ns: int, with_extended_hours: bool = False) -> TradingDay:
        """Return the trading day of an order made now: the first whose end is still to come."""
        minute = (now_ns + HOUR_NS if self.never_closes else now_ns) // MINUTE_NS
        return _day_of_minute(minute, with_extended_hours)

    def next_boundary_ns(self, now_ns: int) -> int:
        """Return when the phase changes next."""
        return next(
            boundary_ns
            for day in _days_from(now_ns)
            for boundary_ns in (day.extended_open_ns, day.open_ns, day.close_ns, day.extended_close_ns)
            if boundary_ns > now_ns
        )

    def next_open_ns(self, now_ns: int) -> int:
        """Return when New York's next regular session begins."""
        return next(day.open_ns for day in _days_from(now_ns) if day.open_ns > now_ns)

    def next_close_ns(self, now_ns: int) -> int:
        """Return when New York's regular session ends next, the present one's included."""
        return next_trading_day(now_ns).close_ns

    def aged_ns(self, now_ns: int) -> int:
        """Return when a gtc order made now is canceled for its age."""
        last_day = new_york(now_ns).date() + timedelta(_AGED_DAYS)
        return nanoseconds(datetime.combine(last_day, _AGED_AT, NEW_YORK))

    def is_between_auctions(self, now_ns: int, time_in_force: str) -> bool:
        """Return whether it is too late for today's auction and too early for tomorrow's.

        The auction is the opening ("opg") or the closing one ("cls"). A market that never closes takes orders
        for them at any time.
        """
        today = trading_day(new_york(now_ns).date())
        if self.never_closes or today is None:
            return False
        auction_ns = today.open_ns if time_in_force == "opg" else today.close_ns
        again_ns = nanoseconds(datetime.combine(today.day, _AUCTIONS_ASK_AGAIN, NEW_YORK))
        return auction_ns - _LAST_CALL_NS[time_in_force] < now_ns < again_ns


# Phases end on the minute, and many orders come within one: each minute is computed once.
@lru_cache(maxsize=64)
def _phase_of_minute(minute: int) -> Phase:
    now_ns = minute * MINUTE_NS
    today = trading_day(new_york(now_ns).date())
    if today is None or not today.extended_open_ns <= now_ns < today.extended_close_ns:
        return Phase.CLOSED
    if now_ns < today.open_ns:
        return Phase.PRE_MARKET
    return Phase.REGULAR if now_ns < today.close_ns else Phase.AFTER_HOURS


@lru_cache(maxsize=64)
def _day_of_minute(minute: int, with_extended_hours: bool) -> TradingDay:
    """Return the day of an order made in this minute since 1970."""
    now_ns = minute * MINUTE_NS
    return next(
        day
        for day in _days_from(now_ns)
        if now_ns < (day.extended_close_ns if with_extended_hours else day.close_ns)
    )


def _days_from(now_ns: int) -> Iterator[TradingDay]:
    start = new_york(now_ns).date()
    found = (trading_day(start + timedelta(n)) for n in itertools.count())
    return (day for day in found if day is not None)
