"""The rate budget: never more than the limit in any minute, cancels first, slower after a 429."""

from typing import Literal

from oms.budget import Bucket

SECOND_NS = 1_000_000_000


def drained(bucket: Bucket, lane: Literal["cancel", "order"], seconds: int) -> int:
    """How many requests of a lane go out when it asks a hundred times a second."""
    ticks = range(0, seconds * SECOND_NS, SECOND_NS // 100)
    return sum(bucket.take(lane, now_ns) for now_ns in ticks)


def test_no_minute_sees_more_than_the_limit() -> None:
    bucket = Bucket(0, 200)
    assert 190 <= drained(bucket, "cancel", 60) <= 200


def test_orders_leave_something_for_cancels() -> None:
    bucket = Bucket(0, 200)
    while bucket.take("order", 0):
        pass
    assert bucket.wait_ns("order", 0) > 0
    assert sum(bucket.take("cancel", 0) for _ in range(20)) == 10


def test_the_wait_is_as_long_as_it_says() -> None:
    bucket = Bucket(0, 200)
    while bucket.take("order", 0):
        pass
    wait_ns = bucket.wait_ns("order", 0)
    assert not bucket.take("order", wait_ns - 2000)
    assert bucket.take("order", wait_ns)


def test_after_a_429_it_goes_slower_and_recovers() -> None:
    bucket = Bucket(0, 200)
    bucket.limited("order", 0)
    slow = bucket.wait_ns("order", 0)
    bucket.limited("order", 0)
    assert bucket.wait_ns("order", 0) > slow > 0
    assert bucket.wait_ns("cancel", 0) == 0
    bucket.limited("cancel", 0)
    assert bucket.wait_ns("cancel", 0) > 0
    assert bucket.take("order", 60 * SECOND_NS)


def test_orders_wait_for_the_brokers_own_reset_and_cancels_do_not() -> None:
    bucket = Bucket(0, 200)
    bucket.limited("order", 0, 30 * SECOND_NS)
    assert bucket.wait_ns("order", 0) == 30 * SECOND_NS
    assert bucket.wait_ns("cancel", 0) == 0
    assert bucket.take("order", 30 * SECOND_NS)


def test_a_reset_that_a_wrong_clock_puts_far_away_is_not_waited_for() -> None:
    bucket = Bucket(0, 200)
    bucket.limited("order", 0, 3600 * SECOND_NS)
    assert bucket.take("order", 60 * SECOND_NS)


def test_a_clock_that_steps_back_gives_nothing() -> None:
    bucket = Bucket(100 * SECOND_NS, 200)
    while bucket.take("cancel", 100 * SECOND_NS):
        pass
    assert not bucket.take("cancel", 0)
