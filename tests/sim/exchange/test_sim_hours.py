"""Market hours: the parts of New York's day, the day an order belongs to, and the next opening or close."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.exchange.hours import HOUR_NS, MarketHours, Phase, nanoseconds, new_york, trading_day
from sim.exchange.sessions import NEW_YORK
from sim.times import SECOND_NS, parse_ns

EXCHANGE = MarketHours(never_closes=False)
ALWAYS = MarketHours(never_closes=True)
moments = st.integers(parse_ns("2016-01-04"), parse_ns("2035-01-01"))


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        ("2026-01-05T03:59:59-05:00", Phase.CLOSED),
        ("2026-01-05T04:00:00-05:00", Phase.PRE_MARKET),
        ("2026-01-05T09:29:59.999999999-05:00", Phase.PRE_MARKET),
        ("2026-01-05T09:30:00-05:00", Phase.REGULAR),
        ("2026-01-05T15:59:59-05:00", Phase.REGULAR),
        ("2026-01-05T16:00:00-05:00", Phase.AFTER_HOURS),
        ("2026-01-05T20:00:00-05:00", Phase.CLOSED),
        ("2026-01-03T12:00:00-05:00", Phase.CLOSED),  # a Saturday
        ("2026-11-27T12:59:59-05:00", Phase.REGULAR),  # the day after Thanksgiving closes at one
        ("2026-11-27T13:00:00-05:00", Phase.AFTER_HOURS),
        ("2026-11-27T16:59:59-05:00", Phase.AFTER_HOURS),
        ("2026-11-27T17:00:00-05:00", Phase.CLOSED),
        ("2026-03-09T13:30:00Z", Phase.REGULAR),  # the Monday after the clocks went forward
        ("2026-03-06T13:30:00Z", Phase.PRE_MARKET),
    ],
)
def test_the_day_has_its_parts(moment: str, phase: Phase) -> None:
    assert EXCHANGE.phase(parse_ns(moment)) is phase
    assert ALWAYS.phase(parse_ns(moment)) is Phase.REGULAR


@given(moments)
def test_an_order_belongs_to_a_day_whose_end_is_to_come(now_ns: int) -> None:
    assert EXCHANGE.day_of(now_ns).close_ns > now_ns
    assert EXCHANGE.day_of(now_ns, with_extended_hours=True).extended_close_ns > now_ns
    assert ALWAYS.day_of(now_ns).close_ns > now_ns + HOUR_NS


@given(moments)
def test_the_phase_changes_at_boundaries_and_nowhere_else(now_ns: int) -> None:
    boundary_ns = EXCHANGE.next_boundary_ns(now_ns)
    assert boundary_ns > now_ns
    assert EXCHANGE.phase(boundary_ns - 1) is EXCHANGE.phase(now_ns)
    assert EXCHANGE.phase(boundary_ns) is not EXCHANGE.phase(now_ns)


@given(moments)
def test_new_yorks_clock_and_nanoseconds_are_the_same_moment(now_ns: int) -> None:
    assert nanoseconds(new_york(now_ns)) == now_ns // 1000 * 1000
    day = trading_day(new_york(now_ns).date())
    if day is not None:
        opens = datetime.fromtimestamp(day.open_ns // SECOND_NS, UTC).astimezone(NEW_YORK)
        assert (opens.hour, opens.minute) == (9, 30)
        assert day.extended_open_ns < day.open_ns < day.close_ns < day.extended_close_ns
