"""The broker: takes orders, matches them and returns the updates; clock, ids and chance are passed in."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from sim.broker.account import Account
from sim.broker.admission import admit, check_against_market, check_distance, intent
from sim.broker.execution import Execution
from sim.broker.ledger import Fill
from sim.broker.market_view import MarketView
from sim.broker.matching import PARTIAL_CHANCE, protective_price
from sim.broker.movements import Movement
from sim.broker.open_orders import OpenOrders
from sim.broker.order_classes import check_legs
from sim.broker.orders import Order, Ticket
from sim.broker.sessions import check_cutoff, expires_ns, is_routed, may_work
from sim.broker.summary import Summary
from sim.broker.updates import Update
from sim.exchange.assets import Asset
from sim.exchange.hours import MarketHours
from sim.refusals import invalid, malformed, not_found


class Brokerage:
    """One account and its orders; `new_id` makes ids, `draw` returns random numbers of [0, 1)."""

    def __init__(
        self,
        opened_ns: int,
        cash: Decimal,
        market: MarketView,
        hours: MarketHours,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        partial_chance: float = PARTIAL_CHANCE,
        fractions_at_market_only: bool = False,
    ) -> None:
        self.account_id = new_id()
        self.opened_ns = opened_ns
        self.opening_cash = cash
        self.account = Account(cash, fractions_at_market_only=fractions_at_market_only)
        self.orders: dict[str, Order] = {}
        self.movements: list[Movement] = []
        self._by_client_id: dict[str, Order] = {}
        self._open = OpenOrders()
        self._market = market
        self._hours = hours
        self._new_id = new_id
        self._execution = Execution(self.account, self._open, market, hours, new_id, draw, partial_chance)

    @property
    def fills(self) -> list[Fill]:
        """Every fill, oldest first."""
        return self._execution.fills

    def submit(self, ticket: Ticket, now_ns: int) -> Order:
        """Take an order and its legs if the account allows it; `accept` lets them work. Raises Refused."""
        self._check_client_ids(ticket, *ticket.legs)
        check_cutoff(ticket, now_ns, self._hours)
        touch = self._market.touch(ticket.asset.symbol)
        admit(ticket, self.account, self._open.all(), touch, self.mark)
        ends_ns = expires_ns(ticket, now_ns, self._hours)
        order = self._take(ticket, now_ns, ends_ns)
        for leg_ticket in ticket.legs:
            leg = self._take(leg_ticket, now_ns, ends_ns)
            leg.status, leg.parent = "held", order
            leg.position_intent = f"{leg_ticket.side}_to_close"
            order.legs.append(leg)
        return order

    def accept(self, order_id: str, now_ns: int) -> list[Update]:
        """Let a submitted order work: it becomes new and fills if it is marketable, or it waits."""
        order = self.orders[order_id]
        return self._execution.place(order, now_ns) if order.status == "pending_new" else []

    def quoted(self, symbol: str, now_ns: int) -> list[Update]:
        """Fill what a new quote of the symbol crosses."""
        updates: list[Update] = []
        working, touch = self._open.working.get(symbol), self._market.touch(symbol)
        if working is None or touch is None:
            return updates
        for order in working.crossed_by(touch):
            if order.is_open:
                updates += self._execution.work(order, now_ns)
        return updates

    def traded(self, symbol: str, price: Decimal, now_ns: int) -> list[Update]:
        """Trigger the stops that a trade at this price reaches, and let trailing stops follow it."""
        updates: list[Update] = []
        working = self._open.working.get(symbol)
        if working is None or self._market.is_halted(symbol):
            return updates
        for order in working.concerned_by(price):
            if order.is_open:
                updates += self._execution.see_trade(order, price, now_ns)
        return updates

    def next_moment_ns(self, now_ns: int) -> int | None:
        """Return when `let_time_pass` is due: a session's boundary or an order's end; None without orders."""
        if not self._open.all():
            return None
        boundary_ns = self._hours.next_boundary_ns(now_ns)
        end_ns = self._open.next_end_ns()
        return boundary_ns if end_ns is None else max(now_ns, min(boundary_ns, end_ns))

    def let_time_pass(self, now_ns: int) -> list[Update]:
        """Do what is due at this time: end orders, hold auctions, start or pause orders with the session."""
        updates: list[Update] = []
        for order in self._open.ended(now_ns):
            if order.is_open:
                updates += self._execution.end_by_time(order, now_ns)
        phase = self._hours.phase(now_ns)
        for order in self._open.at_work():
            if order.is_open and not may_work(order.ticket, phase):
                self._open.put_aside(order)
        for order in self._open.aside():
            is_sent_now = order.status == "accepted" and is_routed(phase)
            if order.is_open and (is_sent_now or may_work(order.ticket, phase)):
                updates += self._execution.place(order, now_ns)
                if is_sent_now:
                    self._list_last(order)
        return updates

    def cancel(self, order_id: str, now_ns: int) -> list[Update]:
        """Cancel an open order and its group. Raises Refused where it is unknown or not open."""
        return self._execution.end(self._open_order(order_id), "canceled", now_ns)

    def replace(self, order_id: str, ticket: Ticket, now_ns: int) -> tuple[Order, list[Update]]:
        """End an open order and take `ticket` in its place. Raises Refused, and then the old one works on.

        In a group the new order takes the place of the old one.
        """
        old = self._open_order(order_id)
        self._check_client_ids(ticket)
        is_awake = old.is_triggered and ticket.stop_price == old.ticket.stop_price
        self._check_group(old, ticket, is_awake)
        if old.parent is None:  # an exit reserves no more than it did
            others = [order for order in self._open.all() if order is not old]
            touch = self._market.touch(ticket.asset.symbol)
            admit(ticket, self.account, others, touch, self.mark, is_awake)
        is_same_time = ticket.time_in_force == old.ticket.time_in_force
        check_cutoff(ticket, now_ns, self._hours)
        ends_ns = old.expires_ns if is_same_time else expires_ns(ticket, now_ns, self._hours)
        new = self._take(ticket, now_ns, ends_ns)
        new.high_water_mark, new.is_triggered = old.high_water_mark, is_awake
        new.replaces, old.replaced_by = old.id, new.id
        new.legs, old.legs = old.legs, []
        for leg in new.legs:
            leg.parent = new
        if old.parent is not None:
            new.parent, new.position_intent = old.parent, old.position_intent
            new.parent.legs = [new if leg is old else leg for leg in new.parent.legs]
            new.parent.ticket = _with_prices_of_legs(new.parent)
        return new, [self._execution.end_replaced(old, now_ns)]

    def replace_to_be_rejected(self, order_id: str, ticket: Ticket, now_ns: int) -> Order:
        """Take `ticket` for an open order that works on: the exchange is going to reject the replacement."""
        old = self._open_order(order_id)
        self._check_client_ids(ticket)
        new = self._take(ticket, now_ns, old.expires_ns)
        new.replaces = old.id
        self._open.remove(new)  # it reserves nothing
        return new

    def reject(self, order_id: str, now_ns: int) -> list[Update]:
        """End an order that was taken, and its group, as rejected by the exchange."""
        return self._execution.end(self.orders[order_id], "rejected", now_ns)

    def hold_back(self, order_id: str, status: str, now_ns: int) -> list[Update]:
        """Give an order a status in which it does not work, such as suspended, until `release`."""
        return self._execution.hold_back(self.orders[order_id], status, now_ns)

    def release(self, order_id: str, now_ns: int) -> list[Update]:
        """Let an order work that was held back."""
        return self._execution.release(self.orders[order_id], now_ns)

    def tell(self, event: str, order_id: str, now_ns: int) -> list[Update]:
        """Return an event that changes nothing about the order, such as order_cancel_rejected."""
        return [self._execution.tell(event, self.orders[order_id], now_ns)]

    def change_partial_chance(self, chance: float) -> None:
        """Set how often a fill is partial from now on, 0 to 1."""
        self._execution.partial_chance = chance

    def trade_by_hand(self, ticket: Ticket, price: Decimal, now_ns: int) -> list[Update]:
        """Fill an order of the account at once at this price, whatever the account allows."""
        order = self._take(ticket, now_ns, None)
        order.status = "new"
        updates = [self._execution.tell("new", order, now_ns)]
        assert ticket.qty is not None
        return updates + self._execution.fill(order, ticket.qty, price, now_ns)

    def move(self, asset: Asset | None, movement: Movement) -> None:
        """Change cash or a position otherwise than by a fill, whatever the account allows."""
        self.movements.append(movement)
        self.account.move(asset, movement)

    def split(self, asset: Asset, ratio: Fraction, movement: Movement) -> list[Update]:
        """Split the account's shares: the position, and what its open orders still ask for."""
        self.move(asset, movement)
        return [
            update
            for order in self._open.all(asset.symbol)
            for update in self._execution.split(order, ratio, movement.at_ns)
        ]

    def find(self, order_id: str) -> Order:
        """Return the order with this id. Raises Refused (404)."""
        if order_id not in self.orders:
            raise not_found(f"order not found for {order_id}")
        return self.orders[order_id]

    def find_by_client_id(self, client_order_id: str) -> Order:
        """Return the order with this client order id. Raises Refused (404)."""
        if client_order_id not in self._by_client_id:
            raise not_found(f"order not found for {client_order_id}")
        return self._by_client_id[client_order_id]

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the orders that can still fill, held legs too, by the time they were sent to an exchange."""
        return self._open.all(symbol)

    def is_working(self, symbol: str) -> bool:
        """Return whether this symbol's market may fill or trigger an order now."""
        return symbol in self._open.working

    def summary(self) -> Summary:
        """Return the account's value and buying power now."""
        return self.account.summary(self.mark, self._open.all())

    def mark(self, symbol: str) -> Decimal | None:
        """Return the symbol's last price, or else the middle of its quote."""
        traded_at = self._market.traded_at(symbol)
        if traded_at is not None:
            return traded_at
        touch = self._market.touch(symbol)
        if touch is None or touch.bid is None or touch.ask is None:
            return None
        return (touch.bid + touch.ask) / 2

    def _list_last(self, order: Order) -> None:
        self.orders[order.id] = self.orders.pop(order.id)
        self._open.list_last(order)

    def _open_order(self, order_id: str) -> Order:
        order = self.find(order_id)
        if not order.is_open:
            raise invalid(f'order is already in "{order.status}" state')
        return order

    def _check_client_ids(self, *tickets: Ticket) -> None:
        for ticket in tickets:
            if ticket.client_order_id in self._by_client_id:
                raise malformed("client_order_id must be unique")

    def _check_group(self, old: Order, ticket: Ticket, is_awake: bool) -> None:
        if old.ticket.type == "trailing_stop" and old.is_triggered:
            raise invalid("trail cannot be replaced once the stop is triggered")
        if (old.parent is not None or old.legs) and ticket.qty != old.remaining_qty:
            raise invalid("qty of an order in a group cannot be replaced")
        if old.parent is not None:
            self._check_exit(old, old.parent, ticket, is_awake)

    def _check_exit(self, old: Order, entry: Order, ticket: Ticket, is_awake: bool) -> None:
        """Check that a changed exit keeps its distance from the other exit and the market."""
        legs = tuple(ticket if leg is old else leg.ticket for leg in entry.legs)
        group = replace(entry.ticket, legs=legs)
        check_legs(group)
        price = self.mark(ticket.asset.symbol)
        if price is None:
            return
        if old.is_due:
            check_against_market(ticket, price, is_awake)
        else:
            check_distance(group, price)

    def _take(self, ticket: Ticket, now_ns: int, ends_ns: int | None) -> Order:
        order = Order(
            id=self._new_id(),
            ticket=ticket,
            position_intent=intent(ticket, self.account.qty(ticket.asset.symbol)),
            reserve_price=protective_price(ticket, self._market.touch(ticket.asset.symbol)),
            created_ns=now_ns,
            updated_ns=now_ns,
            expires_ns=ends_ns,
        )
        self.orders[order.id] = self._by_client_id[ticket.client_order_id] = order
        self._open.add(order)
        return order


def _with_prices_of_legs(entry: Order) -> Ticket:
    """Return the ticket with its legs' present prices; their quantities stay those that were asked for."""
    pairs = zip(entry.legs, entry.ticket.legs, strict=True)
    return replace(entry.ticket, legs=tuple(replace(leg.ticket, qty=asked.qty) for leg, asked in pairs))
