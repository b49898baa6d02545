"""The ingests of a drill: what is wanted of them, and what they say in their heartbeats."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from algos.registration import Wants
from bus.feed_kinds import STOCKS
from bus.heartbeat import FeedDetails, Heartbeat, IngestDetails, State
from bus.service import ended
from bus.streams import GROUP_OMS
from ops.drill.system import ACCOUNT, DrillFailed, System, whole_system
from ops.status.heartbeat_reader import read_heartbeats

SYMBOLS = ("AAPL", "MSFT", "SPY", "NVDA", "TSLA", "AMD", "META", "AMZN", "GOOG", "NFLX")
CHANNELS = ("trades", "quotes")

READY_WITHIN_S = 30.0
POLL_S = 0.02


@contextlib.asynccontextmanager
async def wanting_system(a_second: float) -> AsyncIterator[System]:
    """A system without an ingest, with so many messages a second, in which all symbols are wanted."""
    arguments = ["--symbols", ",".join(SYMBOLS), "--rate", str(a_second)]
    async with whole_system(arguments, requests_per_minute=1000, with_ingest=False) as system:
        wants = Wants(system.orders, ACCOUNT, GROUP_OMS, dict.fromkeys(CHANNELS, SYMBOLS))
        wanting = asyncio.create_task(wants.run(lambda: True))
        try:
            yield system
        finally:
            await ended(wanting)


async def beats_of(system: System) -> list[tuple[Heartbeat, FeedDetails]]:
    """What each ingest that we started says of the stock feed."""
    return [
        (one, one.details.feeds[STOCKS])
        for one in await read_heartbeats(system.orders, ACCOUNT)
        if isinstance(one, Heartbeat)
        and isinstance(one.details, IngestDetails)
        and one.pid in system.started
        and STOCKS in one.details.feeds
    ]


async def until_ingest(system: System, found: Callable[[Heartbeat, FeedDetails], bool], what: str) -> int:
    """The pid of the ingest of which this holds, once there is one. Raises DrillFailed."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        for beat, feed in await beats_of(system):
            if found(beat, feed):
                return beat.pid
        await asyncio.sleep(POLL_S)
    said = "; ".join(f"{beat.pid} {feed.state} {feed.reasons}" for beat, feed in await beats_of(system))
    raise DrillFailed(f"no ingest {what} after {READY_WITHIN_S:.0f} s: {said or 'none says anything'}")


async def serving(system: System) -> int:
    """The pid of the ingest that serves the stock feed, and has nothing to complain of."""
    return await until_ingest(system, lambda _, feed: feed.connected and feed.state is State.READY, "serves")


async def standing_by(system: System) -> int:
    """The pid of an ingest that waits for the stock feed."""
    return await until_ingest(system, lambda _, feed: feed.state is State.WAITING, "stands by")
