"""Orders told in any order, twice, in unknown words and in part: the book has what was heard, never less."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine_run import EngineRun, at_broker, exit_at_broker
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from risk_day import name, request, terms
from told_orders import ENDS, ZERO, Kept, Known, ToldOrders

from bus.order_messages import OrderTerms, Reason, ReplaceRequest, Role
from oms.broker.protocol import Accepted, BrokerOrder, Rejected, Unknown
from oms.risk.approval import Approved
from oms.state.inputs import FindOrder, OrderAnswered

# Words that end nothing, those of Alpaca's list and one that nobody knows; what an order is after each.
OPEN_WORDS = {
    "pending_cancel": "pending_cancel",
    "pending_replace": "pending_replace",
    "suspended": "suspended",
    "calculated": "calculated",
    "stopped": "stopped",
    "done_for_day": "done_for_day",
    "restated": "new",
    "order_cancel_rejected": "new",
    "levitating": "levitating",
}
QUANTITIES = st.sampled_from([Decimal(1), Decimal(4), Decimal(10)])
EXITS: dict[str, Any] = {"take_profit": Decimal(110), "stop_loss": Decimal(90)}


class Orders(RuleBasedStateMachine):
    """Orders at a broker; updates wait until they are delivered, each when and as often as it pleases."""

    def __init__(self) -> None:
        super().__init__()
        self.run = EngineRun()
        self.run.begin()
        self.broker = ToldOrders()
        self.known: dict[str, Known] = {}
        self.heard: set[int] = set()
        self.seen: dict[str, tuple[Decimal, Decimal, str]] = {}
        self.in_chains: set[str] = set()
        self.answers: list[tuple[Approved, Kept]] = []
        self.waiting: list[int] = []
        self.filled_by_then: dict[str, Decimal] = {}
        self.count = 0

    # What the algorithm asks for.

    @rule(quantity=QUANTITIES)
    def buy(self, quantity: Decimal) -> None:
        """A simple order that the broker takes."""
        approved = self._ask(terms(str(quantity)))
        if approved is None:
            return
        kept = self.broker.take(Kept(approved.client_order_id, "buy", quantity))
        self.answers.append((approved, kept))

    @rule(quantity=QUANTITIES)
    def open_with_exits(self, quantity: Decimal) -> None:
        """A bracket that the broker takes."""
        approved = self._ask(terms(str(quantity), order_class="bracket", **EXITS))
        if approved is None:
            return
        entry = Kept(approved.client_order_id, "buy", quantity, "bracket")
        for role, kind in (("take_profit", "limit"), ("stop_loss", "stop")):
            leg = Kept(f"{role}-{entry.client_order_id}", "sell", quantity, "bracket", kind, parent=entry)
            entry.legs.append(leg)
        self.broker.take(entry)
        self.answers.append((approved, entry))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def answer(self, data: st.DataObject, lost: bool) -> None:
        """The broker's answer to one of them comes, or is lost and the order is found later."""
        approved, kept = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        order = self._answer(approved, kept)
        if kept.order_class:
            roles: tuple[Role, ...] = ("take_profit", "stop_loss")
            assert [leg.client_order_id for leg in order.legs] == [
                exit_at_broker(approved, role).client_order_id for role in roles
            ]
        outcome: Any = Accepted(order, self.run.now_ns, self.run.now_ns)
        if lost and not kept.order_class:
            outcome = Unknown("lost")
        self.run.take(OrderAnswered(approved.client_order_id, outcome))
        self._know(kept)
        for leg in kept.legs:
            self._know(leg)
        waiting, self.waiting = self.waiting, []
        for number in waiting:
            self._hear(number)

    @precondition(lambda self: self._replaceable())
    @rule(data=st.data(), taken=st.sampled_from(["taken", "taken", "refused", "rejected"]))
    def replace(self, data: st.DataObject, taken: str) -> None:
        """A replace: the broker takes it, refuses it, or takes it and rejects it afterwards."""
        old = data.draw(st.sampled_from(self._replaceable()))
        self.count += 1
        wanted = self._terms_of(old)
        effects = self.run.read(
            ReplaceRequest(
                client_order_id=name(self.count), replaces=old.client_order_id,
                terms=OrderTerms(**(wanted | {"stop_price": Decimal(101) + self.count})),
                lease="1:alpha", trigger="t", received_ns=1, requested_ns=1, changes=("stop_price",),
            )
        )  # fmt: skip
        if not effects.send:
            return
        (approved,) = effects.send
        self.in_chains |= {old.client_order_id, approved.client_order_id}
        if taken == "refused" or not old.open or not old.left:
            self.run.take(OrderAnswered(approved.client_order_id, _refused()))
        elif taken == "rejected":
            new = self.broker.take(Kept(approved.client_order_id, "buy", old.left, type="stop", replaces=old))
            self.broker.tell(old, "order_replace_rejected")
            self.broker.end(new, "rejected")
            self.run.take(OrderAnswered(approved.client_order_id, Unknown("lost")))
        else:
            filled = old.filled
            new = self.broker.replace(old, approved.client_order_id)
            self.filled_by_then[new.id] = filled
            self.answers.append((approved, new))

    @rule(quantity=QUANTITIES)
    def buy_stop(self, quantity: Decimal) -> None:
        """A stop order: one that can be replaced."""
        approved = self._ask(terms(str(quantity), type="stop", stop_price=Decimal(101)))
        if approved is None:
            return
        kept = self.broker.take(Kept(approved.client_order_id, "buy", quantity, type="stop"))
        self.answers.append((approved, kept))

    # What happens at the broker.

    @precondition(lambda self: self._fillable())
    @rule(data=st.data(), whole=st.booleans())
    def fill(self, data: st.DataObject, whole: bool) -> None:
        """An execution, of one share or of the rest."""
        order = data.draw(st.sampled_from(self._fillable()))
        self.broker.fill(order, order.left if whole else min(order.left, Decimal(1)))

    @precondition(lambda self: self._open())
    @rule(data=st.data(), status=st.sampled_from(["canceled", "expired", "rejected"]))
    def end(self, data: st.DataObject, status: str) -> None:
        """An order ends; rejected after it was new, too."""
        self.broker.end(data.draw(st.sampled_from(self._open())), status)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), event=st.sampled_from(sorted(OPEN_WORDS)))
    def say(self, data: st.DataObject, event: str) -> None:
        """A word that ends nothing."""
        order = data.draw(st.sampled_from(self._open()))
        if order.status != "held":
            order.status = OPEN_WORDS[event] if not order.filled else "partially_filled"
        self.broker.tell(order, event)

    # What is heard of it.

    @precondition(lambda self: self.broker.updates)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """Any update, heard before or not, long ago or new."""
        self._hear(data.draw(st.integers(0, len(self.broker.updates) - 1)))

    @rule()
    def hear_the_next(self) -> None:
        """The oldest that was not heard yet."""
        for number in range(len(self.broker.updates)):
            if number not in self.heard:
                self._hear(number)
                return

    # What must hold.

    @invariant()
    def what_was_heard_is_booked(self) -> None:
        """Every execution once, and nothing else."""
        booked = {one: self.known[one].booked for one in self.known}
        signed = (size if self.broker.orders[one].side == "buy" else -size for one, size in booked.items())
        assert self.run.engine.state.book.position("AAPL", "alpha") == sum(signed, ZERO)
        for one, size in booked.items():
            assert self.run.engine.state.book.orders[one].filled == size

    @invariant()
    def an_end_is_an_end_and_no_quantity_goes_down(self) -> None:
        """Whatever is told afterwards."""
        for order_id, order in self.run.engine.state.book.orders.items():
            filled, reported, status = self.seen.get(order_id, (ZERO, ZERO, ""))
            assert order.filled >= filled
            assert order.reported >= reported
            # A refusal of ours is taken back where the broker has the order after all.
            assert status not in ENDS or order.status == status
            self.seen[order_id] = order.filled, order.reported, order.status

    @invariant()
    def what_is_reserved_is_what_may_come(self) -> None:
        """Of orders that stand alone what is left; of exits what the larger of them may close."""
        book = self.run.engine.state.book
        if self.in_chains:
            return
        buys, sells = ZERO, ZERO
        for order in self.run.engine.state.book.orders.values():
            if order.side == "buy" and order.client_order_id not in self.known:
                buys += order.wanted()
        for order_id, known in self.known.items():
            kept = self.broker.orders[order_id]
            if kept.parent is None:
                buys += known.left
            if kept.legs and kept.legs[0].client_order_id in self.known:
                exits = [self.known[leg.client_order_id] for leg in kept.legs]
                unclosed = max(known.booked, known.furthest) - sum((one.booked for one in exits), ZERO)
                sells += max(ZERO, min(unclosed, max(one.left for one in exits)))
        assert (book.pending("AAPL", "buy"), book.pending("AAPL", "sell")) == (buys, sells)

    @invariant()
    def a_purchase_is_never_thought_smaller_than_it_may_become(self) -> None:
        """With replaces, too: what is held and pending covers all that the broker may still tell."""
        book, orders = self.run.engine.state.book, self.broker.orders.values()
        most = sum((one.filled + one.left for one in orders if one.side == "buy"), ZERO)
        bought = sum((self.known[one].booked for one in self.known if self._buys(one)), ZERO)
        assert bought + book.pending("AAPL", "buy") >= most

    def teardown(self) -> None:
        """Once everything is heard, the book is the broker's."""
        while self.answers:
            approved, kept = self.answers.pop()
            self.run.take(
                OrderAnswered(
                    approved.client_order_id,
                    Accepted(self._answer(approved, kept), self.run.now_ns, self.run.now_ns),
                )
            )
            for one in (kept, *kept.legs):
                self._know(one)
        for number in range(len(self.broker.updates)):
            if number not in self.heard or number in self.waiting:
                self._hear(number)
        book = self.run.engine.state.book
        for order in self.broker.orders.values():
            booked = book.orders[order.client_order_id]
            assert (booked.filled, booked.open) == (order.filled, order.open)
            assert order.open or booked.status == order.status
        buys = [one.left for one in self.broker.orders.values() if one.side == "buy"]
        assert book.pending("AAPL", "buy") == sum(buys, ZERO)
        assert not book.open.elsewhere()
        assert self.run.folded().digest() == self.run.engine.digest()

    # Small helps.

    def _ask(self, wanted: OrderTerms) -> Approved | None:
        """None where risk refuses it, as it may while an exit was heard of before its entry."""
        self.count += 1
        effects = self.run.read(request(wanted, self.count))
        return effects.send[0] if effects.send else None

    def _answer(self, approved: Approved, kept: Kept) -> BrokerOrder:
        """The order as it was when the broker took it: a replacement has what was left of the other."""
        old = kept.replaces
        quantity = approved.terms.quantity if old is None else old.quantity - self.filled_by_then[kept.id]
        return replace(at_broker(approved), quantity=quantity)

    def _know(self, kept: Kept) -> None:
        self.known.setdefault(kept.client_order_id, Known(quantity=kept.quantity))

    def _hear(self, number: int) -> None:
        told = self.broker.updates[number]
        self.run.told(told.frame)
        self.heard.add(number)
        parent = told.order.parent
        if parent is not None and told.order.client_order_id not in self.known:
            self.waiting.append(number)
            return
        self.known.setdefault(told.order.client_order_id, Known()).hear(told)

    def _open(self) -> list[Kept]:
        return [one for one in self.broker.orders.values() if one.open]

    def _fillable(self) -> list[Kept]:
        return [
            one for one in self._open() if one.left and (one.parent is None or one.parent.status == "filled")
        ]

    def _replaceable(self) -> list[Kept]:
        book = self.run.engine.state.book
        return [
            one for one in self.broker.orders.values()
            if one.type == "stop" and one.side == "buy" and one.client_order_id in book.orders
            and book.orders[one.client_order_id].open and book.orders[one.client_order_id].broker_order_id
        ]  # fmt: skip

    def _terms_of(self, kept: Kept) -> dict[str, Any]:
        order = self.run.engine.state.book.orders[kept.client_order_id]
        assert order.working is not None
        return {one: getattr(order.working, one) for one in order.working.__struct_fields__}

    def _buys(self, order_id: str) -> bool:
        return self.broker.orders[order_id].side == "buy"


def _refused() -> Rejected:
    return Rejected("broker", Reason(code="broker_42210000", message="not replaceable"))


TestOrders = Orders.TestCase
TestOrders.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, report_multiple_bugs=False
)


def test_a_rejection_that_is_told_late_ends_no_later_replacement() -> None:
    """The broker is asked about the last: the update does not say which one it rejected."""
    machine = Orders()
    machine.buy_stop(Decimal(4))
    (old,) = machine.broker.orders.values()
    machine.run.take(_accepted(machine, *machine.answers.pop()))
    first = _replace(machine, old)
    rejected = Kept(first.client_order_id, "buy", Decimal(4), type="stop", replaces=old, status="rejected")
    machine.broker.tell(rejected, "rejected")
    machine.run.told(machine.broker.updates[-1].frame)
    second = _replace(machine, old)
    machine.run.take(_accepted(machine, second, Kept(second.client_order_id, "buy", Decimal(4))))
    machine.broker.tell(old, "order_replace_rejected")
    effects = machine.run.told(machine.broker.updates[-1].frame)
    assert machine.run.engine.state.book.orders[second.client_order_id].open
    assert FindOrder(second.client_order_id) in effects.ask


def _accepted(machine: Orders, approved: Approved, kept: Kept) -> OrderAnswered:
    order = at_broker(approved)
    return OrderAnswered(kept.client_order_id, Accepted(order, machine.run.now_ns, machine.run.now_ns))


def _replace(machine: Orders, old: Kept) -> Any:
    machine.count += 1
    terms_of = machine._terms_of(old) | {"stop_price": Decimal(101) + machine.count}
    effects = machine.run.read(
        ReplaceRequest(
            client_order_id=name(machine.count), replaces=old.client_order_id, terms=OrderTerms(**terms_of),
            lease="1:alpha", trigger="t", received_ns=1, requested_ns=1, changes=("stop_price",),
        )
    )  # fmt: skip
    return effects.send[0] if effects.send else None
