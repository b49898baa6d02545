"""From a tick received to its order approved in the journal, at 1,000 ticks and about 40 orders a second."""

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import raw_chain
from benchmarks.decisions import LIMITS, unhurried
from benchmarks.limit import RawConnection, percentile
from benchmarks.paced_ticks import NTH, SYMBOLS, WINDOWS, Tick, window_ns
from benchmarks.processes import process
from benchmarks.row import Row
from bus import embedded
from bus.connection import Client, connect
from bus.lease import Lease
from bus.market_batch import MarketBatch
from bus.market_writer import MarketWriter
from bus.streams import alive, journal, market, market_lease

START_S = 30.0
NAMES = ("bench-a", "bench-b")
ALGORITHM = str(Path(__file__).with_name("every_nth.py")) + ":EveryNth"


def measure(directory: Path) -> Row:
    """The median over some 400 orders, against the same chain of raw processes on the same servers."""
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
            raw_chain.running(md, orders, directory),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            times, floor = runner.run(_in_turn(md.url, orders.url))
    finally:
        md.stop()
        orders.stop()
    return Row(
        name="tick_to_approved",
        value=percentile(times, 50) / 1000,
        unit="us p50",
        limit=percentile(floor, 50) / 1000,
        limit_is="the same chain raw, in turn: two hops, an XADD and a script, each with its fsync",
        bar=1.6,
        rule="at_most",
    )


async def _in_turn(md_url: str, orders_url: str) -> tuple[list[int], list[int]]:
    """The times from tick to journal, in nanoseconds: by our processes, and by the raw ones."""
    client, market_client = connect(orders_url, name="bench"), connect(md_url, name="bench")
    lease = Lease(market_client, market_lease("bench"), "bench", ttl_ms=600_000)
    await lease.acquire()
    writer, raw = MarketWriter(md_url, lease), await RawConnection.open(md_url)

    async def write(ticks: Sequence[Tick]) -> None:
        for symbol, now_ns, trade in ticks:
            batch = MarketBatch([market(symbol, "trades")], [now_ns // 1_000_000, trade], now_ns)
            await writer.write(batch)
        await writer.drain()

    async with asyncio.timeout(START_S):
        while not all([await _leads(client, name) for name in NAMES]):
            await asyncio.sleep(0.1)
    times: list[int] = []
    floor: list[int] = []
    for _ in range(WINDOWS):
        times += await window_ns(write, orders_url, journal("paper"))
        floor += await window_ns(partial(raw_chain.write, raw), orders_url, raw_chain.JOURNAL)
    raw.close()
    await writer.close()
    await client.aclose()
    await market_client.aclose()
    return times, floor


async def _leads(client: Client, name: str) -> bool:
    keys = [key async for key in client.scan_iter(match=alive("paper", f"algo-{name}", "*"))]
    values = await client.mget(keys) if keys else []
    return any(json.loads(value)["state"] == "leader" for value in values if value is not None)
