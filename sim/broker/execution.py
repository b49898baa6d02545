"""Starts, triggers, fills and ends an account's orders, and the groups they belong to."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sim.amounts import SMALLEST_QTY
from sim.broker.account import Account
from sim.broker.fees import fee_of
from sim.broker.ledger import Fill
from sim.broker.market_view import MarketView
from sim.broker.matching import fill_price, fill_qty, follow, is_outside, is_triggered
from sim.broker.open_orders import OpenOrders
from sim.broker.orders import HELD_BACK, Order, order_json
from sim.broker.sessions import AUCTIONS, is_routed, may_work
from sim.broker.updates import Update
from sim.exchange.hours import MarketHours

_AT_ONCE = frozenset({"ioc", "fok"})


class Execution:
    """Works the open orders against the market; every method returns the updates to send, in order.

    `new_id` makes ids; `draw` returns random numbers of [0, 1), which decide about partial fills.
    """

    def __init__(
        self,
        account: Account,
        open_orders: OpenOrders,
        market: MarketView,
        hours: MarketHours,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        partial_chance: float,
    ) -> None:
        self.fills: list[Fill] = []
        self.partial_chance = partial_chance
        self._account = account
        self._open = open_orders
        self._market = market
        self._hours = hours
        self._new_id = new_id
        self._draw = draw

    def place(self, order: Order, now_ns: int) -> list[Update]:
        """Let an order work, wait for its session, or be held until its entry is filled."""
        phase = self._hours.phase(now_ns)
        may = may_work(order.ticket, phase)
        updates: list[Update] = []
        is_first_heard_of = order.status == "pending_new" and order.replaces is None
        if order.status in ("pending_new", "accepted", "held"):
            is_held = order.is_passive or not order.is_due
            is_new = may or is_routed(phase)
            updates += self._move(order, "held" if is_held else "new" if is_new else "accepted", now_ns)
        if is_first_heard_of:
            updates += [self.tell("held", leg, now_ns) for leg in order.legs if leg.status == "held"]
        if not order.is_due:
            return updates
        if may:
            updates += self._start(order, now_ns)
        else:
            self._open.put_aside(order)
        if order.ticket.order_class == "oco" and order.parent is None:
            for leg in order.legs:
                updates += self.place(leg, now_ns) if leg.is_open else []
        return updates

    def work(self, order: Order, now_ns: int) -> list[Update]:
        """Fill what the quote in force allows."""
        symbol = order.ticket.asset.symbol
        touch = self._market.touch(symbol)
        if touch is None or self._market.is_halted(symbol):
            return []
        price = fill_price(order, touch)
        if price is None:
            return []
        qty = fill_qty(order, price, self._draw, self.partial_chance)
        if order.ticket.notional is not None and order.position_intent.endswith("to_close"):
            # The price may have moved since: it closes no more than is held and not reserved.
            qty = min(qty, self._free_qty(order, [order]))
            if qty <= 0:
                return self.end(order, "rejected", now_ns)
        return self.fill(order, qty, price, now_ns)

    def see_trade(self, order: Order, traded_at: Decimal, now_ns: int) -> list[Update]:
        """Let an order see a trade: a trailing stop follows it, and a stop may trigger."""
        if not order.waits_for_trigger:
            return []
        follow(order, traded_at)
        if not is_triggered(order, traded_at):
            return []
        if is_outside(self._market.touch(order.ticket.asset.symbol), traded_at):
            return []
        order.is_triggered = True
        self._open.put_to_work(order)
        updates = self._move(order, "new", now_ns) if order.status == "held" else []
        return updates + self.work(order, now_ns)

    def fill(self, order: Order, qty: Decimal, price: Decimal, now_ns: int) -> list[Update]:
        """Fill so much of an order, and adjust its group."""
        asset, side = order.ticket.asset, order.ticket.side
        fee = fee_of(asset, side, qty, price)
        fill = Fill(self._new_id(), order.id, asset.symbol, side, qty, price, now_ns, fee)
        self.fills.append(fill)
        position_qty = self._account.fill(asset, side, qty, price, fee)
        order.filled_qty += qty
        order.filled_value += qty * price
        order.updated_ns = now_ns
        sibling = order.sibling
        if sibling is not None and not sibling.is_open:
            sibling = None
        if order.remaining_qty > 0:
            order.status = "partially_filled"
            if sibling is not None and sibling.ticket.qty is not None:
                sibling.ticket = replace(sibling.ticket, qty=sibling.ticket.qty - qty)
                sibling.updated_ns = now_ns
            return [self.tell("partial_fill", order, now_ns, fill, position_qty)]
        order.status = "filled"
        order.filled_ns = now_ns
        self._open.remove(order)
        updates = [self.tell("fill", order, now_ns, fill, position_qty)]
        if sibling is not None:
            return [*updates, self._end_one(sibling, "canceled", now_ns)]
        return updates + self._release_exits(order, now_ns)

    def hold_back(self, order: Order, status: str, now_ns: int) -> list[Update]:
        """Let the exchange take the order and not work it until `release`: suspended, or the like."""
        return self._move(order, "new", now_ns) + self._move(order, status, now_ns)

    def release(self, order: Order, now_ns: int) -> list[Update]:
        """Let an order that was held back work again; does nothing where it has ended meanwhile."""
        if order.status not in HELD_BACK:
            return []
        order.status = "new"
        order.updated_ns = now_ns
        return [self.tell("restated", order, now_ns), *self.place(order, now_ns)]

    def split(self, order: Order, ratio: Fraction, now_ns: int) -> list[Update]:
        """Restate an open order in shares after a split; one by notional stays as it is."""
        ticket = order.ticket
        if ticket.qty is None:
            return []
        left = _scaled(ticket.qty - order.filled_qty, ratio)
        prices: dict[str, Any] = {
            name: _scaled(price, 1 / ratio)
            for name in ("limit_price", "stop_price")
            if (price := getattr(ticket, name)) is not None
        }
        works = self._open.is_at_work(order)
        if works:
            # The market finds it by its price.
            self._open.put_aside(order)
        order.ticket = replace(ticket, qty=order.filled_qty + left, **prices)
        order.updated_ns = now_ns
        if works:
            self._open.put_to_work(order)
        return [self.tell("restated", order, now_ns)]

    def end(self, order: Order, status: str, now_ns: int) -> list[Update]:
        """End an open order as canceled, expired or rejected, and the open orders of its group with it."""
        root = order.parent or order
        others = [other for other in (root, *root.legs) if other is not order and other.is_open]
        return [self._end_one(ended, status, now_ns) for ended in (order, *others)]

    def end_by_time(self, order: Order, now_ns: int) -> list[Update]:
        """End an order whose time in force is over; one for an auction takes part in it first."""
        if order.ticket.time_in_force == "gtc":
            return self.end(order, "canceled", now_ns)
        if order.ticket.time_in_force not in AUCTIONS:
            return self.end(order, "expired", now_ns)
        updates = self._move(order, "new", now_ns) if order.status in ("pending_new", "accepted") else []
        updates += self.work(order, now_ns)
        return updates + (self.end(order, "canceled", now_ns) if order.is_open else [])

    def end_replaced(self, order: Order, now_ns: int) -> Update:
        """End an order that another one replaces."""
        return self._end_one(order, "replaced", now_ns)

    def tell(
        self,
        event: str,
        order: Order,
        now_ns: int,
        fill: Fill | None = None,
        position_qty: Decimal | None = None,
    ) -> Update:
        """Return an event of the order as it is now."""
        execution_id = self._new_id() if fill is None else fill.id
        return Update(event, execution_id, now_ns, order_json(order), fill, position_qty)

    def _release_exits(self, entry: Order, now_ns: int) -> list[Update]:
        """After the entry's last fill let its exits work, or reject them where the position is gone."""
        exits = [leg for leg in entry.legs if leg.is_open]
        updates: list[Update] = []
        for leg in exits:
            if leg.is_open:
                is_covered = leg.reserved_qty <= self._free_qty(leg, exits)
                updates += self.place(leg, now_ns) if is_covered else self.end(leg, "rejected", now_ns)
        return updates

    def _free_qty(self, exit_order: Order, group: list[Order]) -> Decimal:
        symbol, side = exit_order.ticket.asset.symbol, exit_order.ticket.side
        held = self._account.qty(symbol) if side == "sell" else -self._account.qty(symbol)
        others = [order for order in self._open.all(symbol) if order.ticket.side == side]
        return held - sum((order.reserved_qty for order in others if order not in group), Decimal(0))

    def _start(self, order: Order, now_ns: int) -> list[Update]:
        self._open.put_to_work(order)
        symbol = order.ticket.asset.symbol
        updates: list[Update] = []
        if order.waits_for_trigger:
            traded_at = self._market.traded_at(symbol)
            if traded_at is not None and not self._market.is_halted(symbol):
                updates += self.see_trade(order, traded_at, now_ns)
        else:
            updates += self.work(order, now_ns)
        if order.is_open and order.ticket.time_in_force in _AT_ONCE:
            updates += self.end(order, "canceled", now_ns)
        return updates

    def _move(self, order: Order, status: str, now_ns: int) -> list[Update]:
        if order.status == status:
            return []
        if order.status == "accepted":
            order.submitted_ns = now_ns
        order.status = status
        order.updated_ns = now_ns
        return [self.tell(status, order, now_ns)]

    def _end_one(self, order: Order, status: str, now_ns: int) -> Update:
        order.status = status
        order.updated_ns = now_ns
        if status == "canceled":
            order.canceled_ns = now_ns
        elif status == "expired":
            order.expired_ns = now_ns
        elif status == "rejected":
            order.failed_ns = now_ns
        else:
            order.replaced_ns = now_ns
        self._open.remove(order)
        return self.tell(status, order, now_ns)


def _scaled(amount: Decimal, ratio: Fraction) -> Decimal:
    """Return the amount times the ratio, to nine decimals."""
    return (amount * ratio.numerator / ratio.denominator).quantize(SMALLEST_QTY)
