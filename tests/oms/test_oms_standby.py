"""Two OMS on one account: one leads, one stands by, and at any time one decides."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from oms_run import ACCOUNT, EVENT_CODEC, add_price, limit_order, limits_text, trading
from simulator import Simulator
from waiting import until

from bus import streams
from bus.connection import Client
from bus.heartbeat import Heartbeat, OmsDetails, State
from bus.order_events import OrderApproved
from oms.service import LEASE_MS
from ops.status.heartbeat_reader import read_heartbeats

pytestmark = pytest.mark.e2e


class Pair:
    """Two OMS processes on one simulator; `heartbeat` is what the one of this pid says of itself."""

    def __init__(
        self, client: Client, simulator: Simulator, processes: list["subprocess.Popen[bytes]"]
    ) -> None:
        self.client = client
        self.simulator = simulator
        self.processes = processes

    async def heartbeat(self, pid: int) -> tuple[State, OmsDetails] | None:
        """What this process says; None where it says nothing."""
        for one in await read_heartbeats(self.client, ACCOUNT):
            if isinstance(one, Heartbeat) and one.pid == pid and isinstance(one.details, OmsDetails):
                return one.state, one.details
        return None

    async def leader(self) -> "subprocess.Popen[bytes]":
        """Wait until one of them leads and takes orders."""
        found: list[subprocess.Popen[bytes]] = []

        async def leads() -> bool:
            holder = await self.client.get(streams.oms_lease(ACCOUNT))
            for process in self.processes:
                said = await self.heartbeat(process.pid)
                if holder and said and said[0] is State.READY and said[1].leads and process.poll() is None:
                    found.append(process)
                    return True
            return False

        await until(leads, "one OMS to lead")
        return found[0]

    def other(self, process: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        """The one that is not this."""
        return next(one for one in self.processes if one is not process)

    async def stands_by(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until this one waits, and has the journal that the leader has."""

        async def level() -> bool:
            said = await self.heartbeat(process.pid)
            leader = await self.heartbeat(self.other(process).pid)
            return (
                said is not None
                and leader is not None
                and said[0] is State.WAITING
                and (said[1].digest, said[1].digest_at) == (leader[1].digest, leader[1].digest_at)
                and said[1].digest_at != "0-0"
            )

        await until(level, "the standby to show the leader's digest")

    async def token(self) -> int:
        """The fencing token of the lease."""
        value = await self.client.get(f"{streams.oms_lease(ACCOUNT)}:token")
        assert value is not None
        return int(value)

    async def approved(self) -> list[str]:
        """The client order ids of the approvals in the journal."""
        entries = await self.client.xrange(streams.journal(ACCOUNT))
        events = [EVENT_CODEC.decode(fields) for _, fields in entries]
        return [event.client_order_id for event in events if isinstance(event, OrderApproved)]


def started(environment: dict[str, str], limits: Path) -> "subprocess.Popen[bytes]":
    """An OMS as a process."""
    command = [sys.executable, "-m", "oms", "--limits", str(limits)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture
async def pair(
    md_url: str, orders_url: str, market_client: Client, orders_client: Client, tmp_path: Path
) -> AsyncIterator[Pair]:
    """Two of them, one leading and the other level with it."""
    await add_price(market_client, "AAPL", "100")
    limits = tmp_path / "limits.toml"
    limits.write_text(limits_text(price_age_seconds=3600, open_orders=100, orders_per_second=1000))
    with Simulator.start("--symbols", "AAPL") as simulator, contextlib.ExitStack() as stack:
        environment = {
            **os.environ,
            "MD_REDIS_URL": md_url,
            "ORDERS_REDIS_URL": orders_url,
            **simulator.environment,
        }
        processes = []
        for _ in range(2):
            processes.append(started(environment, limits))
            stack.callback(processes[-1].wait)
            stack.callback(processes[-1].kill)
        found = Pair(orders_client, simulator, processes)
        await found.stands_by(found.other(await found.leader()))
        yield found


async def test_the_standby_goes_on_where_the_leader_was_killed(pair: Pair, orders_url: str) -> None:
    leader = await pair.leader()
    async with trading(orders_url) as algo:
        ids = [await algo.order(number, limit_order("96", "1")) for number in range(20)]
        await algo.told(ids[0], "OrderApproved")
        leader.kill()
        ids += [await algo.order(number, limit_order("96", "1")) for number in range(20, 40)]
        for order_id in ids:
            await algo.told(order_id, "OrderApproved")
        assert sorted(await pair.approved()) == sorted(ids)
    assert await pair.leader() is pair.other(leader)


async def test_a_leader_that_was_stopped_and_woke_up_stands_by_and_leads_again(
    pair: Pair, orders_url: str
) -> None:
    first = await pair.leader()
    second = pair.other(first)
    async with trading(orders_url) as algo:
        first.send_signal(signal.SIGSTOP)
        ids = [await algo.order(number, limit_order("96", "1")) for number in range(10)]
        for order_id in ids:
            await algo.told(order_id, "OrderApproved")
        first.send_signal(signal.SIGCONT)
        await pair.stands_by(first)
        second.kill()
        ids.append(await algo.order(10, limit_order("96", "1")))
        await algo.told(ids[-1], "OrderApproved")
        assert await pair.approved() == ids
    assert await pair.leader() is first


async def test_stalls_of_the_leader_and_of_the_server_move_nothing(pair: Pair) -> None:
    leader, token = await pair.leader(), await pair.token()
    server = int((await pair.client.info("server"))["process_id"])
    for stalled in (leader.pid, server) * 3:
        os.kill(stalled, signal.SIGSTOP)
        await asyncio.sleep(0.4)
        os.kill(stalled, signal.SIGCONT)

        async def renewed() -> bool:
            return await pair.client.pttl(streams.oms_lease(ACCOUNT)) > LEASE_MS - 100

        await until(renewed, "the lease to be renewed")
    assert await pair.token() == token
    assert await pair.leader() is leader
