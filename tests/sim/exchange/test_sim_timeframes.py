"""The timeframes' names, and where their periods begin: summer time, Mondays, the first of a month."""

import pytest

from sim.exchange.sessions import NEW_YORK
from sim.exchange.timeframes import CHICAGO, Timeframe, period, timeframe, zone_of
from sim.refusals import Refused
from sim.times import parse_ns, rfc3339


def start_and_end(moment: str, name: str, symbol: str = "AAPL") -> tuple[str, str]:
    start_ns, end_ns = period(parse_ns(moment), timeframe(name), zone_of(symbol))
    return rfc3339(start_ns), rfc3339(end_ns)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("1Min", Timeframe(1, "Min")),
        ("59T", Timeframe(59, "Min")),
        ("23Hour", Timeframe(23, "Hour")),
        ("4H", Timeframe(4, "Hour")),
        ("1Day", Timeframe(1, "Day")),
        ("1D", Timeframe(1, "Day")),
        ("1Week", Timeframe(1, "Week")),
        ("1W", Timeframe(1, "Week")),
        ("12Month", Timeframe(12, "Month")),
        ("3M", Timeframe(3, "Month")),
    ],
)
def test_a_timeframe_has_a_long_and_a_short_name(name: str, meant: Timeframe) -> None:
    assert timeframe(name) == meant


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Min",
        "0Min",
        "60Min",
        "24Hour",
        "2Day",
        "2Week",
        "5Month",
        "13Month",
        "1min",
        "1 Min",
        "1Min ",
        "\u0661Min",
    ],
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        timeframe(name)
    assert (refused.value.status, refused.value.body) == (400, {"message": f"invalid timeframe: {name}"})


@pytest.mark.parametrize(
    ("moment", "name", "start", "end"),
    [
        ("2026-01-05T14:31:59.999Z", "1Min", "2026-01-05T14:31:00Z", "2026-01-05T14:32:00Z"),
        ("2026-01-05T14:31:00Z", "15Min", "2026-01-05T14:30:00Z", "2026-01-05T14:45:00Z"),
        ("2026-01-05T23:59:00Z", "7Min", "2026-01-05T23:55:00Z", "2026-01-06T00:00:00Z"),
        ("2026-01-05T15:59:59Z", "4Hour", "2026-01-05T12:00:00Z", "2026-01-05T16:00:00Z"),
        ("2026-01-05T23:30:00Z", "23Hour", "2026-01-05T23:00:00Z", "2026-01-06T00:00:00Z"),
        # Midnight in New York, in winter and in summer; the last hours of its day are another day in UTC.
        ("2026-01-06T04:59:59Z", "1Day", "2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z"),
        ("2026-07-01T12:00:00Z", "1Day", "2026-07-01T04:00:00Z", "2026-07-02T04:00:00Z"),
        # The days on which clocks change have 23 and 25 hours.
        ("2026-03-08T12:00:00Z", "1Day", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("2026-11-01T12:00:00Z", "1Day", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("2026-03-08T12:00:00Z", "1Week", "2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("2026-03-31T12:00:00Z", "1Month", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"),
        ("2026-12-31T12:00:00Z", "1Month", "2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z"),
        ("2026-06-15T12:00:00Z", "4Month", "2026-05-01T04:00:00Z", "2026-09-01T04:00:00Z"),
        ("2026-06-15T12:00:00Z", "12Month", "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z"),
    ],
)
def test_periods_begin_and_end_on_the_clock_and_on_new_yorks_calendar(
    moment: str, name: str, start: str, end: str
) -> None:
    assert start_and_end(moment, name) == (start, end)


def test_days_of_coins_are_chicagos() -> None:
    assert (zone_of("BTC/USD"), zone_of("AAPL")) == (CHICAGO, NEW_YORK)
    assert start_and_end("2022-01-04T05:59:00Z", "1Day", "BTC/USD") == (
        "2022-01-03T06:00:00Z", "2022-01-04T06:00:00Z",
    )  # fmt: skip
    assert start_and_end("2022-07-04T05:00:00Z", "1Day", "BTC/USD")[0] == "2022-07-04T05:00:00Z"
