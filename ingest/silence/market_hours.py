"""Whether the market behind a feed is open at a moment, and in which of its sessions. Pure.

The days on which New York trades, and its early closes, are those of the exchange's published calendar.
Beyond its last day they are reckoned by the rules of `bus.trading_day`, by which the OMS counts its days.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Literal

from bus.trading_day import NEW_YORK, Phase, Session, phase_before_end, session_closing, session_on

# What a feed's market does; `always` is one that never closes.
Hours = Phase | Literal["always"]

_SECOND_NS = 1_000_000_000

# A weekend, and the holidays beside it, before the day from which a calendar is read.
_DAYS_BEFORE = 10

# Coins, news, and the stream of made-up data that Alpaca offers for trials.
_ALWAYS = frozenset({"crypto", "news", "test"})

# Feeds of the nights between trading days, and of nothing else.
_OVERNIGHT = frozenset({"boats", "overnight"})

# The exchange IEX trades between these hours, also on a day on which the regular session ends early.
_IEX_OPENS, _IEX_CLOSES = time(8), time(17)

# A feed that is delayed lives this long behind the market.
_DELAY_NS = {"delayed_sip": 15 * 60 * _SECOND_NS}


class Calendar:
    """New York's trading days: from `first` to `last` as they were published, beyond them by the rules.

    `closes_ns` says for each published trading day when its regular session ends.
    """

    def __init__(self, closes_ns: Mapping[date, int], first: date, last: date) -> None:
        self.first = first
        self.last = last
        self._closes_ns = closes_ns

    def __repr__(self) -> str:
        return f"{len(self._closes_ns)} trading days from {self.first} to {self.last}"

    def session_on(self, day: date) -> Session | None:
        """The session of a date; None where New York does not trade."""
        if not self.first <= day <= self.last:
            return session_on(day)
        closes_ns = self._closes_ns.get(day)
        return session_closing(day, closes_ns) if closes_ns is not None else None

    def session_from(self, at_ns: int) -> Session:
        """The first session whose extended hours are not over at this moment."""
        day = new_york(at_ns).date()
        while True:
            session = self.session_on(day)
            if session is not None and at_ns < session.extended_closes_ns:
                return session
            day += timedelta(1)

    def phase(self, at_ns: int) -> Phase:
        """What the market of shares does at this moment."""
        return phase_before_end(self.session_from(at_ns), at_ns)

    def disputed(self) -> list[date]:
        """The published days that the rules of `bus.trading_day` reckon otherwise."""
        days = (self.first + timedelta(n) for n in range((self.last - self.first).days + 1))
        return [day for day in days if self.session_on(day) != session_on(day)]


# Nothing is published.
BY_RULE = Calendar({}, date.max, date.min)


def is_always_open(kind: str, feed: str) -> bool:
    """Whether what a feed tells of trades around the clock."""
    return kind in _ALWAYS or feed in _ALWAYS


def hours_of(kind: str, feed: str, at_ns: int, calendar: Calendar) -> Hours:
    """What the market does that a feed tells of: `kind` is stocks, crypto, options or news, `feed` its name.

    Closed is also a market that is open while the feed has no part in it: the night for the consolidated
    tape, the early morning for IEX, all but the regular session for options.
    """
    if is_always_open(kind, feed):
        return "always"
    market_ns = at_ns - _DELAY_NS.get(feed, 0)
    phase = calendar.phase(market_ns)
    if feed in _OVERNIGHT:
        has_part = phase == "overnight"
    elif kind == "options":
        has_part = phase == "regular"
    elif feed == "iex":
        has_part = phase != "overnight" and _IEX_OPENS <= new_york(market_ns).time() < _IEX_CLOSES
    else:
        has_part = phase != "overnight"
    return phase if has_part else "closed"


def new_york(at_ns: int) -> datetime:
    """A moment by New York's clocks, to the second."""
    return datetime.fromtimestamp(at_ns // _SECOND_NS, NEW_YORK)


def published_calendar(day: date) -> Calendar:
    """The calendar from shortly before a day to a year from now, as the installed library knows it.

    Reading the library takes a fifth of a second and 13 MB: only what watches shares does it, once it has
    started.
    """
    import exchange_calendars

    first = day - timedelta(_DAYS_BEFORE)
    calendar = exchange_calendars.get_calendar("XNYS", start=first.isoformat())
    closes_ns = {session.date(): int(close.value) for session, close in calendar.closes.items()}
    return Calendar(closes_ns, first, calendar.last_session.date())
