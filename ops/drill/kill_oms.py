"""The drill of a dying OMS: killed at each step of each action, with each answer that may be wrong."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bus.heartbeat import Heartbeat, OmsDetails, State
from bus.order_events import OrderRefused, OrderSent
from bus.order_messages import OrderTerms
from bus.service import ended
from bus.streams import oms_lease
from ops.drill.dying_oms import KINDS, POINTS
from ops.drill.load import SYMBOL, Load
from ops.drill.system import ACCOUNT, UNLIMITED, System, whole_system
from ops.drill.trader import Trader
from ops.run.reader import RunReader
from ops.run.reconcile import reconcile
from ops.status.heartbeat_reader import read_heartbeats

# What becomes of the one request that the round is about: a fault of the simulator, None for a true answer.
_ANSWERS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "answered": None,
    "lost after it was carried out": ("reset", {"accepted": True, "count": 1}),
    "lost before it was carried out": ("reset", {"accepted": False, "count": 1}),
    "408 after it was carried out": ("http_error", {"status": 408, "accepted": True, "count": 1}),
    "422 after it was carried out": ("http_error", {"status": 422, "accepted": True, "count": 1}),
    "425 after it was carried out": ("http_error", {"status": 425, "accepted": True, "count": 1}),
    "499 after it was carried out": ("http_error", {"status": 499, "accepted": True, "count": 1}),
    "504 after it was carried out": (
        "http_error",
        {"status": 504, "accepted": True, "html": True, "count": 1},
    ),
    "too late": ("hang", {"ms": 800, "accepted": True, "count": 1}),
    "cut in the middle": ("truncated", {"count": 1}),
    "byte by byte, past the deadline": ("drip", {"ms": 20, "count": 1}),
    "no connection": ("refuse_connections", {"seconds": 1}),
    "429": ("rate_limit", {"count": 1}),
    "websocket first": ("update_before_response", {"seconds": 3}),
    "slow lists": ("latency", {"ms": 400, "at": "response", "on": "read", "seconds": 3}),
}
_ON = {"order": "submit", "bracket": "submit", "replace": "replace", "cancel": "cancel"}
_WITHOUT_ON = ("rate_limit", "refuse_connections", "update_before_response", "latency")

_READY_WITHIN_S = 30.0
_DEAD_WITHIN_S = 4.0
_POLL_S = 0.01
# A doubt is settled quickly, so that many fit into the drill.
_WAITS = {"BACKBONE_OMS_SEND_TIMEOUT_S": "0.5", "BACKBONE_OMS_DOUBT_S": "0.5"}


@dataclass(frozen=True)
class Killed:
    """What came of the drill: rounds by what was done, how often the OMS died, how the approved ended."""

    rounds: dict[str, int]
    died: int
    asked: int
    approved: int
    ends: dict[str, int]
    differences: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every approved order is accounted for, none is there twice, and the books are equal."""
        return not self.differences


async def run(times: int, rate: float, seed: int, say: Callable[[str], None]) -> Killed:
    """Kill the OMS so many times, going through all that may come together in an order drawn by the seed."""
    began = time.monotonic()
    arguments = ["--symbols", SYMBOL, "--rate", "20", "--cash", "1000000000", "--partial-chance", "0.3"]
    async with whole_system(arguments, requests_per_minute=UNLIMITED) as system:
        system.environment = {**system.environment, **_WAITS}
        reader = RunReader(system.market, system.orders, ACCOUNT)
        url = system.environment["ORDERS_REDIS_URL"]
        load, trader = Load(system.orders, url), Trader(system.orders, url)
        drill = _Drill(system, trader)
        wanting = asyncio.create_task(load.want())
        first = system.start_oms("oms-first")
        await drill.ready(first)
        await load.begin()
        await trader.begin()
        await system.kill(first)
        asking = asyncio.create_task(load.run(rate))
        try:
            for number, (kind, answer, point) in enumerate(rounds(times, seed)):
                await drill.round(number, kind, answer, point)
                say(f"{number + 1} of {times}: {kind}, {answer}, {point.replace('_', ' ')}")
            await ended(asking)
            await drill.take_lease_away()
            await drill.ready(system.start_oms("oms-last"))
            found = await reconcile(reader, system.control)
            found += await drill.differences(reader)
        finally:
            await ended(asking, wanting)
            await load.close()
            await trader.close()
        book = reader.totals.book
        approved = [order for order in book.orders.values() if order.approved_ns and not order.parent]
        return Killed(
            rounds=dict(drill.rounds),
            died=drill.died,
            asked=load.asked + trader.asked,
            approved=len(approved),
            ends=dict(Counter(order.status for order in approved)),
            differences=tuple(found),
            seconds=time.monotonic() - began,
        )


def rounds(times: int, seed: int) -> list[tuple[str, str, str]]:
    """Every kind, answer and point together, in an order drawn anew each time through."""
    everything = [
        one for one in itertools.product(KINDS, _ANSWERS, POINTS) if one[::2] != ("cancel", "before_journal")
    ]
    draw, drawn = random.Random(seed), list[tuple[str, str, str]]()
    while len(drawn) < times:
        drawn += draw.sample(everything, len(everything))
    return drawn[:times]


class _Drill:
    """The rounds of one drill. Mutable: what was done so far, and which orders are to be canceled."""

    def __init__(self, system: System, trader: Trader) -> None:
        self.rounds: Counter[str] = Counter()
        self.died = 0
        self._to_cancel: list[str] = []
        self._system, self._trader = system, trader

    async def round(self, number: int, kind: str, answer: str, point: str) -> None:
        """One OMS lives until it has reached the point, or is killed where it does not come to it."""
        system, limits = self._system, str(self._system.directory / "limits.toml")
        await self.take_lease_away()
        pid = system.start(f"oms-{number}", "ops.drill.dying_oms", point, kind, "1", limits)
        if not await self.ready(pid):
            # What an earlier round left behind was taken up first.
            await self._dead(pid)
            return
        resting = await self._resting(pid) if kind in ("replace", "cancel") else ""
        fault = _ANSWERS[answer]
        if fault is not None:
            name, fields = fault
            await system.control.fault(name, **fields, **({} if name in _WITHOUT_ON else {"on": _ON[kind]}))
        await self._act(kind, resting)
        await self._dead(pid)
        await system.control.clear_faults()

    async def ready(self, pid: int) -> bool:
        """Wait until this OMS takes orders; False where it died first."""
        async with asyncio.timeout(_READY_WITHIN_S):
            while self._system.started[pid].poll() is None:
                for one in await read_heartbeats(self._system.orders, ACCOUNT):
                    if isinstance(one, Heartbeat) and one.pid == pid and one.state is State.READY:
                        assert isinstance(one.details, OmsDetails)
                        return True
                await asyncio.sleep(_POLL_S)
        return False

    async def take_lease_away(self) -> None:
        """The lease of the dead runs out after seconds: this is that, without the wait."""
        await self._system.orders.delete(oms_lease(ACCOUNT))

    async def differences(self, reader: RunReader) -> list[str]:
        """What of a drill's own promises was not kept, beside what the books say."""
        book = reader.totals.book
        ledger = await self._system.control.ledger()
        at_broker = Counter(order.client_order_id for order in ledger.orders)
        found = [
            f"order {one} is at the broker {count} times" for one, count in at_broker.items() if count > 1
        ]
        for order in book.orders.values():
            if not order.answered:
                found.append(f"nobody knows what became of order {order.client_order_id}")
            elif order.status == "refused" and order.approved_ns and order.client_order_id in at_broker:
                found.append(f"order {order.client_order_id} is refused, and is at the broker")
        for order_id in self._to_cancel:
            canceled = book.orders.get(order_id)
            if canceled is not None and canceled.open:
                found.append(f"order {order_id} was to be canceled, and is {canceled.status}")
        return found

    async def _resting(self, pid: int) -> str:
        """An order far below the market that the broker has; "" where the OMS died before it had."""
        while self._system.started[pid].poll() is None:
            order_id = await self._trader.order(_RESTING)
            while self._system.started[pid].poll() is None:
                told = await self._trader.told(order_id)
                if OrderSent in told:
                    return order_id
                if OrderRefused in told:
                    break
                await asyncio.sleep(_POLL_S)
        return ""

    async def _act(self, kind: str, resting: str) -> None:
        self.rounds[kind] += 1
        match kind:
            case "order":
                await self._trader.order(_RESTING)
            case "bracket":
                await self._trader.order(_BRACKET)
            case "replace" if resting:
                await self._trader.replace(resting, _HIGHER, "limit_price")
            case "cancel" if resting:
                self._to_cancel.append(resting)
                await self._trader.cancel(resting)

    async def _dead(self, pid: int) -> None:
        process, until = self._system.started[pid], time.monotonic() + _DEAD_WITHIN_S
        while process.poll() is None:
            if time.monotonic() > until:
                break
            await asyncio.sleep(_POLL_S)
        self.died += process.poll() is not None
        await self._system.kill(pid)


_RESTING = OrderTerms(
    symbol=SYMBOL, side="buy", type="limit", quantity=Decimal(3), limit_price=Decimal(5), time_in_force="gtc"
)
_HIGHER = OrderTerms(
    symbol=SYMBOL, side="buy", type="limit", quantity=Decimal(3), limit_price=Decimal(6), time_in_force="gtc"
)
_BRACKET = OrderTerms(
    symbol=SYMBOL, side="buy", quantity=Decimal(4), time_in_force="gtc", order_class="bracket",
    take_profit=Decimal(10_000), stop_loss=Decimal(1),
)  # fmt: skip
