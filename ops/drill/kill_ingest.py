"""The drill of killed ingests: whichever serves is killed again and again, and its standby fills the seam."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bus.feed_kinds import STOCKS
from bus.streams import market, open_gaps
from ops.drill.ingests import (
    CHANNELS,
    POLL_S,
    READY_WITHIN_S,
    SYMBOLS,
    beats_of,
    serving,
    standing_by,
    until_ingest,
    wanting_system,
)
from ops.drill.system import DrillFailed, System
from ops.drill.tapes import PAGE, tapes_of

# Promised: from where Alpaca takes the connection to the first live message in its stream.
WITHIN_S = 3.0

# Every so many rounds Alpaca takes the old connection for one that stands, for so long.
_REFUSED_EVERY, _REFUSED_S = 3, 4

# Every so many rounds the one that serves is not killed but stopped, and wakes once another serves.
_STOPPED_EVERY = 4


@dataclass(frozen=True)
class Outcome:
    """What came of it: seconds from the kill, and from the accepted connection, to live data; what differs.

    `backfilled` counts the trades that came from history.
    """

    after_kill_s: tuple[float, ...]
    after_accepted_s: tuple[float, ...]
    refused: int
    stopped: int
    trades: int
    backfilled: int
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all that is promised was kept."""
        return not self.differences


def late(after_accepted_s: Iterable[float]) -> Iterable[str]:
    """Which of these times from the accepted connection to live data are longer than promised."""
    for number, seconds in enumerate(after_accepted_s, 1):
        if seconds > WITHIN_S:
            yield f"kill {number}: live {seconds:.2f} s after the connection, not within {WITHIN_S:g} s"


async def run(kills: int, a_second: float, say: Callable[[str], None]) -> Outcome:
    """Kill the ingest that serves so many times, with so many messages a second."""
    async with wanting_system(a_second) as system:
        after_kill, after_accepted, refused, stopped = [], [], 0, 0
        system.start("ingest-0", "ingest")
        await serving(system)
        for number in range(kills):
            system.start(f"ingest-{number + 1}", "ingest")
            await standing_by(system)
            if number % _REFUSED_EVERY == _REFUSED_EVERY - 1:
                await system.control.fault("connection_limit", stream=STOCKS, seconds=_REFUSED_S)
                refused += 1
            wakes = number % _STOPPED_EVERY == _STOPPED_EVERY - 1
            stopped += wakes
            since_kill_s, since_accepted_s = await _killed(system, wakes=wakes)
            after_kill.append(since_kill_s)
            after_accepted.append(since_accepted_s)
            say(
                f"kill {number + 1} of {kills}: live again {since_kill_s:.2f} s after it, "
                f"{since_accepted_s:.2f} s after the feed took the connection"
            )
        await _closed(system)
        tapes = await tapes_of(system)
        return Outcome(
            tuple(after_kill),
            tuple(after_accepted),
            refused,
            stopped,
            tapes.trades,
            tapes.backfilled,
            (*late(after_accepted), *tapes.differences),
        )


async def _killed(system: System, *, wakes: bool) -> tuple[float, float]:
    """Kill the one that serves; returns the seconds to live data from the kill, and from the connection.

    Where it `wakes` it is only stopped until then. What it had under way it must not write any more.
    """
    leader = await serving(system)
    stopped_at = time.time()
    if not wakes:
        await system.kill(leader)
        return await live_again(system, stopped_at)
    process = system.started.pop(leader)
    os.kill(leader, signal.SIGSTOP)
    try:
        # Alpaca closes the connection of one that does not read.
        await system.control.fault("slow_client", stream=STOCKS)
        took_s = await live_again(system, stopped_at)
    finally:
        os.kill(leader, signal.SIGCONT)
        system.started[leader] = process
    await until_ingest(system, lambda beat, feed: beat.pid == leader and not feed.connected, "gave up")
    await system.kill(leader)
    return took_s


async def live_again(system: System, killed_at: float) -> tuple[float, float]:
    """The seconds to live data from the kill, and from the connection. Raises DrillFailed without any."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await _live_message(system)
    except TimeoutError:
        raise DrillFailed(f"no live message {READY_WITHIN_S:g} s after the kill") from None
    live_at = time.time()
    accepted_at = await _accepted_at(system)
    return live_at - killed_at, live_at - accepted_at


async def _live_message(system: System) -> None:
    """Wait for the next live message of a standby."""
    stream = market(SYMBOLS[0], CHANNELS[0])
    ((last, _),) = await system.market.xrevrange(stream, count=1)
    gap_opened = False
    while True:
        found = await system.market.xread({stream: last}, block=1000, count=PAGE)
        for id_, fields in found[0][1] if found else ():
            last = id_
            # What the dead one sent may be written still, but for its marker: live is what follows that.
            if fields.get(b"type") == b"GapOpened":
                gap_opened = True
            elif gap_opened and b"type" not in fields and b"b" not in fields:
                return


async def _accepted_at(system: System) -> float:
    pid = await until_ingest(system, lambda _, feed: feed.connected, "is connected")
    return next(feed.since_ns for beat, feed in await beats_of(system) if beat.pid == pid) / 1e9


async def _closed(system: System) -> None:
    """Wait until no gap is to be filled any more."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        streams = [market(symbol, CHANNELS[0]) for symbol in SYMBOLS]
        pages = [await system.market.xrevrange(stream, count=PAGE) for stream in streams]
        marks = Counter(fields.get(b"type") for page in pages for _, fields in page)
        if marks[b"GapClosed"] >= marks[b"GapOpened"] and not await system.market.exists(open_gaps("iex")):
            return
        await asyncio.sleep(POLL_S * 10)
    raise DrillFailed(f"gaps are still open {READY_WITHIN_S:.0f} s after the last kill")
