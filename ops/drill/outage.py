"""The drill of an outage: the market-data server stands still under load, and ingest may die meanwhile."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bus.service import ended
from bus.streams import market, market_lease
from ops.drill.dying_spool import IN_OUTAGE, POINTS
from ops.drill.ingests import CHANNELS, POLL_S, SYMBOLS, beats_of, serving, wanting_system
from ops.drill.system import DrillFailed, System
from ops.drill.tapes import tapes_of
from ops.sizes import megabytes

# Promised: from the server's return until what is newest is in its stream.
WITHIN_S = 15.0

# What is newest is that old at most.
_LIVE_S = 0.5

# An ingest is to die at a point within so long, and to have caught up; an outage for that lasts so long.
_DEAD_WITHIN_S, _CAUGHT_UP_WITHIN_S = 20.0, 120.0
_SHORT_OUTAGE_S = 3.0
_TELL_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """What came of it: seconds until all was written again, by outage; what waited on disk; what differs.

    `recovered` counts what a killed ingest had left and the next one wrote, `backfilled` the trades that came
    from history.
    """

    caught_up_s: tuple[float, ...]
    deaths: int
    most_on_disk: int
    most_on_disk_bytes: int
    recovered: int
    trades: int
    backfilled: int
    dropped: int
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all that is promised was kept."""
        return not self.differences


def not_kept(caught_up_s: Iterable[float], deaths: int, backfilled: int) -> Iterable[str]:
    """What of the promised time, and of the trades that need no history unless ingest died, was not kept."""
    for number, seconds in enumerate(caught_up_s, 1):
        if seconds > WITHIN_S:
            yield f"outage {number}: all was written {seconds:.1f} s after it, not within {WITHIN_S:g} s"
    if backfilled and not deaths:
        yield f"{backfilled:,} trades came from history, though ingest did not die"


async def run(
    seconds: float,
    a_second: float,
    say: Callable[[str], None],
    *,
    kill: bool = False,
    at_points: bool = False,
) -> Outcome:
    """Have the server stand still for so long, with so many messages a second.

    `kill`: ingest is killed in the middle. `at_points`: then once at each point of its spool, in an outage of
    its own.
    """
    async with wanting_system(a_second) as system:
        drill = _Drill(system, say)
        watching = asyncio.create_task(drill.watch())
        try:
            await drill.begin()
            caught_up = [await drill.outage(seconds, kill=kill)]
            if at_points:
                caught_up += [await drill.death_at(point) for point in POINTS]
        finally:
            await ended(watching)
        tapes = await tapes_of(system)
        return Outcome(
            tuple(caught_up),
            drill.deaths,
            drill.most_on_disk,
            drill.most_on_disk_bytes,
            drill.recovered,
            tapes.trades,
            tapes.backfilled,
            drill.dropped,
            (*not_kept(caught_up, drill.deaths, tapes.backfilled), *tapes.differences),
        )


class _Drill:
    """The outages of one drill. Mutable: how many ingests were started and died, and what they told."""

    def __init__(self, system: System, say: Callable[[str], None]) -> None:
        self.deaths = 0
        self.most_on_disk = self.most_on_disk_bytes = 0
        self._recovered: dict[int, int] = {}
        self._dropped: dict[int, int] = {}
        self._system = system
        self._say = say
        self._started = 0
        self._server = 0

    @property
    def recovered(self) -> int:
        """What all ingests together wrote of what others had left."""
        return sum(self._recovered.values())

    @property
    def dropped(self) -> int:
        """What all ingests together dropped."""
        return sum(self._dropped.values())

    async def begin(self) -> None:
        """Start an ingest, and wait until it serves."""
        self._server = int((await self._system.market.info("server"))["process_id"])
        self._start()
        await self._live()

    async def watch(self) -> None:
        """Note what ingest tells of what waits, until cancelled."""
        told = time.monotonic()
        while True:
            for beat, feed in await beats_of(self._system):
                waiting = feed.waiting
                self._recovered[beat.pid] = waiting.recovered
                self._dropped[beat.pid] = sum(waiting.dropped.values())
                self.most_on_disk = max(self.most_on_disk, waiting.disk_items)
                self.most_on_disk_bytes = max(self.most_on_disk_bytes, waiting.disk_bytes)
                if time.monotonic() > told + _TELL_S:
                    told = time.monotonic()
                    self._say(
                        f"{waiting.memory_items:,} frames wait in memory and {waiting.disk_items:,} on disk "
                        f"({megabytes(waiting.disk_bytes, decimals=1)})"
                    )
            await asyncio.sleep(POLL_S * 10)

    async def outage(self, seconds: float, *, kill: bool) -> float:
        """One outage; returns the seconds from its end until all was written."""
        began = time.monotonic()
        os.kill(self._server, signal.SIGSTOP)
        try:
            if kill:
                await asyncio.sleep(seconds / 2)
                await self._killed()
                self._start()
            await asyncio.sleep(began + seconds - time.monotonic())
        finally:
            os.kill(self._server, signal.SIGCONT)
        for pid, process in list(self._system.started.items()):
            # One that found no server at its start for long has ended: a supervisor starts it again.
            if process.poll() is not None:
                del self._system.started[pid]
                self._start()
        return await self._caught_up(f"an outage of {seconds:g} s{', with ingest killed' if kill else ''}")

    async def death_at(self, point: str) -> float:
        """Kill the ingest that serves, have the next one die at this point, and another one go on."""
        await self._killed()
        await self._system.market.delete(market_lease("iex"))
        dying = self._start("ops.drill.dying_spool", point)
        await self._live()
        os.kill(self._server, signal.SIGSTOP)
        try:
            if point in IN_OUTAGE:
                await self._dead(dying, point)
                self._start()
            else:
                await asyncio.sleep(_SHORT_OUTAGE_S)
        finally:
            os.kill(self._server, signal.SIGCONT)
        if point not in IN_OUTAGE:
            await self._dead(dying, point)
            self._start()
        # The lease of the dead runs out after seconds: this is that, without the wait.
        await self._system.market.delete(market_lease("iex"))
        return await self._caught_up(f"ingest died {point.replace('_', ' ')}")

    def _start(self, *module: str) -> int:
        self._started += 1
        return self._system.start(f"ingest-{self._started}", *(module or ("ingest",)))

    async def _killed(self) -> None:
        for pid in list(self._system.started):
            await self._system.kill(pid)
            self.deaths += 1

    async def _dead(self, pid: int, point: str) -> None:
        until = time.monotonic() + _DEAD_WITHIN_S
        while self._system.started[pid].poll() is None:
            if time.monotonic() > until:
                raise DrillFailed(f"ingest did not come to the point {point} in {_DEAD_WITHIN_S:.0f} s")
            await asyncio.sleep(POLL_S)
        del self._system.started[pid]
        self.deaths += 1

    async def _live(self) -> None:
        await serving(self._system)
        await self._newest()

    async def _caught_up(self, what: str) -> float:
        began = time.monotonic()
        await self._newest()
        took_s = time.monotonic() - began
        await serving(self._system)
        self._say(f"{what}: all was written again after {took_s:.1f} s")
        return took_s

    async def _newest(self) -> None:
        """Wait until what each stream has is what came just now."""
        until = time.monotonic() + _CAUGHT_UP_WITHIN_S
        left: Sequence[str] = [market(symbol, CHANNELS[0]) for symbol in SYMBOLS]
        while left:
            if time.monotonic() > until:
                raise DrillFailed(f"{left[0]} has nothing new after {_CAUGHT_UP_WITHIN_S:.0f} s")
            pages = [await self._system.market.xrevrange(stream, count=1) for stream in left]
            now = time.time()
            left = [
                stream
                for stream, page in zip(left, pages, strict=True)
                if not page or now - int(page[0][1][b"r"]) / 1e9 > _LIVE_S
            ]
            await asyncio.sleep(POLL_S)
