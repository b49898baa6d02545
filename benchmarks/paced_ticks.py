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
SECONDS = 10.0
# uvloop rounds a sleep to whole milliseconds: half of one is none, and a loop that keeps a core busy.
WAKE_S = 0.001
# Orders of the first second warm the processes up and do not count.
WARM_UP_ORDERS = 40

# A symbol, the time in nanoseconds, and the trade as JSON.
Tick = tuple[str, int, bytes]


async def play(write: Callable[[Sequence[Tick]], Awaitable[None]]) -> None:
    """Make one trade a millisecond, the symbols in turn, until cancelled; `write` gets those that are due."""
    started, sent = time.perf_counter(), 0
    while True:
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


async def approval_times_ns(url: str, journal: str) -> list[int]:
    """Read a journal for `SECONDS`; return how long after its tick each approval was read, in nanoseconds.

    The reading, as any reader of the journal would do it, is part of the time. Warm-up orders are left out.
    """
    connection = await RawConnection.open(url)
    times: list[int] = []
    position: bytes | str = "$"
    until = time.perf_counter() + SECONDS
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
        raise SystemExit(f"only {len(times)} orders were approved in {SECONDS:.0f} s")
    return times[WARM_UP_ORDERS:]
