"""Two OMS processes of one account: each has its own heartbeat, and the leaver takes only that."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from simulator import Simulator
from waiting import until

from bus import health
from bus.connection import Client
from bus.heartbeat import Heartbeat, OmsDetails, State
from ops.status.heartbeat_reader import read_heartbeats

pytestmark = pytest.mark.e2e


def started(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """An OMS as a process."""
    return subprocess.Popen([sys.executable, "-m", "oms"], env=environment, stderr=subprocess.DEVNULL)


async def beats(orders_client: Client) -> dict[int, Heartbeat]:
    """The heartbeats of OMS processes, by pid."""
    found = await read_heartbeats(orders_client, "paper")
    assert all(isinstance(one, Heartbeat) and one.process == "oms" for one in found)
    return {one.pid: one for one in found if isinstance(one, Heartbeat)}


async def test_a_standby_that_leaves_takes_only_its_own_heartbeat(
    md_url: str, orders_url: str, orders_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_REDIS_URL", orders_url)
    with Simulator.start("--symbols", "AAPL") as simulator:
        environment = {
            **os.environ,
            "MD_REDIS_URL": md_url,
            "ORDERS_REDIS_URL": orders_url,
            **simulator.environment,
        }
        leader, standby = started(environment), started(environment)
        try:

            async def both() -> bool:
                states = [beat.state for beat in (await beats(orders_client)).values()]
                return sorted(states) == [State.READY, State.WAITING]

            await until(both, "one OMS that leads and one that waits")
            found = await beats(orders_client)
            assert set(found) == {leader.pid, standby.pid}
            if found[leader.pid].state is State.WAITING:
                leader, standby = standby, leader
            assert found[leader.pid].instance != found[standby.pid].instance
            assert found[standby.pid].reasons[0].code == "lease_held"
            assert await asyncio.to_thread(health.main, ["oms"]) == 0, "one at work is enough"

            async def led() -> bool:
                details = (await beats(orders_client))[leader.pid].details
                return isinstance(details, OmsDetails) and details.leads and details.ready

            await until(led, "the leader's details")
            standby.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(standby.wait, 20) == 0
            assert set(await beats(orders_client)) == {leader.pid}
            assert await asyncio.to_thread(health.main, ["oms"]) == 0
        finally:
            for process in (leader, standby):
                process.kill()
                process.wait()
