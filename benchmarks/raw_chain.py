"""The least that a tick's way to its approval costs: two hops, an XADD and a script, and nothing checked.

The processes are those of the real way: one that plays ticks, two algorithms
(`python -m benchmarks.raw_chain algorithm MARKET_URL ORDERS_URL REQUESTS NTH`) and an OMS
(`python -m benchmarks.raw_chain oms ORDERS_URL REQUESTS...`).
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path

import uvloop

from benchmarks.decisions import BARE
from benchmarks.limit import RawConnection, packed
from benchmarks.paced_ticks import NTH, SYMBOLS, Tick
from benchmarks.processes import process
from bus.embedded import EmbeddedServer
from bus.link import Script

JOURNAL, EVENTS, GROUP = "raw:journal", "raw:events", "raw"
REQUESTS = tuple(f"raw:requests:{nth}" for nth in NTH)
TICKS = {symbol: f"raw:ticks:{symbol}" for symbol in SYMBOLS}
# An approval is about as long.
FILLER = "x" * 450


@contextlib.contextmanager
def running(market: EmbeddedServer, orders: EmbeddedServer, directory: Path) -> Iterator[None]:
    """The raw processes on these servers, waiting for ticks, until the block ends."""
    module = "benchmarks.raw_chain"
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(process(module, *arguments, directory=directory))
            for arguments in (
                ("oms", orders.url, *REQUESTS),
                *(
                    ("algorithm", market.url, orders.url, requests, str(nth))
                    for requests, nth in zip(REQUESTS, NTH, strict=True)
                ),
            )
        ]
        for one in started:
            assert one.stdout is not None
            if one.stdout.readline() != b"ready\n":
                sys.exit("a process of the raw chain did not start")
        yield


async def write(connection: RawConnection, ticks: Sequence[Tick]) -> None:
    """Write ticks for the raw algorithms."""
    commands = [packed("XADD", TICKS[symbol], "*", "d", trade, "r", at) for symbol, at, trade in ticks]
    await connection.send(b"".join(commands), len(commands))


async def _algorithm(market_url: str, orders_url: str, requests: str, nth: str) -> None:
    """Read every tick, ask for an order on each nth, and acknowledge what was read once that is on disk."""
    market, orders = await RawConnection.open(market_url), await RawConnection.open(orders_url)
    group, streams = f"{GROUP}:{nth}", list(TICKS.values())
    seen = 0
    read = await _group(market, group, streams)
    (reply,) = await market.send(read)
    while True:
        commands, asked = [], []
        for stream, entries in reply or ():
            for _, fields in entries:
                seen += 1
                if seen % int(nth) == 0:
                    asked.append(packed("XADD", requests, "*", "r", fields[3], "data", FILLER))
            commands.append(packed("XACK", stream, group, *(id_ for id_, _ in entries)))
        if asked:
            await orders.send(b"".join(asked), len(asked))
        commands.append(read)
        *_, reply = await market.send(b"".join(commands), len(commands))


async def _oms(orders_url: str, *requests: str) -> None:
    """Write an approval for each request and acknowledge it, in one script."""
    orders = await RawConnection.open(orders_url)
    script = Script(BARE)
    await orders.call("SCRIPT", "LOAD", script.text)
    read = await _group(orders, "oms", list(requests))
    (reply,) = await orders.send(read)
    while True:
        commands = []
        for stream, entries in reply or ():
            for id_, fields in entries:
                data = b'{"received_ns":%b,"filler":"%b"}' % (fields[1], FILLER.encode())
                commands.append(
                    script.packed([JOURNAL, EVENTS, stream.decode()], ["OrderApproved", "1", data, id_])
                )
        commands.append(read)
        *_, reply = await orders.send(b"".join(commands), len(commands))


async def _group(connection: RawConnection, group: str, streams: list[str]) -> bytes:
    """Make a group for all that is new, say that we are ready, and return the command that reads."""
    for stream in streams:
        await connection.call("XGROUP", "CREATE", stream, group, "$", "MKSTREAM")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    names = ("STREAMS", *streams, *(">" for _ in streams))
    return packed("XREADGROUP", "GROUP", group, "leader", "COUNT", 500, "BLOCK", 1000, *names)


_ROLES: dict[str, Callable[..., Coroutine[None, None, None]]] = {"algorithm": _algorithm, "oms": _oms}

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as started:
        started.run(_ROLES[sys.argv[1]](*sys.argv[2:]))
