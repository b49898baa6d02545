"""Ingest: simulator frames to acknowledged scripts, by the CPU time that the ingest process takes."""

import asyncio
import json
import time
from pathlib import Path
from statistics import median

import psutil
import redis
import uvloop

from benchmarks.limit import RawConnection, scripts_per_cpu_second
from benchmarks.processes import process, simulator, wait
from benchmarks.row import Row
from bus import embedded
from bus.publish import MARKET_SCRIPT

SYMBOLS = ("AAPL", "MSFT", "SPY", "TSLA", "NVDA")
# What the simulator is asked for; how much it sends is counted.
RATE = {20: 40_000, 1: 6_000}
SECONDS = 4.0
ROUNDS = 3
BARS = {20: 0.50, 1: 0.40}
MESSAGE = (
    b'{"T":"q","S":"AAPL","bx":"V","bp":187.61,"bs":4,"ax":"V","ap":187.63,"as":2,'
    b'"t":1795398525125000000,"c":["R"],"z":"C"}'
)


def measure(directory: Path, *, frame_messages: int) -> Row:
    """Messages per CPU second of ingest and of a prepacked loop, in turns, three rounds."""
    market = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    try:
        rate = ("--rate", str(RATE[frame_messages]), "--frame-messages", str(frame_messages))
        with simulator(directory, "--symbols", ",".join(SYMBOLS), *rate) as environment:
            environment |= {"MD_REDIS_URL": market.url, "ORDERS_REDIS_URL": orders.url}
            with process("ingest", directory=directory, environment=environment) as ingest:
                rows = _rounds(market.url, orders.url, ingest.pid, frame_messages)
    finally:
        market.stop()
        orders.stop()
    return Row(
        name=f"ingest_{frame_messages}",
        value=median(value for value, _ in rows),
        unit="messages per CPU s",
        limit=median(limit for _, limit in rows),
        limit_is=f"prepacked loop, batches of {frame_messages}",
        bar=BARS[frame_messages],
        rule="at_least",
    )


def _rounds(md_url: str, orders_url: str, pid: int, frame_messages: int) -> list[tuple[float, float]]:
    with redis.Redis.from_url(md_url) as market, redis.Redis.from_url(orders_url) as orders:
        wants = json.dumps({"trades": SYMBOLS, "quotes": SYMBOLS})
        orders.set("wants:bench", wants, px=3_600_000)
        wait(lambda: _written(market) > 10_000, "ingest to write ten thousand entries")
        rows = []
        for _ in range(ROUNDS):
            value = _messages_per_cpu_second(market, pid)
            market.delete(*_streams(market))
            limit = _limit(md_url, frame_messages)
            market.delete("md:bench:quotes")
            rows.append((value, limit))
        return rows


def _messages_per_cpu_second(market: "redis.Redis", pid: int) -> float:
    """Entries that arrived in the server for each second of CPU that the process took."""
    ingest = psutil.Process(pid)
    written, used = _written(market), sum(ingest.cpu_times()[:2])
    time.sleep(SECONDS)
    return (_written(market) - written) / (sum(ingest.cpu_times()[:2]) - used)


def _streams(market: "redis.Redis") -> list[bytes]:
    return list(market.scan_iter(match="md:*", count=1000))


def _written(market: "redis.Redis") -> int:
    return sum(int(market.xlen(stream)) for stream in _streams(market))


def _limit(url: str, frame_messages: int) -> float:
    """The same script and batch, prepacked, replies parsed."""

    async def loop() -> float:
        connection = await RawConnection.open(url)
        await connection.call("SCRIPT", "LOAD", MARKET_SCRIPT.text)
        await connection.call("SET", "lease:bench", "1:bench")
        keys = ["lease:bench", *(["md:bench:quotes"] * frame_messages)]
        head: list[str | bytes | int] = ["1:bench", time.time_ns(), "iex", ""]
        values = head + [time.time_ns() // 1_000_000, MESSAGE] * frame_messages
        command = MARKET_SCRIPT.packed(keys, values)
        connection.close()
        return await scripts_per_cpu_second(url, command, seconds=SECONDS / 2) * frame_messages

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(loop())
