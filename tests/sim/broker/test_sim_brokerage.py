"""Whatever is ordered and however market and time move, fills explain cash, positions, orders to the cent."""

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from account_books import positions_after
from broker_harness import NOON_NS, OPENING_CASH, BrokerHarness
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from sim.amounts import CENT
from sim.broker.ledger import cash_after
from sim.broker.matching import collar
from sim.broker.orders import OPEN, Order, Ticket
from sim.broker.sessions import may_work
from sim.exchange.hours import MarketHours
from sim.refusals import Refused
from sim.times import SECOND_NS, rfc3339

SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
ENDS = {"canceled", "expired", "replaced", "rejected"}
MOVES = {
    "pending_new": {"accepted", "new", "held"} | ENDS,
    "held": {"held", "accepted", "new"} | ENDS,
    "accepted": {"new"} | ENDS,
    "new": {"partially_filled", "filled"} | ENDS,
    "partially_filled": {"partially_filled", "filled"} | ENDS,
}
EVENTS = {"fill": "filled", "partial_fill": "partially_filled"}
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")

symbols = st.sampled_from(("AAPL", *SYMBOLS))
sides = st.sampled_from(["buy", "sell"])
prices = st.integers(9_000, 11_000).map(lambda cents: Decimal(cents) / 100)
whole = st.integers(1, 500).map(Decimal)
quantities = st.one_of(whole, st.integers(1, 10**11).map(lambda n: Decimal(n).scaleb(-9)))
cents = st.integers(1, 200)
steps_s = st.sampled_from([1, 60, 3_600, 6 * 3_600, 86_400, 40 * 86_400])


def opposite(side: str) -> str:
    return "sell" if side == "buy" else "buy"


class BrokerageMachine(RuleBasedStateMachine):
    """Orders of every kind and class, cancels, replacements, the market, halts and days, in any order."""

    taken = Bundle("taken")

    @initialize(seed=st.integers(0, 1000), never_closes=st.booleans())
    def open_account(self, seed: int, never_closes: bool) -> None:
        self.harness = BrokerHarness(never_closes, NOON_NS, random.Random(seed).random, partial_chance=0.5)
        self.hours = MarketHours(never_closes)
        self.broker = self.harness.broker
        self.heard = self.submitted = 0
        self.statuses: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.by_hand: set[str] = set()
        if seed % 4:
            self.move(0)

    def _fields(self, kind: str, price: Decimal, trail: Decimal) -> dict[str, Any]:
        if kind == "trailing_stop":
            return {"trail_price": trail}
        return {
            "limit_price": price if kind in ("limit", "stop_limit") else None,
            "stop_price": price if kind in ("stop", "stop_limit") else None,
        }

    def _ticket(self, symbol: str, side: str, kind: str, tif: str, **fields: Any) -> Ticket:
        amounts = {name: value for name, value in fields.items() if value is not None}
        return self.harness.ticket(side, kind, "gtc" if "/" in symbol else tif, symbol=symbol, **amounts)

    def _submit(self, ticket: Ticket) -> Any:
        try:
            order = self.broker.submit(ticket, self.harness.now_ns)
        except Refused:
            return multiple()
        for one in (order, *order.legs):
            self.groups[one.id] = order.id
        self.submitted += 1
        if self.submitted % 4:  # the fourth waits for `accept`, and may meet anything before
            self.harness.updates += self.broker.accept(order.id, self.harness.now_ns)
        return order.id

    @rule(
        target=taken, symbol=symbols, side=sides, kind=st.sampled_from(TYPES), qty=quantities, price=prices,
        tif=st.sampled_from(["day", "day", "gtc", "gtc", "ioc", "fok", "opg", "cls"]), late=st.booleans(),
    )  # fmt: skip
    def submit(
        self, symbol: str, side: str, kind: str, qty: Decimal, price: Decimal, tif: str, late: bool
    ) -> Any:
        trail = (price - 85) / 4
        fields = self._fields(kind, price, trail)
        if kind == "limit" and tif == "day" and "/" not in symbol:
            fields["extended_hours"] = late
        return self._submit(self._ticket(symbol, side, kind, tif, qty=qty, **fields))

    @rule(target=taken, symbol=symbols, side=sides, notional=st.integers(1, 5_000))
    def submit_by_value(self, symbol: str, side: str, notional: int) -> Any:
        return self._submit(self._ticket(symbol, side, "market", "day", notional=notional))

    @rule(
        target=taken, qty=whole, up=cents, down=cents, entry_down=st.integers(0, 50), is_market=st.booleans(),
        loss=st.sampled_from(["stop", "stop_limit"]), tif=st.sampled_from(["day", "gtc"]),
        order_class=st.sampled_from(["bracket", "oto", "oco"]), is_short=st.booleans(),
    )  # fmt: skip
    def submit_group(
        self, qty: Decimal, up: int, down: int, entry_down: int, is_market: bool, loss: str, tif: str,
        order_class: str, is_short: bool,
    ) -> Any:  # fmt: skip
        """Exits lie around the last price; an OCO closes what is held."""
        last, held = self.harness.last.get("AAPL", Decimal(100)), self.harness.position()
        if order_class == "oco":
            is_short, qty = held < 0, max(Decimal(1), min(qty, abs(held)) // 1)
        side, towards = ("sell", -CENT) if is_short else ("buy", CENT)
        profit_price, stop_price = last + up * towards, last - (entry_down + down) * towards
        whole_of_it = {"qty": qty, "order_class": order_class}
        profit = self._ticket("AAPL", opposite(side), "limit", tif, limit_price=profit_price, **whole_of_it)
        prices = self._fields(loss, stop_price, CENT)
        stop = self._ticket("AAPL", opposite(side), loss, tif, **prices, **whole_of_it)
        if order_class == "oco":
            return self._submit(replace(profit, legs=(stop,)))
        legs = (profit, stop) if order_class == "bracket" else (stop,) if up % 2 else (profit,)
        kind = "market" if is_market else "limit"
        prices = self._fields(kind, last - entry_down * towards, CENT)
        entry = self._ticket("AAPL", side, kind, tif, **prices, **whole_of_it)
        return self._submit(replace(entry, legs=legs))

    @rule(order_id=taken)
    def accept(self, order_id: str) -> None:
        self.harness.updates += self.broker.accept(order_id, self.harness.now_ns)
        order = self.broker.find(order_id)
        if order.ticket.time_in_force in ("ioc", "fok") and order.filled_qty:
            assert not order.is_open

    @rule(order_id=taken, member=st.integers(0, 2))
    def cancel(self, order_id: str, member: int) -> None:
        order = self._member(order_id, member)
        was_open = order.is_open
        try:
            self.harness.cancel(order)
        except Refused:
            assert not was_open
        else:
            assert was_open
            group = [one for one in self.broker.orders.values() if self._group(one) == self._group(order)]
            assert not any(one.is_open for one in group)

    @rule(
        target=taken,
        order_id=taken,
        member=st.integers(0, 2),
        price=prices,
        tif=st.sampled_from(["day", "gtc"]),
    )
    def replace(self, order_id: str, member: int, price: Decimal, tif: str) -> Any:
        old = self._member(order_id, member)
        before = old.status
        if (
            old.ticket.qty is None
            or old.ticket.asset.is_crypto
            or old.ticket.time_in_force not in ("day", "gtc")
        ):
            return multiple()
        ticket = replace(
            old.ticket,
            client_order_id=self.harness.name(),
            qty=old.remaining_qty,
            time_in_force=old.ticket.time_in_force if old.parent or old.legs else tif,
            **self._fields(old.ticket.type, price, price / 20),
        )
        try:
            new, updates = self.broker.replace(old.id, ticket, self.harness.now_ns)
        except Refused:
            assert old.status == before
            return multiple()
        self.groups[new.id] = self._group(old)
        self.harness.updates += updates
        assert (old.replaced_by, new.replaces) == (new.id, old.id)
        return new.id

    @rule(symbol=symbols, bid=prices, spread=st.integers(1, 5))
    def quote(self, symbol: str, bid: Decimal, spread: int) -> None:
        self.harness.now_ns += 1
        self.harness.quote(str(bid), str(bid + spread * CENT), symbol)

    @rule(symbol=symbols, price=prices)
    def trade(self, symbol: str, price: Decimal) -> None:
        self.harness.now_ns += 1
        self.harness.trade(str(price), symbol)

    @rule(move=st.integers(-300, 300))
    def move(self, move: int) -> None:
        """The price moves, and the quote with it."""
        price = self.harness.last.get("AAPL", Decimal(100)) + move * CENT
        price = min(max(price, Decimal(80)), Decimal(120))
        self.quote("AAPL", price, 1)
        self.trade("AAPL", price)

    @rule(symbol=symbols)
    def halt_or_resume(self, symbol: str) -> None:
        if symbol in self.harness.halted:
            self.harness.halted.discard(symbol)
            self.harness.updates += self.broker.quoted(symbol, self.harness.now_ns)
        else:
            self.harness.halted.add(symbol)

    @rule(step_s=steps_s)
    def let_time_pass(self, step_s: int) -> None:
        self.harness.pass_time(rfc3339(self.harness.now_ns + step_s * SECOND_NS))
        now_ns, phase = self.harness.now_ns, self.hours.phase(self.harness.now_ns)
        for order in self.broker.open_orders():
            assert order.expires_ns is None or order.expires_ns > now_ns
        assert all(may_work(order.ticket, phase) for order in self.broker._open.at_work())

    @rule(symbol=symbols, side=sides, qty=quantities, price=prices)
    def trade_by_hand(self, symbol: str, side: str, qty: Decimal, price: Decimal) -> None:
        ticket = self._ticket(symbol, side, "market", "day", qty=qty)
        self.harness.updates += self.broker.trade_by_hand(ticket, price, self.harness.now_ns)
        self.by_hand.add(self.broker.fills[-1].order_id)

    def _member(self, order_id: str, member: int) -> Order:
        order = self.broker.find(order_id)
        return (order, *order.legs)[member % (1 + len(order.legs))]

    def _group(self, order: Order) -> str:
        return self.groups.get(order.id, order.id)

    @invariant()
    def fills_explain_cash_and_positions(self) -> None:
        fills, account = self.broker.fills, self.broker.account
        assert account.cash == cash_after(OPENING_CASH, fills)
        assert {s: p.qty for s, p in account.positions.items()} == positions_after(fills)
        assert len({fill.id for fill in fills}) == len(fills)

    @invariant()
    def fills_explain_every_order(self) -> None:
        own: dict[str, list[tuple[Decimal, Decimal]]] = {}
        for fill in self.broker.fills:
            own.setdefault(fill.order_id, []).append((fill.qty, fill.price))
        for order in self.broker.orders.values():
            fills = own.get(order.id, [])
            assert order.filled_qty == sum((qty for qty, _ in fills), Decimal(0))
            assert order.filled_value == sum((qty * price for qty, price in fills), Decimal(0))
            assert all(qty > 0 and _is_allowed(order, price) for qty, price in fills)
            assert order.remaining_qty >= 0
            assert order.remaining_qty == 0 or order.status != "filled"
            assert not fills or order.status not in ("held", "accepted", "pending_new", "rejected")

    @invariant()
    def what_is_told_is_what_is(self) -> None:
        updates = self.harness.updates
        for update in updates[self.heard :]:
            order_id, status = update.order["id"], update.order["status"]
            order = self.broker.find(order_id)
            before = self.statuses.get(order_id, "pending_new" if order.parent is None else "held")
            assert status in MOVES.get(before, set()) or order.replaces, f"{before} became {status}"
            assert status == EVENTS.get(update.event, update.event)
            self.statuses[order_id] = status
        self.heard = len(updates)
        for order in self.broker.orders.values():
            silent = "pending_new" if order.parent is None or order.replaces else "held"
            assert order.status == self.statuses.get(order.id, silent)
        told = [update.fill.id for update in updates if update.fill is not None]
        assert told == [fill.id for fill in self.broker.fills]
        assert len({update.execution_id for update in updates}) == len(updates)

    @invariant()
    def exits_close_no_more_than_their_group_holds(self) -> None:
        closed: dict[str, Decimal] = {}
        for order in self.broker.orders.values():
            is_exit = order.parent is not None or order.ticket.order_class == "oco"
            if is_exit:
                closed[self._group(order)] = closed.get(self._group(order), Decimal(0)) + order.filled_qty
        for root, qty in closed.items():
            first = self.broker.find(root)
            assert first.ticket.qty is not None
            limit = first.ticket.legs[0].qty
            assert limit is not None
            assert qty <= limit

    @invariant()
    def reservations_are_what_open_orders_may_still_cost(self) -> None:
        by_group: dict[str, Decimal] = {}
        for order in self.broker.open_orders():
            assert order.status in OPEN
            assert 0 <= order.reserved_qty <= order.remaining_qty
            assert order.reserved_value >= 0
            if order.parent is not None or order.ticket.order_class == "oco":
                group = self._group(order)
                by_group[group] = by_group.get(group, Decimal(0)) + order.reserved_qty
                exits = [one for one in (order, order.sibling) if one is not None and one.is_open]
                assert len({one.remaining_qty for one in exits}) == 1
        for root, reserved in by_group.items():
            legs = self.broker.find(root).ticket.legs
            assert legs[0].qty is not None
            assert reserved <= legs[0].qty
        summary = self.broker.summary()
        assert summary.held_margin >= 0
        assert summary.buying_power >= 0
        assert summary.equity == summary.cash + summary.long_value + summary.short_value

    @invariant()
    def every_open_order_is_where_it_belongs(self) -> None:
        book = self.broker._open
        for order in self.broker.open_orders():
            is_seen = order in book.at_work() or order in book.aside()
            is_placed = "pending_new" not in (order.status, (order.parent or order).status)
            assert order.is_due if is_seen else not (order.is_due and is_placed)
            assert order.is_due or order.status in ("held", "pending_new")
        assert all(order.is_open for order in (*book.at_work(), *book.aside()))

    @invariant()
    def nothing_fills_outside_its_hours(self) -> None:
        for fill in self.broker.fills[-5:]:
            ticket = self.broker.find(fill.order_id).ticket
            if fill.order_id not in self.by_hand and ticket.time_in_force not in ("opg", "cls"):
                assert may_work(ticket, self.hours.phase(fill.at_ns))


def _is_allowed(order: Order, price: Decimal) -> bool:
    ticket, limit = order.ticket, order.ticket.limit_price
    if ticket.type == "stop" and ticket.side == "buy" and ticket.stop_price is not None:
        limit = collar(ticket.stop_price)
    return limit is None or (price <= limit if ticket.side == "buy" else price >= limit)


TestBrokerage = pytest.mark.timeout(60)(BrokerageMachine.TestCase)
TestBrokerage.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
