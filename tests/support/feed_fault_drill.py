"""Each fault of a market feed under load: what became of every trade of the simulator's tape, as a table.

    PYTHONPATH=tests/support .venv/bin/python tests/support/feed_fault_drill.py --rate 5000 > table.md

A row is as it should be where each trade of every symbol is there once: in its stream, or in the stream of
its gap's history that GapClosed names; those in the stream in order; and no gap is left open.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from alpaca.data.enums import DataFeed
from alpaca.data.models import TradeSet
from alpaca.data.requests import StockTradesRequest
from ingest_run import Running, running, settings_for
from own_server import OwnServer, own_server
from simulator import Simulator
from waiting import until

from bus import streams
from ingest.fallback import fallback

SYMBOLS = ("AAPL", "MSFT", "SPY", "TSLA", "NVDA")
SILENCE_S, LEARNING_S, _FLOWING_S, _CLOSED_WITHIN_S = 5.0, 30.0, 3.0, 90.0

Fault = Callable[[Simulator, Running], Awaitable[None]]


def on(*faults: tuple[str, dict[str, Any]]) -> Fault:
    """These faults of the stock stream, one after the other."""

    async def begin(simulator: Simulator, run: Running) -> None:
        for name, fields in faults:
            simulator.fault(name, **fields)
        # To its end, and as long as silence may last unnoticed.
        await asyncio.sleep(max(fields.get("seconds", 0) for _, fields in faults) + SILENCE_S)

    return begin


def stocks(name: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return name, {"stream": "stocks", **fields}


def left_for(name: str) -> Fault:
    """The feed is refused once, and cut: another stands in until it is tried again."""

    async def begin(simulator: Simulator, run: Running) -> None:
        refused = stocks("stream_error", code=409, count=1)
        await on(refused, stocks("drop_mid_frame"))(simulator, run)
        await until(lambda: run.stocks.name == name, f"{name} to stand in")
        await until(lambda: run.stocks.name == "sip", "the return", timeout_s=60)

    return begin


async def mute(simulator: Simulator, run: Running) -> None:
    """After so long that silence is told from chance within its patience."""
    await asyncio.sleep(LEARNING_S)
    simulator.fault("mute", stream="stocks", seconds=12)
    await until(lambda: "silent" in run.codes(), "silence to be found", timeout_s=10)
    await until(lambda: "silent" not in run.codes(), "it to speak", timeout_s=60)


async def subscriptions(simulator: Simulator, run: Running) -> None:
    """A reader comes and leaves all the while."""
    for _ in range(3):
        async with run.wanting("other", trades=["*"]):
            await until(lambda: "*" in run.subscribed().get("trades", ()), "all symbols")
            await run.flowing(f"md:{SYMBOLS[0]}:trades", 100)
        await until(lambda: "*" not in run.subscribed().get("trades", ()), "the end of that")
        await run.flowing(f"md:{SYMBOLS[0]}:trades", 100)


FAULTS: dict[str, Fault] = {
    "disconnect": on(stocks("disconnect", seconds=2)),
    "drop_mid_frame": on(stocks("drop_mid_frame")),
    "slow_client": on(stocks("slow_client")),
    "mute": mute,
    "no_pong": on(stocks("no_pong", seconds=30)),
    "stale_session": on(stocks("stale_session", seconds=4)),
    "connection_limit": on(stocks("connection_limit", seconds=4), stocks("drop_mid_frame")),
    "handshake_429": on(stocks("handshake_429", count=2), stocks("drop_mid_frame")),
    "silent_handshake": on(stocks("silent_handshake", step="auth", count=1), stocks("drop_mid_frame")),
    "stream_error": on(stocks("stream_error", code=500, count=2), stocks("drop_mid_frame")),
    "huge_frame": on(stocks("huge_frame", mib=16)),
    "trickle": on(stocks("trickle", bytes=64, ms=5, seconds=2)),
    "halt": on(*((("halt", {"symbol": symbol, "seconds": 8})) for symbol in SYMBOLS)),
    "history refused": on(
        ("http_error", {"status": 503, "on": "data", "count": 5}), stocks("drop_mid_frame")
    ),
    "history late": on(("latency", {"on": "data", "ms": 1500}), stocks("drop_mid_frame")),
    "subscriptions": subscriptions,
    "iex stands in": left_for("iex"),
    "rest stands in": left_for("rest"),
}


async def row(name: str, fault: Fault, rate: int, server: OwnServer, orders: OwnServer) -> dict[str, Any]:
    """One run of ingest, in the middle of which the feed fails so."""
    other = name.partition(" ")[0]
    changes: dict[str, Any] = {"feed": "sip", "ingest_silence_seconds": SILENCE_S, "ingest_hours": "always"}
    if name.endswith("stands in"):
        changes["feed_fallback"] = other
    with Simulator.start("--rate", str(rate), "--symbols", ",".join(SYMBOLS)) as simulator:
        settings = settings_for(simulator, server.url, orders.url, **changes)
        async with running(settings) as run:
            wanted = {"trades": list(SYMBOLS), "quotes": list(SYMBOLS), "statuses": list(SYMBOLS)}
            async with run.wanting("reader", **wanted):
                await run.flowing(f"md:{SYMBOLS[0]}:trades", 100)
                await asyncio.sleep(_FLOWING_S)
                began, before = time.monotonic(), run.stocks.writing.messages_in
                await fault(simulator, run)
                await asyncio.sleep(_FLOWING_S)

                async def closed() -> bool:
                    return not await run.market.exists("gaps:sip") and run.stocks.feed.live

                await until(closed, f"every gap of {name} closed", timeout_s=_CLOSED_WITHIN_S)
                simulator.clear_faults()
                await run.flowing(f"md:{SYMBOLS[0]}:trades", 100)
                took_s = time.monotonic() - began
                came = run.stocks.writing.messages_in - before
                await run.stop()
            found = [await _looked_at(run, simulator, symbol) for symbol in SYMBOLS]
    sums = {key: sum(one[key] for one in found) for key in found[0]}
    return {"fault": name, "seconds": round(took_s, 1), "messages": came, **sums}


async def _looked_at(run: Running, simulator: Simulator, symbol: str) -> dict[str, int]:
    stream = streams.market(symbol, "trades")
    markers = await run.markers(stream)
    names = {marker["history"] for kind, marker in markers if kind == "GapClosed" and "history" in marker}
    live = await run.messages(stream)
    beside = [message for name in sorted(names) for message in await run.filled(name)]
    times = Counter(message["i"] for message in live + beside)
    tape = await asyncio.to_thread(_tape, simulator, symbol, live[0]["t"], live[-1]["t"])
    kinds = Counter(kind for kind, _ in markers)
    return {
        "trades": len(live) + len(beside),
        "from history": len(await run.filled(stream)) + len(beside),
        "missing": len({one for one in tape if live[0]["i"] < one < live[-1]["i"]} - set(times)),
        # The simulator remembers so many, and no more: long before the fault.
        "not on the tape": len({one for one in times if one >= min(tape)} - tape),
        "more than once": sum(count - 1 for count in times.values()),
        "out of order": sum(first["i"] > second["i"] for first, second in pairwise(live)),
        "gaps": kinds["GapOpened"],
        "left open": kinds["GapOpened"] - kinds["GapClosed"],
    }


def _tape(simulator: Simulator, symbol: str, since_ns: int, until_ns: int) -> set[int]:
    """The numbers of a symbol's trades from one time to another, as the simulator's history has them."""
    start, end = (datetime.fromtimestamp(ns // 1_000_000_000, UTC) for ns in (since_ns, until_ns))
    asked = StockTradesRequest(
        symbol_or_symbols=symbol, start=start, end=end + timedelta(seconds=1), feed=DataFeed.SIP
    )
    found = simulator.stock_data_client().get_stock_trades(asked)
    assert isinstance(found, TradeSet)
    return {int(one.id or 0) for one in found.data[symbol]}


async def main() -> int:
    """Run the rows asked for; 1 where one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second (default 5000)")
    parser.add_argument("--only", choices=FAULTS, nargs="*", help="these faults alone")
    options = parser.parse_args()
    fallback.AGAIN_NS = 5_000_000_000
    failed = 0
    for number, name in enumerate(options.only or FAULTS):
        with own_server("market") as market, own_server("orders") as orders:
            found = await row(name, FAULTS[name], options.rate, market, orders)
        if not number:
            sys.stdout.write("| " + " | ".join(found) + " | right |\n" + "| --- " * (len(found) + 1) + "|\n")
        wrong = {"missing", "not on the tape", "more than once", "out of order", "left open"}
        if name == "rest stands in":
            # What was polled meanwhile stands before what history fills in when the stream is back.
            wrong.remove("out of order")
        is_right = not any(found[key] for key in wrong)
        failed += not is_right
        sys.stdout.write(
            "| " + " | ".join(map(str, found.values())) + f" | {'yes' if is_right else 'NO'} |\n"
        )
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
