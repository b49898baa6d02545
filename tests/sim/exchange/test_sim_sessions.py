"""New York's trading days, against the calendar library that people keep up."""

import warnings
from datetime import UTC, date, datetime

import exchange_calendars

from sim.exchange.sessions import next_close, next_open, session, sessions


def test_ten_years_of_sessions_agree_with_the_calendar_library() -> None:
    with warnings.catch_warnings():
        # The library's own code calls what its pandas deprecates; nothing of ours does.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XNYS", start="2016-01-01", end="2027-12-31")
    expected = [
        (day.date(), row["open"].to_pydatetime(), row["close"].to_pydatetime())
        for day, row in calendar.schedule.iterrows()
    ]
    found = sessions(date(2016, 1, 1), date(2027, 12, 31))
    assert [(s.day, s.opens_at.astimezone(UTC), s.closes_at.astimezone(UTC)) for s in found] == expected


def test_open_and_close_follow_daylight_saving() -> None:
    summer, winter = datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert next_open(summer).astimezone(UTC).hour == 13
    assert next_open(winter).astimezone(UTC).hour == 14
    assert next_close(winter).astimezone(UTC) == datetime(2026, 12, 1, 21, tzinfo=UTC)


def test_after_friday_comes_monday() -> None:
    friday_night = datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert next_open(friday_night).date() == date(2026, 11, 23)


def test_thanksgiving_is_closed_and_the_day_after_ends_early() -> None:
    assert session(date(2026, 11, 26)) is None
    short = session(date(2026, 11, 27))
    assert short is not None
    assert short.closes_at.hour == 13
