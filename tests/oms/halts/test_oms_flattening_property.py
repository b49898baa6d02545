"""Whatever fills, is lost, comes late or dies in between: a flatten sells what is held at most, and ends."""

from decimal import Decimal
from typing import Any

import pytest
from flatten_run import ENTRY, FlattenRun
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from oms.book.orders import TERMINAL
from oms.broker.protocol import BrokerOrder

pytestmark = pytest.mark.property

HOLDERS = ("alpha", "beta", "external")
SYMBOLS = ("AAPL", "MSFT")
ZERO = Decimal(0)

sizes = st.integers(-9, 9)


class Flattening(RuleBasedStateMachine):
    """The account, its broker and one flatten; each rule is something that may happen next."""

    def __init__(self) -> None:
        super().__init__()
        self.run = FlattenRun()
        self.run.begin()
        self.run.work.clear()
        self.scope = ""
        self.seen: set[str] = set()
        self.number = 0

    @initialize(held=st.lists(st.tuples(st.sampled_from(HOLDERS), st.sampled_from(SYMBOLS), sizes)))
    def holds(self, held: list[tuple[str, str, int]]) -> None:
        """What there is at first."""
        for holder, symbol, size in held:
            if size:
                self.run.holds(str(size), holder, symbol)

    @precondition(lambda self: not self.scope)
    @rule(holder=st.sampled_from(HOLDERS[:2]), quantity=st.integers(1, 9))
    def rests(self, holder: str, quantity: int) -> None:
        """An order that works; none of the other side, which would be one to trade with itself."""
        self.number += 1
        self.run.rests(self.number, holder, str(quantity))

    @precondition(lambda self: not self.scope)
    @rule(scope=st.sampled_from(["all", "account:paper", "symbol:AAPL", "algorithm:alpha"]))
    def flatten(self, scope: str) -> None:
        """The operator says so, once."""
        self.scope = scope
        self.run.flatten(scope)

    @precondition(lambda self: self.run.open_orders())
    @rule(data=st.data())
    def fill(self, data: Any) -> None:
        """Some order is filled, wholly or in part."""
        order = data.draw(st.sampled_from(self.run.open_orders()))
        left = int(order.quantity - order.filled_quantity)
        self.run.fill(order.client_order_id, str(data.draw(st.integers(1, left))))

    @precondition(lambda self: self.run.open_orders())
    @rule(data=st.data(), status=st.sampled_from(["canceled", "expired", "rejected"]))
    def end(self, data: Any, status: str) -> None:
        """Some order ends."""
        self.run.ends(data.draw(st.sampled_from(self.run.open_orders())).client_order_id, status)

    @precondition(lambda self: self.run.work)
    @rule(answer=st.booleans())
    def do(self, answer: bool) -> None:
        """The broker does what was asked first; the answer to an order may be lost."""
        self.run.do(answer=answer)

    @precondition(lambda self: self.run.updates)
    @rule()
    def tell(self) -> None:
        """An update is heard."""
        self.run.tell()

    @precondition(lambda self: self.run.updates)
    @rule()
    def lose(self) -> None:
        """An update is lost."""
        self.run.updates.popleft()

    @rule(seconds=st.sampled_from(["0.3", "2", "40"]))
    def tick(self, seconds: str) -> None:
        """Time passes."""
        self.run.tick(int(Decimal(seconds) * 10**9))

    @rule()
    def restart(self) -> None:
        """The OMS is killed, with whatever was under way."""
        self.run.restart()

    @invariant()
    def no_order_sells_more_than_is_held(self) -> None:
        """What a flatten sends fits, with all that works beside it, into what the account holds."""
        for order in self.run.own():
            if order.client_order_id not in self.seen:
                self.seen.add(order.client_order_id)
                if not self.scope.startswith("algorithm:"):
                    self._closes(order)

    @invariant()
    def the_state_is_the_fold_of_the_journal(self) -> None:
        """A restart knows what this process knows."""
        assert self.run.folded().digest() == self.run.engine.digest()

    def teardown(self) -> None:
        """All that is asked is done: it ends, and what it calls flat is."""
        if self.scope:
            self.run.settle()
            outcomes = self.run.outcomes(ENTRY)
            assert outcomes is not None, "it ends"
            for symbol in SYMBOLS:
                said = outcomes.get(symbol)
                holders = self.run.engine.state.book.holders(symbol)
                concerned = self.scope in ("all", "account:paper", f"symbol:{symbol}")
                held = self.run.net.get(symbol, ZERO) if concerned else holders.get("alpha", ZERO)
                if said is not None and not said.why:
                    assert held == 0, f"{symbol} is called flat"
                elif concerned or self.scope == "algorithm:alpha":
                    assert said is not None or not held, f"nothing is said of {symbol}"
        super().teardown()

    def _closes(self, order: BrokerOrder) -> None:
        assert order.quantity is not None
        beside = [
            one.quantity - one.filled_quantity
            for one in self.run.own()
            if one.symbol == order.symbol and one.side == order.side and one.status not in TERMINAL
        ]  # type: ignore[operator]
        net = self.run.net.get(order.symbol, ZERO)
        assert sum(beside, ZERO) <= (net if order.side == "sell" else -net)


TestFlattening = Flattening.TestCase
TestFlattening.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
