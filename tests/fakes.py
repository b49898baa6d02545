"""Stand-ins that keep the protocol's promises in memory, for tests that need no simulator."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from oms.broker import (
    BeforeSend,
    BrokerAccount,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    IdConflict,
    KeysRefused,
    OutcomeUnknown,
    RateLimited,
    same_order,
)
from oms.orders import TERMINAL
from oms.risk import Approved


class FakeBroker:
    """A broker in memory. `sent` counts what reached it by client id, accepted or not."""

    def __init__(self) -> None:
        self.orders: dict[str, BrokerOrder] = {}
        self.held: dict[str, Decimal] = {}
        self.sent: list[str] = []
        self.cancelled: list[str] = []
        self.keys_accepted = True
        self.away = False
        self.gate = threading.Event()
        self.gate.set()
        self._troubles: deque[Callable[[BrokerOrder], None]] = deque()
        self._lock = threading.Lock()

    # What can go wrong with the next order.

    def refuse_next(self, code: str, message: str) -> None:
        """The next order gets a definite no."""

        def trouble(order: BrokerOrder) -> None:
            raise BrokerRefused(code, message)

        self._troubles.append(trouble)

    def take_next_silently(self) -> None:
        """The next order is taken, and the answer is lost."""

        def trouble(order: BrokerOrder) -> None:
            self.orders[order.client_order_id] = order
            raise OutcomeUnknown("the answer was lost")

        self._troubles.append(trouble)

    def lose_next(self) -> None:
        """The next order never arrives, and nobody can tell."""

        def trouble(order: BrokerOrder) -> None:
            raise OutcomeUnknown("the answer was lost")

        self._troubles.append(trouble)

    def limit_next(self) -> None:
        """The next order is one request too many."""

        def trouble(order: BrokerOrder) -> None:
            raise RateLimited("too many requests")

        self._troubles.append(trouble)

    def fill(self, client_order_id: str, quantity: str, price: str) -> BrokerOrder:
        """Fill so much of an order; returns it as it is afterwards."""
        with self._lock:
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
        with self._lock:
            self.orders[client_order_id] = replace(self.orders[client_order_id], status=status)
            return self.orders[client_order_id]

    # The protocol.

    def submit(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """Take a new order."""
        self.gate.wait(10)
        before_send()
        terms = approved.terms
        order = BrokerOrder(
            id=f"broker-{approved.client_order_id}",
            client_order_id=approved.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            type=terms.type,
            time_in_force=terms.time_in_force,
            status="new",
            quantity=terms.quantity,
            notional=terms.notional,
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
            filled_quantity=Decimal(0),
            filled_average_price=None,
            replaces=approved.replaces_broker_id,
        )
        with self._lock:
            self.sent.append(approved.client_order_id)
            if self._troubles:
                self._troubles.popleft()(order)
            known = self.orders.get(order.client_order_id)
            if known is not None:
                if same_order(terms, known):
                    return known
                raise IdConflict("40010001", "client_order_id must be unique")
            self.orders[order.client_order_id] = order
            return order

    def replace(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """Take a new order in place of another."""
        old = next(order for order in self.orders.values() if order.id == approved.replaces_broker_id)
        if old.status in TERMINAL:
            raise BrokerRefused("42210000", "order is not replaceable")
        new = self.submit(approved, before_send)
        with self._lock:
            self.orders[old.client_order_id] = replace(old, status="replaced", replaced_by=new.id)
        return new

    def cancel(self, broker_order_id: str) -> None:
        """Cancel at once."""
        with self._lock:
            self._reachable()
            for order in self.orders.values():
                if order.id == broker_order_id:
                    if order.status in TERMINAL:
                        raise BrokerRefused("42210000", f"order is already {order.status}")
                    self.orders[order.client_order_id] = replace(order, status="canceled")
                    self.cancelled.append(broker_order_id)
                    return
        raise BrokerRefused("40410000", f"order not found for {broker_order_id}")

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """Look one up."""
        with self._lock:
            self._reachable()
            return self.orders.get(client_order_id)

    def open_orders(self) -> list[BrokerOrder]:
        """Those not at their end."""
        with self._lock:
            self._reachable()
            return [order for order in self.orders.values() if order.status not in TERMINAL]

    def recent_orders(self, since_ns: int) -> list[BrokerOrder]:
        """All."""
        del since_ns
        with self._lock:
            self._reachable()
            return list(self.orders.values())

    def positions(self) -> list[BrokerPosition]:
        """What was put into `held`."""
        self._reachable()
        return [BrokerPosition(symbol, size, Decimal(100)) for symbol, size in self.held.items()]

    def account(self) -> BrokerAccount:
        """A hundred thousand dollars."""
        self._reachable()
        if not self.keys_accepted:
            raise KeysRefused("401", "it does not accept the keys")
        return BrokerAccount(Decimal(100_000), Decimal(100_000), Decimal(400_000))

    def count_lookups(self, counted: Callable[[], None]) -> None:
        """It makes none of its own."""

    def close(self) -> None:
        """Let go of what waits."""
        self.gate.set()

    def _reachable(self) -> None:
        if self.away:
            raise _Away("the broker is away")


class _Away(BrokerError):
    pass
