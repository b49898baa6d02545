"""Which files a tick touches on its way to a fill: `python -m benchmarks.tick_path`.

Ingest, one algorithm and the OMS run in this process, between two real servers and the simulator; calls are
traced from a tick to its fill, the second one, so that nothing is connected or worked out for the first time.
What runs beside it at any time (heartbeats, leases, wants, prices kept warm) is left out by its task.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

from algos import Algorithm, Fill, Trade
from algos.algorithm import session_of
from algos.connections import connections
from algos.runner import Runner
from algos.settings import AlgoSettings
from algos.watchdog import Watchdog
from benchmarks.processes import simulator
from bus import embedded
from bus.clock import SystemClock
from bus.connection import connect
from bus.service import Service
from bus.settings import load
from ingest.service import Ingest
from ingest.settings import IngestSettings
from oms import startup
from oms.__main__ import alpaca
from oms.limits.limits_file import read_limits
from oms.service import Oms
from oms.settings import OmsSettings

ROOT = Path(__file__).parents[1]
PACKAGES = ("algos", "bus", "ingest", "oms")
SYMBOL = "AAPL"
LONGEST_S = 30.0

# Tasks that run at any time, tick or not. `Oms.repeat` is all that an OMS does every so many seconds.
BESIDE = frozenset(
    (
        "GroupReader.lag", "HaltWatch.run", "Ingest._every", "LeaseKeeper.keep", "LeasedFeed._acknowledge",
        "LeasedFeed._keep_counts", "LeasedFeed._receive", "MarketFeed._request", "Oms.follow_registry",
        "Oms.redeliver_unseen", "Oms.repeat", "Oms.tick", "Oms.want_prices", "Prices.keep", "Report.run",
        "Runner._live", "Runner._timers", "Runner._want", "SilenceWatch.run", "SnapshotKeeper.keep",
        "Snapshots.run", "SpooledBuffer.run", "Trimmer.run", "_keep_head", "_watch_limits",
    )
)  # fmt: skip

# Files that hand nothing on, each with what it is: a value, a conversion, a look-up, a sum, or one decision.
SMALL = {
    "algos/handlers.py": "look-up: the handler of an event",
    "algos/inputs.py": "value: what a session is given",
    "algos/lifecycle.py": "look-up: what a state may do",
    "algos/terms.py": "conversion: an author's words to terms",
    "bus/chain.py": "sum: the hash of an entry",
    "bus/clock.py": "look-up: the time",
    "bus/codec.py": "conversion: messages and the fields of entries",
    "bus/cut_notes.py": "look-up: what was cut before a reader had it",
    "bus/entry_position.py": "conversion: an entry's id and two numbers",
    "bus/group_bookkeeping.py": "sum: what of a group's entries is acknowledged",
    "bus/halt.py": "look-up: whether the halt state is fresh",
    "bus/lease.py": "look-up: whether a lease is held",
    "bus/market_batch.py": "value: what is written at once",
    "bus/order_id.py": "sum: the client id of an order",
    "bus/outage.py": "value: a trouble that is said once",
    "bus/rfc3339.py": "conversion: a time's text",
    "bus/streams.py": "look-up: the names of keys",
    "bus/symbols.py": "conversion: the one spelling of a symbol",
    "bus/trading_day.py": "look-up: the calendar",
    "ingest/buffer.py": "value: a queue with a bound",
    "ingest/frames.py": "conversion: a frame to entries",
    "ingest/gaps/held_back.py": "one decision: which entries wait until a gap is filled",
    "ingest/spool/spooled_buffer.py": "value: a queue that goes on on disk",
    "oms/amounts.py": "sum: exact decimals",
    "oms/book/contracts.py": "conversion: a price to what one is worth",
    "oms/book/exposure.py": "sum: positions and open orders in dollars",
    "oms/book/fees.py": "look-up: what is taken of an execution",
    "oms/book/groups.py": "look-up: whether an order has exits",
    "oms/book/ledger.py": "sum: positions, cash, profit",
    "oms/book/open_groups.py": "look-up: groups by symbol",
    "oms/book/open_orders.py": "look-up: open orders by side",
    "oms/book/order_rate.py": "sum: approvals of a second",
    "oms/book/put_away.py": "look-up: orders of earlier days",
    "oms/book/repetition.py": "sum: approvals of the same",
    "oms/book/reservations.py": "sum: what open orders may still do",
    "oms/broker/alpaca_answers.py": "one decision: what an answer of Alpaca's means",
    "oms/broker/alpaca_orders.py": "conversion: orders and Alpaca's JSON",
    "oms/broker/breaker.py": "one decision: whether the broker fails",
    "oms/broker/broker_orders.py": "conversion: the broker's order to events",
    "oms/broker/budget.py": "one decision: whether the limit leaves a request",
    "oms/broker/trade_updates.py": "conversion: the broker's updates to events",
    "oms/broker/turns.py": "one decision: whose request is next",
    "oms/halt_file_watch.py": "look-up: the halts, those of the halt file too",
    "oms/limits/limit_scopes.py": "look-up: a limit by its scope",
    "oms/limits/limits.py": "look-up: the tightest limits",
    "oms/prices/prices.py": "look-up: the last prices",
    "oms/prices/reference_price.py": "one decision: which price stands",
    "oms/prices/tape_conditions.py": "look-up: whether a trade of these conditions sets a price",
    "oms/registry.py": "look-up: who leads",
    "oms/requests/readiness.py": "one decision: whether orders are taken",
    "oms/requests/refusal_throttle.py": "one decision: whether a request is let in",
    "oms/risk/assets.py": "look-up: whether a market is open",
    "oms/risk/buying_power.py": "one decision: a check",
    "oms/risk/checks.py": "one decision each: checks of an order's size",
    "oms/risk/exit_checks.py": "one decision: a check",
    "oms/risk/exposure_checks.py": "one decision each: checks of sums",
    "oms/risk/market_checks.py": "one decision each: checks of the market",
    "oms/risk/own_orders.py": "one decision each: checks against own orders",
    "oms/risk/preconditions.py": "one decision: whether anybody may ask",
    "oms/risk/repetition_checks.py": "one decision each: checks of loops",
    "oms/risk/request_rate.py": "sum: requests of a minute",
    "oms/risk/subject.py": "value: what a check looks at",
    "oms/risk/terms.py": "one decision: whether terms are well formed",
    "oms/risk/tightened.py": "one decision: what became stricter since",
    "oms/state/inputs.py": "value: what the engine is given",
    "oms/state/step.py": "value: what an input comes to",
}


class OneOrder(Algorithm):
    """Buys one share each time it is told to, on the next trade."""

    symbols = (SYMBOL,)

    def prepare(self) -> None:
        """Nothing is wanted yet."""
        self.wanted = 0
        self.filled = 0

    def on_trade(self, trade: Trade) -> None:
        """Buy what is wanted."""
        if self.wanted:
            self.wanted -= 1
            self.buy(trade.symbol, 1)

    def on_fill(self, fill: Fill) -> None:
        """Count it."""
        del fill
        self.filled += 1


class Trace:
    """Functions of ours that are called while `on`, by the coroutine that their task began with."""

    def __init__(self) -> None:
        self.on = False
        self.calls: dict[str, set[tuple[str, str]]] = defaultdict(set)

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        """Called by the interpreter at each call."""
        del argument
        if event != "call" or not self.on:
            return
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in PACKAGES:
            return
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        coroutine: Any = None if task is None else task.get_coro()
        beginning = "" if coroutine is None else coroutine.__qualname__
        self.calls[beginning].add((str(path.relative_to(ROOT)), frame.f_code.co_name))

    def files(self) -> dict[str, set[str]]:
        """The files on the way, each with the functions that were called."""
        found: dict[str, set[str]] = defaultdict(set)
        for beginning, called in self.calls.items():
            if beginning not in BESIDE:
                for path, function in called:
                    found[path].add(function)
        return dict(sorted(found.items()))


async def trace(environment: dict[str, str]) -> Trace:
    """Run the three services until a second order is filled, and trace that one."""
    algorithm, traced = OneOrder(symbols=(SYMBOL,)), Trace()
    settings = load(AlgoSettings)
    limits = load(OmsSettings)
    market, orders = (
        connect(settings.md_redis_url, name="trace"),
        connect(settings.orders_redis_url, name="trace"),
    )
    services = [Service(name, settings.account) for name in ("ingest", "oms", "algo-one")]
    # It listens to signals, of which there are none here.
    Watchdog.start = lambda self: None  # type: ignore[method-assign]
    runner = Runner(
        session_of(algorithm, "one"),
        connections(settings, "one", [f"md:{SYMBOL}:trades"], SystemClock()),
        services[2],
        account=settings.account,
        symbols=(SYMBOL,),
        subscriptions={"trades": (SYMBOL,)},
        trigger_max_age_s=settings.algo_trigger_max_age_s,
        shutdown_grace_s=settings.algo_shutdown_grace_s,
    )
    oms = Oms(services[1], limits, read_limits(limits.oms_limits), alpaca(limits))
    ingest = Ingest(services[0], load(IngestSettings), market, orders)
    running = [asyncio.create_task(body) for body in (ingest.run(), startup.live(oms), runner.run())]
    async with asyncio.timeout(LONGEST_S):
        for number in (1, 2):
            while not algorithm.is_leader:
                await asyncio.sleep(0.05)
            if number == 2:
                sys.setprofile(traced.profile)
                traced.on = True
            algorithm.wanted = 1
            while algorithm.filled < number:
                await asyncio.sleep(0.02)
    traced.on = False
    sys.setprofile(None)
    for service in services:
        service.stop("traced")
    await asyncio.gather(*running)
    await market.aclose()
    await orders.aclose()
    return traced


def main() -> int:
    """Print each file with what was called in it, and how many there are; `--json` for machines."""
    if gone := [path for path in SMALL if not (ROOT / path).exists()]:
        sys.exit(f"benchmarks/tick_path.py: SMALL names files that are not there: {', '.join(gone)}")
    with tempfile.TemporaryDirectory(prefix="bb-") as name:
        directory = Path(name)
        market = embedded.start("market", directory / "md")
        orders = embedded.start("orders", directory / "orders")
        try:
            with simulator(directory, "--symbols", SYMBOL, "--rate", "3") as (_, environment):
                os.environ.update(environment, MD_REDIS_URL=market.url, ORDERS_REDIS_URL=orders.url)
                files = asyncio.run(trace(environment)).files()
        finally:
            market.stop()
            orders.stop()
    way = [path for path in files if path not in SMALL]
    if "--json" in sys.argv:
        print(json.dumps({"files": len(files), "without_small_helpers": len(way), "names": list(files)}))
        return 0
    for path, functions in files.items():
        print(f"{'  ' if path in SMALL else '> '}{path:32} {', '.join(sorted(functions))}"[:150])
    print(f"{len(files)} files, {len(way)} without small helpers (marked >)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
