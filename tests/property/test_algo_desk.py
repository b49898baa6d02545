"""The desk as a state machine: whatever an author does, what leaves is what was allowed, once, in order."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from algos.desk import Desk, Trigger
from algos.lifecycle import TRANSITIONS, State, moved
from bus.order_messages import CancelRequest, OrderRequest, OrderTerms

BUY = OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(1))


class Handling(RuleBasedStateMachine):
    """Triggers come, some again; handlers order, cancel and fail; the outbox is emptied now and then."""

    @initialize()
    def start(self) -> None:
        self.desk = Desk("a", "life")
        self.entries = 0
        self.expected: list[tuple[str, str]] = []
        self.left: list[tuple[str, str]] = []
        self.known: dict[tuple[int, int], str] = {}
        self.asked: set[str] = set()

    @rule(following=st.sampled_from(list(State)))
    def change_state(self, following: State) -> None:
        if following in TRANSITIONS[self.desk.state]:
            self.desk.state = moved(self.desk.state, following)

    @rule(orders=st.integers(0, 3), cancel=st.booleans(), fails=st.booleans(), again=st.booleans())
    def handle(self, orders: int, cancel: bool, fails: bool, again: bool) -> None:
        if not again or self.entries == 0:
            self.entries += 1
        entry = self.entries
        self.desk.begin(Trigger(f"s {entry}-0", b"", entry, entry))
        asks: list[tuple[str, str]] = []
        may_order = self.desk.state is State.LEADER and not self.desk.acknowledged
        may_cancel = self.desk.state in (State.LEADER, State.ABORTED) and not self.desk.acknowledged
        for n in range(orders):
            order_id = self.desk.order(BUY)
            assert self.known.setdefault((entry, n), order_id) == order_id
            if may_order and order_id not in self.asked:
                self.asked.add(order_id)
                asks.append(("order", order_id))
        if cancel:
            self.desk.cancel("elsewhere")
            if may_cancel:
                asks.append(("cancel", "elsewhere"))
        if fails:
            self.desk.abandon()
        else:
            self.expected += asks

    @precondition(lambda self: not self.desk.acknowledged)
    @rule()
    def acknowledge(self) -> None:
        self.desk.acknowledged = True

    @rule()
    def take(self) -> None:
        for request in self.desk.take("1:a", 1000, 0):
            assert isinstance(request, OrderRequest | CancelRequest)
            kind = "order" if isinstance(request, OrderRequest) else "cancel"
            self.left.append((kind, request.client_order_id))
        assert self.left == self.expected

    @invariant()
    def every_id_is_its_own(self) -> None:
        assert len(set(self.known.values())) == len(self.known)


TestHandling = Handling.TestCase
TestHandling.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
