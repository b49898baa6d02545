"""Ask again until there is an answer, with growing waits, telling each new trouble once."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from bus.errors import ServerAway

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0

Answer = TypeVar("Answer")


def waits_s(first_s: float = FIRST_WAIT_S, longest_s: float = LONGEST_WAIT_S) -> Iterator[float]:
    """Yield seconds to wait: doubling up to `longest_s`, each shortened by chance by up to a half.

    So a crowd of clients does not come back in step.
    """
    wait_s = first_s
    while True:
        yield wait_s * random.uniform(0.5, 1.0)
        wait_s = min(2 * wait_s, longest_s)


async def until_answered(
    question: Callable[[], Awaitable[Answer]],
    *,
    stopping: asyncio.Event | None,
    tell: Callable[[str], None],
    away: tuple[type[Exception], ...] = (ServerAway,),
    first_wait_s: float = FIRST_WAIT_S,
    longest_wait_s: float = LONGEST_WAIT_S,
) -> Answer | None:
    """Ask until there is an answer; None where `stopping` was set first.

    An error of a type in `away` is told as a sentence, once for as long as it stays the same, and the
    question asked again; every other error is raised. A question that is under way when the stop comes may
    end. `stopping` None means: until cancelled.
    """
    told: str | None = None
    for wait_s in waits_s(first_wait_s, longest_wait_s):
        if stopping is not None and stopping.is_set():
            break
        try:
            return await question()
        except away as error:
            trouble = str(error) or type(error).__name__
            if trouble != told:
                told = trouble
                tell(trouble)
        await pause(wait_s, stopping)
    return None


async def pause(seconds: float, stopping: asyncio.Event | None) -> None:
    """Wait this many seconds, or until `stopping` is set."""
    if stopping is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
