"""The engine, driven through anything in any order: its state is the fold of its journal, always."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_run import EngineRun, at_broker, frame
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from risk_day import LEASE, LIMITS, halted, limit_terms, name, request, terms

from bus.control_messages import Halt, ReduceOnly
from bus.delivery import Delivery
from bus.errors import Unreadable
from bus.halt_state import HaltState
from bus.order_events import OrderApproved
from bus.order_messages import (
    CancelRequest,
    OrderRequest,
    OrderTerms,
    Reason,
    ReplaceRequest,
    ShutdownAcknowledged,
)
from oms.broker.protocol import (
    Accepted,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    OutcomeUnknown,
    Rejected,
    Unknown,
)
from oms.journal.snapshot_encoding import decode, encode
from oms.limits.limits import parse
from oms.state.effects import Effects
from oms.state.inputs import (
    AccountListed,
    Answered,
    CancelAnswered,
    CompareAccount,
    FindOrder,
    HaltStateRead,
    Input,
    LeasesRead,
    LimitsRead,
    ListAccount,
    OrderAnswered,
    Question,
    RequestRead,
    RequestsRead,
    Started,
    Stopping,
    Unanswered,
)

pytestmark = pytest.mark.property

ALGORITHMS = {"alpha": LEASE, "beta": "1:beta"}
numbers = st.integers(min_value=1, max_value=12)
algorithms = st.sampled_from(sorted(ALGORITHMS))
orders = st.one_of(
    st.builds(terms, st.sampled_from(["1", "10", "0.5", "2000"]), side=st.sampled_from(["buy", "sell"])),
    st.builds(limit_terms, st.sampled_from(["99", "150"]), st.sampled_from(["3", "10"])),
    st.just(terms(None, notional=Decimal("50.5"))),
    st.just(terms("1", symbol="MSFT")),
)
halts = st.sampled_from(
    [
        HaltState(known=True),
        HaltState(known=False),
        halted(Halt),
        halted(Halt, "account:paper"),
        halted(ReduceOnly, "symbol:AAPL"),
    ]
)
statuses = st.sampled_from(["new", "partially_filled", "filled", "canceled", "expired", "rejected", "odd"])


class EngineMachine(RuleBasedStateMachine):
    """Whatever is taken in, in any order, and however often the process starts again."""

    def __init__(self) -> None:
        super().__init__()
        self.run = EngineRun()
        self.under_way: list[Any] = []
        self.questions: list[Question] = []
        self.cancels: list[str] = []
        self.approvals: set[str] = set()
        self.executions = 0

    @initialize()
    def begin(self) -> None:
        """A first start on an empty account."""
        self.run.begin()

    def take(self, taken: Input) -> Effects:
        """Take an input and what follows from it."""
        return self.follow(self.run.take(taken))

    def follow(self, effects: Effects) -> Effects:
        """Keep what is to be carried out; what is sent was approved in the same turn, and never before."""
        approved = {event.client_order_id for event in effects.events if isinstance(event, OrderApproved)}
        for one in effects.send:
            assert one.client_order_id in approved
            assert one.client_order_id not in self.approvals, "sent twice"
            self.approvals.add(one.client_order_id)
        self.under_way += effects.send
        self.questions += effects.ask
        self.cancels += [order.client_order_id for order in effects.cancel]
        return effects

    @rule(number=numbers, algorithm=algorithms, wanted=orders, lease=st.booleans())
    def order(self, number: int, algorithm: str, wanted: OrderTerms, lease: bool) -> None:
        """An order is asked for: new, again, in conflict, or by somebody who does not lead."""
        request = OrderRequest(
            client_order_id=name(number, algorithm),
            terms=wanted,
            lease=ALGORITHMS[algorithm] if lease else "9:other",
            trigger=str(number),
            received_ns=self.run.now_ns,
            requested_ns=self.run.now_ns,
        )
        self.follow(self.run.read(request, algorithm))

    @rule(old=numbers, number=numbers, algorithm=algorithms, wanted=orders)
    def replace(self, old: int, number: int, algorithm: str, wanted: OrderTerms) -> None:
        """A replace is asked for."""
        request = ReplaceRequest(
            client_order_id=name(number, algorithm),
            replaces=name(old, algorithm),
            terms=wanted,
            lease=ALGORITHMS[algorithm],
            trigger=str(number),
            received_ns=self.run.now_ns,
            requested_ns=self.run.now_ns,
        )
        self.follow(self.run.read(request, algorithm))

    @rule(number=numbers, algorithm=algorithms)
    def cancel(self, number: int, algorithm: str) -> None:
        """A cancel is asked for."""
        request = CancelRequest(
            client_order_id=name(number, algorithm), lease=ALGORITHMS[algorithm], requested_ns=0
        )
        self.follow(self.run.read(request, algorithm))

    @rule(algorithm=algorithms)
    def shut_down(self, algorithm: str) -> None:
        """An algorithm acknowledges its shutdown; what it asks for afterwards is refused."""
        lease = ALGORITHMS[algorithm]
        self.follow(self.run.read(ShutdownAcknowledged(lease=lease, at_ns=0), algorithm))
        assert self.run.engine.state.retired[algorithm] == lease

    @rule(algorithm=algorithms)
    def unreadable_request(self, algorithm: str) -> None:
        """A request that cannot be read."""
        read = RequestRead(Delivery("requests", "1-0", {b"data": b"\xff"}), algorithm, Unreadable("no"))
        assert self.take(RequestsRead([read], True, self.run.prices)).acknowledge == [read.delivery]

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), kind=st.sampled_from(["accepted", "refused", "unreachable", "canceled", "unknown"]))
    def outcome(self, data: st.DataObject, kind: str) -> None:
        """The outcome of an order that was sent."""
        approved = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        now_ns = self.run.now_ns
        outcome = {
            "accepted": Accepted(at_broker(approved), now_ns, now_ns),
            "refused": Rejected("broker", Reason(code="broker_40310000", message="no")),
            "unreachable": Rejected("oms", Reason(code="broker_unreachable", message="no")),
            "canceled": Rejected("oms", Reason(code="canceled", message="no")),
            "unknown": Unknown("the answer was lost"),
        }[kind]
        self.take(OrderAnswered(approved.client_order_id, outcome))

    @precondition(lambda self: self.cancels)
    @rule(kind=st.sampled_from([None, "refused", "unknown"]))
    def cancel_answered(self, kind: str | None) -> None:
        """The broker answers a cancel."""
        error = {"refused": BrokerRefused("422", "no"), "unknown": OutcomeUnknown("lost")}.get(kind or "")
        self.take(CancelAnswered(self.cancels.pop(0), error))

    @rule(number=numbers, algorithm=algorithms, status=statuses, filled=st.sampled_from(["0", "1", "10"]))
    def update(self, number: int, algorithm: str, status: str, filled: str) -> None:
        """The broker tells of an order, whether the book knows it or not."""
        order = self.shown(number, algorithm, status, filled)
        self.follow(self.run.told(frame(order, status if status != "odd" else "new")))

    @rule(
        number=numbers,
        algorithm=algorithms,
        quantity=st.sampled_from(["1", "0.5", "10"]),
        again=st.booleans(),
    )
    def fill(self, number: int, algorithm: str, quantity: str, again: bool) -> None:
        """An execution is heard of, for the first time or again, or late, after it was read off a list."""
        self.executions += not again
        order = self.shown(number, algorithm, "partially_filled", quantity)
        data = frame(order, "partial_fill", execution_id=f"e{self.executions}", qty=quantity, price="100")
        self.follow(self.run.told(data))

    @rule(kind=st.sampled_from(["Connected", "Disconnected", "Odd", "TradeUpdate"]))
    def other_message(self, kind: str) -> None:
        """The stream breaks, is back, or says what cannot be read."""
        self.follow(self.run.told(b"{", kind))

    @precondition(lambda self: self.questions)
    @rule(data=st.data(), filled=st.sampled_from(["0", "1", "10"]), status=statuses)
    def answer(self, data: st.DataObject, filled: str, status: str) -> None:
        """The broker answers a question: with an order, with none, with a list."""
        question = self.questions.pop(data.draw(st.integers(0, len(self.questions) - 1)))
        known = [self.shown(number, "alpha", status, filled) for number in data.draw(st.sets(numbers))]
        answer: Any = known
        if isinstance(question, FindOrder):
            shown = self.by_id(question.client_order_id, status, filled)
            answer = data.draw(st.sampled_from([None, shown, replace(shown, side="sell")]))
        elif isinstance(question, ListAccount):
            answer = AccountListed(known, ())
        elif isinstance(question, CompareAccount):
            held = BrokerPosition("AAPL", Decimal(data.draw(st.integers(-5, 5))), Decimal(100))
            answer = AccountListed(known, data.draw(st.sampled_from([None, (), (held,)])))
        self.take(Answered(question, answer, self.run.monotonic_ns))

    @precondition(lambda self: self.questions)
    @rule()
    def unanswered(self) -> None:
        """The broker is away."""
        assert not self.take(Unanswered(self.questions[0], "away")).events

    @rule(state=halts)
    def halt(self, state: HaltState) -> None:
        """Another halt state is read."""
        self.take(HaltStateRead(state))
        assert self.run.engine.state.halts_read == state

    @rule(quantity=st.sampled_from([5, 1000]))
    def limit(self, quantity: int) -> None:
        """Limits are read."""
        self.take(LimitsRead(parse(LIMITS.replace("1000", str(quantity), 1), "limits"), "limits.toml", "ann"))

    @rule(leads=st.sampled_from(["", LEASE]))
    def leases(self, leads: str) -> None:
        """Leases are read."""
        self.take(LeasesRead({"alpha": leads, "beta": "1:beta"}))

    @rule(price=st.sampled_from(["100", "0.01", "140"]))
    def prices(self, price: str) -> None:
        """Prices are read."""
        self.run.price(price)

    @rule(seconds=st.sampled_from([0, 1, 40]))
    def time(self, seconds: int) -> None:
        """Time passes."""
        self.follow(self.run.tick(seconds * 1_000_000_000))

    @rule(days=st.integers(1, 3))
    def another_day(self, days: int) -> None:
        """Trading days begin, and orders that ended before leave memory."""
        for _ in range(days):
            self.follow(self.run.tick(86_400 * 1_000_000_000))

    @rule(kill=st.booleans(), snapshot=st.booleans())
    def restart(self, kill: bool, snapshot: bool) -> None:
        """The process stops or dies, and another folds the journal, or a snapshot; nothing is sent again."""
        if not kill:
            self.take(Stopping())
        before = self.run.engine.digest()
        state = self.run.engine.state
        self.run.engine = self.run.folded()
        if snapshot:
            self.run.engine.restore(decode(encode(state)))
            # Not a field of it may be forgotten.
            state.book.changed = set(state.book.orders)
            assert list(encode(self.run.engine.state)) == list(encode(state))
        assert self.run.engine.digest() == before
        self.under_way, self.questions, self.cancels = [], [], []
        self.take(LeasesRead(ALGORITHMS))
        times_ns = (self.run.now_ns, self.run.now_ns) if self.run.journal else (None, None)
        self.take(Started(*times_ns))
        self.follow(self.run.tick(0))

    def shown(self, number: int, algorithm: str, status: str, filled: str) -> BrokerOrder:
        """An order of one of our ids as a broker might have it."""
        return self.by_id(name(number, algorithm), status, filled)

    def by_id(self, client_order_id: str, status: str, filled: str) -> BrokerOrder:
        """The same by its client id; the terms are those that were approved, where it was."""
        known = self.run.engine.state.book.orders.get(client_order_id)
        wanted = known.terms if known is not None and known.terms is not None else limit_terms("99")
        quantity = wanted.quantity
        return BrokerOrder(
            id=f"broker-{client_order_id}",
            client_order_id=client_order_id,
            symbol=wanted.symbol,
            side=wanted.side,
            type=wanted.type,
            time_in_force=wanted.time_in_force,
            status=status,
            quantity=quantity,
            notional=wanted.notional,
            limit_price=wanted.limit_price,
            stop_price=wanted.stop_price,
            filled_quantity=Decimal(filled),
            filled_average_price=Decimal(100) if Decimal(filled) else None,
        )

    @invariant()
    def the_state_is_the_fold_of_the_journal(self) -> None:
        """A new engine, fed from the journal as it is written, holds the same."""
        live, folded = self.run.engine, self.run.folded()
        assert folded.state.book.orders == live.state.book.orders
        assert folded.state.book.comparable() == live.state.book.comparable()
        assert folded.state.comparable() == live.state.comparable()
        assert folded.digest() == live.digest()


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_question_that_was_under_way_before_a_break_is_asked_again_after_it() -> None:
    """An order in doubt is heard of, the stream breaks, and the broker's list does not show it yet."""
    run = EngineRun()
    run.begin()
    (approved,) = run.read(request(limit_terms("99"))).send
    (find,) = run.take(OrderAnswered(approved.client_order_id, Unknown("the answer was lost"))).ask
    run.told(frame(at_broker(approved), "new"))
    (list_orders,) = run.told(b"{}", "Connected").ask
    assert not run.take(Answered(list_orders, [], 0)).ask
    # Answered before the break, perhaps: an order that was filled since would be missed.
    assert run.take(Answered(find, at_broker(approved), 0)).ask == [find]
    effects = run.take(Answered(find, at_broker(approved, "filled", "10"), 0))
    assert run.engine.not_ready is None
    assert len(effects.acknowledge) == 1
    assert run.engine.state.book.position("AAPL") == 10


def test_what_cannot_be_read_is_let_go_only_once_the_account_is_halted() -> None:
    """To reduce only is no halt: a crash before the halt is written must bring the entry back."""
    run = EngineRun()
    run.begin()
    run.take(HaltStateRead(halted(ReduceOnly, "account:paper")))
    effects = run.told(b"{")
    assert effects.acknowledge == []
    assert run.engine.not_ready is not None
    assert len(run.take(HaltStateRead(halted(Halt, "account:paper"))).acknowledge) == 1
