"""Stand-ins that keep the protocol's promises in memory, for tests that need no simulator."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from engine_run import at_broker

from bus.order_messages import Reason
from oms.book.orders import TERMINAL
from oms.broker.protocol import (
    Accepted,
    ActivitiesPage,
    ActivitiesQuery,
    BrokerAccount,
    BrokerActivity,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    KeysRefused,
    MaySend,
    OrdersPage,
    OrdersQuery,
    Outcome,
    RateLimited,
    Rejected,
    Unknown,
    UnreadablePosition,
    Watcher,
)
from oms.risk.approval import Approved
from oms.risk.assets import UNKNOWN, Asset


class FakeBroker:
    """A broker in memory. `sent` counts what reached it by client id, accepted or not."""

    def __init__(self) -> None:
        self.orders: dict[str, BrokerOrder] = {}
        self.held: dict[str, Decimal] = {}
        self.moved_cash = Decimal(0)
        self.activities: list[BrokerActivity] = []
        self.unlisted = {"NOSUCH"}
        self.assets: dict[str, Asset] = {}
        self.market_open = True
        self.sent: list[str] = []
        self.canceled: list[str] = []
        self.number = "PA123"
        self.keys_accepted = True
        self.away = False
        self.positions_away = False
        # Cleared, it holds orders back before they ask whether they may be sent.
        self.gate = asyncio.Event()
        self.gate.set()
        # Cleared, it holds back the answers to orders that it has taken.
        self.answering = asyncio.Event()
        self.answering.set()
        self._troubles: deque[Callable[[BrokerOrder], Outcome]] = deque()

    # What can go wrong with the next order.

    def refuse_next(self, code: str, message: str) -> None:
        """The next order gets a definite no."""
        self._troubles.append(lambda order: _refused(code, message))

    def take_next_silently(self) -> None:
        """The next order is taken, and the answer is lost."""

        def trouble(order: BrokerOrder) -> Outcome:
            self.orders[order.client_order_id] = order
            return Unknown("the answer was lost")

        self._troubles.append(trouble)

    def lose_next(self) -> None:
        """The next order never arrives, and nobody can tell."""
        self._troubles.append(lambda order: Unknown("the answer was lost"))

    def limit_next(self, reset_s: float | None = None) -> None:
        """The next order is one request too many."""

        def trouble(order: BrokerOrder) -> Outcome:
            raise RateLimited("too many requests", reset_s)

        self._troubles.append(trouble)

    def fill(self, client_order_id: str, quantity: str, price: str) -> BrokerOrder:
        """Fill so much of an order; returns it as it is afterwards."""
        order = self.orders[client_order_id]
        filled = order.filled_quantity + Decimal(quantity)
        paid = (order.filled_average_price or Decimal(0)) * order.filled_quantity
        order = replace(
            order,
            filled_quantity=filled,
            filled_average_price=(paid + Decimal(quantity) * Decimal(price)) / filled,
            status="filled" if filled == order.quantity else "partially_filled",
        )
        self.orders[client_order_id] = order
        return order

    def change(self, client_order_id: str, status: str) -> BrokerOrder:
        """Give an order another status; returns it."""
        self.orders[client_order_id] = replace(self.orders[client_order_id], status=status)
        return self.orders[client_order_id]

    # The protocol.

    def watch(self, watcher: Watcher) -> None:
        """Remember who is to hear how it does; a test tells."""
        self.watcher = watcher

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Take a new order."""
        await self.gate.wait()
        reason = may_send()
        if reason is not None:
            return Rejected("oms", reason)
        sent_ns = time.time_ns()
        order = at_broker(approved)
        self.sent.append(approved.client_order_id)
        if self._troubles:
            return self._troubles.popleft()(order)
        if order.client_order_id in self.orders:
            return Unknown("client_order_id must be unique")
        self.orders[order.client_order_id] = order
        await self.answering.wait()
        return Accepted(order, sent_ns, time.time_ns())

    async def replace(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Take a new order in place of another."""
        old = next(order for order in self.orders.values() if order.id == approved.replaces_broker_id)
        if old.status in TERMINAL:
            return _refused("42210000", "order is not replaceable")
        outcome = await self.submit(approved, may_send)
        new = self.orders.get(approved.client_order_id)
        if new is not None:
            self.orders[old.client_order_id] = replace(old, status="replaced", replaced_by=new.id)
        return outcome

    async def cancel(self, broker_order_id: str) -> None:
        """Cancel at once."""
        self._reachable()
        for order in self.orders.values():
            if order.id == broker_order_id:
                if order.status in TERMINAL:
                    raise BrokerRefused("42210000", f"order is already {order.status}")
                self.orders[order.client_order_id] = replace(order, status="canceled")
                self.canceled.append(broker_order_id)
                return
        raise BrokerRefused("40410000", f"order not found for {broker_order_id}")

    async def cancel_all(self) -> None:
        """Cancel every open order at once."""
        self._reachable()
        for order in list(self.orders.values()):
            if order.status not in TERMINAL:
                await self.cancel(order.id)

    async def find(self, client_order_id: str) -> BrokerOrder | None:
        """Look one up."""
        self._reachable()
        return self.orders.get(client_order_id)

    async def orders_page(self, query: OrdersQuery) -> OrdersPage:
        """All on one page, whenever they were submitted, or those that are not at their end."""
        self._reachable()
        orders = self.orders.values()
        if query.status == "open":
            return OrdersPage(tuple(order for order in orders if order.status not in TERMINAL))
        return OrdersPage(tuple(orders))

    async def positions(self) -> list[BrokerPosition | UnreadablePosition]:
        """What was put into `held`."""
        self._reachable()
        if self.positions_away:
            raise _Away("positions are not listed")
        return [BrokerPosition(symbol, size, Decimal(100)) for symbol, size in self.held.items()]

    async def account(self) -> BrokerAccount:
        """A hundred thousand dollars, `moved_cash`, and what fills brought less what they cost."""
        self._reachable()
        if not self.keys_accepted:
            raise KeysRefused("401", "it does not accept the keys")
        cash = Decimal(100_000) + self.moved_cash
        for order in self.orders.values():
            paid = order.filled_quantity * (order.filled_average_price or 0)
            cash += paid if order.side == "sell" else -paid
        return BrokerAccount(self.number, cash, cash, Decimal(400_000))

    async def activities_page(self, query: ActivitiesQuery) -> ActivitiesPage:
        """All of `activities` on one page, whenever they happened."""
        self._reachable()
        return ActivitiesPage(tuple(self.activities))

    async def asset(self, symbol: str) -> Asset:
        """What was put into `assets`; tradable unless it is among `unlisted`."""
        self._reachable()
        found = self.assets.get(symbol, Asset("active", True, True, True))
        return UNKNOWN if symbol in self.unlisted else found

    async def is_market_open(self) -> bool:
        """What `market_open` says."""
        self._reachable()
        return self.market_open

    async def close(self) -> None:
        """Let go of what waits."""
        self.gate.set()
        self.answering.set()

    def _reachable(self) -> None:
        if self.away:
            raise _Away("the broker is away")


def _refused(code: str, message: str) -> Rejected:
    return Rejected("broker", Reason(code=f"broker_{code}", message=message))


class _Away(BrokerError):
    pass
