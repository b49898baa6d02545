"""From a tick received to its order approved in the journal, at 1,000 ticks and about 40 orders a second."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks import raw_chain
from benchmarks.decisions import LIMITS, unhurried
from benchmarks.limit import percentile
from benchmarks.paced_ticks import NTH, SYMBOLS, Tick, approval_times_ns, play
from benchmarks.processes import process
from benchmarks.row import Row
from bus import embedded
from bus.connection import Client, connect
from bus.lease import Lease
from bus.market_batch import MarketBatch
from bus.publish import MarketWriter
from bus.streams import alive, journal, market, market_lease

START_S = 30.0
NAMES = ("bench-a", "bench-b")
ALGORITHM = str(Path(__file__).with_name("every_nth.py")) + ":EveryNth"


def measure(directory: Path) -> Row:
    """The median over some 350 orders, against the same chain of raw processes on the same servers."""
    md = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    environment = unhurried(md, orders)
    algorithm = ("algos", ALGORITHM, "--symbols", ",".join(SYMBOLS), "--name")
    every = ("--param", f"nth={NTH[0]}"), ("--param", f"nth={NTH[1]}")
    try:
        with (
            process("benchmarks.stub_oms", str(LIMITS), directory=directory, environment=environment),
            process(*algorithm, NAMES[0], *every[0], directory=directory, environment=environment),
            process(*algorithm, NAMES[1], *every[1], directory=directory, environment=environment),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            times = runner.run(_orders(md.url, orders.url))
        floor = raw_chain.measure(md, orders, directory)
    finally:
        md.stop()
        orders.stop()
    return Row(
        name="tick_to_approved",
        value=percentile(times, 50) / 1000,
        unit="us p50",
        limit=percentile(floor, 50) / 1000,
        limit_is="the same processes raw: two hops, an XADD and a script, each with its fsync",
        bar=1.6,
        rule="at_most",
    )


async def _orders(md_url: str, orders_url: str) -> list[int]:
    """Play ticks, and once both algorithms lead measure; the times from tick to journal, in nanoseconds."""
    client, market_client = connect(orders_url, name="bench"), connect(md_url, name="bench")
    lease = Lease(market_client, market_lease("bench"), "bench", ttl_ms=600_000)
    await lease.acquire()
    writer = MarketWriter(md_url, lease)

    async def write(ticks: Sequence[Tick]) -> None:
        for symbol, now_ns, trade in ticks:
            batch = MarketBatch([market(symbol, "trades")], [now_ns // 1_000_000, trade], now_ns)
            await writer.write(batch)
        await writer.drain()

    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play(write))
        async with asyncio.timeout(START_S):
            while not all([await _leads(client, name) for name in NAMES]):
                await asyncio.sleep(0.1)
        times = await approval_times_ns(orders_url, journal("paper"))
        playing.cancel()
    await writer.close()
    await client.aclose()
    await market_client.aclose()
    return times


async def _leads(client: Client, name: str) -> bool:
    keys = [key async for key in client.scan_iter(match=alive("paper", f"algo-{name}", "*"))]
    values = await client.mget(keys) if keys else []
    return any(json.loads(value)["state"] == "leader" for value in values if value is not None)
