"""Replacing an order: what the broker says of it counts, and a chain buys what was asked for."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_run import EngineRun, at_broker, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_day import LEASE, LIMITS, limit_terms, name, replace_request, request

from bus.order_events import OrderRefused, OrderSent, OrderUpdated
from bus.order_messages import CancelRequest, OrderTerms, ReplaceRequest
from oms.book.orders import TERMINAL
from oms.broker.alpaca_orders import replacement
from oms.broker.protocol import Accepted, BrokerOrder, Rejected, Unknown
from oms.requests.cancels import CANCELED_UNSENT
from oms.risk.approval import Approved
from oms.state.effects import CancelOrder, Effects
from oms.state.inputs import OrderAnswered

HUNDRED = limit_terms("100", "100")


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready, on an empty account, on a day when no limit but the position's matters."""
    run = EngineRun()
    run.begin(LIMITS.replace("order_value = 50_000", "order_value = 1_000_000"))
    return run


def working(run: EngineRun, terms: OrderTerms = HUNDRED, number: int = 1) -> BrokerOrder:
    """An order that the broker has taken."""
    (approved,) = run.read(request(terms, number)).send
    run.accepted(approved)
    return at_broker(approved)


def filled(run: EngineRun, order: BrokerOrder, quantity: str, execution: str = "e1") -> BrokerOrder:
    """An execution of an order, told."""
    total = order.filled_quantity + Decimal(quantity)
    status = "filled" if total == order.quantity else "partially_filled"
    order = replace(order, filled_quantity=total, filled_average_price=Decimal(100), status=status)
    run.told(frame(order, "fill", execution_id=execution, qty=quantity, price="100"))
    return order


def asked(old: str, price: str, number: int, **changes: Any) -> ReplaceRequest:
    """A replace of the price alone, unless other changes are named."""
    quantity = changes.pop("quantity", "100")
    wanted = replace_request(old, limit_terms(price, quantity), number)
    values: dict[str, Any] = {"changes": ("limit_price",), **changes}
    return ReplaceRequest(**{field: getattr(wanted, field) for field in wanted.__struct_fields__} | values)


def taken(run: EngineRun, approved: Approved, quantity: str) -> BrokerOrder:
    """The broker takes a replacement, with this quantity."""
    order = replace(
        at_broker(approved), quantity=Decimal(quantity), limit_price=approved.event.working.limit_price
    )
    run.take(OrderAnswered(approved.client_order_id, Accepted(order, run.now_ns, run.now_ns)))
    return order


def reasons(effects: Effects) -> list[str]:
    """What a refusal says."""
    (refused,) = effects.events
    assert isinstance(refused, OrderRefused)
    return [f"{reason.code}: {reason.message}" for reason in refused.reasons]


def test_a_replace_says_nothing_to_the_broker_but_what_changes(run: EngineRun) -> None:
    old = filled(run, working(run), "84")
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    body = replacement(approved.terms, approved.changes, approved.client_order_id)
    assert body == {"limit_price": "99", "client_order_id": name(2)}
    assert approved.event.working == limit_terms("99", "16")


def test_two_replaces_of_the_price_alone_buy_what_was_asked_for(run: EngineRun) -> None:
    """84 of 100 were filled, and each replacement bought 100 again."""
    book = run.engine.state.book
    old = filled(run, working(run), "84")
    (first,) = run.read(asked(old.client_order_id, "99", 2)).send
    assert book.pending("AAPL", "buy") == 16
    second_order = taken(run, first, "16")
    run.told(frame(replace(old, status="replaced", replaced_by=second_order.id), "replaced"))
    assert (book.pending("AAPL", "buy"), book.open_count()) == (16, 1)
    second_order = filled(run, second_order, "4", "e2")
    (second,) = run.read(asked(second_order.client_order_id, "98", 3)).send
    assert second.changes == ("limit_price",)
    assert second.event.working == limit_terms("98", "12")
    third_order = taken(run, second, "12")
    run.told(frame(replace(second_order, status="replaced", replaced_by=third_order.id), "replaced"))
    assert book.pending("AAPL", "buy") == 12
    filled(run, third_order, "12", "e3")
    assert (book.pending("AAPL", "buy"), book.position("AAPL"), book.open_count()) == (0, 100, 0)


def test_a_replace_of_the_price_alone_passes_at_the_position_limit() -> None:
    run = EngineRun()
    run.begin(LIMITS.replace("position_quantity = 10_000", "position_quantity = 100"))
    old = filled(run, working(run), "84")
    assert len(run.read(asked(old.client_order_id, "99", 2)).send) == 1


def test_a_fractional_order_can_be_replaced_by_its_price(run: EngineRun) -> None:
    old = working(run, limit_terms("100", "1.5"))
    (approved,) = run.read(asked(old.client_order_id, "99", 2, quantity="1.5")).send
    assert "qty" not in replacement(approved.terms, approved.changes, "x")


def test_a_new_quantity_counts_what_is_filled(run: EngineRun) -> None:
    old = filled(run, working(run), "84")
    again = asked(
        old.client_order_id, "100", 2, quantity="90", changes=("quantity",), seen_quantity=Decimal(100)
    )
    (approved,) = run.read(again).send
    assert replacement(approved.terms, approved.changes, "x")["qty"] == "90"
    assert approved.event.working == limit_terms("100", "6")


@pytest.mark.parametrize(
    ("changes", "quantity", "seen", "why"),
    [
        (("quantity",), "84", None, "84 of it are filled already"),
        (("quantity",), "80", None, "84 of it are filled already"),
        (("quantity",), "120", "50", "its quantity is 100 by now, not 50 as when this was asked for"),
        (("limit_price",), "100", None, "nothing of it would change"),
        ((), "100", None, "nothing of it would change"),
        (("quantity",), "100", "100", "nothing of it would change"),
    ],
)
def test_a_replace_that_makes_no_sense_by_now_is_refused(
    run: EngineRun, changes: tuple[str, ...], quantity: str, seen: str | None, why: str
) -> None:
    old = filled(run, working(run), "84")
    seen_quantity = None if seen is None else Decimal(seen)
    wanted = asked(
        old.client_order_id, "100", 2, quantity=quantity, changes=changes, seen_quantity=seen_quantity
    )
    assert reasons(run.read(wanted)) == [f"not_replaceable: {old.client_order_id} cannot be replaced: {why}"]


def test_a_replace_of_an_older_release_changes_what_differs_from_what_was_asked(run: EngineRun) -> None:
    old = filled(run, working(run), "84")
    (first,) = run.read(asked(old.client_order_id, "99", 2, changes=None)).send
    order = taken(run, first, "16")
    run.told(frame(replace(old, status="replaced", replaced_by=order.id), "replaced"))
    (second,) = run.read(asked(order.client_order_id, "98", 3, changes=None)).send
    assert (second.changes, second.event.working) == (("limit_price",), limit_terms("98", "16"))


def test_one_replacement_of_an_order_is_on_its_way_at_a_time(run: EngineRun) -> None:
    old = working(run)
    run.read(asked(old.client_order_id, "99", 2))
    (reason,) = reasons(run.read(asked(old.client_order_id, "98", 3)))
    assert f"{name(2)} is on its way to take its place" in reason


def test_a_replacement_that_could_buy_too_much_is_canceled(run: EngineRun) -> None:
    """Alpaca was seen to give a replacement the whole quantity again."""
    old = filled(run, working(run), "84")
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    order = replace(at_broker(approved), quantity=Decimal(100))
    effects = run.take(OrderAnswered(approved.client_order_id, Accepted(order, run.now_ns, run.now_ns)))
    assert effects.cancel == [CancelOrder(order.client_order_id, order.id, "alpha")]


def test_so_is_one_whose_order_was_filled_unheard_before_it_was_replaced(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    order = taken(run, approved, "100")
    (second,) = run.read(asked(order.client_order_id, "98", 3)).send
    last = taken(run, second, "100")
    late = replace(old, filled_quantity=Decimal(84), filled_average_price=Decimal(100), status="replaced")
    effects = run.told(frame(late, "partial_fill", execution_id="e9", qty="84", price="100"))
    assert effects.cancel == [CancelOrder(last.client_order_id, last.id, "alpha")]


def test_the_algorithm_is_told_what_the_broker_says_of_its_order(run: EngineRun) -> None:
    old = filled(run, working(run), "84")
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    taken(run, approved, "16")
    (sent,) = [event for event in run.read_journal() if isinstance(event, OrderSent)][1:]
    assert (sent.quantity, sent.limit_price) == (16, 99)


@pytest.mark.parametrize("answered", [True, False])
def test_a_replacement_that_the_exchange_rejects_leaves_its_order_as_it_was(
    run: EngineRun, answered: bool
) -> None:
    old = filled(run, working(run), "84")
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    if answered:
        taken(run, approved, "16")
    run.told(frame(old, "order_replace_rejected"))
    if not answered:
        taken(run, approved, "16")
    book = run.engine.state.book
    assert (book.pending("AAPL", "buy"), book.open_count()) == (16, 1)
    assert book.orders[name(2)].status == "rejected"
    # It can be replaced again, and canceled.
    assert len(run.read(asked(old.client_order_id, "98", 3)).send) == 1


def test_a_restated_quantity_is_the_order_s_from_then_on(run: EngineRun) -> None:
    order = working(run)
    effects = run.told(frame(replace(order, quantity=Decimal(60)), "restated"))
    (updated,) = effects.events
    assert isinstance(updated, OrderUpdated)
    assert updated.quantity == 60
    assert run.engine.state.book.pending("AAPL", "buy") == 60
    # What was asked for stays what a second delivery of the request is compared with.
    assert run.read(request(HUNDRED, 1)).events == []


def test_the_answer_to_sending_an_order_does_not_undo_what_was_heard_before_it(run: EngineRun) -> None:
    (approved,) = run.read(request(HUNDRED, 1)).send
    run.told(frame(replace(at_broker(approved), quantity=Decimal(60)), "restated"))
    run.accepted(approved)
    assert run.engine.state.book.pending("AAPL", "buy") == 60


# Waiting, and cancels.


def test_a_replace_right_after_its_order_waits_for_the_broker_s_word(run: EngineRun) -> None:
    (approved,) = run.read(request(HUNDRED, 1)).send
    effects = run.read(asked(name(1), "99", 2))
    assert (effects.events, effects.acknowledge, effects.read_again) == ([], [], [])
    effects = run.accepted(approved)
    (again,) = effects.read_again
    assert again.id == f"{run.entries}-0"
    assert len(run.read(asked(name(1), "99", 2)).send) == 1


def canceled(run: EngineRun, number: int) -> Effects:
    """A cancel is asked for."""
    return run.read(CancelRequest(client_order_id=name(number), lease=LEASE, requested_ns=0))


def test_canceling_a_replacement_that_waits_for_its_order_cancels_that(run: EngineRun) -> None:
    (approved,) = run.read(request(HUNDRED, 1)).send
    run.read(asked(name(1), "99", 2))
    effects = canceled(run, 2)
    (refused,) = effects.events
    assert isinstance(refused, OrderRefused)
    assert (refused.client_order_id, refused.reasons) == (name(2), (CANCELED_UNSENT,))
    assert effects.withdraw == [name(1)]
    assert run.accepted(approved).cancel == [CancelOrder(name(1), at_broker(approved).id, "alpha")]


def test_canceling_a_replacement_that_was_not_sent_cancels_the_order_in_its_place(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    effects = canceled(run, 2)
    assert (effects.withdraw, effects.cancel) == ([name(2)], [])
    withdrawn = OrderAnswered(approved.client_order_id, Rejected("oms", CANCELED_UNSENT))
    assert run.take(withdrawn).cancel == [CancelOrder(old.client_order_id, old.id, "alpha")]


def test_canceling_an_order_whose_replacement_is_on_its_way_cancels_what_comes_of_it(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    effects = canceled(run, 1)
    assert (effects.withdraw, effects.cancel) == ([name(2)], [])
    # It had left already, and the broker took it.
    assert run.accepted(approved).cancel == [CancelOrder(name(2), at_broker(approved).id, "alpha")]


def test_canceling_an_order_that_was_replaced_cancels_its_replacement(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    order = taken(run, approved, "100")
    run.told(frame(replace(old, status="replaced", replaced_by=order.id), "replaced"))
    assert canceled(run, 1).cancel == [CancelOrder(order.client_order_id, order.id, "alpha")]


def test_an_order_that_is_being_canceled_is_not_replaced(run: EngineRun) -> None:
    old = working(run)
    canceled(run, 1)
    (reason,) = reasons(run.read(asked(old.client_order_id, "99", 2)))
    assert "it is being canceled" in reason


def test_canceling_an_order_whose_replacement_was_rejected_cancels_it(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    order = taken(run, approved, "100")
    run.told(frame(replace(order, status="rejected"), "rejected"))
    run.told(frame(old, "order_replace_rejected"))
    assert canceled(run, 1).cancel == [CancelOrder(old.client_order_id, old.id, "alpha")]


def test_a_cancel_that_waited_for_a_replacement_that_was_rejected_cancels_its_order(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    canceled(run, 2)
    effects = run.told(frame(replace(at_broker(approved), status="rejected"), "rejected"))
    assert effects.cancel == [CancelOrder(old.client_order_id, old.id, "alpha")]


def test_a_rejection_that_is_told_twice_is_not_about_a_later_replacement(run: EngineRun) -> None:
    """The later one worked at the broker, counted as nothing, and could not be canceled."""
    old = working(run)
    (first,) = run.read(asked(old.client_order_id, "99", 2)).send
    taken(run, first, "100")
    rejection = frame(old, "order_replace_rejected")
    run.told(rejection)
    (second,) = run.read(asked(old.client_order_id, "98", 3)).send
    order = taken(run, second, "100")
    run.told(rejection)
    run.told(frame(replace(old, status="replaced", replaced_by=order.id), "replaced"))
    run.told(rejection)
    book = run.engine.state.book
    assert (book.orders[name(3)].status, book.pending("AAPL", "buy"), book.open_count()) == ("sent", 100, 1)
    assert canceled(run, 3).cancel == [CancelOrder(name(3), order.id, "alpha")]


def test_an_order_that_has_been_replaced_is_not_replaced_once_more(run: EngineRun) -> None:
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    taken(run, approved, "100")
    (reason,) = reasons(run.read(asked(old.client_order_id, "98", 3)))
    assert f"{name(2)} has taken its place" in reason
    assert run.engine.state.book.pending("AAPL", "buy") == 100


def test_a_replacement_for_what_is_left_stands_where_the_fill_is_heard_of_late(run: EngineRun) -> None:
    """The quantity filled was known before its execution, and the replacement was canceled as too large."""
    old = working(run)
    part = replace(old, filled_quantity=Decimal(30), status="partially_filled")
    run.told(frame(part, "order_cancel_rejected"))
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    assert approved.event.working == limit_terms("99", "70")
    taken(run, approved, "70")
    assert run.told(frame(part, "partial_fill", execution_id="e1", qty="30", price="100")).cancel == []


def test_what_a_replacement_filled_unheard_counts_until_it_is_booked(run: EngineRun) -> None:
    """Its second execution was heard first, and only then that the old order works no more."""
    old = working(run)
    (approved,) = run.read(asked(old.client_order_id, "99", 2)).send
    run.take(OrderAnswered(approved.client_order_id, Unknown("no answer")))
    new = replace(at_broker(approved), status="filled", filled_quantity=Decimal(100))
    book = run.engine.state.book
    run.told(frame(new, "fill", execution_id="e2", qty="40", price="99"))
    assert (book.position("AAPL"), book.pending("AAPL", "buy")) == (40, 100)
    run.told(frame(replace(old, status="replaced", replaced_by=new.id), "replaced"))
    assert (book.position("AAPL"), book.pending("AAPL", "buy")) == (40, 60)
    part = replace(new, status="partially_filled", filled_quantity=Decimal(60))
    run.told(frame(part, "partial_fill", execution_id="e1", qty="60", price="99"))
    assert (book.position("AAPL"), book.pending("AAPL", "buy")) == (100, 0)


@pytest.mark.parametrize(("quantity", "code"), [("110", None), ("111", "position_quantity")])
def test_a_larger_replacement_of_what_is_filled_in_part_is_held_against_the_limits(
    quantity: str, code: str | None
) -> None:
    run = EngineRun()
    run.begin(LIMITS.replace("position_quantity = 10_000", "position_quantity = 110"))
    old = filled(run, working(run), "84")
    effects = run.read(asked(old.client_order_id, "100", 2, quantity=quantity, changes=("quantity",)))
    assert [one.split(":")[0] for one in reasons(effects)] == [code] if code else effects.send


def test_a_refused_replace_that_comes_again_is_not_a_conflict(run: EngineRun) -> None:
    old = working(run)
    again = asked(old.client_order_id, "100", 2)
    assert len(run.read(again).events) == 1
    assert run.read(again).events == []


# Any chain.


class ModelBroker:
    """A broker with one chain of orders; a new quantity counts fills, and what is not named stays."""

    def __init__(self, run: EngineRun) -> None:
        self.run = run
        self.order = working(run)
        self.bought = Decimal(0)
        self.most = Decimal(100)
        self.executions = 0
        self.untold: list[bytes] = []

    def fill(self, quantity: int) -> None:
        """Fill so much of what is left, and keep the news for later."""
        left = (self.order.quantity or Decimal(0)) - self.order.filled_quantity
        size = min(Decimal(quantity), left)
        if self.order.status in TERMINAL or not size:
            return
        self.bought += size
        self.executions += 1
        total = self.order.filled_quantity + size
        status = "filled" if total == self.order.quantity else "partially_filled"
        self.order = replace(
            self.order, filled_quantity=total, filled_average_price=Decimal(100), status=status
        )
        event = "fill" if status == "filled" else status.replace("partially_filled", "partial_fill")
        self.untold.append(
            frame(self.order, event, execution_id=f"e{self.executions}", qty=str(size), price="100")
        )

    def tell(self, count: int) -> None:
        """Tell what was kept, oldest first."""
        for data in self.untold[:count]:
            self.run.told(data)
        del self.untold[:count]

    def replace(self, price: int, quantity: int | None, number: int) -> None:
        """Ask for a replace, and carry it out where it is approved and can be."""
        changes = ("limit_price",) if quantity is None else ("limit_price", "quantity")
        wanted = asked(
            self.order.client_order_id, str(price), number, quantity=str(quantity or 100), changes=changes
        )
        effects = self.run.read(wanted)
        if not effects.send:
            return
        (approved,) = effects.send
        body = replacement(approved.terms, approved.changes, approved.client_order_id)
        old, total = self.order, Decimal(body.get("qty", self.order.quantity))
        if old.status in TERMINAL or total <= old.filled_quantity:
            no = Rejected("broker", CANCELED_UNSENT)
            self.run.take(OrderAnswered(approved.client_order_id, no))
            return
        self.most = max(self.most, self.bought - old.filled_quantity + total)
        self.order = replace(
            at_broker(approved), quantity=total - old.filled_quantity, limit_price=Decimal(str(price))
        )
        self.untold.append(frame(replace(old, status="replaced", replaced_by=self.order.id), "replaced"))
        answer = Accepted(self.order, self.run.now_ns, self.run.now_ns)
        assert self.run.take(OrderAnswered(approved.client_order_id, answer)).cancel == []


steps = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(1, 60)),
        st.tuples(st.just("tell"), st.integers(1, 3)),
        st.tuples(st.just("replace"), st.integers(95, 104), st.none() | st.integers(1, 200)),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(steps)
def test_a_chain_buys_what_was_asked_for_and_the_book_has_what_the_broker_has(
    chain: list[tuple[Any, ...]],
) -> None:
    run = EngineRun()
    run.begin(LIMITS.replace("order_value = 50_000", "order_value = 1_000_000"))
    broker = ModelBroker(run)
    for number, (kind, *arguments) in enumerate(chain, start=2):
        if kind == "replace":
            broker.replace(*arguments, number)
        else:
            getattr(broker, kind)(*arguments)
        book = run.engine.state.book
        left = Decimal(0)
        if broker.order.status not in TERMINAL:
            left = (broker.order.quantity or Decimal(0)) - broker.order.filled_quantity
        # Never less than what may still come, and what was not told is still counted as to come.
        assert book.position("AAPL") + book.pending("AAPL", "buy") >= broker.bought + left
    broker.tell(len(broker.untold))
    book = run.engine.state.book
    left = Decimal(0)
    if broker.order.status not in TERMINAL:
        left = (broker.order.quantity or Decimal(0)) - broker.order.filled_quantity
    assert (book.position("AAPL"), book.pending("AAPL", "buy")) == (broker.bought, left)
    assert book.open_count() == (broker.order.status not in TERMINAL)
    assert broker.bought <= broker.most
    assert run.folded().digest() == run.engine.digest()
