"""Keeps an account's open orders: which work, which wait for a session, and when each ends."""

import heapq
import itertools

from sim.broker.orders import Order
from sim.broker.working_orders import WorkingOrders


class OpenOrders:
    """Every order that can still fill; `working` has, by symbol, what the market may fill or trigger now."""

    def __init__(self) -> None:
        self.working: dict[str, WorkingOrders] = {}
        self._all: dict[str, Order] = {}
        self._by_symbol: dict[str, dict[str, Order]] = {}
        self._aside: dict[str, Order] = {}
        self._numbers = itertools.count()
        self._ends: list[tuple[int, int, Order]] = []

    def add(self, order: Order) -> None:
        """Add an order that neither works nor waits for a session yet."""
        self._all[order.id] = order
        self._by_symbol.setdefault(order.ticket.asset.symbol, {})[order.id] = order
        if order.expires_ns is not None:
            heapq.heappush(self._ends, (order.expires_ns, next(self._numbers), order))

    def remove(self, order: Order) -> None:
        """Remove an order that has ended."""
        self._all.pop(order.id, None)
        self._by_symbol.get(order.ticket.asset.symbol, {}).pop(order.id, None)
        self._aside.pop(order.id, None)
        self._rest(order)

    def list_last(self, order: Order) -> None:
        """Move an order to the end of the list: it was sent to its exchange after all others."""
        if order.id in self._all:
            self._all[order.id] = self._all.pop(order.id)

    def put_to_work(self, order: Order) -> None:
        """Let the market fill or trigger it from now on; called again after it was triggered."""
        self._aside.pop(order.id, None)
        symbol = order.ticket.asset.symbol
        working = self.working.get(symbol)
        if working is None:
            working = self.working[symbol] = WorkingOrders()
        working.add(order)

    def put_aside(self, order: Order) -> None:
        """Let it wait for its session."""
        self._rest(order)
        self._aside[order.id] = order

    def at_work(self) -> list[Order]:
        """Return the orders of every symbol that the market may fill or trigger."""
        return [order for working in self.working.values() for order in working.all()]

    def is_at_work(self, order: Order) -> bool:
        """Return whether the market may fill or trigger this order."""
        working = self.working.get(order.ticket.asset.symbol)
        return working is not None and order in working.all()

    def aside(self) -> list[Order]:
        """Return the orders that wait for a session, oldest first."""
        return list(self._aside.values())

    def all(self, symbol: str | None = None) -> list[Order]:
        """Return every open order, first sent first; or every one of a symbol, oldest first."""
        return list((self._all if symbol is None else self._by_symbol.get(symbol, {})).values())

    def next_end_ns(self) -> int | None:
        """Return when the first time in force is over; None where none ends."""
        while self._ends and self._ends[0][2].id not in self._all:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def ended(self, now_ns: int) -> list[Order]:
        """Take out and return those whose time in force is over."""
        over: list[Order] = []
        while self._ends and self._ends[0][0] <= now_ns:
            order = heapq.heappop(self._ends)[2]
            if order.id in self._all:
                over.append(order)
        return over

    def _rest(self, order: Order) -> None:
        symbol = order.ticket.asset.symbol
        working = self.working.get(symbol)
        if working is not None:
            working.remove(order)
            if not working:
                del self.working[symbol]
