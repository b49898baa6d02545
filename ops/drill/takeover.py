"""The takeover drill: the OMS that leads is killed again and again under load, and its standby goes on."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from bus.heartbeat import Heartbeat, OmsDetails, State
from bus.service import ended
from bus.streams import journal, oms_lease
from ops.drill.load import SYMBOL, Load
from ops.drill.system import ACCOUNT, UNLIMITED, DrillFailed, System, whole_system
from ops.run.reader import RunReader
from ops.run.reconcile import reconcile
from ops.status.heartbeat_reader import read_heartbeats

# Promised: from the kill to the next decision in the journal, in 99 of 100 kills.
WITHIN_S = 1.0

# A standby that is stopped for so long outlives it, and so does the server.
STALL_S = 0.4

_LEVEL_WITHIN_S = 30.0
_POLL_S = 0.02
_DECISIONS = (b"OrderApproved", b"OrderRefused")


@dataclass(frozen=True)
class Outcome:
    """What came of a drill: seconds of each takeover, takeovers while nothing was killed, what differs."""

    takeovers_s: tuple[float, ...]
    stalls: int
    false_takeovers: int
    asked: int
    approved: int
    differences: tuple[str, ...]

    def percentile(self, percent: float) -> float:
        """The time within which so many percent of the takeovers were over."""
        ordered = sorted(self.takeovers_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    @property
    def passed(self) -> bool:
        """Whether all that is promised was kept."""
        quick = not self.takeovers_s or self.percentile(99) <= WITHIN_S
        traded = self.approved > self.asked / 2
        return quick and traded and not self.false_takeovers and not self.differences


async def run(kills: int, stall_minutes: float, a_second: float, say: Callable[[str], None]) -> Outcome:
    """Kill the leader so many times, and stall leader and server by turns for so many minutes, under load."""
    arguments = ["--symbols", SYMBOL, "--rate", "20", "--cash", "1000000000"]
    async with whole_system(arguments, requests_per_minute=UNLIMITED) as system:
        url = system.environment["ORDERS_REDIS_URL"]
        reader, load = RunReader(system.market, system.orders, ACCOUNT), Load(system.orders, url)
        system.start_oms("oms-0")
        await the_leader(system)
        tasks = [asyncio.create_task(load.want())]
        try:
            await load.begin()
            system.start_oms("oms-1")
            await _level(system)
            tasks.append(asyncio.create_task(load.run(a_second)))
            takeovers = []
            for number in range(kills):
                takeovers.append(await _killed(system))
                say(f"kill {number + 1} of {kills}: decided again after {takeovers[-1] * 1000:.0f} ms")
                system.start_oms(f"oms-{number + 2}")
                await _level(system)
            stalls, moved = await _stalled(system, stall_minutes, say)
            await ended(tasks[-1])
            found = await reconcile(reader, system.control)
        finally:
            # Before the servers go: what still asks them then would fail unheard.
            await ended(*tasks)
            await load.close()
        return Outcome(tuple(takeovers), stalls, moved, load.asked, reader.totals.approved, tuple(found))


async def _killed(system: System) -> float:
    """Kill the leader; returns the seconds until the next decision stands in the journal."""
    leader = await the_leader(system)
    killed_at = time.monotonic()
    await system.kill(leader)
    ((last, _),) = await system.orders.xrevrange(journal(ACCOUNT), count=1)
    while True:
        found = await system.orders.xread({journal(ACCOUNT): last}, block=1000, count=100)
        for id_, fields in found[0][1] if found else ():
            if fields[b"type"] in _DECISIONS:
                return time.monotonic() - killed_at
            last = id_


async def _stalled(system: System, minutes: float, say: Callable[[str], None]) -> tuple[int, int]:
    """Stop leader, standby or server for a moment, by turns; returns how often, and how often another led."""
    server = int((await system.orders.info("server"))["process_id"])
    before = await _token(system)
    stalls, until, told = 0, time.monotonic() + minutes * 60, time.monotonic()
    while time.monotonic() < until:
        leader = await the_leader(system)
        standby = next(pid for pid in system.started if pid != leader)
        pid = (leader, server, standby)[stalls % 3]
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(STALL_S)
        os.kill(pid, signal.SIGCONT)
        stalls += 1
        if time.monotonic() > told + 10:
            told = time.monotonic()
            say(f"{stalls} stalls of {STALL_S * 1000:.0f} ms, {await _token(system) - before} takeovers")
        await asyncio.sleep(random.uniform(0.6, 1.4))
    return stalls, await _token(system) - before


async def _token(system: System) -> int:
    return int(await system.orders.get(f"{oms_lease(ACCOUNT)}:token") or 0)


async def _beats(system: System) -> list[tuple[Heartbeat, OmsDetails]]:
    """What each OMS that we started says of itself."""
    return [
        (one, one.details)
        for one in await read_heartbeats(system.orders, ACCOUNT)
        if isinstance(one, Heartbeat) and isinstance(one.details, OmsDetails) and one.pid in system.started
    ]


async def the_leader(system: System) -> int:
    """The pid of the OMS that leads and takes orders, once there is one. Raises DrillFailed."""
    until = time.monotonic() + _LEVEL_WITHIN_S
    while time.monotonic() < until:
        for beat, details in await _beats(system):
            if beat.state is State.READY and details.leads:
                return beat.pid
        await asyncio.sleep(_POLL_S)
    raise DrillFailed(f"no OMS leads after {_LEVEL_WITHIN_S:.0f} s: {await _said(system)}")


async def _level(system: System) -> None:
    """Wait until one stands by that has the whole journal, but for what was written just now."""
    until = time.monotonic() + _LEVEL_WITHIN_S
    while time.monotonic() < until:
        found = await _beats(system)
        if len(found) == 2 and {beat.state for beat, _ in found} == {State.READY, State.WAITING}:
            at_ms = [int((details.digest_at or "0-0").split("-")[0]) for _, details in found]
            if min(at_ms) and abs(at_ms[0] - at_ms[1]) < 1000:
                return
        await asyncio.sleep(_POLL_S)
    raise DrillFailed(f"no OMS stands by after {_LEVEL_WITHIN_S:.0f} s: {await _said(system)}")


async def _said(system: System) -> str:
    """What became of each OMS that is to run, in its own words where it says any."""
    beats = {beat.pid: beat for beat, _ in await _beats(system)}
    said = []
    for pid, process in system.started.items():
        beat, code = beats.get(pid), process.poll()
        if code is not None:
            said.append(f"process {pid} ended with {code}")
        elif beat is None:
            said.append(f"process {pid} says nothing")
        else:
            reasons = ", ".join(reason.sentence for reason in beat.reasons)
            said.append(f"process {pid} is {beat.state}{f' ({reasons})' if reasons else ''}")
    return "; ".join(said)
