"""The clocks: the virtual one calls what is due in order; the machine's may start elsewhere."""

import asyncio
import time
from functools import partial

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from sim.clock import VirtualClock, WallClock
from sim.times import SECOND_NS


async def no_readers() -> None:
    """Return at once: there are no readers to wait for."""
    await asyncio.sleep(0)


async def test_virtual_time_stands_still_and_then_passes_through_what_is_due() -> None:
    clock = VirtualClock(100)
    seen: list[tuple[str, int]] = []

    def note(name: str) -> None:
        seen.append((name, clock.now_ns()))

    def again() -> None:
        note("first")
        clock.call_at(clock.now_ns() + 5, lambda: note("from first"))

    clock.call_at(120, lambda: note("second"))
    clock.call_at(110, again)
    clock.call_at(131, lambda: note("too late"))
    assert clock.now_ns() == 100
    await clock.advance(130, no_readers)
    assert seen == [("first", 110), ("from first", 115), ("second", 120)]
    assert clock.now_ns() == 130
    await clock.advance(131, no_readers)
    assert seen[-1] == ("too late", 131)


async def test_what_is_past_already_happens_at_the_next_advance_and_time_never_goes_back() -> None:
    clock = VirtualClock(100)
    seen: list[int] = []
    clock.call_at(1, lambda: seen.append(clock.now_ns()))
    await clock.advance(50, no_readers)
    assert (seen, clock.now_ns()) == ([], 100)
    await clock.advance(100, no_readers)
    assert (seen, clock.now_ns()) == ([100], 100)


@given(st.lists(st.integers(0, 1000), max_size=250))
def test_actions_come_by_time_and_of_one_time_as_they_were_asked_for(times: list[int]) -> None:
    clock = VirtualClock(0)
    seen: list[tuple[int, int]] = []
    pauses: list[int] = []

    async def no_readers() -> None:
        pauses.append(len(seen))

    for number, time_ns in enumerate(times):
        clock.call_at(time_ns, partial(seen.append, (time_ns, number)))
    asyncio.run(clock.advance(1000, no_readers))
    assert seen == sorted(seen)
    assert len(seen) == len(times)
    assert len(pauses) == len(times) // 100 + 1


async def test_a_wall_clock_that_began_elsewhere_runs_as_fast() -> None:
    clock = WallClock(5 * SECOND_NS)
    before_ns = time.monotonic_ns()
    first_ns = clock.now_ns()
    assert 5 * SECOND_NS <= first_ns < 6 * SECOND_NS
    seen: list[int] = []
    clock.call_at(first_ns + 20_000_000, lambda: seen.append(clock.now_ns()))
    await until(lambda: bool(seen), "the moment has come")
    assert seen[0] >= first_ns + 19_000_000
    assert seen[0] - first_ns == pytest.approx(time.monotonic_ns() - before_ns, abs=SECOND_NS)


def test_a_moment_less_than_a_millisecond_away_does_not_keep_the_loop_busy() -> None:
    async def turns_until_due() -> int:
        clock, due, turns = WallClock(), asyncio.Event(), 0
        until_ns = clock.now_ns() + 400_000

        def act() -> None:
            nonlocal turns
            turns += 1
            if clock.now_ns() < until_ns:
                clock.call_at(until_ns, act)
            else:
                due.set()

        clock.call_at(until_ns, act)
        await due.wait()
        return turns

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(turns_until_due()) <= 2
