"""Decides what the market calendar, the rules of the trading day and Alpaca's clock mean together."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from bus.trading_day import NEW_YORK, Session
from ingest.silence.market_hours import Calendar
from ops.doctor.rules import Finding

CHECK, CLOCK = "market calendar", "Alpaca's clock"

# A calendar that ends so soon has not been brought up for most of a year.
_ENDS_SOON = timedelta(60)

# The market's sessions are known by our clock: so far off it tells the wrong one.
_MOST_OFF = timedelta(seconds=30)

_MOST_NAMED = 5
_SECOND_NS = 1_000_000_000


def calendar(published: Calendar, today: date) -> Finding:
    """Report until when the calendar is known, and days that it and the OMS, which goes by rules, dispute."""
    last = published.last
    disputed = [day for day in published.disputed() if day >= today]
    if disputed:
        named = ", ".join(map(str, disputed[:_MOST_NAMED]))
        more = f" and {len(disputed) - _MOST_NAMED} more" if len(disputed) > _MOST_NAMED else ""
        sentence = (
            f"the exchange's published days differ from the rules by which limits of a day are counted: "
            f"{named}{more}: ingest goes by the published ones; update this program"
        )
        return Finding(CHECK, "warning", sentence)
    if last - today < _ENDS_SOON:
        sentence = f"it ends on {last}, and days after it are reckoned by rules: update exchange-calendars"
        return Finding(CHECK, "warning", sentence)
    return Finding(CHECK, "ok", f"New York's trading days are known until {last}")


def alpaca_clock(published: Calendar, now: datetime, answer: Mapping[str, object]) -> Finding:
    """Compare what Alpaca's clock says of the market, and of the time, with the calendar and with `now`.

    Raises ValueError for an answer that cannot be read.
    """
    theirs = _moment(answer, "timestamp")
    differing = _differences(published, theirs, answer)
    if differing:
        sentence = f"it says otherwise than the market calendar: {'; '.join(differing)}"
        return Finding(
            CLOCK, "warning", f"{sentence}: update exchange-calendars, or see what the exchange announced"
        )
    off = theirs - now
    if abs(off) > _MOST_OFF:
        ahead = "ahead of" if off > timedelta(0) else "behind"
        sentence = f"it is {abs(off).total_seconds():.0f} s {ahead} ours: set ours by NTP"
        return Finding(CLOCK, "warning", sentence)
    state = "open" if answer["is_open"] else "closed"
    opens = _moment(answer, "next_open").astimezone(NEW_YORK)
    sentence = f"it agrees with the market calendar: {state}, next open {opens:%Y-%m-%d %H:%M} New York"
    return Finding(CLOCK, "ok", sentence)


def _differences(published: Calendar, at: datetime, answer: Mapping[str, object]) -> Sequence[str]:
    at_ns = int(at.timestamp()) * _SECOND_NS
    is_open = published.phase(at_ns) == "regular"
    said = answer.get("is_open")
    if not isinstance(said, bool):
        raise ValueError(f"is_open is {said!r}")
    differing = []
    if said != is_open:
        words = ("closed", "open")
        differing.append(f"the market is {words[said]}, and should be {words[is_open]}")
    for name, boundaries in (
        ("next_open", (session.opens_ns for session in _sessions(published, at))),
        ("next_close", (session.closes_ns for session in _sessions(published, at))),
    ):
        theirs = _moment(answer, name)
        ours = datetime.fromtimestamp(next(ns for ns in boundaries if ns > at_ns) // _SECOND_NS, UTC)
        if theirs != ours:
            boundary = name.replace("_", " ")
            differing.append(
                f"the {boundary} is {theirs.astimezone(NEW_YORK):%Y-%m-%d %H:%M}, and should be "
                f"{ours.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York"
            )
    return differing


def _sessions(published: Calendar, at: datetime) -> Iterator[Session]:
    day = at.astimezone(NEW_YORK).date()
    while True:
        session = published.session_on(day)
        if session is not None:
            yield session
        day += timedelta(1)


def _moment(answer: Mapping[str, object], name: str) -> datetime:
    moment = datetime.fromisoformat(str(answer.get(name)))
    if moment.tzinfo is None:
        raise ValueError(f"{name} is {answer.get(name)!r}, without a time zone")
    return moment
