"""One trading account: takes requests that change its orders, and publishes the updates that follow."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from sim.broker.brokerage import Brokerage
from sim.broker.orders import Order, Ticket
from sim.broker.updates import Update
from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.venue import Venue
from sim.faults.faults import Faults
from sim.faults.orders import OrderFaults
from sim.streams.updates_socket import UpdatesStream

ACCEPT_NS = 3_000_000  # Alpaca's paper accounts accept and fill 3 to 4 ms after the answer
REWORK_NS = 50_000_000  # how soon the rest of a partial fill is matched against the quote again
HEAD_START_S = 0.02  # how much earlier than the answer updates are sent, where a fault asks for it


class TradingAccount:
    """Takes requests that change one account's orders, and publishes the updates after the answer was sent.

    `key` is the account's API key, which names it. `history` holds every update so far, oldest first;
    `watchers` are called when it has grown. Where `tells_pending_new` is set, an order's first update is
    pending_new, as the answer was.
    """

    def __init__(
        self,
        key: str,
        brokerage: Brokerage,
        assets: Assets,
        venue: Venue,
        faults: Faults,
        updates: UpdatesStream,
        clock: Clock,
        new_id: Callable[[], str],
        tells_pending_new: bool = False,
    ) -> None:
        self.key = key
        self.brokerage = brokerage
        self.assets = assets
        self.venue = venue
        self.faults = faults
        self.clock = clock
        self.new_id = new_id
        self.history: list[Update] = []
        self.watchers: list[Callable[[], None]] = []
        self._updates = updates
        self.tells_pending_new = tells_pending_new
        self._order_faults = OrderFaults(faults, key, brokerage, clock, self.publish)
        self._waiting: list[Update] = []  # updates held until the answer to their request has been sent
        self._reworking: set[str] = set()
        self._is_watching = False
        venue.brokers.append(self)

    async def submit(self, ticket: Ticket) -> Order:
        """Take an order; it is accepted just after the answer was sent. Raises Refused."""
        now_ns = self.clock.now_ns()
        self.venue.ensure_quoted(ticket.asset, now_ns)
        order = self.brokerage.submit(ticket, now_ns)
        self._accept_soon(order)
        self._watch_the_time()
        return order

    def accept_now(self, order_id: str) -> None:
        """Accept an order that is about to be changed, if it is not accepted yet. Raises Refused (404).

        It may fill by that. Its parent is accepted first, so that no update of its end precedes theirs.
        """
        order = self.brokerage.find(order_id)
        self._accept((order.parent or order).id)
        self._accept(order.id)

    async def replace(self, order_id: str, ticket: Ticket) -> Order:
        """Replace an order. Raises Refused."""
        self.accept_now(order_id)
        now_ns = self.clock.now_ns()
        refused = self._order_faults.replaced(order_id, ticket, now_ns)
        order, updates = refused or self.brokerage.replace(order_id, ticket, now_ns)
        self.publish_soon(updates)
        self._accept_soon(order)
        return order

    async def cancel(self, order_id: str) -> None:
        """Cancel an order and its group. Raises Refused."""
        self.accept_now(order_id)
        order = self.brokerage.find(order_id)
        now_ns = self.clock.now_ns()
        refused = self._order_faults.canceled(order, now_ns)
        self.publish_soon(refused or self.brokerage.cancel(order_id, now_ns))

    async def send_updates_first(self, *orders: Order) -> None:
        """Where a fault asks for updates before the answer, send them and delay the answer."""
        if self.faults.strike("update_before_response", account=self.key):
            for order in orders:
                self._accept(order.id)
            await asyncio.sleep(HEAD_START_S)

    def is_working(self, symbol: str) -> bool:
        """Return whether this symbol's market may fill any order."""
        return self.brokerage.is_working(symbol)

    def quoted(self, symbol: str, now_ns: int) -> None:
        """Match orders against a new quote of the symbol, or against the old one after a halt."""
        self.publish(self.brokerage.quoted(symbol, now_ns))

    def traded(self, symbol: str, price: Decimal, now_ns: int) -> None:
        """Let the symbol's orders see a trade at this price."""
        self.publish(self.brokerage.traded(symbol, price, now_ns))

    def publish(self, updates: list[Update]) -> None:
        """Send updates now, after those that are held back, in the order in which they happened.

        The rest of a partial fill is matched against the quote again a moment later.
        """
        updates, self._waiting = self._waiting + updates, []
        if not updates:
            return
        self.history += updates
        for watcher in self.watchers:
            watcher()
        self._updates.publish(self.key, updates)
        for update in updates:
            if update.event == "partial_fill" and update.fill is not None:
                self._rework_soon(update.fill.symbol)

    def publish_soon(self, updates: list[Update]) -> None:
        """Send updates just after the answer to the request that caused them."""
        self._waiting += updates
        if self.faults.find("update_before_response", account=self.key):
            self.publish([])
        else:
            self.clock.call_at(self.clock.now_ns() + ACCEPT_NS, lambda: self.publish([]))

    def _rework_soon(self, symbol: str) -> None:
        if symbol not in self._reworking:
            self._reworking.add(symbol)
            self.clock.call_at(self.clock.now_ns() + REWORK_NS, lambda: self._rework(symbol))

    def _rework(self, symbol: str) -> None:
        self._reworking.discard(symbol)
        self.quoted(symbol, self.clock.now_ns())

    def _watch_the_time(self) -> None:
        """While orders are open, act at each begin and end of a session, and when an order expires."""
        if self._is_watching:
            return
        moment_ns = self.brokerage.next_moment_ns(self.clock.now_ns())
        if moment_ns is not None:
            self._is_watching = True
            self.clock.call_at(moment_ns, self._let_time_pass)

    def _let_time_pass(self) -> None:
        self._is_watching = False
        self.publish(self.brokerage.let_time_pass(self.clock.now_ns()))
        self._watch_the_time()

    def _accept_soon(self, order: Order) -> None:
        self.clock.call_at(self.clock.now_ns() + ACCEPT_NS, lambda: self._accept(order.id))

    def _accept(self, order_id: str) -> None:
        """Accept the order if it is not accepted yet: at its time, or sooner where it is to be changed."""
        now_ns = self.clock.now_ns()
        order = self.brokerage.orders[order_id]
        is_told = self.tells_pending_new and order.status == "pending_new"
        told = self.brokerage.tell("pending_new", order_id, now_ns) if is_told else []
        instead = self._order_faults.accepted(order, now_ns)
        self.publish(told + (instead or self.brokerage.accept(order_id, now_ns)))


class TradingAccounts:
    """Every trading account by its key; `first` is the default where none is named."""

    def __init__(self, accounts: list[TradingAccount]) -> None:
        self._by_key = {account.key: account for account in accounts}
        self.first = accounts[0]

    def of(self, key: str) -> TradingAccount:
        """Return the account of a key that was authenticated."""
        return self._by_key[key]

    def find(self, key: str) -> TradingAccount | None:
        """Return the account of a key, or None where there is none."""
        return self._by_key.get(key)

    def all(self) -> list[TradingAccount]:
        """Return every account, the first one first."""
        return list(self._by_key.values())
