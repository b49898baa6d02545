"""A question is asked until it is answered or the process is to stop; each new trouble is told once."""

import asyncio
from collections.abc import Callable
from itertools import islice

import pytest
from waiting import until

from bus.errors import Fenced, InvalidInput, RefusedForNow, ReplyLost, ServerAway, ServerUnreachable
from bus.retry import pause, until_answered, waits_s


def asked(*outcomes: Exception | str) -> Callable[[], asyncio.Future[str]]:
    """A question with these outcomes, one a time."""
    left = list(outcomes)

    def ask() -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
        return future

    return ask


async def test_it_asks_until_there_is_an_answer_and_tells_each_new_trouble_once() -> None:
    told: list[str] = []
    question = asked(
        ServerUnreachable("cut"), ReplyLost("cut"), RefusedForNow("LOADING"), ReplyLost("cut"), "yes"
    )
    answer = await until_answered(question, stopping=asyncio.Event(), tell=told.append, first_wait_s=0.001)
    assert answer == "yes"
    assert told == ["cut", "LOADING", "cut"]


async def test_other_errors_are_raised_at_once() -> None:
    for error in (Fenced("lost"), InvalidInput("x"), ZeroDivisionError()):
        with pytest.raises(type(error)):
            await until_answered(asked(error), stopping=None, tell=pytest.fail)
    told: list[str] = []
    question = asked(KeyError(), "yes")
    assert await until_answered(question, stopping=None, tell=told.append, away=(KeyError,)) == "yes"
    assert told == ["KeyError"]


async def test_a_stop_ends_the_waiting_at_once_and_nothing_more_is_asked() -> None:
    stopping = asyncio.Event()
    told: list[str] = []
    question = asked(ServerAway("cut"), "never asked for")
    task = asyncio.ensure_future(
        until_answered(question, stopping=stopping, tell=told.append, first_wait_s=1000, longest_wait_s=1000)
    )
    await until(lambda: told == ["cut"])
    stopping.set()
    await until(task.done)
    assert task.result() is None
    assert await until_answered(question, stopping=stopping, tell=told.append) is None
    assert await until_answered(question, stopping=None, tell=told.append) == "never asked for"


async def test_a_cancellation_ends_it_too() -> None:
    told: list[str] = []
    task = asyncio.ensure_future(
        until_answered(asked(ServerAway("cut")), stopping=None, tell=told.append, first_wait_s=1000)
    )
    await until(lambda: told == ["cut"])
    task.cancel()
    await until(task.done)
    assert task.cancelled()


async def test_a_pause_ends_by_itself() -> None:
    stopping = asyncio.Event()
    await pause(0.001, stopping)
    assert not stopping.is_set()


def test_waits_double_up_to_the_longest_and_are_not_in_step() -> None:
    found = list(islice(waits_s(1, 8), 6))
    for wait_s, full_s in zip(found, (1, 2, 4, 8, 8, 8), strict=True):
        assert full_s / 2 <= wait_s <= full_s
    assert found != list(islice(waits_s(1, 8), 6))
