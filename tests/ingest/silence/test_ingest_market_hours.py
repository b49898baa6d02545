"""When which feed's market is open: holidays, early closes, both changes of the hour, nights and weekends."""

from datetime import date, datetime, timedelta

import pytest

from bus.trading_day import NEW_YORK, phase, session_on
from ingest.silence.market_hours import Calendar, hours_of, published_calendar

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS


def ns(written: str) -> int:
    """A time of New York's as nanoseconds since 1970."""
    return int(datetime.fromisoformat(written).replace(tzinfo=NEW_YORK).timestamp()) * SECOND_NS


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return published_calendar(date(2026, 1, 1))


@pytest.mark.parametrize(
    ("at", "hours"),
    [
        ("2026-12-01 03:59:59", "overnight"),
        ("2026-12-01 04:00:00", "pre_market"),
        ("2026-12-01 09:29:59", "pre_market"),
        ("2026-12-01 09:30:00", "regular"),
        ("2026-12-01 15:59:59", "regular"),
        ("2026-12-01 16:00:00", "after_hours"),
        ("2026-12-01 19:59:59", "after_hours"),
        ("2026-12-01 20:00:00", "overnight"),
        # A weekend: the night before Saturday is none, that before Monday is.
        ("2026-12-04 20:00:00", "closed"),
        ("2026-12-05 12:00:00", "closed"),
        ("2026-12-06 19:59:59", "closed"),
        ("2026-12-06 20:00:00", "overnight"),
        # Thanksgiving, the night before the short day after it, and its early close.
        ("2026-11-25 20:00:00", "closed"),
        ("2026-11-26 12:00:00", "closed"),
        ("2026-11-26 20:00:00", "overnight"),
        ("2026-11-27 12:59:59", "regular"),
        ("2026-11-27 13:00:00", "after_hours"),
        ("2026-11-27 17:00:00", "closed"),
        ("2026-12-24 13:00:00", "after_hours"),
        ("2026-12-25 12:00:00", "closed"),
        # Independence Day is a Saturday: the Friday is kept, and the Thursday is a whole day.
        ("2026-07-02 15:59:59", "regular"),
        ("2026-07-03 12:00:00", "closed"),
        # Both changes of the hour, on the Mondays after them and the Fridays before.
        ("2026-03-06 09:30:00", "regular"),
        ("2026-03-09 09:29:59", "pre_market"),
        ("2026-03-09 09:30:00", "regular"),
        ("2026-03-09 15:59:59", "regular"),
        ("2026-10-30 16:00:00", "after_hours"),
        ("2026-11-02 09:29:59", "pre_market"),
        ("2026-11-02 09:30:00", "regular"),
        ("2026-11-02 16:00:00", "after_hours"),
        # The days of the changes themselves, of 23 and of 25 hours, end at eight by the clock on the wall.
        ("2026-03-08 19:59:59", "closed"),
        ("2026-03-08 20:00:00", "overnight"),
        ("2026-11-01 19:59:59", "closed"),
        ("2026-11-01 20:00:00", "overnight"),
    ],
)
def test_the_market_of_shares_by_the_published_calendar(calendar: Calendar, at: str, hours: str) -> None:
    assert calendar.phase(ns(at)) == hours
    # And by the rules, by which the OMS counts its days.
    assert phase(ns(at)) == hours


def test_the_opening_is_an_hour_earlier_by_utc_after_the_clocks_went_forward(calendar: Calendar) -> None:
    friday, monday = (calendar.session_from(ns(f"2026-03-{day} 09:00:00")) for day in ("06", "09"))
    assert monday.opens_ns - friday.opens_ns == (3 * 24 - 1) * HOUR_NS
    friday, monday = (calendar.session_from(ns(f"2026-{day} 09:00:00")) for day in ("10-30", "11-02"))
    assert monday.opens_ns - friday.opens_ns == (3 * 24 + 1) * HOUR_NS


@pytest.mark.parametrize(
    ("kind", "feed", "at", "hours"),
    [
        ("crypto", "crypto", "2026-12-25 03:00:00", "always"),
        ("crypto", "crypto", "2026-12-05 12:00:00", "always"),
        ("news", "news", "2026-12-05 12:00:00", "always"),
        ("stocks", "test", "2026-12-05 12:00:00", "always"),
        # The consolidated tape has no part in the nights, and night feeds have none in the days.
        ("stocks", "sip", "2026-12-01 04:00:00", "pre_market"),
        ("stocks", "sip", "2026-12-01 22:00:00", "closed"),
        ("stocks", "overnight", "2026-12-01 22:00:00", "overnight"),
        ("stocks", "boats", "2026-12-01 12:00:00", "closed"),
        ("stocks", "boats", "2026-12-05 22:00:00", "closed"),
        # IEX: from eight to five, also after an early close.
        ("stocks", "iex", "2026-12-01 07:59:59", "closed"),
        ("stocks", "iex", "2026-12-01 08:00:00", "pre_market"),
        ("stocks", "iex", "2026-12-01 16:59:59", "after_hours"),
        ("stocks", "iex", "2026-12-01 17:00:00", "closed"),
        ("stocks", "iex", "2026-11-27 16:59:59", "after_hours"),
        ("stocks", "iex", "2026-11-27 17:00:00", "closed"),
        # What is delayed opens and closes a quarter of an hour later.
        ("stocks", "delayed_sip", "2026-12-01 09:44:59", "pre_market"),
        ("stocks", "delayed_sip", "2026-12-01 09:45:00", "regular"),
        ("stocks", "delayed_sip", "2026-12-01 20:14:59", "after_hours"),
        ("stocks", "delayed_sip", "2026-12-01 20:15:00", "closed"),
        ("options", "indicative", "2026-12-01 09:29:59", "closed"),
        ("options", "indicative", "2026-12-01 09:30:00", "regular"),
        ("options", "opra", "2026-12-01 16:00:00", "closed"),
    ],
)
def test_each_feed_has_its_hours(calendar: Calendar, kind: str, feed: str, at: str, hours: str) -> None:
    assert hours_of(kind, feed, ns(at), calendar) == hours


def test_days_beyond_the_end_of_the_calendar_are_reckoned_by_the_rules() -> None:
    short = Calendar({}, date(2026, 11, 1), date(2026, 11, 30))
    assert short.phase(ns("2026-11-30 12:00:00")) == "closed"
    assert short.phase(ns("2026-12-01 12:00:00")) == "regular"
    assert short.phase(ns("2026-12-25 12:00:00")) == "closed"
    assert short.phase(ns("2026-10-30 12:00:00")) == "regular"


def test_what_is_published_otherwise_than_by_the_rules_holds_and_is_told(calendar: Calendar) -> None:
    assert not calendar.disputed()
    days = [date(2026, 12, 1) + timedelta(n) for n in range(5)]
    closes_ns = {day: session.closes_ns for day in days if (session := session_on(day)) is not None}
    del closes_ns[date(2026, 12, 2)]
    closes_ns[date(2026, 12, 3)] -= 3 * HOUR_NS
    mourning = Calendar(closes_ns, days[0], days[-1])
    assert mourning.phase(ns("2026-12-02 12:00:00")) == "closed"
    assert mourning.phase(ns("2026-12-03 13:00:00")) == "after_hours"
    assert mourning.disputed() == [date(2026, 12, 2), date(2026, 12, 3)]
