"""The trading day and the market's phase: early closes, holidays, and both changes of the hour."""

import warnings
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest

from bus.trading_day import NEW_YORK, is_regular, phase, session_on, trading_day

SECOND_NS = 1_000_000_000


def ns(written: str) -> int:
    """A time of New York's as nanoseconds since 1970."""
    return int(datetime.fromisoformat(written).replace(tzinfo=NEW_YORK).timestamp()) * SECOND_NS


def test_sessions_are_those_of_the_new_york_stock_exchange() -> None:
    with warnings.catch_warnings():
        # The library's own code calls what its pandas deprecates; nothing of ours does.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XNYS", start="2016-01-01", end="2027-11-30")
    theirs = {
        day.date(): (int(row["open"].timestamp()) * SECOND_NS, int(row["close"].timestamp()) * SECOND_NS)
        for day, row in calendar.schedule.iterrows()
    }
    days = (date(2016, 1, 1) + timedelta(n) for n in range(4352))
    ours = {
        day: (session.opens_ns, session.closes_ns) for day in days if (session := session_on(day)) is not None
    }
    assert ours == theirs


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-12-01 19:59:59", date(2026, 12, 1)),
        ("2026-12-01 20:00:00", date(2026, 12, 2)),
        ("2026-12-02 03:00:00", date(2026, 12, 2)),
        # A weekend belongs to the Monday, and a holiday to the day after.
        ("2026-12-04 19:59:59", date(2026, 12, 4)),
        ("2026-12-04 20:00:00", date(2026, 12, 7)),
        ("2026-12-06 12:00:00", date(2026, 12, 7)),
        ("2026-11-25 20:00:00", date(2026, 11, 27)),
        ("2026-11-26 12:00:00", date(2026, 11, 27)),
        # After an early close the extended hours end at five.
        ("2026-11-27 16:59:59", date(2026, 11, 27)),
        ("2026-11-27 17:00:00", date(2026, 11, 30)),
        # The hour changes on a Sunday, forwards and back; the day ends at eight by the clock on the wall.
        ("2026-03-06 19:59:59", date(2026, 3, 6)),
        ("2026-03-06 20:00:00", date(2026, 3, 9)),
        ("2026-03-09 19:59:59", date(2026, 3, 9)),
        ("2026-03-09 20:00:00", date(2026, 3, 10)),
        ("2026-10-30 19:59:59", date(2026, 10, 30)),
        ("2026-10-30 20:00:00", date(2026, 11, 2)),
        ("2026-11-02 19:59:59", date(2026, 11, 2)),
        ("2026-11-02 20:00:00", date(2026, 11, 3)),
    ],
)
def test_a_day_ends_with_its_extended_hours(at: str, day: date) -> None:
    assert trading_day(ns(at)) == trading_day(ns(at), "AAPL") == day


@pytest.mark.parametrize("offset", [-1, 0])
def test_cryptos_day_is_that_of_utc(offset: int) -> None:
    midnight = int(datetime(2026, 3, 8, tzinfo=UTC).timestamp()) * SECOND_NS
    assert trading_day(midnight + offset, "BTC/USD") == date(2026, 3, 8) + timedelta(offset)


@pytest.mark.parametrize(("sunday", "hours"), [(date(2026, 3, 8), 71), (date(2026, 11, 1), 73)])
def test_a_weekend_has_an_hour_less_or_more_where_the_clocks_change(sunday: date, hours: int) -> None:
    """The day turns once between Friday's end and Monday's, and that many hours lie between them."""
    friday, monday = (session_on(sunday + timedelta(n)) for n in (-2, 1))
    assert friday is not None
    assert monday is not None
    hour_ns = 3600 * SECOND_NS
    assert monday.extended_closes_ns - friday.extended_closes_ns == hours * hour_ns
    minutes = range(friday.extended_closes_ns - hour_ns, monday.extended_closes_ns + hour_ns, 60 * SECOND_NS)
    days = [trading_day(minute) for minute in minutes]
    assert days == sorted(days)
    assert list(dict.fromkeys(days)) == [friday.day, monday.day, monday.day + timedelta(1)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-02 03:59:59", "overnight"),
        ("2026-12-02 04:00:00", "pre_market"),
        ("2026-12-02 09:29:59", "pre_market"),
        ("2026-12-02 09:30:00", "regular"),
        ("2026-12-02 15:59:59", "regular"),
        ("2026-12-02 16:00:00", "after_hours"),
        ("2026-12-02 19:59:59", "after_hours"),
        ("2026-12-02 20:00:00", "overnight"),
        ("2026-12-04 20:00:00", "closed"),
        ("2026-12-06 19:59:59", "closed"),
        ("2026-12-06 20:00:00", "overnight"),
        # On the eve of Thanksgiving nothing leads to a session, and on its evening trading begins again.
        ("2026-11-25 21:00:00", "closed"),
        ("2026-11-26 20:00:00", "overnight"),
        ("2026-11-27 12:59:59", "regular"),
        ("2026-11-27 13:00:00", "after_hours"),
        ("2026-11-27 17:00:00", "closed"),
        ("2026-07-03 12:00:00", "closed"),
    ],
)
def test_the_phases_of_a_day(at: str, expected: str) -> None:
    assert phase(ns(at)) == expected
    assert is_regular(ns(at)) is (expected == "regular")
