"""Whatever is ordered and however the market moves, fills explain cash, positions and orders to the cent."""

import itertools
import random
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from sim.amounts import CENT
from sim.broker.brokerage import Brokerage
from sim.broker.ledger import cash_after, positions_after
from sim.broker.orders import OPEN, Order, Ticket
from sim.broker.updates import Update
from sim.exchange.assets import made_up
from sim.exchange.hours import MarketHours
from sim.exchange.touch import Touch
from sim.refusals import Refused

OPENING_CASH = Decimal(100_000)
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
ASSETS = {symbol: made_up(symbol) for symbol in SYMBOLS}
MOVES = {
    "pending_new": {"new", "canceled", "replaced"},
    "new": {"partially_filled", "filled", "canceled", "replaced"},
    "partially_filled": {"partially_filled", "filled", "canceled", "replaced"},
}

symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(["buy", "sell"])
prices = st.integers(9_000, 11_000).map(lambda cents: Decimal(cents) / 100)
quantities = st.one_of(
    st.integers(1, 500).map(Decimal), st.integers(1, 10**11).map(lambda n: Decimal(n).scaleb(-9))
)


class BrokerageMachine(RuleBasedStateMachine):
    """Orders, cancels, replacements and quotes in any order."""

    taken = Bundle("taken")

    @initialize(seed=st.integers(0, 1000))
    def open_account(self, seed: int) -> None:
        self.touches: dict[str, Touch] = {}
        self.traded: dict[str, Decimal] = {}
        self.now_ns = 0
        self.names = itertools.count()
        self.statuses: dict[str, str] = {}
        self.updates: list[Update] = []
        self.broker = Brokerage(
            0,
            OPENING_CASH,
            self,
            MarketHours(never_closes=True),
            new_id=lambda: f"id-{next(self.names)}",
            draw=random.Random(seed).random,
            partial_chance=0.5,
        )

    def touch(self, symbol: str) -> Touch | None:
        return self.touches.get(symbol)

    def traded_at(self, symbol: str) -> Decimal | None:
        return self.traded.get(symbol)

    def is_halted(self, symbol: str) -> bool:
        return False

    def _ticket(self, symbol: str, side: str, kind: str, tif: str, qty: Decimal, price: Decimal) -> Ticket:
        return Ticket(
            f"client-{next(self.names)}",
            ASSETS[symbol],
            side,
            kind,
            tif,
            qty=qty,
            limit_price=price if kind in ("limit", "stop_limit") else None,
            stop_price=price if kind in ("stop", "stop_limit") else None,
        )

    @rule(
        target=taken,
        symbol=symbols,
        side=sides,
        kind=st.sampled_from(["market", "limit", "stop", "stop_limit"]),
        tif=st.sampled_from(["day", "gtc", "ioc", "fok"]),
        qty=quantities,
        price=prices,
    )
    def submit(self, symbol: str, side: str, kind: str, tif: str, qty: Decimal, price: Decimal) -> object:
        ticket = self._ticket(symbol, side, kind, tif, qty, price)
        try:
            order = self.broker.submit(ticket, self.now_ns)
        except Refused:
            return multiple()
        return order.id

    @rule(target=taken, symbol=symbols, side=sides, notional=st.integers(1, 5_000))
    def submit_by_value(self, symbol: str, side: str, notional: int) -> object:
        ticket = Ticket(
            f"client-{next(self.names)}", ASSETS[symbol], side, "market", "day", notional=Decimal(notional)
        )
        try:
            return self.broker.submit(ticket, self.now_ns).id
        except Refused:
            return multiple()

    @rule(order_id=taken)
    def accept(self, order_id: str) -> None:
        self.updates += self.broker.accept(order_id, self.now_ns)
        order = self.broker.find(order_id)
        if order.ticket.time_in_force in ("ioc", "fok") and order.status != "pending_new":
            assert not order.is_open

    @rule(order_id=taken)
    def cancel(self, order_id: str) -> None:
        was_open = self.broker.find(order_id).is_open
        try:
            self.updates += self.broker.cancel(order_id, self.now_ns)
        except Refused:
            assert not was_open
        else:
            assert was_open

    @rule(target=taken, order_id=taken, price=prices)
    def replace(self, order_id: str, price: Decimal) -> object:
        old = self.broker.find(order_id)
        if old.ticket.type != "limit":
            return multiple()
        ticket = self._ticket(
            old.ticket.asset.symbol, old.ticket.side, "limit", "day", old.remaining_qty or Decimal(1), price
        )
        before = old.status
        try:
            new, updates = self.broker.replace(order_id, ticket, self.now_ns)
        except Refused:
            assert old.status == before
            return multiple()
        self.updates += updates
        assert (old.replaced_by, new.replaces) == (new.id, old.id)
        return new.id

    @rule(symbol=symbols, bid=prices, spread=st.integers(1, 5))
    def quote(self, symbol: str, bid: Decimal, spread: int) -> None:
        self.now_ns += 1
        self.touches[symbol] = Touch(bid, bid + spread * CENT)
        self.updates += self.broker.quoted(symbol, self.now_ns)

    @rule(symbol=symbols, price=prices)
    def trade(self, symbol: str, price: Decimal) -> None:
        self.now_ns += 1
        self.traded[symbol] = price
        self.updates += self.broker.traded(symbol, price, self.now_ns)

    @rule(symbol=symbols, side=sides, qty=quantities, price=prices)
    def trade_by_hand(self, symbol: str, side: str, qty: Decimal, price: Decimal) -> None:
        ticket = self._ticket(symbol, side, "market", "day", qty, price)
        self.updates += self.broker.trade_by_hand(ticket, price, self.now_ns)

    @invariant()
    def fills_explain_cash_and_positions(self) -> None:
        fills, account = self.broker.fills, self.broker.account
        assert account.cash == cash_after(OPENING_CASH, fills)
        assert {s: p.qty for s, p in account.positions.items()} == positions_after(fills)
        assert len({fill.id for fill in fills}) == len(fills)

    @invariant()
    def fills_explain_every_order(self) -> None:
        for order in self.broker.orders.values():
            own = [fill for fill in self.broker.fills if fill.order_id == order.id]
            assert order.filled_qty == sum((fill.qty for fill in own), Decimal(0))
            assert order.filled_value == sum((fill.qty * fill.price for fill in own), Decimal(0))
            assert all(fill.qty > 0 for fill in own)
            assert order.remaining_qty >= 0
            if order.status == "filled":
                assert order.remaining_qty == 0
            if order.ticket.limit_price is not None:
                assert all(_is_within_limit(order, fill.price) for fill in own)

    @invariant()
    def statuses_only_move_forward(self) -> None:
        for order in self.broker.orders.values():
            before = self.statuses.get(order.id, "pending_new")
            if before in OPEN and before == "pending_new":
                allowed = MOVES["pending_new"] | MOVES["new"] | {before}
            else:
                allowed = MOVES.get(before, set()) | {before}
            assert order.status in allowed, f"{before} became {order.status}"
            self.statuses[order.id] = order.status

    @invariant()
    def updates_tell_all_of_it(self) -> None:
        told = [update.fill for update in self.updates if update.fill is not None]
        assert sorted(fill.id for fill in told) == sorted(fill.id for fill in self.broker.fills)
        assert len({update.execution_id for update in self.updates}) == len(self.updates)

    @invariant()
    def nothing_can_be_sold_twice(self) -> None:
        summary = self.broker.summary()
        assert summary.buying_power >= 0
        assert summary.equity == summary.cash + summary.long_value + summary.short_value


def _is_within_limit(order: Order, price: Decimal) -> bool:
    limit = order.ticket.limit_price
    assert limit is not None
    return price <= limit if order.ticket.side == "buy" else price >= limit


TestBrokerage = pytest.mark.timeout(60)(BrokerageMachine.TestCase)
TestBrokerage.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
