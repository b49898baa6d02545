"""Ingest: simulator frames to acknowledged scripts, for each second of CPU that the ingest process takes.

Both sides are measured at full speed with the server alone beside them. Ingest is stopped while frames of the
simulator pile up in its socket; then the simulator is stopped, and ingest works them off.
"""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import redis
import uvloop

from benchmarks.limit import RawConnection, scripts_and_cpu_seconds
from benchmarks.processes import process, simulator, wait
from benchmarks.row import Row
from bus import embedded
from bus.market_batch import MarketBatch
from bus.market_writer import MARKET_SCRIPT, market_command

SYMBOLS = ("AAPL", "MSFT", "SPY", "TSLA", "NVDA")
# What the simulator is asked for, so that the sockets fill while ingest stands still.
RATE = {20: 60_000, 1: 20_000}
FILL_S = 2.0
ROUNDS = 8
LIMIT_S = 0.5
# Nothing new for this long: what was piled up is written.
QUIET_S = 0.15
BARS = {20: 0.50, 1: 0.40}
MESSAGE = (
    b'{"T":"q","S":"AAPL","bx":"V","bp":187.61,"bs":4,"ax":"V","ap":187.63,"as":2,'
    b'"t":1795398525125000000,"c":["R"],"z":"C"}'
)


def measure(directory: Path, *, frame_messages: int) -> Row:
    """Messages per CPU second of ingest and of a prepacked loop, in turns."""
    market = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    rate = ("--rate", str(RATE[frame_messages]), "--frame-messages", str(frame_messages))
    try:
        with simulator(directory, "--symbols", ",".join(SYMBOLS), *rate) as (source, environment):
            # The simulator never closes; and no calendar is read in a round of a tenth of a second.
            environment |= {
                "MD_REDIS_URL": market.url,
                "ORDERS_REDIS_URL": orders.url,
                "BACKBONE_INGEST_HOURS": "always",
                "BACKBONE_INGEST_SPOOL_DIR": str(directory / "spool"),
            }
            with process("ingest", directory=directory, environment=environment) as ingest:
                value, limit = _rounds(market.url, orders.url, source.pid, ingest.pid, frame_messages)
    finally:
        market.stop()
        orders.stop()
    return Row(
        name=f"ingest_{frame_messages}",
        value=value,
        unit="messages per CPU s",
        limit=limit,
        limit_is=f"prepacked loop, batches of {frame_messages}, per CPU s too",
        bar=BARS[frame_messages],
        rule="at_least",
    )


def _rounds(
    md_url: str, orders_url: str, source: int, ingest: int, frame_messages: int
) -> tuple[float, float]:
    """Messages per CPU second over all rounds: of ingest, and of the loop."""
    written = used_s = looped = loop_used_s = 0.0
    with redis.Redis.from_url(md_url) as market, redis.Redis.from_url(orders_url) as orders:
        wants = json.dumps({"trades": SYMBOLS, "quotes": SYMBOLS})
        orders.set("wants:paper:bench", wants, px=3_600_000)
        wait(lambda: _written(market) > 10_000, "ingest to write ten thousand entries")
        for _ in range(ROUNDS):
            with _stopped(ingest):
                time.sleep(FILL_S)
            with _stopped(source):
                count, cpu_s = _work_off(market, ingest)
                written, used_s = written + count, used_s + cpu_s
                with _stopped(ingest):
                    count, cpu_s = _loop(md_url, frame_messages)
                    looped, loop_used_s = looped + count, loop_used_s + cpu_s
                market.delete(*_streams(market))
    return written / used_s, looped / loop_used_s


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A process stands still until the end of the block."""
    process = psutil.Process(pid)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def _work_off(market: "redis.Redis", pid: int) -> tuple[int, float]:
    """Entries written until nothing is left, and the CPU seconds that it took."""
    ingest = psutil.Process(pid)
    before, cpu_before = _written(market), sum(ingest.cpu_times()[:2])
    after, quiet_since = before, time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        time.sleep(QUIET_S / 5)
        if (now := _written(market)) != after:
            after, quiet_since = now, time.monotonic()
    return after - before, sum(ingest.cpu_times()[:2]) - cpu_before


def _streams(market: "redis.Redis") -> list[bytes]:
    return list(market.scan_iter(match="md:*", count=1000))


def _written(market: "redis.Redis") -> int:
    return sum(int(market.xlen(stream)) for stream in _streams(market))


def _loop(url: str, frame_messages: int) -> tuple[int, float]:
    """The same script and batch, prepacked, replies parsed: messages, and the CPU seconds that they took."""

    async def loop() -> tuple[int, float]:
        connection = await RawConnection.open(url)
        await connection.call("SCRIPT", "LOAD", MARKET_SCRIPT.text)
        await connection.call("SET", "lease:bench", "1:bench")
        connection.close()
        streams = ["md:bench:quotes"] * frame_messages
        values: list[int | bytes] = [time.time_ns() // 1_000_000, MESSAGE]
        frame = MarketBatch(streams, values * frame_messages, time.time_ns(), "iex")
        command = market_command("lease:bench", "1:bench", [frame])
        count, cpu_s = await scripts_and_cpu_seconds(url, command, seconds=LIMIT_S)
        return count * frame_messages, cpu_s

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(loop())
