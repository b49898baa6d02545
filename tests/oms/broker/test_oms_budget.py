"""The budget: never more than the limit in any minute, reserves, and the broker's own word."""

import itertools

import pytest

from oms.broker.budget import Bucket, Lane
from sim.rest.rate_limit import RateLimit

SECOND_NS = 1_000_000_000


def drained(bucket: Bucket, lane: Lane, seconds: float, from_s: float = 0) -> int:
    """How many requests of a lane go out when it asks a hundred times a second."""
    begin_ns = int(from_s * SECOND_NS)
    ticks = range(begin_ns, begin_ns + int(seconds * SECOND_NS), SECOND_NS // 100)
    return sum(bucket.take(lane, now_ns) for now_ns in ticks)


def emptied(bucket: Bucket, lane: Lane, now_ns: int = 0) -> int:
    """How many requests of a lane go out at once."""
    count = 0
    while bucket.take(lane, now_ns):
        count += 1
    return count


def test_no_minute_sees_more_than_the_limit() -> None:
    assert 190 <= drained(Bucket(0, 200), "urgent", 60) <= 200


def test_each_lane_leaves_something_for_those_before_it() -> None:
    bucket = Bucket(0, 200)
    assert [emptied(bucket, lane) for lane in ("shared", "doubt", "urgent")] == [35, 5, 10]


def test_the_wait_is_as_long_as_it_says() -> None:
    bucket = Bucket(0, 200)
    emptied(bucket, "shared")
    wait_ns = bucket.wait_ns("shared", 0)
    assert wait_ns > 0
    assert not bucket.take("shared", wait_ns - 1)
    assert bucket.take("shared", wait_ns)


def test_after_a_429_sending_goes_on_at_the_brokers_own_reset_at_once() -> None:
    bucket = Bucket(0, 200)
    # Two seconds of 429, each with the same reset in it.
    for tenth in range(20):
        now_ns = tenth * SECOND_NS // 10
        bucket.limited(now_ns, 3 * SECOND_NS - now_ns)
        assert bucket.closed_until_ns("shared", now_ns) == 3 * SECOND_NS
        assert not bucket.take("shared", now_ns)
    assert bucket.wait_ns("shared", 2 * SECOND_NS) == SECOND_NS
    assert emptied(bucket, "shared", 3 * SECOND_NS) == 35


def test_the_kill_switch_is_not_held_to_the_reset_and_tries_again_soon() -> None:
    bucket = Bucket(0, 200)
    bucket.limited(0, 30 * SECOND_NS)
    assert bucket.wait_ns("urgent", 0) == SECOND_NS
    assert bucket.take("urgent", SECOND_NS)
    assert not bucket.take("doubt", SECOND_NS)


def test_a_429_that_does_not_say_when_it_ends_is_waited_out_longer_each_time() -> None:
    bucket = Bucket(0, 200)
    waits = []
    now_ns = 0
    for _ in range(7):
        bucket.limited(now_ns)
        waits.append(bucket.wait_ns("shared", now_ns) // SECOND_NS)
        now_ns += waits[-1] * SECOND_NS
        assert bucket.take("shared", now_ns)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    bucket.told(now_ns, 150, 20 * SECOND_NS)
    bucket.limited(now_ns)
    assert bucket.wait_ns("shared", now_ns) == SECOND_NS


def test_a_reset_that_a_wrong_clock_puts_far_away_is_not_waited_for() -> None:
    bucket = Bucket(0, 200)
    bucket.limited(0, 3600 * SECOND_NS)
    assert bucket.take("shared", 60 * SECOND_NS)


@pytest.mark.parametrize(
    ("left", "going"),
    [(200, [35, 5, 10]), (40, [25, 5, 10]), (16, [1, 5, 10]), (15, [0, 5, 10]), (0, [0, 0, 50])],
)
def test_what_the_broker_says_is_left_is_believed_and_the_reserves_hold_in_it(
    left: int, going: list[int]
) -> None:
    bucket = Bucket(0, 200)
    bucket.told(0, left, 20 * SECOND_NS)
    assert bucket.tokens == min(left, 50)
    # The kill switch may always try.
    assert [emptied(bucket, lane) for lane in ("shared", "doubt", "urgent")][:2] == going[:2]
    if going[0] < 35:
        assert bucket.wait_ns("shared", 0) == 20 * SECOND_NS


@pytest.mark.parametrize(("given", "broker", "least"), [(6000, 200, 150), (200, 1000, 150), (200, 20, 15)])
def test_one_set_above_the_brokers_limit_goes_at_the_brokers_rate(
    given: int, broker: int, least: int
) -> None:
    """Its reserves were more than the broker had left from its first answer on, and nothing went."""
    bucket, limit = Bucket(0, given), RateLimit(broker)
    gone: list[int] = []
    for now_ns in range(0, 600 * SECOND_NS, SECOND_NS // 50):
        if bucket.take("shared", now_ns):
            verdict = limit.ask(now_ns)
            assert verdict.is_allowed
            bucket.told(now_ns, verdict.remaining, verdict.reset_s * SECOND_NS - now_ns, verdict.limit)
            gone.append(now_ns)
    assert len(gone) >= 10 * least
    assert max(later - earlier for earlier, later in itertools.pairwise(gone)) <= 10 * SECOND_NS


def test_a_limit_that_is_raised_again_is_used_and_nonsense_is_not_believed() -> None:
    bucket = Bucket(0, 200)
    bucket.told(0, 20, SECOND_NS, 20)
    assert (bucket.per_minute, bucket.tokens) == (20, 5)
    bucket.told(SECOND_NS, 1000, SECOND_NS, 1000)
    assert bucket.per_minute == 200
    bucket.told(2 * SECOND_NS, 100, SECOND_NS, 0)
    bucket.told(2 * SECOND_NS, 100, SECOND_NS)
    assert bucket.per_minute == 200


def test_others_that_stop_spending_are_noticed_with_the_next_answer() -> None:
    bucket = Bucket(0, 200)
    bucket.told(0, 3, 50 * SECOND_NS)
    assert not bucket.take("shared", SECOND_NS)
    bucket.told(2 * SECOND_NS, 199, 60 * SECOND_NS)
    assert bucket.take("shared", 2 * SECOND_NS)


def test_a_request_that_was_not_sent_costs_nothing() -> None:
    bucket = Bucket(0, 200)
    bucket.told(0, 100, 20 * SECOND_NS)
    for _ in range(1000):
        assert bucket.take("shared", 0)
        bucket.put_back()
    assert bucket.tokens == 50


def test_what_may_go_within_a_time_is_the_bucket_and_what_flows_in() -> None:
    bucket = Bucket(0, 200)
    assert bucket.most_within("shared", 0) == 35
    assert bucket.most_within("shared", 10 * SECOND_NS) == 60
    emptied(bucket, "urgent")
    assert bucket.most_within("shared", SECOND_NS) == 0
    # Until the reserves are filled up again nothing goes.
    assert bucket.most_within("shared", 10 * SECOND_NS) == 10


def test_a_clock_that_steps_back_gives_nothing() -> None:
    bucket = Bucket(100 * SECOND_NS, 200)
    emptied(bucket, "urgent", 100 * SECOND_NS)
    assert not bucket.take("urgent", 0)
