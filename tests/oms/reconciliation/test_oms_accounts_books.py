"""The account's cash and activities, differences that somebody accepts, and positions that change hands."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_run import SECOND_NS, EngineRun, at_broker, frame
from risk_day import LIMITS, limit_terms, request

from bus.account_messages import PositionAgrees
from bus.book_messages import Booked, CashAgrees, CashDiffers, CorporateActionTaken, Declined, Reconciled
from bus.control_messages import AssignPosition, Halt, Reconcile, TakeCorporateAction
from bus.errors import Unreadable
from bus.halt_state import HaltState
from bus.limit_messages import LimitsSet
from bus.order_events import OrderUpdated
from oms.broker.alpaca_activities import read_activities
from oms.broker.protocol import BrokerAccount, BrokerActivity, BrokerOrder, BrokerPosition, Unknown
from oms.engine import COMPARE_EVERY_NS
from oms.state.effects import Effects
from oms.state.inputs import (
    AccountListed,
    Answered,
    CompareAccount,
    ControlRead,
    FindOrder,
    HaltStateRead,
    OrderAnswered,
)

AGAIN_NS = 2 * SECOND_NS
D = Decimal


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready and has counted the account's cash."""
    run = EngineRun()
    run.begin()
    run.tick(0)
    look(run, cash="100000")
    return run


def look(
    run: EngineRun,
    *held: tuple[str, str],
    cash: str = "100000",
    activities: Sequence[BrokerActivity] = (),
    orders: Sequence[BrokerOrder] = (),
    after_ns: int = COMPARE_EVERY_NS,
    price: str = "100",
) -> Effects:
    """Time passes, the broker is asked, and says this."""
    (question,) = [one for one in run.tick(after_ns).ask if isinstance(one, CompareAccount)]
    positions = [BrokerPosition(symbol, D(size), D(price)) for symbol, size in held]
    money = BrokerAccount("PA123", D(cash), D(cash), D(cash) * 4)
    return run.take(Answered(question, AccountListed(orders, positions, money, activities), run.monotonic_ns))


def looks(run: EngineRun, *held: tuple[str, str], **said: Any) -> Effects:
    """The same twice, as a difference needs it."""
    look(run, *held, **said)
    return look(run, *held, after_ns=AGAIN_NS, **said)


def activity(kind: str, cash: str = "0", symbol: str = "", quantity: str = "0", id: str = "a1") -> Any:
    """What happened at the broker that is no trade."""
    return BrokerActivity(id, kind, symbol, D(quantity), D(100) if D(quantity) else None, D(cash), "words")


def bought(run: EngineRun, quantity: str = "10", number: int = 1) -> BrokerOrder:
    """Alpha buys AAPL at 100."""
    run.price("100")
    (approved,) = run.read(request(limit_terms("100", quantity), number)).send
    run.accepted(approved)
    order = at_broker(approved, "filled", quantity)
    run.told(frame(order, "fill", execution_id=f"e{number}", qty=quantity, price="100"))
    return order


def asked(run: EngineRun, message: Any, entry_id: str = "7-0") -> Effects:
    """An operator's word is heard."""
    return run.take(ControlRead(entry_id, message))


def reconcile(*accept: str, everything: bool = False, account: str = "paper") -> Reconcile:
    """Compare, and accept."""
    return Reconcile(
        account=account, accept=accept, accept_all=everything, reason="by hand", by="ann", at_ns=1
    )


def assign(quantity: str, giver: str, taker: str, symbol: str = "AAPL") -> AssignPosition:
    """Move what is held."""
    return AssignPosition(
        account="paper", symbol=symbol, quantity=D(quantity), giver=giver, taker=taker, reason="r",
        by="ann", at_ns=1,
    )  # fmt: skip


def action(new: int = 1, old: int = 1, new_symbol: str = "AAPL", symbol: str = "AAPL") -> TakeCorporateAction:
    """A split, or a new name."""
    return TakeCorporateAction(
        account="paper", symbol=symbol, new_symbol=new_symbol, new=new, old=old, reason="r", by="ann", at_ns=1
    )


def parts_make_the_whole(run: EngineRun) -> None:
    """Algorithms and external are the account, and the journal folds to the same."""
    ledger = run.engine.state.book.ledger
    assert sum(ledger.cash(name) for name in ledger.names()) == ledger.cash()
    for symbol in ledger.holdings():
        assert sum(ledger.position(symbol, name) for name in ledger.names()) == ledger.position(symbol)
    assert run.folded().digest() == run.engine.digest()


def test_cash_is_what_the_account_had_and_what_trades_made_of_it(run: EngineRun) -> None:
    order = bought(run)
    assert look(run, ("AAPL", "10"), cash="99000", orders=[order]).events == []
    ledger = run.engine.state.book.ledger
    assert (ledger.cash(), ledger.cash("external"), ledger.cash("alpha")) == (99000, 100000, -1000)
    assert run.engine.observed.agreed_ns == run.now_ns
    parts_make_the_whole(run)


@pytest.mark.parametrize(("cash", "differs"), [("100000.01", False), ("100000.02", True), ("99999", True)])
def test_cash_that_differs_is_told_once_and_halts_nothing(run: EngineRun, cash: str, differs: bool) -> None:
    """Alpaca tells whole cents: a cent may be rounding."""
    assert look(run, cash=cash).events == []
    if not differs:
        assert run.engine.observed.agreed_ns == run.now_ns
        return
    effects = look(run, cash=cash, after_ns=AGAIN_NS)
    (told,) = effects.events
    assert isinstance(told, CashDiffers)
    assert not effects.halts
    assert look(run, cash=cash).events == []
    assert run.engine.observed.agreed_ns < run.now_ns
    assert look(run).events == [CashAgrees(at_ns=run.now_ns)]
    parts_make_the_whole(run)


def test_activities_are_booked_once_to_external(run: EngineRun) -> None:
    said = [
        activity("DIV", "2.5", "AAPL"),
        activity("CSW", "-1000", id="a2"),
        activity("JNLS", "0", "MSFT", "3", id="a3"),
        # Taken with its executions already.
        activity("CFEE", id="a4"),
    ]
    effects = look(run, ("MSFT", "3"), cash="99002.5", activities=said)
    assert len(effects.events) == 4
    assert run.engine.observed.agreed_ns == run.now_ns
    ledger = run.engine.state.book.ledger
    assert (ledger.cash("external"), ledger.position("MSFT", "external")) == (D("99002.5"), 3)
    assert ledger.holdings("external")["MSFT"].average_price == 100
    assert look(run, ("MSFT", "3"), cash="99002.5", activities=said).events == []
    parts_make_the_whole(run)


def test_an_activity_that_cannot_be_read_hides_no_other_and_is_told_once(run: EngineRun) -> None:
    raw = [
        {"id": "1", "activity_type": "DIV", "net_amount": "NaN"},
        {"activity_type": 7},
        {"id": "2", "activity_type": "INT", "net_amount": "2"},
    ]
    read = read_activities(raw)
    events = [event for _ in range(2) for event in look(run, cash="100002", activities=read).events]
    told = [(type(event).__name__, getattr(event, "activity_id", "")) for event in events]
    assert told == [("ActivityHeard", "1"), ("ActivityHeard", ""), ("Booked", "")]
    assert run.engine.state.book.cash() == 100002
    with pytest.raises(Unreadable, match="no list"):
        read_activities({"message": "no"})


def test_what_happened_before_the_cash_was_counted_is_in_it() -> None:
    run = EngineRun()
    run.begin()
    run.tick(0)
    said = [activity("CSD", "1000")]
    look(run, cash="101000", activities=said)
    assert look(run, cash="101000", activities=said).events == []
    assert run.engine.observed.agreed_ns == run.now_ns


def test_a_comparison_at_an_operator_s_word_is_answered_after_asking(run: EngineRun) -> None:
    assert asked(run, reconcile()).events == []
    effects = look(run, after_ns=SECOND_NS // 4)
    (told,) = effects.events
    assert isinstance(told, Reconciled)
    assert (told.entry_id, told.agrees, told.differences) == ("7-0", True, ())


def test_it_is_answered_only_by_what_was_asked_afterwards(run: EngineRun) -> None:
    (question,) = [one for one in run.tick(COMPARE_EVERY_NS).ask if isinstance(one, CompareAccount)]
    old_ns = run.monotonic_ns
    run.tick(SECOND_NS)
    asked(run, reconcile())
    money = BrokerAccount("PA123", D(100000), D(100000), D(400000))
    assert run.take(Answered(question, AccountListed((), (), money), old_ns)).events == []
    assert len(look(run, after_ns=AGAIN_NS).events) == 1


def test_nobody_is_answered_who_waits_no_longer(run: EngineRun) -> None:
    """What was to be accepted may be something else by then."""
    asked(run, reconcile(everything=True))
    (question,) = run.tick(SECOND_NS).ask
    run.take(Answered(question, AccountListed((), None), run.monotonic_ns))
    for after_ns in (19 * SECOND_NS, AGAIN_NS):
        effects = look(run, ("AAPL", "5"), after_ns=after_ns)
        assert not any(isinstance(event, Reconciled | Booked) for event in effects.events)


def test_a_word_for_another_account_is_none(run: EngineRun) -> None:
    asked(run, reconcile(account="live"))
    assert run.tick(SECOND_NS).ask == []


def test_a_difference_that_is_accepted_is_external_s_and_lifts_its_halt(run: EngineRun) -> None:
    halt = looks(run, ("AAPL", "5"), ("MSFT", "2")).halts[0]
    run.take(HaltStateRead(HaltState(known=True, scopes={halt.scope: halt})))
    # One of two: the halt stands for the other.
    asked(run, reconcile("AAPL"))
    effects = look(run, ("AAPL", "5"), ("MSFT", "2"), after_ns=SECOND_NS)
    booked, agrees, told = effects.events
    assert isinstance(booked, Booked)
    assert (booked.algorithm, booked.symbol, booked.quantity, booked.price) == ("external", "AAPL", 5, 100)
    assert (booked.reason, booked.by) == ("by hand", "ann")
    assert agrees == PositionAgrees(symbol="AAPL", at_ns=run.now_ns)
    assert isinstance(told, Reconciled)
    assert (told.agrees, [one.what for one in told.differences]) == (False, ["MSFT"])
    assert effects.resume == []
    asked(run, reconcile(everything=True), "8-0")
    effects = look(run, ("AAPL", "5"), ("MSFT", "2"), after_ns=SECOND_NS)
    assert [resume.scope for resume in effects.resume] == [halt.scope]
    assert look(run, ("AAPL", "5"), ("MSFT", "2")).events == []
    assert run.engine.observed.agreed_ns == run.now_ns
    parts_make_the_whole(run)


def test_a_halt_for_another_reason_is_not_lifted(run: EngineRun) -> None:
    looks(run, ("AAPL", "5"))
    halt = Halt(scope="symbol:AAPL", reason="earnings", by="bob", at_ns=1)
    run.take(HaltStateRead(HaltState(known=True, scopes={halt.scope: halt})))
    asked(run, reconcile("AAPL"))
    assert look(run, ("AAPL", "5"), after_ns=SECOND_NS).resume == []


def test_cash_is_accepted_by_its_name(run: EngineRun) -> None:
    looks(run, cash="99000")
    asked(run, reconcile("cash"))
    booked, _, told = look(run, cash="99000", after_ns=SECOND_NS).events
    assert (booked.cash, booked.symbol, told.agrees) == (-1000, "", True)  # type: ignore[attr-defined]
    assert look(run, cash="99000").events == []
    parts_make_the_whole(run)


def test_shares_change_hands_at_the_price_that_was_paid(run: EngineRun) -> None:
    order = bought(run)
    gave, took = asked(run, assign("4", "alpha", "external")).events
    assert isinstance(gave, Booked)
    assert isinstance(took, Booked)
    assert (gave.algorithm, gave.quantity, gave.cash) == ("alpha", -4, 400)
    assert (took.algorithm, took.quantity, took.cash) == ("external", 4, -400)
    ledger = run.engine.state.book.ledger
    assert (ledger.position("AAPL", "alpha"), ledger.position("AAPL", "external")) == (6, 4)
    assert (ledger.realized_profit("alpha"), ledger.invested("alpha")) == (0, 600)
    assert look(run, ("AAPL", "10"), cash="99000", orders=[order]).events == []
    parts_make_the_whole(run)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (assign("11", "alpha", "external"), "alpha holds 10 AAPL"),
        (assign("1", "nobody", "alpha"), "no algorithm nobody has registered"),
        (assign("1", "alpha", "alpha"), "alpha has them already"),
        (assign("0", "alpha", "external"), "must be above zero"),
        (assign("1", "external", "alpha", "MSFT"), "external holds 0 MSFT"),
        (assign("7", "alpha", "external"), "cancel them first, or assign 6"),
        (action(1, 1), "changes nothing"),
        (action(0, 1), "is no split"),
        (action(new_symbol="meta"), "write it as Alpaca does"),
        (action(4, 1, symbol="MSFT", new_symbol="MSFT"), "nobody holds MSFT"),
        (action(new_symbol="APPL"), "orders in AAPL are open"),
    ],
)
def test_what_cannot_be_is_declined_with_why(run: EngineRun, message: Any, why: str) -> None:
    bought(run)
    sale = limit_terms("100", "4", side="sell")
    assert run.read(request(sale, 2)).send
    (told,) = asked(run, message).events
    assert isinstance(told, Declined)
    assert why in told.why


def test_what_an_order_in_doubt_was_filled_for_is_no_difference_to_accept(run: EngineRun) -> None:
    """Accepted, it would be booked twice: as a difference, and as a fill once the order is found."""
    run.price("100")
    (approved,) = run.read(request(limit_terms("100", "10"), 1)).send
    run.take(OrderAnswered(approved.client_order_id, Unknown("no answer")))
    for _ in range(3):
        look(run, ("AAPL", "10"), cash="99000")
    assert run.engine.state.differences == {}
    asked(run, reconcile(everything=True))
    for _ in range(3):
        look(run, ("AAPL", "10"), cash="99000", after_ns=AGAIN_NS)
    assert not [one for one in run.read_journal() if isinstance(one, Booked | Reconciled)]
    order = at_broker(approved, "filled", "10")
    run.take(Answered(FindOrder(approved.client_order_id), order, run.monotonic_ns))
    look(run, ("AAPL", "10"), cash="99000", orders=[order], after_ns=AGAIN_NS)
    (reconciled,) = [one for one in run.read_journal() if isinstance(one, Reconciled)]
    assert reconciled.agrees
    assert run.engine.state.book.positions() == {"alpha": {"AAPL": 10}}


def test_an_option_that_is_traded_by_hand_is_for_a_hundred_shares(run: EngineRun) -> None:
    """Nothing of its price is left unexplained, and it counts in the account's limits as what it is worth."""
    contract = "AAPL240119C00100000"
    order = BrokerOrder(
        id="61e69015", client_order_id="by-hand", symbol=contract, side="buy", type="limit",
        time_in_force="day", status="new", quantity=D(2), notional=None, limit_price=D("5.50"),
        stop_price=None, filled_quantity=D(0), filled_average_price=None,
    )  # fmt: skip
    run.told(frame(order, "new"))
    book = run.engine.state.book
    assert book.reserved() == 1100
    order = replace(order, status="filled", filled_quantity=D(2))
    run.told(frame(order, "fill", execution_id="e1", qty="2", price="5"))
    assert (book.ledger.invested(), book.exposure.of("")[0]) == (1000, 1000)
    look(run, (contract, "2"), cash="99000", orders=[order])
    assert run.engine.state.cash_difference is None
    assert run.engine.observed.agreed_ns == run.now_ns
    # One more that nobody heard of is accepted at the broker's price of it.
    looks(run, (contract, "3"), cash="98500", orders=[order], price="5")
    asked(run, reconcile(everything=True))
    look(run, (contract, "3"), cash="98500", orders=[order], price="5", after_ns=AGAIN_NS)
    assert book.ledger.invested() == 1500
    parts_make_the_whole(run)


def test_a_split_morning(run: EngineRun) -> None:
    """The broker has four shares for one: told, the book has them too, and the limits count them."""
    order = bought(run)
    effects = asked(run, action(4, 1))
    assert isinstance(effects.events[0], CorporateActionTaken)
    ledger = run.engine.state.book.ledger
    held = ledger.holdings("alpha")["AAPL"]
    assert (held.quantity, held.cost, held.average_price) == (40, 1000, 25)
    assert look(run, ("AAPL", "40"), cash="99000", orders=[order]).events == []
    assert run.engine.observed.agreed_ns == run.now_ns
    parts_make_the_whole(run)


def test_the_same_split_twice_in_a_day_is_a_mistake(run: EngineRun) -> None:
    """It was carried out again by who calculated anew (wealthfolio, issue 541)."""
    bought(run)
    asked(run, action(4, 1))
    (told,) = asked(run, action(4, 1), "8-0").events
    assert isinstance(told, Declined)
    assert "the same was booked 0 s ago" in told.why
    assert run.folded().digest() == run.engine.digest()
    run.now_ns += 24 * 3600 * SECOND_NS
    assert not any(isinstance(one, Declined) for one in asked(run, action(4, 1), "9-0").events)


def test_a_position_that_the_broker_lists_no_more_is_told_and_can_be_accepted(run: EngineRun) -> None:
    """Who looks only at what the broker lists misses it (Vibe-Trading, issue 667)."""
    order = bought(run)
    told = looks(run, cash="99000", orders=[order]).events[0]
    assert (told.booked, told.at_broker) == (10, 0)  # type: ignore[attr-defined]
    asked(run, reconcile("AAPL"))
    booked, *_ = look(run, cash="99000", orders=[order], after_ns=SECOND_NS).events
    assert (booked.quantity, booked.price) == (-10, 100)  # type: ignore[attr-defined]
    assert run.engine.state.book.quantities() == {}
    parts_make_the_whole(run)


def test_limits_in_shares_follow_a_split_and_a_new_name() -> None:
    run = EngineRun()
    own = '[algorithm.alpha]\nsymbols = ["AAPL", "MSFT"]\n'
    run.begin(LIMITS + own + "[symbol.AAPL]\nposition_quantity = 50\nposition_value = 9000\n")
    bought(run)
    told = [one for one in asked(run, action(4, 1)).events if isinstance(one, LimitsSet)]
    assert [(one.section, one.name, one.before, one.value) for one in told[0].changes] == [
        ("symbol.AAPL", "position_quantity", "50", "200")
    ]
    asked(run, action(new_symbol="META"))
    limits = run.engine.state.limits
    assert limits is not None
    shown = limits.as_dict()
    assert shown["symbol"] == {"META": {"position_quantity": "200", "position_value": "9000"}}
    assert shown["algorithm"] == {"alpha": {"symbols": ["META", "MSFT"]}}
    ledger = run.engine.state.book.ledger
    assert (ledger.position("AAPL", "alpha"), ledger.position("META", "alpha")) == (0, 40)
    assert (ledger.holdings("alpha")["META"].cost, ledger.cash("alpha")) == (1000, -1000)
    parts_make_the_whole(run)


def test_without_a_word_a_split_halts_its_symbol_alone(run: EngineRun) -> None:
    order = bought(run)
    halt = looks(run, ("AAPL", "40"), cash="99000", orders=[order]).halts[0]
    assert halt.scope == "symbol:AAPL"


def test_an_order_that_the_broker_restated_without_a_word_is_found(run: EngineRun) -> None:
    """After a split its quantity and price are others, and the update was lost."""
    run.price("100")
    (approved,) = run.read(request(limit_terms("100", "10"), 1)).send
    run.accepted(approved)
    restated = at_broker(approved)
    run.told(frame(restated, "new"))
    restated = type(restated)(
        **{name: getattr(restated, name) for name in restated.__slots__}
        | {"quantity": D(40), "limit_price": D(25)}
    )
    look(run, orders=[restated])
    (updated,) = look(run, orders=[restated], after_ns=AGAIN_NS).events
    assert isinstance(updated, OrderUpdated)
    assert run.engine.state.book.pending("AAPL", "buy") == 40
