"""Limits on what is awaited of Alpaca: an answer that does not come is said, and the connection made anew."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import websockets

# A connection that lasted so long was sound: the next one is tried at once, not after the waits of before it.
STEADY_NS = 60_000_000_000


class Unanswered(Exception):
    """Alpaca did not answer in time, or not what has to come; the message says to what."""


class Connecting(Protocol):
    """Whoever is told how a connection stands, and how long an answer may take on it."""

    answer_s: float

    async def room(self) -> None:
        """Wait while what was read has no room."""

    def broke(self, reason: str) -> None:
        """The connection is gone, if there was one."""

    def failed(self, reason: str) -> None:
        """A connection could not be made."""


@contextlib.asynccontextmanager
async def limited(step: str, within_s: float) -> AsyncIterator[None]:
    """Limit what is awaited inside, all of it together; `step` ends the sentence "Alpaca did not ...".

    Raises Unanswered; a time limit of what is inside is left as it is.
    """
    limit = asyncio.timeout(within_s)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Unanswered(f"Alpaca did not {step} within {within_s:g} s") from error


async def connected(feed: Connecting, step: str, connecting: Callable[[], Awaitable[None]]) -> None:
    """Make the next connection, in a time that is limited. Raises what `connecting` does, and Unanswered."""
    feed.broke("reconnecting")
    await feed.room()  # What is not read for want of room would pass for an answer that is late.
    await _told(feed, step, connecting, Exception)


async def taken(feed: Connecting, step: str, asking: Callable[[], Awaitable[None]]) -> None:
    """Have a step on a new connection answered, in a time that is limited; raises as `connected`.

    What Alpaca says against it is heard at the tap: `feed` is told here of what breaks.
    """
    await _told(feed, step, asking, Unanswered, websockets.WebSocketException, OSError)


async def _told(
    feed: Connecting, step: str, asking: Callable[[], Awaitable[None]], *failures: type[Exception]
) -> None:
    try:
        async with limited(step, feed.answer_s):
            await asking()
    except failures as error:
        feed.failed(f"{error or type(error).__name__}")
        raise
