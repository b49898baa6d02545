"""OMS processes that die on purpose, with a trader, a price and the journal beside them."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from oms_run import ACCOUNT, EVENT_CODEC, Trader, one_by_one
from simulator import Simulator

from bus import streams
from bus.connection import connect

ROOT = Path(__file__).resolve().parents[2]

Start = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def processes(simulator: Simulator, md_url: str, orders_url: str) -> Iterator[Start]:
    """Starts OMS processes, and ends what is left of them."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MD_REDIS_URL": md_url,
        "ORDERS_REDIS_URL": orders_url,
        **simulator.environment,
        "BACKBONE_OMS_SEND_TIMEOUT_S": "0.5",
        "BACKBONE_OMS_DOUBT_S": "0.5",
        # Nobody tells of updates here: what the broker says is found by asking.
        "BACKBONE_OMS_COMPARE_S": "5",
        "BACKBONE_OMS_REQUESTS_PER_MINUTE": "60000",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(point: str, kind: str = "approval", count: int = 1) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "ops.drill.dying_oms", point, kind, str(count)]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.wait(10)


@asynccontextmanager
async def scene(md_url: str, orders_url: str) -> AsyncIterator[tuple[Trader, Any]]:
    """An algorithm that is registered and leads, a price on the tape, and a client of the orders server."""
    client, market = connect(orders_url, name="test"), connect(md_url, name="test")
    trader = Trader(orders_url, "alpha")
    await client.hset(streams.algorithms(ACCOUNT), "alpha", "{}")
    assert await trader.lease.acquire()
    try:
        yield trader, client
    finally:
        await trader.close()
        await client.aclose()
        await market.aclose()


async def price(md_url: str) -> None:
    """A fresh trade of AAPL at 5 dollars: limit orders at that price rest, far below the market."""
    market = connect(md_url, name="test")
    now_ns = time.time_ns()
    data = b'{"S":"AAPL","p":5,"s":1,"t":%d}' % now_ns
    await market.xadd(streams.market("AAPL", "trades"), {"d": data, "r": str(now_ns)})
    await market.aclose()


async def journal(client: Any) -> list[Any]:
    """Every event in the journal, refusals one by one."""
    entries = await client.xrange(streams.journal(ACCOUNT))
    return one_by_one(EVENT_CODEC.decode(fields) for _, fields in entries)
