"""Bringing positions to zero: cancel, wait, close, again where something is left, and say what came of it."""

import itertools
from decimal import Decimal

import pytest
from flatten_run import ENTRY, FlattenRun
from risk_day import LEASE, limit_terms, name, request, terms

from bus.book_messages import Booked
from bus.control_messages import CancelOrders, Halt
from bus.flatten_messages import FlattenBegun
from bus.halt_state import HaltState
from bus.order_events import CancelRefused, OrderApproved, OrderRefused
from bus.order_messages import CancelRequest
from oms.broker.protocol import BrokerPosition, UnreadablePosition
from oms.halts.flatten_details import flatten_details
from oms.journal.snapshot_encoding import decode, encode
from oms.risk.approval import Approved
from oms.state.inputs import (
    AccountListed,
    Answered,
    ControlRead,
    FindOrder,
    HaltStateRead,
    ListPositions,
    OrderAnswered,
    Stopping,
    Unanswered,
)

TEN = Decimal(10)


@pytest.fixture
def run() -> FlattenRun:
    """An engine that is ready, on an account that holds nothing."""
    run = FlattenRun()
    run.begin()
    run.work.clear()
    return run


def closed(run: FlattenRun) -> dict[str, tuple[str, Decimal | None]]:
    """Side and quantity of what the flatten sent to the broker, by client id."""
    return {one.client_order_id: (one.side, one.quantity) for one in run.own()}


def quietly(run: FlattenRun) -> None:
    """All that was asked for is done, and told; nothing fills."""
    while run.do() or run.tell():
        pass


def test_it_cancels_then_waits_then_sells(run: FlattenRun) -> None:
    run.holds("10")
    resting = run.rests(1)
    effects = run.flatten()
    assert effects.cancel_all
    (begun,) = (one for one in effects.events if isinstance(one, FlattenBegun))
    assert (begun.orders, begun.positions) == ((resting,), {"alpha": {"AAPL": TEN}})
    assert run.do(), "the cancel is taken"
    run.tick(0)
    assert not run.sent[1:], "nothing is sold before the cancel is known"
    quietly(run)
    (order,) = run.own()
    assert (order.side, order.quantity, order.time_in_force) == ("sell", TEN, "day")
    assert order.client_order_id.startswith("bb-alpha-")
    run.settle()
    assert run.outcomes() is not None
    assert (run.outcomes() or {})["AAPL"].left == 0
    assert run.engine.state.book.positions() == {}


def test_a_fill_that_comes_while_it_cancels_is_sold_too(run: FlattenRun) -> None:
    run.holds("10")
    resting = run.rests(1, quantity="4")
    run.flatten()
    run.fill(resting, "3")
    run.settle()
    assert list(closed(run).values()) == [("sell", Decimal(13))]


def test_a_fill_that_is_still_to_be_heard_is_waited_for_and_asked_for(run: FlattenRun) -> None:
    run.holds("10")
    resting = run.rests(1, quantity="4")
    quietly(run)
    run.flatten()
    run.fill(resting, "3")
    run.updates.clear()
    run.do()
    quietly(run)
    assert closed(run) == {}, "the canceled order had filled 3, of which nothing was heard"
    run.tick(10**9)
    run.tick(10**9)
    run.settle()
    assert list(closed(run).values()) == [("sell", Decimal(13))]


@pytest.mark.parametrize("positions", ["told", "not told"])
def test_an_order_that_ended_before_with_a_fill_unheard_is_not_called_flat(
    run: FlattenRun, positions: str
) -> None:
    """The book holds nothing, and knows that this is not all: the broker need not even say what it holds."""
    bought = run.rests(1, quantity="10")
    quietly(run)
    run.fill(bought, "1")
    run.updates.clear()
    run.fill(bought, "9")
    quietly(run)
    sold = run.rests(2, quantity="9", side="sell")
    quietly(run)
    run.fill(sold, "9")
    quietly(run)
    assert run.engine.state.book.position("AAPL") == 0
    run.flatten()
    if positions == "not told" and ListPositions() in run.work:
        run.work.remove(ListPositions())
        run.take(Unanswered(ListPositions(), "HTTP 500"))
    assert run.outcomes() is None
    run.tick(10**9)
    run.tick(10**9)
    run.settle()
    assert list(closed(run).values()) == [("sell", Decimal(1))]


def test_a_short_position_is_bought_back(run: FlattenRun) -> None:
    run.holds("-7")
    run.flatten()
    run.settle()
    assert list(closed(run).values()) == [("buy", Decimal(7))]


def test_coins_are_sold_good_till_canceled_and_no_more_than_the_broker_has(run: FlattenRun) -> None:
    run.holds("0.5", symbol="BTC/USD")
    run.net["BTC/USD"] = Decimal("0.49875")
    run.flatten()
    run.settle()
    (order,) = run.own()
    assert (order.quantity, order.time_in_force) == (Decimal("0.49875"), "gtc")
    outcome = (run.outcomes() or {})["BTC/USD"]
    assert outcome.left == 0
    assert "0.00125 by the book and 0 at the broker" in outcome.why


def test_nothing_is_sold_of_what_the_broker_does_not_have(run: FlattenRun) -> None:
    run.holds("10")
    run.net["AAPL"] = Decimal(0)
    run.flatten()
    run.settle()
    assert closed(run) == {}
    assert "10 by the book and 0 at the broker" in (run.outcomes() or {})["AAPL"].why


def test_what_the_book_does_not_know_is_said(run: FlattenRun) -> None:
    run.holds("10")
    run.net["TSLA"] = Decimal(4)
    run.flatten()
    run.settle()
    outcomes = run.outcomes() or {}
    assert (outcomes["AAPL"].why, outcomes["TSLA"].left) == ("", 4)
    assert "of which the book knows nothing" in outcomes["TSLA"].why


def test_holders_of_one_side_each_sell_and_those_against_them_settle_inside(run: FlattenRun) -> None:
    run.holds("10", "alpha")
    run.holds("-4", "beta")
    run.holds("3", "external")
    run.flatten()
    run.settle()
    assert [one.client_order_id.split("-")[1] for one in run.own()] == ["alpha"]
    assert list(closed(run).values()) == [("sell", Decimal(9))]
    netted = [one for one in run.read_journal() if isinstance(one, Booked)]
    said = [(one.algorithm, one.kind, one.quantity, one.price, one.cash) for one in netted]
    hundred = Decimal(100)
    assert said == [
        ("alpha", "netted", Decimal(-1), hundred, hundred),
        ("beta", "netted", Decimal(4), hundred, Decimal(-400)),
        ("external", "netted", Decimal(-3), hundred, Decimal(300)),
    ]
    assert run.engine.state.book.positions() == {}
    assert run.engine.state.book.cash() == sum(
        run.engine.state.book.cash(name) for name in ("alpha", "beta", "external")
    )


def test_holders_that_cancel_out_settle_at_the_last_price_and_send_nothing(run: FlattenRun) -> None:
    run.holds("5", "alpha")
    run.holds("-5", "beta")
    run.price("123.45")
    run.flatten()
    run.settle()
    assert closed(run) == {}
    prices = {one.price for one in run.read_journal() if isinstance(one, Booked)}
    assert prices == {Decimal("123.45")}
    assert run.engine.state.book.positions() == {}


def test_without_any_price_they_settle_at_that_of_the_last_fill(run: FlattenRun) -> None:
    run.holds("5", "alpha")
    run.holds("-5", "beta")
    run.prices = {}
    run.flatten()
    run.settle()
    assert {one.price for one in run.read_journal() if isinstance(one, Booked)} == {Decimal(100)}


def test_of_one_algorithm_the_account_is_closed_first_and_then_opened(run: FlattenRun) -> None:
    """No order may cross zero: of 10 that another is short of 4 of, 6 close and 4 open."""
    run.holds("10", "alpha")
    run.holds("-4", "beta")
    run.flatten("algorithm:alpha")
    run.settle()
    assert list(closed(run).values()) == [("sell", Decimal(6)), ("sell", Decimal(4))]
    assert run.engine.state.book.positions() == {"beta": {"AAPL": Decimal(-4)}}


def test_of_one_symbol_others_orders_and_positions_stay(run: FlattenRun) -> None:
    run.holds("10")
    run.holds("3", symbol="MSFT")
    effects = run.flatten("symbol:AAPL")
    assert not effects.cancel_all
    run.settle()
    assert list(closed(run).values()) == [("sell", TEN)]
    assert set(run.outcomes() or {}) == {"AAPL"}


def test_what_is_left_is_sent_again_once_the_order_has_ended(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    quietly(run)
    (first,) = run.own()
    run.fill(first.client_order_id, "6")
    quietly(run)
    run.tick(10**9)
    quietly(run)
    assert len(run.own()) == 1, "it still works"
    run.ends(first.client_order_id, "canceled")
    run.settle()
    assert [quantity for _, quantity in closed(run).values()] == [TEN, Decimal(4)]
    assert len({one.client_order_id for one in run.own()}) == 2


@pytest.mark.parametrize("status", ["rejected", "expired", "canceled"])
def test_after_an_order_that_came_to_nothing_it_goes_on(run: FlattenRun, status: str) -> None:
    run.holds("10")
    run.flatten()
    quietly(run)
    run.ends(run.own()[0].client_order_id, status)
    run.settle()
    outcome = (run.outcomes() or {})["AAPL"]
    assert (outcome.left, outcome.why, len(run.own())) == (0, "", 2)


@pytest.mark.parametrize("status", ["rejected", "expired", "canceled"])
def test_after_six_in_a_row_it_says_what_is_left(run: FlattenRun, status: str) -> None:
    """Ever more slowly; one that is filled in part begins the count anew."""
    run.holds("10")
    run.flatten()
    times: list[int] = []
    while run.outcomes() is None:
        quietly(run)
        own = run.own()[-1]
        if own.status == "new":
            times.append(run.monotonic_ns)
            if len(times) == 3:
                run.fill(own.client_order_id, "4")
            run.ends(own.client_order_id, status)
        run.tick(50_000_000)
    outcome = (run.outcomes() or {})["AAPL"]
    assert (outcome.left, len(times)) == (Decimal(6), 3 + 6)
    assert outcome.why == f"6 orders in a row came to nothing, the last was {status}"
    waits = [later - earlier for earlier, later in itertools.pairwise(times)][3:]
    assert waits == sorted(waits)
    assert waits[-1] >= 8 * waits[0] > 0


@pytest.mark.parametrize("filled", ["", "4"])
@pytest.mark.parametrize("scope", ["all", "symbol:AAPL", "algorithm:alpha"])
def test_an_operator_who_cancels_its_order_ends_it(run: FlattenRun, filled: str, scope: str) -> None:
    run.holds("10")
    run.flatten()
    quietly(run)
    (own,) = run.own()
    if filled:
        run.fill(own.client_order_id, filled)
    message = CancelOrders(scope=scope, reason="changed my mind", by="bob", at_ns=run.now_ns)
    run.take(ControlRead("9-0", message))
    run.settle(fills=False)
    outcome = (run.outcomes() or {})["AAPL"]
    assert outcome.left == TEN - Decimal(filled or 0)
    assert outcome.why == f"bob had orders in {scope} canceled: changed my mind"
    assert len(run.own()) == 1


@pytest.mark.parametrize("scope", ["symbol:MSFT", "algorithm:beta", "account:other"])
def test_an_operator_who_cancels_elsewhere_ends_nothing(run: FlattenRun, scope: str) -> None:
    run.holds("10")
    run.flatten()
    quietly(run)
    message = CancelOrders(scope=scope, reason="elsewhere", by="bob", at_ns=run.now_ns)
    run.take(ControlRead("9-0", message))
    run.ends(run.own()[0].client_order_id, "canceled")
    run.settle()
    assert (run.outcomes() or {})["AAPL"].left == 0


def test_shares_that_a_canceled_order_still_holds_are_sold_once_they_are_free(run: FlattenRun) -> None:
    """Alpaca frees them some seconds after the cancel (alpacahq/alpaca-trade-api-csharp#247)."""
    run.holds("10")
    run.rests(1, side="sell", quantity="10")
    run.flatten()
    run.refusal = "insufficient qty available for order (requested: 10, available: 0)"
    for _ in range(30):
        quietly(run)
        run.tick(100_000_000)
    assert (run.own(), run.outcomes()) == ([], None)
    run.refusal = None
    run.settle()
    assert (run.outcomes() or {})["AAPL"].left == 0
    assert [order.quantity for order in run.own()] == [TEN]


def test_one_that_is_under_way_tells_what_is_left_and_what_it_waits_for(run: FlattenRun) -> None:
    def left() -> tuple[str, ...]:
        (shown,) = flatten_details("paper", run.engine.state, run.engine.observed)
        assert (shown.scope, shown.by, shown.reason, shown.since_ns) == (
            "account:paper",
            "ann",
            "a test",
            began,
        )
        return shown.left

    run.holds("10")
    run.rests(1)
    began = run.now_ns
    run.flatten()
    assert left() == ("AAPL: 10 left; 1 orders are being canceled",)
    quietly(run)
    (own,) = run.own()
    run.fill(own.client_order_id, "4")
    quietly(run)
    assert left() == (f"AAPL: 6 left; its order {own.client_order_id} is partially_filled, 4 filled",)
    run.ends(own.client_order_id, "canceled")
    quietly(run)
    run.tick(10**9)
    run.ends(run.own()[-1].client_order_id, "rejected")
    quietly(run)
    assert left() == ("AAPL: 6 left; 1 orders in a row came to nothing, the last was rejected",)
    run.settle()
    assert flatten_details("paper", run.engine.state, run.engine.observed) == ()


def test_the_brokers_no_is_told_in_its_words(run: FlattenRun) -> None:
    run.holds("10")
    run.refusal = 'asset "AAPL" is not tradable'
    run.flatten()
    run.settle()
    outcome = (run.outcomes() or {})["AAPL"]
    assert outcome.left == TEN
    assert outcome.why.endswith('the last was refused: asset "AAPL" is not tradable')


def test_what_never_left_is_sent_again_under_another_id_and_ever_more_slowly(run: FlattenRun) -> None:
    from bus.order_messages import Reason
    from oms.broker.protocol import Rejected

    run.holds("10")
    run.flatten()
    away = Rejected("oms", Reason(code="broker_unreachable", message="no connection"))
    waits = []
    for _ in range(5):
        while not isinstance(run.work[0] if run.work else None, Approved):
            assert run.do() or run.tick(50_000_000)
        order = run.work.popleft()
        assert isinstance(order, Approved)
        waits.append(run.monotonic_ns)
        run.take(OrderAnswered(order.client_order_id, away))
    between = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert between == sorted(between)
    assert between[-1] >= 8 * between[0] > 0
    run.settle()
    assert list(closed(run).values()) == [("sell", TEN)]


def test_an_answer_that_is_lost_sells_once(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    while not isinstance(run.work[0], Approved):
        run.do()
    run.do(answer=False)
    run.settle()
    assert list(closed(run).values()) == [("sell", TEN)]


def test_a_position_that_shrinks_before_the_order_leaves_is_not_sold_short(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    while not isinstance(run.work[0], Approved):
        run.do()
    run.holds("-4")
    run.settle()
    assert list(closed(run).values()) == [("sell", Decimal(6))]
    (refused,) = (one for one in run.read_journal() if isinstance(one, OrderRefused))
    assert refused.reasons[0].code == "position_changed"


def test_halts_do_not_bind_it(run: FlattenRun) -> None:
    run.holds("10")
    halt = Halt(scope="all", reason="r", by="b", at_ns=0)
    run.take(HaltStateRead(HaltState(known=True, scopes={"all": halt})))
    run.flatten()
    run.settle()
    assert (run.outcomes() or {})["AAPL"].left == 0


def test_new_orders_in_its_scope_are_refused_until_it_has_ended(run: FlattenRun) -> None:
    run.holds("10")
    run.price("100")
    run.flatten("algorithm:alpha")

    def answer(number: int, algorithm: str) -> str:
        lease = {"alpha": "1:alpha", "beta": "1:beta"}[algorithm]
        wanted = request(limit_terms("99", "1"), number, client_order_id=name(number, algorithm), lease=lease)
        (event,) = (one for one in run.read(wanted, algorithm).events if not isinstance(one, FlattenBegun))
        if isinstance(event, OrderRefused):
            return ", ".join(reason.code for reason in event.reasons)
        assert isinstance(event, OrderApproved)
        return ""

    assert answer(1, "alpha") == "flattening"
    assert answer(2, "beta") == ""
    run.settle()
    assert answer(3, "alpha") == ""


def test_a_second_one_waits_for_the_first_and_sells_nothing_twice(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    quietly(run)
    effects = run.flatten(entry_id="8-0")
    assert run.own(), "the first one's order works, and is not canceled"
    assert (effects.cancel_all, effects.cancel) == (False, [])
    run.settle()
    assert list(closed(run).values()) == [("sell", TEN)]
    assert run.outcomes() == run.outcomes("8-0")


def test_where_the_broker_does_not_say_what_it_holds_the_book_does(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    run.work.remove(ListPositions())
    run.do()
    run.take(Unanswered(ListPositions(), "HTTP 500"))
    assert [one for one in run.work if isinstance(one, Approved)]


def test_what_the_broker_cannot_be_understood_to_hold_is_closed_by_the_book(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    run.work.remove(ListPositions())
    run.do()
    unread = AccountListed((), (UnreadablePosition("AAPL", "Expected `decimal`"),))
    run.take(Answered(ListPositions(), unread, run.monotonic_ns))
    assert [one for one in run.work if isinstance(one, Approved)]


def test_a_second_look_confirms_what_the_broker_holds_otherwise(run: FlattenRun) -> None:
    """A fill that the broker's positions do not show yet must not be told as a position that is left."""
    run.holds("10")
    run.flatten()
    quietly(run)
    (order,) = run.own()
    run.fill(order.client_order_id, TEN)
    run.tell()
    assert isinstance(run.work[0], ListPositions)
    run.work.popleft()
    late = AccountListed((), (BrokerPosition("AAPL", TEN, Decimal(100)),))
    run.take(Answered(ListPositions(), late, run.monotonic_ns))
    assert run.outcomes() is None
    run.settle()
    assert (run.outcomes() or {})["AAPL"].why == ""


def test_nothing_is_sold_while_the_cancel_of_all_is_not_answered(run: FlattenRun) -> None:
    """It may be repeated, or come late, and would cancel what closes the position."""
    run.holds("10")
    run.flatten()
    run.work.rotate(-1)
    assert isinstance(run.work[0], ListPositions)
    run.do()
    run.tick(10**9)
    assert not [one for one in run.work if isinstance(one, Approved)]
    run.settle()
    assert (list(closed(run).values()), (run.outcomes() or {})["AAPL"].why) == ([("sell", TEN)], "")


def test_one_that_is_under_way_shows_in_the_digest(run: FlattenRun) -> None:
    run.holds("10")
    before = run.engine.digest()
    run.flatten()
    assert run.engine.digest() != before


def test_one_that_is_under_way_is_in_a_snapshot(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    quietly(run)
    restored = decode(encode(run.engine.state))
    assert restored.flattens.comparable() == run.engine.state.flattens.comparable() != []


def test_an_order_in_a_symbol_that_nobody_holds_is_canceled_before_it_is_called_flat(run: FlattenRun) -> None:
    """What rests there would open a position after the end (richkuo/go-trader#1462)."""
    resting = run.rests(1)
    run.flatten()
    assert run.outcomes() is None
    run.settle()
    assert (run.at_broker[resting].status, list(run.outcomes() or {})) == ("canceled", ["AAPL"])


def test_one_that_is_stopping_sends_nothing_and_the_next_goes_on(run: FlattenRun) -> None:
    run.holds("10")
    resting = run.rests(1)
    run.flatten()
    run.take(Stopping())
    quietly(run)
    run.tick(10**9)
    assert closed(run) == {}
    run.restart()
    run.settle()
    assert resting not in {one.client_order_id for one in run.open_orders()}
    assert list(closed(run).values()) == [("sell", TEN)]


def test_another_accounts_flatten_ends_at_once_with_nothing(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten("account:other")
    assert not run.work
    assert run.outcomes() == {}
    assert run.engine.state.flattens.under_way == {}


def test_the_ids_are_the_same_after_a_restart(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    while not isinstance(run.work[0], Approved):
        run.do()
    # Approved and journalled, and killed before anything left: after the doubt it is another id.
    first = run.work[0].client_order_id  # type: ignore[union-attr]
    run.restart()
    run.settle()
    (order,) = run.own()
    assert order.client_order_id != first
    again = FlattenRun()
    again.begin()
    again.work.clear()
    again.holds("10")
    again.flatten()
    while not isinstance(again.work[0], Approved):
        again.do()
    assert again.work[0].client_order_id == first
    assert ENTRY in again.work[0].event.trigger


def test_exits_of_which_nobody_has_heard_are_asked_for_before_anything_is_sold(run: FlattenRun) -> None:
    """They hold the shares, and the broker refuses to sell these twice."""
    wanted = terms("10", order_class="bracket", take_profit=Decimal(110), stop_loss=Decimal(90))
    order_id = name(1)
    run.read(request(wanted, 1))
    run.do(answer=False)
    run.fill(order_id, "10")
    while run.tell():
        pass
    # The answer to the look-up that the doubt led to is lost with the process.
    run.work.clear()
    run.engine.observed.asked.clear()
    run.flatten("algorithm:alpha")
    assert FindOrder(order_id) in run.work
    assert not [one for one in run.work if isinstance(one, Approved)]
    for leg in run.at_broker[order_id].legs:
        run.at_broker[leg.client_order_id] = leg
    quietly(run)
    assert {one.status for one in run.at_broker.values() if one.parent} == {"canceled"}
    run.settle()
    assert run.engine.state.book.positions() == {}
    assert len(closed(run)) == 2, "the entry, and one order that closes it"


def test_what_was_too_much_once_another_traded_is_sent_again_as_less(run: FlattenRun) -> None:
    run.holds("-5")
    run.flatten("algorithm:alpha")
    while not any(isinstance(one, Approved) for one in run.work):
        run.do()
    # An order of another algorithm fills first: the broker takes none across zero.
    run.holds("1", "beta")
    run.refusal = "insufficient qty available for order (requested: 5, available: 4)"
    run.do()
    run.refusal = None
    run.settle()
    outcomes = run.outcomes()
    assert outcomes is not None
    assert outcomes["AAPL"].why == ""
    assert run.engine.state.book.position("AAPL", "alpha") == 0
    assert [order.quantity for order in run.own()] == [Decimal(4), Decimal(1)]


def test_an_algorithm_does_not_cancel_what_closes_its_position(run: FlattenRun) -> None:
    run.holds("10")
    run.flatten()
    while not run.own():
        run.do()
    cancel = CancelRequest(client_order_id=run.own()[0].client_order_id, lease=LEASE, requested_ns=run.now_ns)
    effects = run.read(cancel)
    (event,) = effects.events
    assert isinstance(event, CancelRefused)
    assert (event.reason.code, effects.cancel) == ("flattening", [])
