"""An account on which an order is always on its way, in a time of its own: nothing here waits for a clock.

The real engine and the real questions, beside a broker in memory; a request takes a while to arrive, and its
answer as long again.
"""

import heapq
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, cast

from engine_run import SECOND_NS, EngineRun, at_broker, frame
from risk_day import request, terms

from bus.clock import Clock
from bus.codec import Message
from oms import questions
from oms.book.orders import TERMINAL
from oms.broker.protocol import (
    ActivitiesPage,
    ActivitiesQuery,
    Broker,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    OrdersQuery,
)
from oms.broker.sender import Sender
from oms.prices.reference_price import Price
from oms.risk.approval import Approved
from oms.state.effects import Effects
from oms.state.inputs import Answered, CompareAccount, Question

MILLISECOND_NS = 1_000_000
WAY_NS = 100 * MILLISECOND_NS
SIZE = Decimal(10)


@dataclass
class Looked:
    """A comparison: when it was answered, and what the engine made of it."""

    monotonic_ns: int
    events: list[Message]


class BusyAccount:
    """Orders for 10 in each of `symbols` in turn, three a second, each filled within a second.

    A fill's update takes up to `told_within_ms`. Mutable: `trades`, whether orders are made; `lost`, the
    orders, by number, of which no fill is told; what the broker has; and `looks`, the comparisons so far.
    """

    def __init__(self, seed: int, symbols: Sequence[str] = ("AAPL",), told_within_ms: int = 400) -> None:
        self.random = random.Random(seed)
        self.symbols = symbols
        self.told_within_ms = told_within_ms
        self.trades = True
        self.lost: set[int] = set()
        self.made = 0
        self.at_broker: dict[str, BrokerOrder] = {}
        self.submitted_ns: dict[str, int] = {}
        self.held: dict[str, Decimal] = {}
        self.looks: list[Looked] = []
        self.requests = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._noted = 0
        self.run = EngineRun()
        self.run.begin()
        self._after(0, self._tick)
        self._after(0, self._trade)

    def pass_time(self, nanoseconds: int) -> None:
        """Let this much time pass, with all that happens in it."""
        until_ns = self.run.monotonic_ns + nanoseconds
        while self._due and self._due[0][0] <= until_ns:
            due_ns, _, act = heapq.heappop(self._due)
            self._come_to(due_ns)
            act()
        self._come_to(until_ns)

    def move(self, symbol: str, quantity: Decimal) -> None:
        """Change the broker's position."""
        self.held[symbol] = self.held.get(symbol, Decimal(0)) + quantity

    def events(self, kind: type[Message]) -> list[Message]:
        """Those that comparisons came to."""
        return [event for look in self.looks for event in look.events if isinstance(event, kind)]

    def _come_to(self, monotonic_ns: int) -> None:
        passed_ns = max(0, monotonic_ns - self.run.monotonic_ns)
        self.run.monotonic_ns += passed_ns
        self.run.now_ns += passed_ns

    def _after(self, nanoseconds: int, act: Callable[[], None]) -> None:
        self._noted += 1
        heapq.heappush(self._due, (self.run.monotonic_ns + nanoseconds, self._noted, act))

    def _soon(self, within_ms: int, act: Callable[[], None]) -> None:
        self._after(self.random.randrange(1, within_ms) * MILLISECOND_NS, act)

    def _tick(self) -> None:
        self._after(SECOND_NS // 4, self._tick)
        self._carry_out(self.run.tick(0))

    def _trade(self) -> None:
        self._after(SECOND_NS // 3, self._trade)
        if not self.trades:
            return
        symbol = self.symbols[self.made % len(self.symbols)]
        self.made += 1
        side = "sell" if self.run.engine.state.book.position(symbol, "alpha") >= 2 * SIZE else "buy"
        self.run.prices = {symbol: Price(Decimal(100), self.run.now_ns, self.run.now_ns)}
        wanted = terms(str(SIZE), symbol=symbol, side=side, type="limit", limit_price=Decimal(100))
        for approved in self.run.read(request(wanted, self.made)).send:
            self._after(WAY_NS, partial(self._arrive, approved, self.made))

    def _arrive(self, approved: Approved, number: int) -> None:
        self.at_broker[approved.client_order_id] = at_broker(approved)
        self.submitted_ns[approved.client_order_id] = self.run.now_ns
        self._after(WAY_NS, partial(self._answer, approved))
        self._soon(600, partial(self._fill, approved.client_order_id, number))

    def _answer(self, approved: Approved) -> None:
        self._carry_out(self.run.accepted(approved))

    def _fill(self, client_order_id: str, number: int) -> None:
        order = self.at_broker[client_order_id]
        filled = replace(order, filled_quantity=SIZE, filled_average_price=Decimal(100), status="filled")
        self.at_broker[client_order_id] = filled
        self.move(order.symbol, SIZE if order.side == "buy" else -SIZE)
        if number not in self.lost:
            update = frame(filled, "fill", execution_id=f"e{number}", qty=str(SIZE), price="100")
            self._soon(self.told_within_ms, partial(self._tell, update))

    def _tell(self, update: bytes) -> None:
        self._carry_out(self.run.told(update))

    def _carry_out(self, effects: Effects) -> None:
        for question in effects.ask:
            asking = questions.answer(question, cast(Broker, self), cast(Sender, self), cast(Clock, self))
            self._take(question, _at_once(asking))

    def _take(self, question: Question, answered: Answered) -> None:
        effects = self.run.take(answered)
        if isinstance(question, CompareAccount):
            self.looks.append(Looked(self.run.monotonic_ns, effects.events))
        self._carry_out(effects)

    # What `questions` asks of the clock, the sender and the broker.

    def monotonic_ns(self) -> int:
        """What the time is here."""
        return self.run.monotonic_ns

    async def ask(self, question: Callable[[], Awaitable[Any]], lane: str = "doubt") -> Any:
        """One request; what happens until it is answered happens."""
        del lane
        self.requests += 1
        self.pass_time(WAY_NS)
        answer = await question()
        self.pass_time(WAY_NS)
        return answer

    async def orders(self, query: OrdersQuery, lane: str = "doubt") -> list[BrokerOrder]:
        """Those that the query names."""
        return cast(list[BrokerOrder], await self.ask(partial(self._listed, query), lane))

    async def _listed(self, query: OrdersQuery) -> list[BrokerOrder]:
        if query.status == "open":
            return [order for order in self.at_broker.values() if order.status not in TERMINAL]
        since_ns = query.after_ns or 0
        return [order for name, order in self.at_broker.items() if self.submitted_ns[name] > since_ns]

    async def find(self, client_order_id: str) -> BrokerOrder | None:
        """The order of this client id."""
        return self.at_broker.get(client_order_id)

    async def positions(self) -> list[BrokerPosition]:
        """Every position."""
        return [BrokerPosition(name, held, Decimal(100)) for name, held in self.held.items() if held]

    async def account(self) -> BrokerAccount:
        """An account of which only the number matters: cash is not what is tested here."""
        cash = self.run.engine.state.book.cash()
        return BrokerAccount("PA123", cash, cash, Decimal(400_000))

    async def activities_page(self, query: ActivitiesQuery) -> ActivitiesPage:
        """Nothing but trades happens."""
        del query
        return ActivitiesPage(())


def _at_once(asking: Coroutine[Any, Any, Answered]) -> Answered:
    """What is awaited here is there already."""
    try:
        asking.send(None)
    except StopIteration as ended:
        return cast(Answered, ended.value)
    raise AssertionError("something waited for a clock")
