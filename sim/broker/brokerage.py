"""The broker: takes orders, works them against the market, says what happened. Times, ids, chance come in."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sim.broker.account import Account, Summary
from sim.broker.admission import admit, intent
from sim.broker.ledger import Fill
from sim.broker.matching import PARTIAL_CHANCE, fill_price, fill_qty, is_triggered, protective_price
from sim.broker.orders import Order, Ticket, order_json
from sim.exchange.hours import MarketHours
from sim.exchange.touch import Touch
from sim.refusals import invalid, malformed, not_found


class MarketView(Protocol):
    """What a broker sees of the market."""

    def touch(self, symbol: str) -> Touch | None:
        """The best bid and offer."""

    def traded_at(self, symbol: str) -> Decimal | None:
        """The last price."""

    def is_halted(self, symbol: str) -> bool:
        """Whether trading in the symbol is halted."""


@dataclass(frozen=True, slots=True)
class Update:
    """One event of an order, with the order as it was then; a fill carries its execution."""

    event: str
    execution_id: str
    at_ns: int
    order: dict[str, Any]
    fill: Fill | None = None
    position_qty: Decimal | None = None


class Brokerage:
    """One account and its orders; `new_id` makes identities, `draw` random numbers of [0, 1)."""

    def __init__(
        self,
        opened_ns: int,
        cash: Decimal,
        market: MarketView,
        hours: MarketHours,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        partial_chance: float = PARTIAL_CHANCE,
    ) -> None:
        self.account_id = new_id()
        self.opened_ns = opened_ns
        self.opening_cash = cash
        self.account = Account(cash)
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.working: dict[str, dict[str, Order]] = {}  # by symbol: what the market may fill
        self._by_client_id: dict[str, Order] = {}
        self._open: dict[str, Order] = {}
        self._market = market
        self._hours = hours
        self._new_id = new_id
        self._draw = draw
        self._partial_chance = partial_chance

    def submit(self, ticket: Ticket, now_ns: int) -> Order:
        """Take an order if the account allows it; it works from `accept` on. Raises Refused."""
        self._check_client_id(ticket)
        admit(
            ticket,
            self.account,
            list(self._open.values()),
            self._market.touch(ticket.asset.symbol),
            self.mark,
        )
        return self._take(ticket, now_ns, self._expiry_ns(ticket, now_ns))

    def accept(self, order_id: str, now_ns: int) -> list[Update]:
        """Put a taken order to work: it is new, and fills at once if it is marketable."""
        order = self.orders[order_id]
        if order.status != "pending_new":
            return []
        order.status = "new"
        order.updated_ns = now_ns
        updates = [self._update("new", order, now_ns)]
        symbol = order.ticket.asset.symbol
        self.working.setdefault(symbol, {})[order.id] = order
        traded_at = self._market.traded_at(symbol)
        if order.ticket.stop_price is not None and traded_at is not None:
            order.is_triggered = is_triggered(order.ticket, traded_at)
        updates += self._work(order, self._market.touch(symbol), now_ns)
        if order.is_open and order.ticket.time_in_force in ("ioc", "fok"):
            updates += self.cancel(order.id, now_ns)
        return updates

    def quoted(self, symbol: str, now_ns: int) -> list[Update]:
        """The symbol has a new quote: fill what it crosses."""
        touch = self._market.touch(symbol)
        updates: list[Update] = []
        for order in list(self.working.get(symbol, {}).values()):
            updates += self._work(order, touch, now_ns)
        return updates

    def traded(self, symbol: str, price: Decimal, now_ns: int) -> list[Update]:
        """The symbol traded at a price: wake the stops it reaches."""
        updates: list[Update] = []
        for order in list(self.working.get(symbol, {}).values()):
            if order.ticket.stop_price is not None and not order.is_triggered:
                order.is_triggered = is_triggered(order.ticket, price)
                updates += self._work(order, self._market.touch(symbol), now_ns)
        return updates

    def cancel(self, order_id: str, now_ns: int) -> list[Update]:
        """Cancel an open order; raises Refused where it is unknown or not open."""
        order = self.find(order_id)
        if not order.is_open:
            raise invalid(f'order is already in "{order.status}" state')
        order.canceled_ns = now_ns
        self._end(order, "canceled", now_ns)
        return [self._update("canceled", order, now_ns)]

    def replace(self, order_id: str, ticket: Ticket, now_ns: int) -> tuple[Order, list[Update]]:
        """End an open order and take `ticket` in its place; raises Refused, and then the old one works on."""
        old = self.find(order_id)
        if not old.is_open:
            raise invalid(f'order is already in "{old.status}" state')
        self._check_client_id(ticket)
        others = [order for order in self._open.values() if order is not old]
        admit(ticket, self.account, others, self._market.touch(ticket.asset.symbol), self.mark)
        new = self._take(ticket, now_ns, old.expires_ns)
        new.replaces, old.replaced_by, old.replaced_ns = old.id, new.id, now_ns
        self._end(old, "replaced", now_ns)
        return new, [self._update("replaced", old, now_ns)]

    def trade_by_hand(self, ticket: Ticket, price: Decimal, now_ns: int) -> list[Update]:
        """An order by the account itself, filled at once at this price whatever the account allows."""
        order = self._take(ticket, now_ns, None)
        order.status = "new"
        updates = [self._update("new", order, now_ns)]
        assert ticket.qty is not None
        return [*updates, self._fill(order, ticket.qty, price, now_ns)]

    def find(self, order_id: str) -> Order:
        """By id; raises Refused (404)."""
        if order_id not in self.orders:
            raise not_found(f"order not found for {order_id}")
        return self.orders[order_id]

    def find_by_client_id(self, client_order_id: str) -> Order:
        """By the client's id; raises Refused (404)."""
        if client_order_id not in self._by_client_id:
            raise not_found(f"order not found for {client_order_id}")
        return self._by_client_id[client_order_id]

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Those that can still fill, oldest first."""
        return [
            order for order in self._open.values() if symbol is None or order.ticket.asset.symbol == symbol
        ]

    def summary(self) -> Summary:
        """The account's value and buying power now."""
        return self.account.summary(self.mark, self._open.values())

    def mark(self, symbol: str) -> Decimal | None:
        """What a share is worth now: the last price, or else the middle of the quote."""
        traded_at = self._market.traded_at(symbol)
        if traded_at is not None:
            return traded_at
        touch = self._market.touch(symbol)
        if touch is None or touch.bid is None or touch.ask is None:
            return None
        return (touch.bid + touch.ask) / 2

    def _check_client_id(self, ticket: Ticket) -> None:
        if ticket.client_order_id in self._by_client_id:
            raise malformed("client_order_id must be unique")

    def _expiry_ns(self, ticket: Ticket, now_ns: int) -> int | None:
        if ticket.asset.is_crypto or ticket.time_in_force == "gtc":
            return None
        return self._hours.day_of(now_ns).close_ns

    def _take(self, ticket: Ticket, now_ns: int, expires_ns: int | None) -> Order:
        order = Order(
            id=self._new_id(),
            ticket=ticket,
            position_intent=intent(ticket, self.account.qty(ticket.asset.symbol)),
            reserve_price=protective_price(ticket, self._market.touch(ticket.asset.symbol)),
            created_ns=now_ns,
            updated_ns=now_ns,
            expires_ns=expires_ns,
        )
        self.orders[order.id] = self._by_client_id[ticket.client_order_id] = self._open[order.id] = order
        return order

    def _work(self, order: Order, touch: Touch | None, now_ns: int) -> list[Update]:
        price = None if touch is None else fill_price(order, touch)
        if price is None:
            return []
        return [self._fill(order, fill_qty(order, price, self._draw, self._partial_chance), price, now_ns)]

    def _fill(self, order: Order, qty: Decimal, price: Decimal, now_ns: int) -> Update:
        asset, side = order.ticket.asset, order.ticket.side
        fill = Fill(self._new_id(), order.id, asset.symbol, side, qty, price, now_ns)
        self.fills.append(fill)
        position_qty = self.account.fill(asset, side, qty, price)
        order.filled_qty += qty
        order.filled_value += qty * price
        if order.remaining_qty > 0:
            order.status = "partially_filled"
            order.updated_ns = now_ns
            return self._update("partial_fill", order, now_ns, fill, position_qty)
        order.filled_ns = now_ns
        self._end(order, "filled", now_ns)
        return self._update("fill", order, now_ns, fill, position_qty)

    def _end(self, order: Order, status: str, now_ns: int) -> None:
        order.status = status
        order.updated_ns = now_ns
        self._open.pop(order.id, None)
        symbol = order.ticket.asset.symbol
        working = self.working.get(symbol)
        if working is not None:
            working.pop(order.id, None)
            if not working:
                del self.working[symbol]

    def _update(
        self,
        event: str,
        order: Order,
        now_ns: int,
        fill: Fill | None = None,
        position_qty: Decimal | None = None,
    ) -> Update:
        execution_id = self._new_id() if fill is None else fill.id
        return Update(event, execution_id, now_ns, order_json(order), fill, position_qty)
