"""Comparing the book with the broker while orders are taken, also while nothing seems wrong."""

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from engine_run import SECOND_NS, EngineRun, at_broker, frame
from risk_day import LEASE, limit_terms, name, request

import oms
from bus.account_messages import PositionAgrees, PositionDiffers
from bus.book_messages import Booked, Reconciled
from bus.control_messages import Reconcile
from bus.halt_state import HaltState
from bus.heartbeat import OmsCounters
from bus.order_events import OrderFilled, OrderUpdated
from bus.order_messages import CancelRequest
from oms.broker.protocol import (
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    OutcomeUnknown,
    Unknown,
    UnreadableOrder,
    UnreadablePosition,
)
from oms.engine import COMPARE_EVERY_NS, Engine
from oms.reconciliation.holdings import OnDifference
from oms.state.effects import Effects
from oms.state.inputs import (
    AccountListed,
    Answered,
    CancelAnswered,
    CompareAccount,
    ControlRead,
    FindOrder,
    HaltStateRead,
    OrderAnswered,
    Started,
    Unanswered,
)

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
    run: EngineRun,
    orders: Sequence[BrokerOrder],
    *held: BrokerPosition | UnreadablePosition,
    after_ns: int = COMPARE_EVERY_NS,
) -> Effects:
    """Time passes, the broker is asked, and says this."""
    (question,) = [one for one in run.tick(after_ns).ask if isinstance(one, CompareAccount)]
    return run.take(Answered(question, AccountListed(orders, held), run.monotonic_ns))


def shares(quantity: str, symbol: str = "AAPL") -> BrokerPosition:
    """A position at the broker."""
    return BrokerPosition(symbol, Decimal(quantity), Decimal(100))


UNREAD = UnreadablePosition("AAPL", "Expected `decimal`, got `null` - at `$.qty`")


def test_a_position_that_cannot_be_read_is_told_once_and_halts_its_symbol_alone(run: EngineRun) -> None:
    order = filled(working(run))
    run.told(frame(order, "fill", execution_id="e1", qty="10", price="100"))
    effects = compared(run, [order], UNREAD)
    assert [type(event).__name__ for event in effects.events] == ["PositionNotUnderstood", "HaltTriggered"]
    assert [halt.scope for halt in effects.halts] == ["symbol:AAPL"]
    # What is not known differs from nothing, and agrees with nothing.
    assert compared(run, [order], UNREAD, after_ns=COMPARE_EVERY_NS).events == []
    assert run.engine.observed.agreed_ns == 0
    assert run.engine.state.not_understood == {"position AAPL": UNREAD.why}
    asked = Reconcile(account="paper", accept=(), accept_all=False, reason="", by="ann", at_ns=run.now_ns)
    run.take(ControlRead("9-0", asked))
    (said,) = compared(run, [order], UNREAD, after_ns=LOOK_AGAIN_NS).events
    assert isinstance(said, Reconciled)
    assert (said.agrees, said.unread) == (False, {"position AAPL": UNREAD.why})
    assert run.folded().digest() == run.engine.digest()
    (agrees,) = compared(run, [order], shares("10")).events
    assert isinstance(agrees, PositionAgrees)
    assert (run.engine.state.not_understood, run.engine.observed.agreed_ns) == ({}, run.now_ns)


def test_a_first_start_takes_over_what_can_be_read() -> None:
    run = EngineRun()
    run.take(HaltStateRead(HaltState(known=True)))
    (question,) = run.take(Started(None, None)).ask
    listed = AccountListed((), (UNREAD, UnreadablePosition("", "Expected `object`"), shares("3", "MSFT")))
    effects = run.take(Answered(question, listed, 0))
    assert [halt.scope for halt in effects.halts] == ["symbol:AAPL"]
    assert not effects.first_halt_state
    assert run.engine.observed.started
    assert run.engine.state.book.position("MSFT") == 3
    assert set(run.engine.state.not_understood) == {"position AAPL", "position "}


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
    # It can be told: a count without a place in the heartbeat ended the OMS at its next tick.
    assert run.shown().counters.missed_updates == 1
    # What comes late of it is not booked twice.
    run.told(frame(order, "fill", execution_id="e1", qty="10", price="100"))
    assert run.engine.state.book.position("AAPL") == 10


def test_every_count_has_a_place_in_the_heartbeat() -> None:
    sources = [path.read_text() for path in Path(oms.__file__).parent.rglob("*.py")]
    counted = {name for source in sources for name in re.findall(r'\bcounts\["(\w+)"\]', source)}
    assert "missed_updates" in counted
    assert counted <= set(OmsCounters.__struct_fields__)


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
    assert effects.events[:1] == [
        PositionDiffers(symbol="AAPL", booked=Decimal(0), at_broker=Decimal(5), at_ns=run.now_ns)
    ]
    assert effects.halts[0].scope == "symbol:AAPL"
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
    assert sum(isinstance(event, PositionDiffers) for event in effects.events) == len(held)
    assert [halt.scope for halt in effects.halts] == ([] if scope is None else [scope])


def coins_by_hand(run: EngineRun, number: int, side: str, quantity: str) -> BrokerOrder:
    """Coins that were bought or sold by hand, of which the OMS was told."""
    order = BrokerOrder(
        f"b{number}", f"by-hand-{number}", "BTC/USD", side, "market", "gtc", "filled", Decimal(quantity),
        None, None, None, Decimal(quantity), Decimal(100),
    )  # fmt: skip
    run.told(frame(order, "fill", execution_id=f"e{number}", qty=quantity, price="100"))
    return order


def test_a_fee_that_was_taken_in_coins_is_in_the_book(run: EngineRun) -> None:
    order = coins_by_hand(run, 1, "buy", "0.5")
    assert run.engine.state.book.position("BTC/USD", "external") == Decimal("0.49875")
    assert compared(run, [order], shares("0.49875", "BTC/USD")).events == []
    assert run.engine.observed.agreed_ns == run.now_ns


@pytest.mark.parametrize(
    ("at_broker", "is_fee"),
    # Less was taken, nothing was; and beyond: more than was bought, coins gone that no fee explains.
    [("0.49925", True), ("0.5", True), ("0.500000001", False), ("0.4987", False), ("0.51", False)],
)
def test_a_fee_that_was_another_is_booked_and_halts_nothing(
    run: EngineRun, at_broker: str, is_fee: bool
) -> None:
    order = coins_by_hand(run, 1, "buy", "0.5")
    compared(run, [order], shares(at_broker, "BTC/USD"))
    effects = compared(run, [order], shares(at_broker, "BTC/USD"), after_ns=LOOK_AGAIN_NS)
    event = effects.events[0]
    assert isinstance(event, Booked if is_fee else PositionDiffers)
    assert (not effects.halts) == is_fee
    assert (run.engine.state.book.position("BTC/USD") == Decimal(at_broker)) == is_fee
    assert run.folded().digest() == run.engine.digest()


def test_positions_are_not_compared_where_orders_moved_on_meanwhile(run: EngineRun) -> None:
    for after_ns in (COMPARE_EVERY_NS, COMPARE_EVERY_NS):
        (question,) = run.tick(after_ns).ask
        assert run.take(Answered(question, AccountListed((), None), run.monotonic_ns)).events == []
    assert run.engine.observed.agreed_ns == 0


def test_a_clock_that_was_ahead_at_the_last_look_hides_no_order(run: EngineRun) -> None:
    run.now_ns += 3600 * SECOND_NS
    compared(run, [])
    run.now_ns -= 3600 * SECOND_NS
    (question,) = run.tick(COMPARE_EVERY_NS).ask
    assert isinstance(question, CompareAccount)
    assert question.since_ns < run.now_ns


def test_a_clock_that_was_set_back_has_the_account_asked_for_once(run: EngineRun) -> None:
    """Each look is seven requests: one at every tick would leave none for orders."""
    compared(run, [])
    run.now_ns -= 3600 * SECOND_NS
    asked = [
        question
        for after_ns in (COMPARE_EVERY_NS, *[SECOND_NS // 4] * 8)
        for question in run.tick(after_ns).ask
    ]
    assert len(asked) == 1


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


def requests_in(run: EngineRun, minutes: int, listed: AccountListed, found: BrokerOrder | None) -> int:
    """How many requests the comparisons of so much time make, with these answers."""
    requests = 0
    for _ in range(minutes * 240):
        for question in run.tick(SECOND_NS // 4).ask:
            answer = found if isinstance(question, FindOrder) else listed
            requests += 1 if isinstance(question, FindOrder) else 5
            for further in run.take(Answered(question, answer, run.monotonic_ns)).ask:
                requests += 1
                run.take(Answered(further, found, run.monotonic_ns))
    return requests


@pytest.mark.parametrize("found", [None, "open"])
def test_what_stays_different_does_not_use_up_the_request_budget(run: EngineRun, found: str | None) -> None:
    """It was looked at every two seconds for ever: 31 of 1,200 orders were sent."""
    orders = [working(run, number) for number in range(1, 6)]
    assert requests_in(run, 10, AccountListed((), ()), orders[0] if found else None) <= 10 * 20


def test_neither_does_an_account_that_never_rests(run: EngineRun) -> None:
    compared(run, [], shares("5"))
    assert requests_in(run, 10, AccountListed((), None), None) <= 10 * 12


def test_a_comparison_that_is_not_answered_waits_for_its_next_time(run: EngineRun) -> None:
    (question,) = run.tick(COMPARE_EVERY_NS).ask
    run.take(Unanswered(question, "HTTP 500"))
    assert run.tick(COMPARE_EVERY_NS - 1).ask == []
    assert len(run.tick(1).ask) == 1


def test_a_difference_that_was_told_stays_told_while_trading_goes_on(run: EngineRun) -> None:
    """Each trade halted the symbol again, although the same five shares were missing."""
    compared(run, [], shares("5"))
    (halt,) = compared(run, [], shares("5"), after_ns=LOOK_AGAIN_NS).halts
    for scopes in ({halt.scope: halt}, {}):
        run.take(HaltStateRead(HaltState(known=True, scopes=scopes)))
    run.price("100")
    order = filled(working(run))
    run.told(frame(order, "fill", execution_id="e1", qty="10", price="100"))
    for after_ns in (COMPARE_EVERY_NS, COMPARE_EVERY_NS):
        effects = compared(run, [order], shares("15"), after_ns=after_ns)
        assert (effects.events, effects.halts) == ([], [])


def test_the_fee_of_coins_that_were_sold_again_halts_nothing(run: EngineRun) -> None:
    """Bought 1, of which 0.9975 came and were sold: the book had 0.0025 that the broker had not."""
    orders = [coins_by_hand(run, 1, "buy", "1"), coins_by_hand(run, 2, "sell", "0.9975")]
    assert compared(run, orders).events == []
    assert run.engine.observed.agreed_ns == run.now_ns


def test_an_account_halt_is_not_replaced_by_that_of_a_symbol(run: EngineRun) -> None:
    compared(run, [], shares("5"))
    unreadable = UnreadableOrder("b9", name(77), "qty is NaN")
    (question,) = run.tick(LOOK_AGAIN_NS).ask
    effects = run.take(Answered(question, AccountListed([unreadable], [shares("5")]), run.monotonic_ns))
    assert effects.halts[0].scope == "account:paper"


def test_an_order_of_somebody_else_under_our_id_is_not_booked_as_ours(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("100", "10"), 1)).send
    run.take(OrderAnswered(name(1), Unknown("the broker has an order of this client id already")))
    other = replace(at_broker(approved), id="other", quantity=Decimal(500))
    run.take(Answered(FindOrder(name(1)), other, run.monotonic_ns))
    for after_ns in (COMPARE_EVERY_NS, COMPARE_EVERY_NS):
        compared(run, [filled(other, "500")], after_ns=after_ns)
    assert run.engine.state.book.position("AAPL", "alpha") == 0
    update = frame(filled(other, "500"), "fill", execution_id="e1", qty="500", price="100")
    assert run.told(update).halts


def test_one_of_ours_that_was_replaced_twice_by_hand_unheard_stays_its_algorithm_s(run: EngineRun) -> None:
    ours = working(run)
    first = replace(
        ours, id="x", client_order_id="hand-x", status="replaced", replaces=ours.id, replaced_by="y"
    )
    last = replace(ours, id="y", client_order_id="hand-y", replaces="x")
    listed = [replace(ours, status="replaced", replaced_by="x"), first, last]
    compared(run, listed)
    compared(run, listed, after_ns=LOOK_AGAIN_NS)
    assert run.engine.state.book.pending("AAPL", "buy", "alpha") == 10
    assert run.engine.state.book.pending("AAPL", "buy", "external") == 0


@pytest.mark.parametrize(
    ("known", "price", "average", "missed_at"),
    [
        # A part of 100,000 of which the average has four places: it says nothing of the last half.
        ("99999.5", "0.09994", "0.0999", "0.0999"),
        # Of a large part it says enough.
        ("84", "99", "99.16", "100"),
        # But never a price worse than the limit.
        ("84", "99", "99.32", "100"),
        # Without an average the limit is the worst that it can have been.
        ("50", "99", None, "100"),
    ],
)
def test_a_missed_fill_has_a_price_that_it_can_have_had(
    run: EngineRun, known: str, price: str, average: str | None, missed_at: str
) -> None:
    size = "100000" if "." in known else "100"
    limit = "0.1" if "." in known else "100"
    order = replace(at_broker_by_hand(), quantity=Decimal(size), limit_price=Decimal(limit))
    part = replace(order, filled_quantity=Decimal(known), status="partially_filled")
    run.told(frame(part, "partial_fill", execution_id="e1", qty=known, price=price))
    whole = replace(
        order,
        filled_quantity=Decimal(size),
        filled_average_price=None if average is None else Decimal(average),
        status="filled",
    )
    compared(run, [whole], shares(size))
    (fill,) = compared(run, [whole], shares(size), after_ns=LOOK_AGAIN_NS).events
    assert isinstance(fill, OrderFilled)
    assert fill.price == Decimal(missed_at)


def test_a_cancel_that_is_refused_because_it_was_filled_is_looked_up(run: EngineRun) -> None:
    """A bot took that answer for an order that never was, and bought again (passivbot#514)."""
    order = working(run)
    run.read(CancelRequest(client_order_id=name(1), lease=LEASE, requested_ns=0))
    refused = BrokerRefused("42210000", 'order is already in "filled" state')
    (question,) = run.take(CancelAnswered(name(1), refused)).ask
    (fill,) = run.take(Answered(question, filled(order), run.monotonic_ns)).events
    assert isinstance(fill, OrderFilled)
    assert run.engine.state.book.position("AAPL", "alpha") == 10


def test_a_fill_that_was_missed_before_its_order_was_canceled_is_found(run: EngineRun) -> None:
    """A cancel must not take away what is needed to find an earlier fill (nautilus_trader#4991)."""
    order = replace(working(run), status="canceled")
    run.told(frame(order, "canceled"))
    part = replace(filled(order, "4"), status="canceled")
    compared(run, [part], shares("4"))
    (fill,) = compared(run, [part], shares("4"), after_ns=LOOK_AGAIN_NS).events
    assert isinstance(fill, OrderFilled)
    assert run.engine.state.book.position("AAPL", "alpha") == 4
