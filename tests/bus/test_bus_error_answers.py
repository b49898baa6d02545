"""An answer of a server, or what redis-py makes of it, becomes the error that says what to do next."""

import asyncio
from typing import Any

import pytest
import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError, ResponseError
from waiting import until

from bus.client import mapped
from bus.error_answers import refusal
from bus.errors import (
    AccessRefused,
    BackboneError,
    Fenced,
    RefusedForNow,
    ReplyLost,
    ServerAway,
    ServerRefused,
    ServerUnreachable,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LOADING server is loading the dataset in memory", RefusedForNow),
        ("BUSY a script is running", RefusedForNow),
        ("READONLY You can't write against a read only replica.", RefusedForNow),
        ("OOM command not allowed when used memory > 'maxmemory'.", RefusedForNow),
        ("MISCONF the server is unable to persist", RefusedForNow),
        ("NOREPLICAS Not enough good replicas to write.", RefusedForNow),
        ("CLUSTERDOWN Hash slot not served", RefusedForNow),
        ("MASTERDOWN Link with MASTER is down", RefusedForNow),
        ("TRYAGAIN Multiple keys request during rehashing of slot", RefusedForNow),
        ("ERR max number of clients reached", RefusedForNow),
        ("FENCED not the holder", Fenced),
        ("WRONGPASS invalid username-password pair or user is disabled.", AccessRefused),
        ("NOAUTH Authentication required.", AccessRefused),
        ("NOPERM User a has no permissions to run the 'set' command", AccessRefused),
        ("BUSYGROUP Consumer Group name already exists", ServerRefused),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ServerRefused),
        ("ERR value is not an integer or out of range", ServerRefused),
        ("", ServerRefused),
    ],
)
def test_the_first_word_of_an_answer_says_what_kind_of_no_it_is(text: str, kind: type[BackboneError]) -> None:
    error = refusal(text)
    assert type(error) is kind
    assert str(error) == text
    assert isinstance(error, ServerAway) == (kind is RefusedForNow)


async def failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (redis.ConnectionError("cut"), ReplyLost, "cut"),
        (redis.TimeoutError("late"), ReplyLost, "late"),
        (ConnectionResetError("reset"), ReplyLost, "reset"),
        (OutOfMemoryError("used", status_code="OOM"), RefusedForNow, "OOM used"),
        (BusyLoadingError("busy", status_code="LOADING"), RefusedForNow, "LOADING busy"),
        (AuthenticationError("no", status_code="WRONGPASS"), AccessRefused, "WRONGPASS no"),
        (ResponseError("FENCED not the holder"), Fenced, "FENCED not the holder"),
        (ResponseError("no such key", status_code="ERR"), ServerRefused, "ERR no such key"),
    ],
)
async def test_redis_pys_errors_become_ours(raised: Exception, kind: type[BackboneError], text: str) -> None:
    with pytest.raises(kind) as error:
        await mapped(failing(raised), lost=ReplyLost)
    assert str(error.value) == text
    assert error.value.__cause__ is raised


async def test_where_nothing_was_sent_that_is_said_and_our_own_errors_pass() -> None:
    with pytest.raises(ServerUnreachable, match="refused"):
        await mapped(failing(redis.ConnectionError("refused")), lost=ServerUnreachable)
    with pytest.raises(Fenced, match="mine"):
        await mapped(failing(Fenced("mine")), lost=ReplyLost)
    for defect in (ZeroDivisionError(), redis.DataError("Invalid input of type: 'NoneType'")):
        with pytest.raises(type(defect)):
            await mapped(failing(defect), lost=ReplyLost)


@pytest.mark.parametrize("ending", ["error", "answer", "reply"])
async def test_a_cancellation_that_meets_a_timeout_or_a_reply_is_not_lost(ending: str) -> None:
    """redis-py's trap, made by hand: it takes the cancellation and raises, or returns, something else."""
    begun = asyncio.Event()

    async def swallowing() -> Any:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if ending == "error":
                raise redis.TimeoutError("Timeout reading") from None
            if ending == "answer":
                raise ResponseError("ERR odd") from None
            return b"OK"

    task = asyncio.ensure_future(mapped(swallowing(), lost=ReplyLost))
    await begun.wait()
    task.cancel()
    await until(task.done)
    assert task.cancelled()


async def test_after_a_cancellation_a_cleanup_hears_of_errors_as_they_are() -> None:
    heard: list[BaseException] = []
    begun = asyncio.Event()

    async def cleaning_up() -> None:
        try:
            begun.set()
            await asyncio.get_running_loop().create_future()
        finally:
            try:
                await mapped(failing(redis.ConnectionError("cut")), lost=ReplyLost)
            except ReplyLost as error:
                heard.append(error)

    task = asyncio.ensure_future(cleaning_up())
    await begun.wait()
    task.cancel()
    await until(task.done)
    assert [str(error) for error in heard] == ["cut"]
    assert task.cancelled()
