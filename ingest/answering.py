"""Limits on what is awaited of Alpaca: an answer that does not come is said, and the connection made anew."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

# A connection that lasted so long was sound: the next one is tried at once, not after the waits of before it.
STEADY_NS = 60_000_000_000


class Unanswered(Exception):
    """Alpaca did not answer in time; the message says to what, and how long was waited."""


@contextlib.asynccontextmanager
async def answered(step: str, within_s: float) -> AsyncIterator[None]:
    """Limit what is awaited inside, all of it together; `step` ends the sentence "Alpaca did not ...".

    Raises Unanswered.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        raise Unanswered(f"Alpaca did not {step} within {within_s:g} s") from error
