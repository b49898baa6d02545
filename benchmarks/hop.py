"""One hop: publish, read in a group, decode, acknowledge; against redis-py asyncio doing the same."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import orjson
import uvloop

from benchmarks.limit import percentile
from benchmarks.row import Row
from bus import embedded
from bus.clock import SystemClock
from bus.codec import market_message
from bus.connection import connect
from bus.consume import GroupReader
from bus.lease import Lease
from bus.market_batch import MarketBatch
from bus.market_writer import MarketWriter
from bus.streams import market_lease

STREAM = "md:AAPL:trades"
SECONDS = 3.0
# Single rounds vary by a third on a shared machine; the median of five does not.
ROUNDS = 5
# The first part of a run, while both sides warm up, does not count.
WARM_UP = 0.25
# A producer at 20,000 a second wakes a thousand times a second, as a feed does.
MOST_WAKES_PER_SECOND = 1000


def measure(directory: Path, *, rate: int) -> Row:
    """The median from just before publishing to just after decoding, both clients in turns."""
    server = embedded.start("market", directory / "md")
    try:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(_round(server.url, "redis-py", rate))
            ours.append(_round(server.url, "wire", rate))
    finally:
        server.stop()
    return Row(
        name=f"hop_{rate // 1000}k",
        value=median(ours),
        unit="us p50",
        limit=median(theirs),
        limit_is=f"redis-py asyncio on its own loop, {rate:,} messages a second",
        bar=0.6,
        rule="at_most",
    )


def _round(url: str, client: str, rate: int) -> float:
    """One round in two processes; the median in microseconds."""
    command = [sys.executable, "-m", "benchmarks.hop", url, client, str(rate)]
    consumer = subprocess.Popen([*command, "consume"], stdout=subprocess.PIPE)
    assert consumer.stdout is not None
    assert consumer.stdout.readline() == b"ready\n"
    subprocess.run([*command, "produce"], check=True)
    output, _ = consumer.communicate()
    times: list[int] = json.loads(output)
    return percentile(times[int(len(times) * WARM_UP) :], 50) / 1000


def _message() -> bytes:
    return orjson.dumps(
        {
            "T": "t",
            "S": "AAPL",
            "i": 96921,
            "x": "D",
            "p": 126.55,
            "s": 1,
            "t": time.time_ns(),
            "c": ["@", "I"],
        }
    )


async def _paced(rate: int) -> "asyncio.Queue[int]":
    """A queue that gets the number of messages due, evenly over time, and 0 at the end."""
    due: asyncio.Queue[int] = asyncio.Queue()
    wakes = min(rate, MOST_WAKES_PER_SECOND)

    async def fill() -> None:
        started, sent = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - started) < SECONDS:
            owed = int(elapsed * rate) - sent
            if owed:
                due.put_nowait(owed)
                sent += owed
            await asyncio.sleep(1 / wakes)
        due.put_nowait(0)

    due.task = asyncio.ensure_future(fill())  # type: ignore[attr-defined]
    return due


async def _produce_wire(url: str, rate: int) -> None:
    client = connect(url, name="bench")
    lease = Lease(client, market_lease("bench"), "bench", ttl_ms=60_000, clock=SystemClock())
    await lease.acquire()
    writer = MarketWriter(url, lease)
    due = await _paced(rate)
    while count := await due.get():
        values: list[int | bytes] = []
        for _ in range(count):
            values += (time.time_ns() // 1_000_000, _message())
        await writer.write(MarketBatch([STREAM] * count, values, time.time_ns()))
        if due.empty():
            await writer.drain()
    await _end(client)
    await writer.close()
    await lease.release()
    await client.aclose()


async def _produce_redis_py(url: str, rate: int) -> None:
    client = connect(url, name="bench")
    due = await _paced(rate)
    while count := await due.get():
        pipeline = client.pipeline(transaction=False)
        for _ in range(count):
            pipeline.xadd(STREAM, {"d": _message(), "r": time.time_ns()})
        await pipeline.execute()
    await _end(client)
    await client.aclose()


async def _end(client: "object") -> None:
    await client.xadd(STREAM, {"end": "1"})  # type: ignore[attr-defined]


async def _consume_wire(url: str, group: str) -> list[int]:
    reader = GroupReader(url, [STREAM], group, start="$")
    await reader.open()
    print("ready", flush=True)
    times: list[int] = []
    while True:
        for delivery in await reader.deliveries():
            if b"end" in delivery.fields:
                reader.acknowledge(delivery)
                await reader.close()
                return times
            message = market_message("trades", delivery.fields)
            times.append(time.time_ns() - message.at_ns)  # type: ignore[union-attr]
            reader.acknowledge(delivery)


async def _consume_redis_py(url: str, group: str) -> list[int]:
    client = connect(url, name="bench")
    await client.xgroup_create(STREAM, group, "$", mkstream=True)
    print("ready", flush=True)
    times: list[int] = []
    while True:
        found = await client.xreadgroup(group, "leader", {STREAM: ">"}, count=500, block=1000)
        for _, entries in found:
            for _, fields in entries:
                if b"end" in fields:
                    await client.aclose()
                    return times
                message = market_message("trades", fields)
                times.append(time.time_ns() - message.at_ns)  # type: ignore[union-attr]
            await client.xack(STREAM, group, *(id_ for id_, _ in entries))


_PRODUCE = {"wire": _produce_wire, "redis-py": _produce_redis_py}
_CONSUME = {"wire": _consume_wire, "redis-py": _consume_redis_py}


def _main(url: str, client: str, rate: str, side: str) -> None:
    # Each as it comes: redis-py on asyncio's own loop, ours on uvloop, which is part of what is measured.
    # (redis-py gains from uvloop too: about a third at 1,000 a second.)
    factory = None if client == "redis-py" else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if side == "produce":
            runner.run(_PRODUCE[client](url, int(rate)))
        else:
            group = f"bench:{os.getpid()}"
            print(json.dumps(runner.run(_CONSUME[client](url, group))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
