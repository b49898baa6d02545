"""Comparing the book with the broker while orders are taken, also while nothing seems wrong."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from engine_run import SECOND_NS, EngineRun, at_broker, frame
from risk_day import limit_terms, name, request

from bus.account_messages import PositionAgrees, PositionDiffers
from bus.order_messages import (
    OrderFilled,
    OrderUpdated,
)
from oms.broker import BrokerOrder, BrokerPosition, OutcomeUnknown
from oms.differences import OnDifference
from oms.effects import Effects
from oms.engine import COMPARE_EVERY_NS, Engine
from oms.inputs import AccountListed, Answered, CompareAccount, FindOrder, Unanswered

LOOK_AGAIN_NS = 2 * SECOND_NS


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready, on an empty account."""
    run = EngineRun()
    run.begin()
    run.tick(0)
    return run


def working(run: EngineRun, number: int = 1, quantity: str = "10") -> BrokerOrder:
    """An order that the broker has taken."""
    (approved,) = run.read(request(limit_terms("100", quantity), number)).send
    run.accepted(approved)
    return at_broker(approved)


def filled(order: BrokerOrder, quantity: str = "10") -> BrokerOrder:
    """The same order, filled, of which nobody was told."""
    size = Decimal(quantity)
    status = "filled" if size == order.quantity else "partially_filled"
    return replace(order, filled_quantity=size, filled_average_price=Decimal(100), status=status)


def compared(
    run: EngineRun, orders: Sequence[BrokerOrder], *held: BrokerPosition, after_ns: int = COMPARE_EVERY_NS
) -> Effects:
    """Time passes, the broker is asked, and says this."""
    (question,) = [one for one in run.tick(after_ns).ask if isinstance(one, CompareAccount)]
    return run.take(Answered(question, AccountListed(orders, held), run.monotonic_ns))


def shares(quantity: str, symbol: str = "AAPL") -> BrokerPosition:
    """A position at the broker."""
    return BrokerPosition(symbol, Decimal(quantity), Decimal(100))


def test_the_broker_is_asked_as_often_as_is_set_and_not_more_often(run: EngineRun) -> None:
    assert run.tick(COMPARE_EVERY_NS - 1).ask == []
    (question,) = run.tick(1).ask
    assert isinstance(question, CompareAccount)
    assert run.tick(COMPARE_EVERY_NS).ask == []
    run.take(Answered(question, AccountListed((), ()), run.monotonic_ns))
    assert run.tick(COMPARE_EVERY_NS - 1).ask == []
    assert len(run.tick(1).ask) == 1


def test_a_fill_of_which_the_update_was_lost_is_found_by_two_looks(run: EngineRun) -> None:
    order = filled(working(run))
    assert compared(run, [order], shares("10")).events == []
    effects = compared(run, [order], shares("10"), after_ns=LOOK_AGAIN_NS)
    (fill,) = effects.events
    assert isinstance(fill, OrderFilled)
    assert (run.engine.state.book.position("AAPL", "alpha"), run.engine.observed.agreed_ns) == (
        10,
        run.now_ns,
    )
    # What comes late of it is not booked twice.
    run.told(frame(order, "fill", execution_id="e1", qty="10", price="100"))
    assert run.engine.state.book.position("AAPL") == 10


def test_a_fill_whose_update_was_on_its_way_is_not_booked_by_a_look(run: EngineRun) -> None:
    order = filled(working(run))
    compared(run, [order], shares("10"))
    run.told(frame(order, "fill", execution_id="e1", qty="10", price="100"))
    assert compared(run, [order], shares("10"), after_ns=LOOK_AGAIN_NS).events == []
    assert run.engine.observed.counts["missed_updates"] == 0


def test_one_that_is_filled_further_between_two_looks_is_looked_at_again(run: EngineRun) -> None:
    order = working(run)
    compared(run, [filled(order, "3")])
    assert compared(run, [filled(order, "4")], after_ns=LOOK_AGAIN_NS).events == []
    assert len(compared(run, [filled(order, "4")], after_ns=LOOK_AGAIN_NS).events) == 1


def test_an_end_of_which_the_update_was_lost_is_found(run: EngineRun) -> None:
    order = replace(working(run), status="canceled")
    compared(run, [order])
    (updated,) = compared(run, [order], after_ns=LOOK_AGAIN_NS).events
    assert isinstance(updated, OrderUpdated)
    assert run.engine.state.book.open_count() == 0


def test_an_order_that_is_in_no_list_is_asked_for_by_its_id(run: EngineRun) -> None:
    order = working(run)
    compared(run, [])
    effects = compared(run, [], after_ns=LOOK_AGAIN_NS)
    assert effects.ask == [FindOrder(name(1))]
    run.take(Answered(FindOrder(name(1)), replace(order, status="expired"), run.monotonic_ns))
    assert run.engine.state.book.orders[name(1)].status == "expired"


def test_an_order_on_its_way_is_not_looked_at(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("100", "10"), 1)).send
    order = filled(at_broker(approved))
    for after_ns in (COMPARE_EVERY_NS, COMPARE_EVERY_NS):
        assert compared(run, [order], shares("10"), after_ns=after_ns).events == []
    assert run.engine.observed.agreed_ns == 0


def test_a_position_that_differs_is_told_and_its_symbol_halted(run: EngineRun) -> None:
    assert compared(run, [], shares("5")).events == []
    effects = compared(run, [], shares("5"), after_ns=LOOK_AGAIN_NS)
    assert effects.events == [
        PositionDiffers(symbol="AAPL", booked=Decimal(0), at_broker=Decimal(5), at_ns=run.now_ns)
    ]
    assert effects.halt is not None
    assert effects.halt.scope == "symbol:AAPL"
    assert run.folded().state.differences == {"AAPL": (0, 5)}
    # It is told once, until it is another.
    assert compared(run, [], shares("5")).events == []
    compared(run, [], shares("6"))
    assert len(compared(run, [], shares("6"), after_ns=LOOK_AGAIN_NS).events) == 1
    # And that it is over.
    assert compared(run, []).events == [PositionAgrees(symbol="AAPL", at_ns=run.now_ns)]
    assert run.engine.state.differences == {}


@pytest.mark.parametrize(
    ("on_difference", "held", "scope"),
    [
        ("halt_symbol", ("AAPL",), "symbol:AAPL"),
        ("halt_symbol", ("AAPL", "MSFT"), "account:paper"),
        ("halt_account", ("AAPL",), "account:paper"),
        ("tell", ("AAPL", "MSFT"), None),
    ],
)
def test_what_is_done_about_a_difference_is_a_setting(
    run: EngineRun, on_difference: OnDifference, held: tuple[str, ...], scope: str | None
) -> None:
    run.engine = Engine("paper", longest_send_ns=SECOND_NS, on_difference=on_difference)
    run.begin()
    run.tick(0)
    positions = [shares("5", symbol) for symbol in held]
    compared(run, [], *positions)
    effects = compared(run, [], *positions, after_ns=LOOK_AGAIN_NS)
    assert len(effects.events) == len(held)
    assert (None if effects.halt is None else effects.halt.scope) == scope


@pytest.mark.parametrize(("at_broker", "halts"), [("0.49875", False), ("0.4987", True), ("0.51", True)])
def test_a_fee_that_was_taken_in_coins_halts_nothing(run: EngineRun, at_broker: str, halts: bool) -> None:
    by_hand = BrokerOrder(
        "b1", "by-hand", "BTC/USD", "buy", "market", "gtc", "filled", Decimal("0.5"), None, None, None,
        Decimal("0.5"), Decimal(100),
    )  # fmt: skip
    run.told(frame(by_hand, "fill", execution_id="e", qty="0.5", price="100"))
    compared(run, [by_hand], shares(at_broker, "BTC/USD"))
    effects = compared(run, [by_hand], shares(at_broker, "BTC/USD"), after_ns=LOOK_AGAIN_NS)
    assert len(effects.events) == 1
    assert (effects.halt is not None) == halts


def test_positions_are_not_compared_where_orders_moved_on_meanwhile(run: EngineRun) -> None:
    for after_ns in (COMPARE_EVERY_NS, COMPARE_EVERY_NS):
        (question,) = run.tick(after_ns).ask
        assert run.take(Answered(question, AccountListed((), None), run.monotonic_ns)).events == []
    assert run.engine.observed.agreed_ns == 0


def test_a_broker_that_does_not_answer_stops_no_orders(run: EngineRun) -> None:
    (question,) = run.tick(COMPARE_EVERY_NS).ask
    run.take(Unanswered(question, str(OutcomeUnknown("no answer"))))
    assert run.engine.not_ready is None
    run.price("100")
    assert len(run.read(request(limit_terms("100", "10"), 1)).send) == 1


def test_history_of_orders_that_came_to_nothing_elsewhere_is_no_difference(run: EngineRun) -> None:
    order = replace(filled(at_broker_by_hand()), filled_quantity=Decimal(0), status="canceled")
    for after_ns in (COMPARE_EVERY_NS, COMPARE_EVERY_NS):
        assert compared(run, [order], after_ns=after_ns).events == []


def at_broker_by_hand() -> BrokerOrder:
    """An order made elsewhere."""
    return BrokerOrder(
        "b1", "by-hand", "AAPL", "buy", "limit", "gtc", "new", Decimal(10), None, Decimal(99), None,
        Decimal(0), None,
    )  # fmt: skip


def test_an_order_made_elsewhere_of_which_no_update_came_is_found(run: EngineRun) -> None:
    compared(run, [at_broker_by_hand()])
    compared(run, [at_broker_by_hand()], after_ns=LOOK_AGAIN_NS)
    assert run.engine.state.book.pending("AAPL", "buy", "external") == 10
