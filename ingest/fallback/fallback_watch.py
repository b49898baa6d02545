"""Watches over a feed that another may stand in for: until it is lost, or a better one is to be had again."""

import asyncio
from collections.abc import Awaitable, Callable

from bus.clock import Clock
from bus.service import until_cancelled
from ingest.fallback.fallback import Fallback
from ingest.streams.stream_reasons import Had, why_not_had

# How often it is looked.
LOOK_S = 0.25


async def until_another_takes_over(
    fallback: Fallback,
    feed: Had,
    clock: Clock,
    *,
    why_not: Callable[[str], Awaitable[str]],
    fills_ended: Callable[[], Awaitable[None]],
) -> None:
    """Return once `fallback` names another feed than before.

    `why_not` tries one that is better: why it is not to be had, or "". `fills_ended` is awaited before what
    stands in, and may be filling gaps, is left.
    """
    if len(fallback.feeds) == 1:
        await until_cancelled()
    while True:
        await asyncio.sleep(LOOK_S)
        now_ns, why = clock.monotonic_ns(), why_not_had(feed)
        if fallback.is_lost(not why, now_ns) and fallback.step_down(why, now_ns):
            return
        better = fallback.due(now_ns)
        for name in better:
            if not await why_not(name):
                await fills_ended()
                fallback.return_to(name, clock.monotonic_ns())
                return
        if better:
            fallback.not_yet(clock.monotonic_ns())
