"""Stamps and instants over a clock that is set back or forward."""

import pytest

from bus.clock import SET_BACK_NS, GrowingTime, ManualClock, next_stamp_ns

HOUR_NS = 3_600_000_000_000
NOW_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("now_ns", "stamp_ns"),
    [
        (NOW_NS + 1, NOW_NS + 1),
        (NOW_NS, NOW_NS + 1),
        (NOW_NS - SET_BACK_NS, NOW_NS + 1),
        # Set back: it is believed, or it would be the wrong time for an hour.
        (NOW_NS - SET_BACK_NS - 1, NOW_NS - SET_BACK_NS - 1),
        (NOW_NS - HOUR_NS, NOW_NS - HOUR_NS),
        (NOW_NS + HOUR_NS, NOW_NS + HOUR_NS),
    ],
)
def test_a_stamp_differs_from_the_last_and_follows_a_clock_that_was_set_back(
    now_ns: int, stamp_ns: int
) -> None:
    assert next_stamp_ns(now_ns, NOW_NS) == stamp_ns


def test_time_grows_over_a_clock_that_is_set_back_and_follows_one_that_is_set_forward() -> None:
    clock = ManualClock(NOW_NS)
    time = GrowingTime(clock)
    clock.set_back(HOUR_NS)
    assert time.now_ns() == NOW_NS
    clock.advance(5)
    assert time.now_ns() == NOW_NS + 5
    clock.set_back(-2 * HOUR_NS)
    assert time.now_ns() == NOW_NS + 5 + HOUR_NS
