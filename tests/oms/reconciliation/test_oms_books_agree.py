"""The engine beside the simulator's account, and all that happens behind our back: nothing is unexplained."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from broker_harness import BrokerHarness
from engine_run import EngineRun
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from risk_day import limit_terms, request

from oms.amounts import ZERO, plus
from oms.broker.alpaca_account import read_account, read_positions
from oms.broker.alpaca_activities import read_activities
from oms.broker.alpaca_orders import read_listed, read_order
from oms.broker.protocol import Accepted
from oms.engine import COMPARE_EVERY_NS
from oms.shown_books import unexplained
from oms.state.inputs import AccountListed, Answered, CompareAccount, OrderAnswered
from sim.broker.account_json import account_json, position_json
from sim.broker.activities import OTHER_TYPES, Activities, Wanted
from sim.broker.movements import Movement
from sim.broker.orders import order_json
from sim.broker.update_json import update_json
from sim.broker.updates import Update

pytestmark = pytest.mark.property

SYMBOLS = st.sampled_from(["AAPL", "BTC/USD"])
SIDES = st.sampled_from(["buy", "sell"])
SIZES = st.decimals(min_value="0.000000001", max_value="50", places=9)
PRICES = st.decimals(min_value="90", max_value="110", places=2)
CASH = st.decimals(min_value="-5000", max_value="5000", places=2)
TOLD = st.booleans()
_ALL = Wanted(frozenset(OTHER_TYPES), None, None, is_ascending=True, page_size=100, page_token=None)


class BooksBesideTheBroker(RuleBasedStateMachine):
    """At every quiet moment each book has what it should, and all of them together what the broker has."""

    @initialize()
    def begin(self) -> None:
        """An account that nobody has touched, and an OMS that has counted its cash."""
        self.harness = BrokerHarness()
        self.harness.quote("100", "100")
        self.broker = self.harness.broker
        self.run = EngineRun()
        self.run.begin()
        self.run.tick(0)
        self.look()
        self.orders = 0

    def tell(self, updates: list[Update]) -> None:
        """The stream brings the updates."""
        for update in updates:
            data = {"stream": "trade_updates", "data": update_json(update)}
            self.run.told(json.dumps(data).encode())

    def look(self, after_ns: int = COMPARE_EVERY_NS) -> None:
        """The OMS asks, and the simulator's account answers."""
        (question,) = [one for one in self.run.tick(after_ns).ask if isinstance(one, CompareAccount)]
        positions = [position_json(one, None, []) for one in self.broker.account.positions.values()]
        listed = AccountListed(
            [read_listed(order_json(order)) for order in self.broker.orders.values()],
            read_positions(positions),
            read_account(account_json(self.broker)),
            read_activities([one.body for one in Activities([], self.broker.movements).select(_ALL)]),
        )
        effects = self.run.take(Answered(question, listed, self.run.monotonic_ns))
        assert not effects.halts

    @rule(symbol=SYMBOLS, side=SIDES, size=SIZES, price=PRICES, told=TOLD)
    def trade_by_hand(self, symbol: str, side: str, size: Decimal, price: Decimal, told: bool) -> None:
        """Somebody trades on the account, and the stream tells of it or loses it."""
        if symbol == "BTC/USD" and side == "sell":
            size = min(size, self.broker.account.qty(symbol))
        if size <= 0:
            return
        ticket = self.harness.ticket(side, symbol=symbol, qty=size, tif="gtc")
        updates = self.broker.trade_by_hand(ticket, price, self.harness.now_ns)
        if told:
            self.tell(updates)

    @rule(kind=st.sampled_from(["DIV", "FEE", "INT", "CSD", "CSW", "JNLC"]), cash=CASH)
    def money(self, kind: str, cash: Decimal) -> None:
        """Money comes or goes."""
        self.move(Movement(self.harness.name(), kind, "", ZERO, None, cash, kind, self.harness.now_ns))

    @rule(size=SIZES, price=PRICES)
    def shares_transferred(self, size: Decimal, price: Decimal) -> None:
        """Shares come from another broker."""
        self.move(
            Movement(self.harness.name(), "ACATS", "AAPL", size, price, ZERO, "in", self.harness.now_ns)
        )

    def move(self, movement: Movement) -> None:
        """What is no trade."""
        asset = self.harness.ticket().asset if movement.symbol else None
        self.broker.move(asset, movement)

    @rule(size=st.integers(1, 20), side=SIDES, told=TOLD)
    def alpha_orders(self, size: int, side: str, told: bool) -> None:
        """An algorithm trades; its fill is told or lost."""
        self.run.price("100")
        self.orders += 1
        sent = self.run.read(request(limit_terms("100", str(size), side=side), self.orders)).send
        if not sent:
            return
        ticket = self.harness.ticket(side, type="limit", qty=size, limit_price="100")
        order = self.harness.submit(replace(ticket, client_order_id=sent[0].client_order_id))
        answer = read_order(order_json(order))
        now_ns = self.run.now_ns
        self.run.take(OrderAnswered(sent[0].client_order_id, Accepted(answer, now_ns, now_ns)))
        updates, self.harness.updates = self.harness.updates, []
        if told:
            self.tell(updates)

    @invariant()
    def nothing_is_unexplained(self) -> None:
        """After what may have been on its way is looked at again."""
        if not hasattr(self, "orders"):
            return
        for _ in range(4):
            self.look()
        engine, account = self.run.engine, self.broker.account
        ledger = engine.state.book.ledger
        assert unexplained(engine.state) == {}
        assert engine.observed.agreed_ns == self.run.now_ns
        assert engine.state.book.quantities() == {
            symbol: held.qty for symbol, held in account.positions.items()
        }
        # What executions in one order cost is told as an average of nine places.
        assert abs(ledger.cash() - account.cash) <= Decimal("0.01")
        cash = ZERO
        for name in ledger.names():
            cash = plus(cash, ledger.cash(name))
        assert cash == ledger.cash()
        for symbol in ledger.holdings():
            held = ZERO
            for name in ledger.names():
                held = plus(held, ledger.position(symbol, name))
            assert held == ledger.position(symbol)

    def teardown(self) -> None:
        """The journal folds to the same state."""
        if hasattr(self, "orders"):
            assert self.run.folded().digest() == self.run.engine.digest()


TestBooksBesideTheBroker = BooksBesideTheBroker.TestCase
TestBooksBesideTheBroker.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
