"""Ticks at an even pace, and the time until the orders that follow from them are approved in the journal."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence

import orjson

from benchmarks.limit import RawConnection

SYMBOLS = ("AAPL", "MSFT")
TICKS_PER_SECOND = 1000
# An algorithm orders on every nth tick. Two algorithms with such numbers seldom order on the same one.
NTH = (47, 53)
# Two ways are measured in turn, a window each, so that a machine that is slower for a while is so for both.
WINDOWS = 6
WINDOW_S = 2.0
# uvloop rounds a sleep to whole milliseconds: half of one is none, and a loop that keeps a core busy.
WAKE_S = 0.001
# Orders at the start of a window warm the processes up and do not count.
WARM_UP_ORDERS = 10

# A symbol, the time in nanoseconds, and the trade as JSON.
Tick = tuple[str, int, bytes]

Write = Callable[[Sequence[Tick]], Awaitable[None]]


async def window_ns(write: Write, url: str, journal: str) -> list[int]:
    """Play ticks for one window; return how long after its tick each approval was read, in nanoseconds."""
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_play(write, enough))
        times = await _approval_times_ns(url, journal)
        enough.set()
    return times


async def _play(write: Write, enough: asyncio.Event) -> None:
    """Make one trade a millisecond, the symbols in turn, until enough; `write` gets those that are due."""
    started, sent = time.perf_counter(), 0
    while not enough.is_set():
        owed = int((time.perf_counter() - started) * TICKS_PER_SECOND) - sent
        due: list[Tick] = []
        for number in range(sent, sent + owed):
            symbol, now_ns = SYMBOLS[number % len(SYMBOLS)], time.time_ns()
            trade = {"T": "t", "S": symbol, "i": number, "p": 187.61, "s": 1, "t": now_ns}
            due.append((symbol, now_ns, orjson.dumps(trade)))
        sent += owed
        if due:
            await write(due)
        await asyncio.sleep(WAKE_S)


async def _approval_times_ns(url: str, journal: str) -> list[int]:
    """Read a journal for a window; return how long after its tick each approval was read, in nanoseconds.

    The reading, as any reader of the journal would do it, is part of the time. Warm-up orders are left out.
    """
    connection = await RawConnection.open(url)
    times: list[int] = []
    position: bytes | str = "$"
    until = time.perf_counter() + WINDOW_S
    while time.perf_counter() < until:
        reply = await connection.call("XREAD", "BLOCK", 1000, "COUNT", 100, "STREAMS", journal, position)
        now_ns = time.time_ns()
        for id_, fields in reply[0][1] if reply else ():
            position = id_
            entry = dict(zip(fields[::2], fields[1::2], strict=True))
            if entry[b"type"] == b"OrderApproved":
                times.append(now_ns - json.loads(entry[b"data"])["received_ns"])
            elif entry[b"type"] == b"OrderRefused":
                raise SystemExit(f"an order was refused: {entry[b'data']!r}")
    connection.close()
    if len(times) <= 2 * WARM_UP_ORDERS:
        raise SystemExit(f"only {len(times)} orders were approved in {WINDOW_S:.0f} s")
    return times[WARM_UP_ORDERS:]
