"""A machine that was suspended wakes: what was true before is not taken for true now."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from raw_server import RawServer, Request, answer_bytes
from waiting import until

from bus.clock import SystemClock
from bus.halt import HaltWatch
from bus.lease import Lease
from oms.broker.http_client import HttpClient

pytestmark = pytest.mark.integration

HOUR_NS = 3600 * 1_000_000_000


@pytest.fixture
def suspend(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let an hour pass as a suspended machine does: of the clocks that never step back one counts it."""
    read_clock, slept_ns = time.clock_gettime_ns, 0

    def suspended() -> None:
        nonlocal slept_ns
        slept_ns += HOUR_NS

    def after_suspension(which: int) -> int:
        return read_clock(which) + (slept_ns if which == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, "clock_gettime_ns", after_suspension)
    return suspended


async def test_a_lease_that_ran_out_meanwhile_is_not_held(
    orders_client: Any, suspend: Callable[[], None]
) -> None:
    """The server has given it to another by now, and an order to the broker is fenced by nothing else."""
    lease = Lease(orders_client, "lease:test", "holder", clock=SystemClock())
    assert await lease.acquire()
    assert lease.held
    suspend()
    assert not lease.held


async def test_a_halt_state_of_before_is_not_fresh(orders_url: str, suspend: Callable[[], None]) -> None:
    watch = HaltWatch(orders_url, SystemClock())
    task = asyncio.create_task(watch.run())
    await until(watch.fresh)
    task.cancel()
    await asyncio.wait({task})
    suspend()
    assert not watch.fresh()
    await watch.close()


async def test_a_connection_to_the_broker_of_before_is_not_used(suspend: Callable[[], None]) -> None:
    async def script(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        del server, request
        writer.write(answer_bytes(200, {}))

    async with RawServer(script) as server:
        client = HttpClient(server.url, {}, SystemClock(), timeout_s=5)
        await client.request("GET", "/")
        suspend()
        await client.request("GET", "/")
        assert server.connections == 2
        await client.close()
