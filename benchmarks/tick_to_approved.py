"""From a tick received to its order approved in the journal, at 1,000 ticks a second."""

import asyncio
import json
import time
from pathlib import Path

import orjson
import uvloop

from benchmarks.decisions import BARE, LIMITS, unhurried
from benchmarks.hop import raw_hop_p50_us
from benchmarks.limit import RawConnection, percentile, script_p50_us
from benchmarks.processes import process
from benchmarks.row import Row
from bus import embedded
from bus.connection import connect
from bus.lease import Lease
from bus.link import Script
from bus.market_batch import MarketBatch
from bus.publish import MarketWriter
from bus.streams import MARKET_LEASE, journal

SYMBOLS = ("AAPL", "MSFT")
TICKS_PER_SECOND = 1000
SECONDS = 10.0
START_S = 30.0
NTH = (47, 53)
ORDER_EVERY_S = 1 / sum(TICKS_PER_SECOND / nth for nth in NTH)
# Orders of the first seconds warm the processes up and do not count.
WARM_UP_ORDERS = 40
ALGORITHM = str(Path(__file__).with_name("every_nth.py")) + ":EveryNth"


def measure(directory: Path) -> Row:
    """The median over some two hundred orders, against two raw hops and one raw script of the same run."""
    market = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    environment = unhurried(market, orders)
    # Two strategies that seldom fire on the same tick.
    names, every = ("bench-a", "bench-b"), tuple(f"nth={nth}" for nth in NTH)
    algorithm = ("algos", ALGORITHM, "--symbols", ",".join(SYMBOLS), "--param")
    try:
        with (
            process("benchmarks.stub_oms", str(LIMITS), directory=directory, environment=environment),
            process(*algorithm, every[0], "--name", names[0], directory=directory, environment=environment),
            process(*algorithm, every[1], "--name", names[1], directory=directory, environment=environment),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            times = runner.run(_orders(market.url, orders.url, names))
        hop = raw_hop_p50_us(market.url, rate=TICKS_PER_SECOND)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            script = runner.run(_script(orders.url))
    finally:
        market.stop()
        orders.stop()
    return Row(
        name="tick_to_approved",
        value=percentile(times[WARM_UP_ORDERS:], 50) / 1000,
        unit="us p50",
        limit=2 * hop + script,
        limit_is=f"2 raw hops of {hop:.0f} us and a raw script of {script:.0f} us",
        bar=4,
        rule="at_most",
    )


async def _orders(md_url: str, orders_url: str, names: tuple[str, ...]) -> list[int]:
    """Play ticks once both algorithms lead; the times from tick to journal, in nanoseconds."""
    client, market = connect(orders_url, name="bench"), connect(md_url, name="bench")
    lease = Lease(market, MARKET_LEASE, "bench", ttl_ms=600_000)
    await lease.acquire()
    writer = MarketWriter(md_url, lease)
    playing = asyncio.ensure_future(_play(writer))
    async with asyncio.timeout(START_S):
        while not all([await _leads(client, name) for name in names]):
            await asyncio.sleep(0.1)
    watching = asyncio.ensure_future(_watch(orders_url))
    await asyncio.sleep(SECONDS)
    watching.cancel()
    playing.cancel()
    await asyncio.gather(playing, watching, return_exceptions=True)
    await writer.close()
    await client.aclose()
    await market.aclose()
    return _TIMES


async def _leads(client: "object", name: str) -> bool:
    value = await client.get(f"alive:algo-{name}")  # type: ignore[attr-defined]
    return value is not None and json.loads(value)["state"] == "leader"


async def _play(writer: MarketWriter) -> None:
    """One trade a millisecond, as evenly as the loop allows, the symbols in turn."""
    started, sent = time.perf_counter(), 0
    while True:
        owed = int((time.perf_counter() - started) * TICKS_PER_SECOND) - sent
        for _ in range(owed):
            symbol, now_ns = SYMBOLS[sent % len(SYMBOLS)], time.time_ns()
            trade = orjson.dumps({"T": "t", "S": symbol, "i": sent, "p": 187.61, "s": 1, "t": now_ns})
            await writer.write(MarketBatch([f"md:{symbol}:trades"], [now_ns // 1_000_000, trade], now_ns))
            sent += 1
        await writer.drain()
        await asyncio.sleep(0.0005)


_TIMES: list[int] = []


async def _watch(url: str) -> None:
    """See approvals as any reader of the journal would: this reading is part of the time measured."""
    connection = await RawConnection.open(url)
    position: bytes | str = "$"
    while True:
        reply = await connection.call(
            "XREAD", "BLOCK", 1000, "COUNT", 100, "STREAMS", journal("paper"), position
        )
        now_ns = time.time_ns()
        for id_, fields in reply[0][1] if reply else ():
            position = id_
            entry = dict(zip(fields[::2], fields[1::2], strict=True))
            if entry[b"type"] == b"OrderApproved":
                _TIMES.append(now_ns - json.loads(entry[b"data"])["received_ns"])
            elif entry[b"type"] == b"OrderRefused":
                raise SystemExit(f"an order was refused: {entry[b'data']!r}")


async def _script(url: str) -> float:
    """One approval written and acknowledged by a raw script at the orders' pace, `appendfsync always`."""
    connection = await RawConnection.open(url)
    script = Script(BARE)
    await connection.call("SCRIPT", "LOAD", script.text)
    connection.close()
    keys = ["bench:journal", "bench:events", "bench:requests"]
    return await script_p50_us(
        url, script.packed(keys, ["OrderApproved", "1", "x" * 500, "1-1"]), every_s=ORDER_EVERY_S
    )
