"""Orders with exits in the engine: legs known, counted by the worst, watched over, told late or twice."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_run import EngineRun, at_broker, exit_at_broker, frame
from hypothesis import given
from hypothesis import strategies as st
from risk_day import name, request, terms

from bus.control_messages import AssignPosition, TakeCorporateAction
from bus.journal_messages import OrdersPutAway
from bus.order_events import LegFound, PositionProtected, PositionUnprotected, Registered
from bus.order_messages import CancelRequest, OrderTerms, Reason, ReplaceRequest
from bus.streams import EXTERNAL
from oms.broker.protocol import Accepted, BrokerOrder, BrokerPosition, Rejected, Unknown
from oms.engine import COMPARE_EVERY_NS
from oms.journal.snapshot_encoding import decode, encode
from oms.requests.protection import SETTLED_AFTER_NS
from oms.risk.approval import Approved
from oms.state.inputs import (
    AccountListed,
    Answered,
    CompareAccount,
    ControlRead,
    FindOrder,
    OrderAnswered,
    Started,
)

SECOND_NS = 1_000_000_000
BRACKET: dict[str, Any] = {"order_class": "bracket", "take_profit": Decimal(110), "stop_loss": Decimal(90)}


@pytest.fixture
def run() -> EngineRun:
    """An engine on an empty account."""
    made = EngineRun()
    made.begin()
    return made


def asked(run: EngineRun, wanted: OrderTerms, number: int = 1) -> Approved:
    """An order with these terms, approved and on its way."""
    run.price("100")
    run.read(request(wanted, number))
    return run.sent[-1]


def entered(run: EngineRun, number: int = 1, filled: str = "10", **changes: Any) -> Approved:
    """A bracket of ten that the broker has taken, with so much of its entry filled."""
    approved = asked(run, terms("10", **(BRACKET | changes)), number)
    run.accepted(approved)
    if Decimal(filled):
        fill(run, at_broker(approved), filled)
    return approved


def fill(run: EngineRun, order: BrokerOrder, cumulative: str, part: str | None = None) -> None:
    """An execution, after which so much of the order is filled; all of that by default."""
    status = "filled" if Decimal(cumulative) == order.quantity else "partially_filled"
    run.told(
        frame(
            replace(order, status=status, filled_quantity=Decimal(cumulative)),
            "fill" if status == "filled" else "partial_fill",
            execution_id=f"{order.id}-{cumulative}", qty=part or cumulative, price="100",
        )
    )  # fmt: skip


def leg(run: EngineRun, approved: Approved, role: Any, status: str, event: str | None = None) -> None:
    """The broker says that an exit has another status."""
    run.told(frame(exit_at_broker(approved, role, status), event or status))


def legs(approved: Approved) -> tuple[str, str]:
    """The client ids of both exits."""
    order_id = approved.client_order_id
    return f"take_profit-{order_id}", f"stop_loss-{order_id}"


def unprotected(run: EngineRun) -> list[Any]:
    """What was told of protection so far, in order."""
    return [one for one in run.read_journal() if isinstance(one, PositionUnprotected | PositionProtected)]


def test_exits_are_orders_of_the_algorithm(run: EngineRun) -> None:
    approved = entered(run)
    book = run.engine.state.book
    profit, loss = (book.orders[order_id] for order_id in legs(approved))
    assert [one.algorithm for one in (profit, loss)] == ["alpha", "alpha"]
    assert [(one.role, one.parent) for one in (profit, loss)] == [
        ("take_profit", approved.client_order_id), ("stop_loss", approved.client_order_id),
    ]  # fmt: skip
    assert book.orders[approved.client_order_id].role == "entry"


def test_the_worst_exit_is_what_counts(run: EngineRun) -> None:
    approved = entered(run, filled="0")
    book = run.engine.state.book
    assert (book.pending("AAPL", "buy"), book.pending("AAPL", "sell"), book.open_count()) == (10, 0, 1)
    fill(run, at_broker(approved), "4")
    assert (book.pending("AAPL", "buy"), book.pending("AAPL", "sell"), book.open_count()) == (6, 4, 1)
    fill(run, at_broker(approved), "10", "6")
    assert (book.pending("AAPL", "buy"), book.pending("AAPL", "sell"), book.open_count()) == (0, 10, 1)
    fill(run, exit_at_broker(approved, "take_profit"), "3")
    assert (book.pending("AAPL", "sell"), book.position("AAPL")) == (7, 7)
    fill(run, exit_at_broker(approved, "take_profit"), "10", "7")
    assert (book.pending("AAPL", "sell"), book.position("AAPL")) == (0, 0)
    leg(run, approved, "stop_loss", "canceled")
    assert (book.pending("AAPL", "sell"), book.open_count()) == (0, 0)


def test_the_value_of_a_short_ones_exits_is_that_of_the_dearer(run: EngineRun) -> None:
    entered(run, side="sell", take_profit=Decimal(90), stop_loss=Decimal(110))
    book = run.engine.state.book
    assert (book.pending("AAPL", "buy"), book.reserved("alpha")) == (10, 1100)


@pytest.mark.parametrize("wanted", ["1", "10"])
def test_shares_under_exits_are_held_for_orders(run: EngineRun, wanted: str) -> None:
    entered(run)
    run.price("100")
    effects = run.read(request(terms(wanted, side="sell"), 2))
    (refused,) = effects.events
    assert [reason.code for reason in refused.reasons] == ["held_for_orders"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "held", "code"),
    [
        ({}, "0", None),
        ({"take_profit": Decimal("100.01")}, "0", None),
        ({"take_profit": Decimal(100)}, "0", "exit_price"),
        ({"stop_loss": Decimal("99.99")}, "0", None),
        ({"stop_loss": Decimal(100)}, "0", "exit_price"),
        ({"type": "limit", "limit_price": Decimal(95), "stop_loss": Decimal("94.99")}, "0", None),
        ({"type": "limit", "limit_price": Decimal(95), "stop_loss": Decimal(95)}, "0", "exit_price"),
        ({}, "-10", "not_an_entry"),
        ({"order_class": "oco", "side": "sell", "type": "limit", "limit_price": Decimal(110),
          "take_profit": None}, "10", None),
        ({"order_class": "oco", "side": "sell", "type": "limit", "limit_price": Decimal(110),
          "take_profit": None}, "0", "no_position"),
        ({"order_class": "oco", "side": "sell", "type": "limit", "limit_price": Decimal(110),
          "take_profit": None, "stop_loss": Decimal(100)}, "10", "exit_price"),
    ],
)  # fmt: skip
def test_what_market_and_position_have_against_it(
    run: EngineRun, changes: dict[str, Any], held: str, code: str | None
) -> None:
    size = Decimal(held)
    if size:
        approved = asked(run, terms(str(abs(size)), side="buy" if size > 0 else "sell"), 7)
        run.accepted(approved)
        fill(run, at_broker(approved), str(abs(size)))
    run.price("100")
    effects = run.read(request(terms("10", **(BRACKET | changes)), 8))
    reasons = [reason.code for event in effects.events for reason in getattr(event, "reasons", ())]
    assert reasons == ([] if code is None else [code])


def test_an_exit_that_is_told_of_before_its_order_waits_for_it(run: EngineRun) -> None:
    approved = asked(run, terms("10", **BRACKET))
    book = run.engine.state.book
    effects = run.told(frame(exit_at_broker(approved, "stop_loss"), "held"))
    assert (effects.events, effects.acknowledge, book.open.elsewhere()) == ([], [], [])
    order = at_broker(approved)
    effects = run.take(OrderAnswered(approved.client_order_id, Accepted(order, run.now_ns, run.now_ns)))
    assert len(effects.acknowledge) == 1
    assert book.orders[legs(approved)[1]].algorithm == "alpha"
    assert not book.open.elsewhere()


def test_an_exit_of_an_order_that_came_to_nothing_is_somebody_elses(run: EngineRun) -> None:
    approved = asked(run, terms("10", **BRACKET))
    run.told(frame(replace(exit_at_broker(approved, "stop_loss"), client_order_id="by-hand"), "held"))
    assert "by-hand" not in run.engine.state.book.orders
    refused = Rejected("broker", Reason(code="broker_42210000", message="no"))
    run.take(OrderAnswered(approved.client_order_id, refused))
    assert run.engine.state.book.orders["by-hand"].algorithm == EXTERNAL


def test_exits_are_asked_for_where_the_answer_was_lost(run: EngineRun) -> None:
    approved = asked(run, terms("10", **BRACKET))
    # The websocket says that it is there, and no word of its exits.
    run.told(frame(at_broker(approved), "new"))
    run.take(OrderAnswered(approved.client_order_id, Unknown("lost")))
    question = FindOrder(approved.client_order_id)
    assert question in run.tick(SECOND_NS).ask
    run.take(Answered(question, at_broker(approved), run.monotonic_ns))
    assert all(order_id in run.engine.state.book.orders for order_id in legs(approved))
    assert run.tick(SECOND_NS).ask == []


def test_a_broker_that_does_not_show_exits_is_asked_ever_less_often(run: EngineRun) -> None:
    approved = asked(run, terms("10", **BRACKET))
    run.take(
        OrderAnswered(
            approved.client_order_id,
            Accepted(replace(at_broker(approved), legs=()), run.now_ns, run.now_ns),
        )
    )
    question, asks = FindOrder(approved.client_order_id), 0
    for _ in range(120):
        if question in run.tick(SECOND_NS).ask:
            asks += 1
            run.take(Answered(question, replace(at_broker(approved), legs=()), run.monotonic_ns))
    assert asks == 7


def test_a_replaced_exit_takes_its_place(run: EngineRun) -> None:
    approved = entered(run)
    book, (_, loss_id) = run.engine.state.book, legs(approved)
    wanted = replace_terms(book.orders[loss_id].terms, stop_price=Decimal(95))
    run.price("100")
    run.read(_replace(loss_id, wanted, 5))
    new = run.sent[-1]
    assert (new.changes, new.event.working) == (("stop_price",), wanted)
    run.accepted(new)
    leg(run, approved, "stop_loss", "replaced")
    order = book.orders[new.client_order_id]
    assert (order.role, order.parent) == ("stop_loss", approved.client_order_id)
    assert (book.pending("AAPL", "sell"), book.open_count()) == (10, 1)
    for _ in range(5):
        run.tick(SECOND_NS)
    assert unprotected(run) == []


@pytest.mark.parametrize(
    "changes", [{"quantity": Decimal(5)}, {"time_in_force": "gtc"}], ids=["quantity", "time_in_force"]
)
def test_what_a_group_shares_cannot_change_in_one_of_it(run: EngineRun, changes: dict[str, Any]) -> None:
    approved = entered(run)
    old = run.engine.state.book.orders[legs(approved)[0]]
    run.price("100")
    effects = run.read(_replace(old.client_order_id, replace_terms(old.terms, **changes), 5))
    (reason,) = effects.events[0].reasons  # type: ignore[attr-defined]
    assert (reason.code, "its prices can" in reason.message) == ("not_replaceable", True)


def test_a_replaced_entry_takes_its_exits_along(run: EngineRun) -> None:
    approved = entered(run, filled="0", type="limit", limit_price=Decimal(95))
    wanted = replace_terms(approved.terms, limit_price=Decimal(96))
    run.price("100")
    run.read(_replace(approved.client_order_id, wanted, 5))
    new = run.sent[-1]
    moved = tuple(
        replace(exit_at_broker(approved, role), parent=new.client_order_id)
        for role in ("take_profit", "stop_loss")
    )
    order = replace(at_broker(new), legs=moved)
    run.take(OrderAnswered(new.client_order_id, Accepted(order, run.now_ns, run.now_ns)))
    run.told(frame(replace(at_broker(approved), status="replaced"), "replaced"))
    fill(run, order, "10")
    book = run.engine.state.book
    assert {book.orders[order_id].parent for order_id in legs(approved)} == {new.client_order_id}
    assert (book.pending("AAPL", "sell"), book.position("AAPL", "alpha")) == (10, 10)
    for _ in range(5):
        run.tick(SECOND_NS)
    assert unprotected(run) == []


def test_a_partial_entry_is_told_once_it_has_settled_and_until_it_is_filled(run: EngineRun) -> None:
    approved = entered(run, filled="4")
    run.tick(0)
    run.tick(SETTLED_AFTER_NS - 1)
    assert unprotected(run) == []
    run.tick(1)
    (told,) = unprotected(run)
    assert (told.algorithm, told.symbol, told.quantity, told.client_order_id) == (
        "alpha", "AAPL", 4, approved.client_order_id,
    )  # fmt: skip
    assert "4 of its entry are filled and 6 are not" in told.why
    run.tick(10 * SECOND_NS)
    assert len(unprotected(run)) == 1
    fill(run, at_broker(approved), "10", "6")
    run.tick(1)
    assert isinstance(unprotected(run)[-1], PositionProtected)
    assert run.folded().digest() == run.engine.digest()


def test_a_canceled_exit_is_told_until_the_position_has_a_stop_or_is_closed(run: EngineRun) -> None:
    approved = entered(run)
    leg(run, approved, "stop_loss", "canceled")
    leg(run, approved, "take_profit", "canceled")
    _settle(run)
    (told,) = unprotected(run)
    assert (told.quantity, told.why) == (10, f"its stop-loss {legs(approved)[1]} is canceled")
    stop = asked(run, terms("6", side="sell", type="stop", stop_price=Decimal(80)), 2)
    run.accepted(stop)
    _settle(run)
    assert [one.quantity for one in unprotected(run)] == [10, 4]
    rest = asked(run, terms("4", side="sell", type="trailing_stop", trail_percent=Decimal(1)), 3)
    run.accepted(rest)
    run.tick(1)
    assert isinstance(unprotected(run)[-1], PositionProtected)


def test_a_position_that_other_orders_closed_is_forgotten(run: EngineRun) -> None:
    approved = entered(run)
    for role in ("stop_loss", "take_profit"):
        leg(run, approved, role, "expired")
    _settle(run)
    close = asked(run, terms("10", side="sell"), 2)
    run.accepted(close)
    fill(run, at_broker(close), "10")
    run.tick(1)
    assert isinstance(unprotected(run)[-1], PositionProtected)
    again = asked(run, terms("10"), 3)
    run.accepted(again)
    fill(run, at_broker(again), "10")
    _settle(run)
    assert len(unprotected(run)) == 2
    assert not list(run.engine.state.book.open_groups)
    assert run.folded().digest() == run.engine.digest()


def test_a_position_that_was_assigned_to_another_is_forgotten(run: EngineRun) -> None:
    """No later position of the algorithm is told to be without the stop-loss of this one."""
    approved = entered(run)
    for role in ("stop_loss", "take_profit"):
        leg(run, approved, role, "expired")
    _settle(run)
    for one in ("alpha", "beta"):
        run.engine.apply(Registered(algorithm=one, at_ns=run.now_ns))
    given = AssignPosition(
        account="paper", symbol="AAPL", quantity=Decimal(10), giver="alpha", taker="beta",
        reason="a test", by="ann", at_ns=run.now_ns,
    )  # fmt: skip
    run.take(ControlRead("7-0", given))
    assert run.engine.state.book.position("AAPL", "alpha") == 0
    assert not list(run.engine.state.book.open_groups)
    again = asked(run, terms("10"), 3)
    run.accepted(again)
    fill(run, at_broker(again), "10")
    _settle(run)
    assert isinstance(unprotected(run)[-1], PositionProtected)


def test_an_oco_that_is_canceled_leaves_what_it_was_to_close(run: EngineRun) -> None:
    held = asked(run, terms("10"), 1)
    run.accepted(held)
    fill(run, at_broker(held), "10")
    prices = {"limit_price": Decimal(110), "stop_loss": Decimal(90)}
    oco = asked(run, terms("10", side="sell", type="limit", order_class="oco", **prices), 2)
    run.accepted(oco)
    book = run.engine.state.book
    assert (book.pending("AAPL", "sell"), book.open_count()) == (10, 1)
    _settle(run)
    assert unprotected(run) == []
    run.told(frame(replace(at_broker(oco), status="canceled"), "canceled"))
    leg(run, oco, "stop_loss", "canceled")
    _settle(run)
    assert [one.quantity for one in unprotected(run)] == [10]
    assert book.pending("AAPL", "sell") == 0


def test_an_oco_in_doubt_is_ours_though_its_stop_was_filled_in_part(run: EngineRun) -> None:
    """The broker trims the take-profit by what the stop-loss closed."""
    held = asked(run, terms("10"), 1)
    run.accepted(held)
    fill(run, at_broker(held), "10")
    prices = {"limit_price": Decimal(110), "stop_loss": Decimal(90)}
    oco = asked(run, terms("10", side="sell", type="limit", order_class="oco", **prices), 2)
    asked_for = run.take(OrderAnswered(oco.client_order_id, Unknown("no answer"))).ask
    asked_for += run.tick(SECOND_NS).ask
    question = FindOrder(oco.client_order_id)
    assert question in asked_for
    trimmed = replace(at_broker(oco), quantity=Decimal(9))
    effects = run.take(Answered(question, trimmed, run.monotonic_ns))
    assert effects.halts == []
    order = run.engine.state.book.orders[oco.client_order_id]
    assert (order.open, order.wanted()) == (True, 9)


def test_the_cancel_of_a_filled_entry_names_its_exits(run: EngineRun) -> None:
    approved = entered(run)
    effects = run.read(
        CancelRequest(client_order_id=approved.client_order_id, lease="1:alpha", requested_ns=1)
    )
    assert legs(approved)[0] in effects.events[0].reason.message  # type: ignore[attr-defined]


def test_a_trailing_stop_is_booked_where_a_comparison_finds_it(run: EngineRun) -> None:
    held = asked(run, terms("10"), 1)
    run.accepted(held)
    fill(run, at_broker(held), "10")
    trailing = asked(run, terms("10", side="sell", type="trailing_stop", trail_percent=Decimal(2)), 2)
    run.accepted(trailing)
    run.told(frame(at_broker(trailing), "new"))
    run.tick(0)
    (question,) = [one for one in run.tick(COMPARE_EVERY_NS).ask if isinstance(one, CompareAccount)]
    moved = replace(at_broker(trailing), stop_price=Decimal("101.5"))
    run.take(Answered(question, AccountListed((moved,), None), run.monotonic_ns))
    order = run.engine.state.book.orders[trailing.client_order_id]
    assert order.working is not None
    assert order.working.stop_price == Decimal("101.5")
    assert run.engine.observed.counts["missed_updates"] == 0


@given(data=st.data())
def test_told_in_any_order_and_twice_book_and_group_are_the_same(data: st.DataObject) -> None:
    """Whatever comes first, the same position is held and nothing more than it may be closed."""
    run = EngineRun()
    run.begin()
    approved = asked(run, terms("10", **BRACKET))
    run.accepted(approved)
    order = at_broker(approved)
    profit = exit_at_broker(approved, "take_profit")
    news = [
        lambda: fill(run, order, "4"),
        lambda: fill(run, order, "10", "6"),
        lambda: fill(run, profit, "3"),
        lambda: leg(run, approved, "take_profit", "new"),
        lambda: run.told(frame(replace(order, status="new"), "new")),
    ]
    told = data.draw(st.permutations(news)) + data.draw(st.lists(st.sampled_from(news), max_size=5))
    for tell in told:
        tell()
    book = run.engine.state.book
    assert (book.position("AAPL", "alpha"), book.position("AAPL")) == (7, 7)
    assert (book.pending("AAPL", "sell"), book.pending("AAPL", "buy")) == (7, 0)
    assert run.folded().digest() == run.engine.digest()


def _settle(run: EngineRun) -> None:
    run.tick(1)
    run.tick(SETTLED_AFTER_NS)


def replace_terms(old: OrderTerms | None, **changes: Any) -> OrderTerms:
    """Terms with some of them changed."""
    assert old is not None
    return OrderTerms(**({one: getattr(old, one) for one in old.__struct_fields__} | changes))


def _replace(order_id: str, wanted: OrderTerms, number: int) -> ReplaceRequest:
    return ReplaceRequest(
        client_order_id=name(number), replaces=order_id, terms=wanted, lease="1:alpha", trigger="t",
        received_ns=1, requested_ns=1,
    )  # fmt: skip


def test_legs_are_told_to_the_algorithm(run: EngineRun) -> None:
    approved = entered(run)
    told = [event for event in run.read_journal() if isinstance(event, LegFound)]
    assert [(one.algorithm, one.role, one.parent) for one in told] == [
        ("alpha", "take_profit", approved.client_order_id),
        ("alpha", "stop_loss", approved.client_order_id),
    ]


def test_exits_that_no_list_shows_are_asked_for_by_their_order_and_nothing_else_waits(run: EngineRun) -> None:
    approved = entered(run)
    run.tick(0)
    (question,) = [one for one in run.tick(COMPARE_EVERY_NS).ask if isinstance(one, CompareAccount)]
    entry = replace(at_broker(approved), status="filled", filled_quantity=Decimal(10), legs=())
    held = BrokerPosition("AAPL", Decimal(10), Decimal(100))
    asks = run.take(Answered(question, AccountListed((entry,), (held,)), run.monotonic_ns)).ask
    assert asks == [FindOrder(approved.client_order_id)]
    assert run.engine.observed.agreed_ns == run.now_ns
    profit = exit_at_broker(approved, "take_profit", "canceled")
    loss = exit_at_broker(approved, "stop_loss", "canceled")
    run.take(Answered(asks[0], replace(entry, legs=(profit, loss)), run.monotonic_ns))
    assert run.engine.state.book.open_count() == 0


def test_a_replaced_exit_whose_end_was_lost_is_asked_for_itself(run: EngineRun) -> None:
    """Its order shows what stands in its place, and not itself any more."""
    approved = entered(run)
    book, (_, loss_id) = run.engine.state.book, legs(approved)
    run.price("100")
    run.read(_replace(loss_id, replace_terms(book.orders[loss_id].terms, stop_price=Decimal(95)), 5))
    run.accepted(run.sent[-1])
    run.tick(0)
    (question,) = [one for one in run.tick(COMPARE_EVERY_NS).ask if isinstance(one, CompareAccount)]
    held = BrokerPosition("AAPL", Decimal(10), Decimal(100))
    entry = replace(at_broker(approved), status="filled", filled_quantity=Decimal(10), legs=())
    asks = run.take(Answered(question, AccountListed((entry,), (held,)), run.monotonic_ns)).ask
    assert FindOrder(loss_id) in asks
    run.take(
        Answered(FindOrder(loss_id), exit_at_broker(approved, "stop_loss", "replaced"), run.monotonic_ns)
    )
    assert not book.orders[loss_id].open


def test_an_order_that_ended_with_more_than_was_told_is_asked_for(run: EngineRun) -> None:
    """One that was submitted long ago is in no list of the broker's after its end."""
    approved = asked(run, terms("10"))
    run.accepted(approved)
    ended = at_broker(approved, "canceled", filled="6")
    run.told(frame(ended, "canceled"))
    run.tick(0)
    (question,) = [one for one in run.tick(COMPARE_EVERY_NS).ask if isinstance(one, CompareAccount)]
    held = BrokerPosition("AAPL", Decimal(6), Decimal(100))
    asks = run.take(Answered(question, AccountListed((), (held,)), run.monotonic_ns)).ask
    assert asks == [FindOrder(approved.client_order_id)]
    run.take(Answered(asks[0], ended, run.monotonic_ns))
    assert run.engine.state.book.position("AAPL", "alpha") == 6


def test_such_an_order_is_known_again_after_a_restart(run: EngineRun) -> None:
    approved = asked(run, terms("10"))
    run.accepted(approved)
    run.told(frame(at_broker(approved, "canceled", filled="6"), "canceled"))
    run.engine = run.folded()
    run.take(Started(run.now_ns - SECOND_NS, run.now_ns))
    assert run.engine.observed.partly_told == {approved.client_order_id}


def test_a_stop_loss_that_the_broker_replaces_as_it_is_triggered_is_that_exit(run: EngineRun) -> None:
    """Alpaca was seen to fill not the stop-loss itself but another order in its place."""
    approved = entered(run)
    old = exit_at_broker(approved, "stop_loss")
    new = replace(old, id="b-new", client_order_id="made-by-the-broker", replaces=old.id, status="filled")
    run.told(
        frame(replace(new, filled_quantity=Decimal(10)), "fill", execution_id="e-new", qty="10", price="89")
    )
    run.told(frame(replace(old, status="replaced", replaced_by="b-new"), "replaced"))
    leg(run, approved, "take_profit", "canceled")
    book = run.engine.state.book
    order = book.orders["made-by-the-broker"]
    assert (order.algorithm, order.role, order.parent) == ("alpha", "stop_loss", approved.client_order_id)
    filled: Any = next(one for one in run.read_journal() if getattr(one, "execution_id", "") == "e-new")
    assert (filled.role, filled.parent) == ("stop_loss", approved.client_order_id)
    assert (book.position("AAPL", "alpha"), book.open_count(), book.pending("AAPL", "sell")) == (0, 0, 0)
    _settle(run)
    assert unprotected(run) == []


def test_groups_are_in_a_snapshot(run: EngineRun) -> None:
    approved = entered(run, filled="4")
    restored = decode(encode(run.engine.state))
    book = restored.book
    for event in (
        replace_fill(run, at_broker(approved), "10", "6"),
        replace_fill(run, exit_at_broker(approved, "take_profit"), "3"),
    ):
        restored.apply(event)
    assert (book.pending("AAPL", "sell"), book.open_count(), len(list(book.open_groups))) == (7, 1, 1)
    assert book.orders == run.engine.state.book.orders


def replace_fill(run: EngineRun, order: BrokerOrder, cumulative: str, part: str | None = None) -> Any:
    """An execution; returns the event that it came to."""
    fill(run, order, cumulative, part)
    return run.read_journal()[-1]


def test_an_exit_of_a_replaced_entry_whose_end_was_lost_is_asked_for_itself(run: EngineRun) -> None:
    """The answer to the replace was lost, and with it the word that the exits went over to the new order."""
    approved = entered(run, filled="0", type="limit", limit_price=Decimal(99))
    book, (profit_id, loss_id) = run.engine.state.book, legs(approved)
    wanted = replace_terms(approved.terms, limit_price=Decimal(100))
    run.price("100")
    run.read(_replace(approved.client_order_id, wanted, 5))
    second = run.sent[-1]
    run.take(OrderAnswered(second.client_order_id, Unknown("no answer")))
    entry = at_broker(second)
    run.told(frame(replace(at_broker(approved), status="replaced", replaced_by=entry.id), "replaced"))
    fill(run, entry, "10")
    leg(run, approved, "take_profit", "canceled")
    run.tick(0)
    (question,) = [one for one in run.tick(COMPARE_EVERY_NS).ask if isinstance(one, CompareAccount)]
    held = BrokerPosition("AAPL", Decimal(10), Decimal(100))
    shown = replace(entry, status="filled", filled_quantity=Decimal(10), legs=())
    asks = run.take(Answered(question, AccountListed((shown,), (held,)), run.monotonic_ns)).ask
    assert FindOrder(loss_id) in asks
    gone = exit_at_broker(approved, "stop_loss", "canceled")
    run.take(Answered(FindOrder(loss_id), gone, run.monotonic_ns))
    assert (book.orders[loss_id].status, book.orders[profit_id].status) == ("canceled", "canceled")
    assert (book.pending("AAPL", "sell"), book.open_count()) == (0, 0)
    run.price("100")
    assert run.read(request(terms("10", side="sell"), 6)).send


def test_an_exit_that_was_put_away_and_is_shown_again_is_not_booked_again(run: EngineRun) -> None:
    approved = entered(run)
    entry = at_broker(approved)
    profit = replace(exit_at_broker(approved, "take_profit", "filled"), filled_quantity=Decimal(10))
    fill(run, profit, "10")
    leg(run, approved, "stop_loss", "canceled")
    for day in ("2023-11-15", "2023-11-16"):
        run.engine.apply(OrdersPutAway(day=day, kept=(approved.client_order_id,), at_ns=run.now_ns))
    book = run.engine.state.book
    assert list(book.orders) == [approved.client_order_id]
    run.engine.observed.looked_up.add(approved.client_order_id)
    loss = exit_at_broker(approved, "stop_loss", "canceled")
    shown = replace(entry, status="filled", filled_quantity=Decimal(10), legs=(profit, loss))
    assert run.take(Answered(FindOrder(approved.client_order_id), shown, run.monotonic_ns)).events == []
    assert book.position("AAPL", "alpha") == 0


@pytest.mark.parametrize(("new", "old", "held"), [(2, 1, "12"), (1, 2, "3"), (1, 3, "2")])
def test_after_a_split_exits_protect_and_close_what_there_is_then(
    run: EngineRun, new: int, old: int, held: str
) -> None:
    """What is bought later, without a stop-loss, is not taken for a rest of the position of before."""
    approved, quantity = entered(run), Decimal(held)
    book = run.engine.state.book
    fill(run, exit_at_broker(approved, "take_profit"), "4")
    loss = replace(exit_at_broker(approved, "stop_loss"), quantity=Decimal(6))
    run.told(frame(loss, "restated"))
    split = TakeCorporateAction(
        account="paper",
        symbol="AAPL",
        new_symbol="AAPL",
        new=new,
        old=old,
        reason="a test",
        by="ann",
        at_ns=1,
    )
    run.take(ControlRead("7-0", split))
    assert book.position("AAPL", "alpha") == quantity
    loss = replace(loss, quantity=quantity)
    run.told(frame(loss, "restated"))
    _settle(run)
    assert unprotected(run) == []
    assert book.pending("AAPL", "sell") == quantity
    fill(run, loss, held)
    leg(run, approved, "take_profit", "canceled")
    assert (book.position("AAPL"), list(book.open_groups)) == (0, [])
    again = asked(run, terms("10"), 3)
    run.accepted(again)
    fill(run, at_broker(again), "10")
    _settle(run)
    assert unprotected(run) == []
    assert run.folded().digest() == run.engine.digest()


def test_a_stop_loss_that_a_split_leaves_too_small_is_told(run: EngineRun) -> None:
    entered(run)
    split = TakeCorporateAction(
        account="paper", symbol="AAPL", new_symbol="AAPL", new=3, old=1, reason="a test", by="ann", at_ns=1
    )
    run.take(ControlRead("7-0", split))
    _settle(run)
    assert [(one.quantity, one.why) for one in unprotected(run)] == [
        (20, f"its stop-loss stop_loss-{name(1)} is for 10")
    ]
