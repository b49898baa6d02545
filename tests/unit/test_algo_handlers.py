"""An author's class: handlers are called with what they handle, and what they ask for lands in the outbox."""

from decimal import Decimal

import pytest

from algos import Algorithm, Bar, Fill, Gap, Order, State, Timer, Trade, parameter
from algos.algorithm import seat
from algos.desk import Trigger
from algos.dispatch import Dispatcher, HandlerFailed, channels_of
from bus.control_messages import Halt
from bus.market_messages import GapClosed, GapOpened
from bus.order_messages import (
    CancelRequest,
    OrderApproved,
    OrderFilled,
    OrderRequest,
    OrderTerms,
    ReplaceRequest,
)

TRADE = Trade(symbol="AAPL", price=Decimal(100), size=Decimal(1), at_ns=1)


class Scripted(Algorithm):
    """Does on each trade what the test says, and keeps what it was given."""

    def prepare(self) -> None:
        self.plan = lambda: None
        self.given: list[object] = []
        self.every("0.5", "tick")

    def on_trade(self, trade: Trade) -> None:
        self.given.append(trade)
        self.plan()

    def on_order(self, order: Order) -> None:
        self.given.append(order.status)

    def on_fill(self, fill: Fill) -> None:
        self.given.append((fill.execution_id, self.position(fill.symbol)))

    def on_gap(self, gap: Gap) -> None:
        self.given.append(gap)

    def on_timer(self, timer: Timer) -> None:
        self.given.append((timer.name, self.now_ns))

    def on_kill_switch(self, message: object) -> None:
        self.given.append(message)

    def on_status_change(self, previous: State, current: State) -> None:
        self.given.append((previous, current, self.is_leader))


def led() -> tuple[Scripted, Dispatcher]:
    algorithm = Scripted(symbols=("AAPL",))
    dispatcher = Dispatcher(algorithm, seat(algorithm, "scripted", "life"))
    dispatcher.status(State.LEADER, 0)
    algorithm.given.clear()
    return algorithm, dispatcher


def trigger(entry: str = "1-0", received_ns: int = 1000) -> Trigger:
    return Trigger(f"md:AAPL:trades {entry}", b"{}", received_ns, received_ns)


def test_an_algorithm_is_subscribed_to_what_it_handles() -> None:
    class OnBars(Algorithm):
        def on_bar(self, bar: Bar) -> None:
            """Looks."""

    assert channels_of(OnBars) == ("bars",)
    assert channels_of(Scripted) == ("trades",)
    assert channels_of(Algorithm) == ()


def test_orders_leave_in_order_with_trigger_times_and_lease() -> None:
    algorithm, dispatcher = led()
    ids: list[str] = []

    def plan() -> None:
        ids.append(algorithm.buy("AAPL", 2, limit_price="99.5"))
        ids.append(algorithm.sell("MSFT", notional=50))
        algorithm.cancel(ids[0])

    algorithm.plan = plan
    dispatcher.market(trigger(), TRADE)
    first, second, cancel = dispatcher.desk.take("7:me", 1500, 0)
    assert isinstance(first, OrderRequest)
    assert isinstance(second, OrderRequest)
    assert isinstance(cancel, CancelRequest)
    assert [first.client_order_id, second.client_order_id] == ids
    assert (first.trigger, first.received_ns, first.lease) == ("md:AAPL:trades 1-0", 1000, "7:me")
    assert first.terms.limit_price == Decimal("99.5")
    assert first.requested_ns >= 1500
    assert cancel.client_order_id == ids[0]
    assert not dispatcher.desk.has_requests


def test_requests_are_never_equal_so_that_a_lost_one_is_recognised() -> None:
    algorithm, dispatcher = led()
    algorithm.plan = lambda: [algorithm.cancel("x"), algorithm.cancel("x")]
    dispatcher.market(trigger(), TRADE)
    first, second = dispatcher.desk.take("7:me", 1500, 0)
    assert first != second


def test_the_same_delivery_again_is_not_asked_for_twice_but_other_terms_are_the_omss_to_refuse() -> None:
    algorithm, dispatcher = led()
    algorithm.plan = lambda: algorithm.buy("AAPL", 1)
    dispatcher.market(trigger(), TRADE)
    (first,) = dispatcher.desk.take("7:me", 1500, 0)
    dispatcher.market(trigger(), TRADE)
    assert dispatcher.desk.take("7:me", 1500, 0) == []
    algorithm.plan = lambda: algorithm.buy("AAPL", 2)
    dispatcher.market(trigger(), TRADE)
    (conflict,) = dispatcher.desk.take("7:me", 1500, 0)
    assert isinstance(first, OrderRequest)
    assert isinstance(conflict, OrderRequest)
    assert conflict.client_order_id == first.client_order_id


def test_an_order_of_an_old_trigger_is_dropped_and_counted_and_a_cancel_is_not() -> None:
    algorithm, dispatcher = led()
    algorithm.plan = lambda: [algorithm.buy("AAPL", 1), algorithm.cancel("other")]
    dispatcher.market(trigger(received_ns=1000), TRADE)
    assert algorithm.open_orders
    requests = dispatcher.desk.take("7:me", 5000, oldest_trigger_ns=1001)
    assert [type(request) for request in requests] == [CancelRequest]
    assert dispatcher.desk.dropped == 1
    assert not algorithm.open_orders


def test_a_failed_handler_is_named_and_leaves_no_orders_behind() -> None:
    algorithm, dispatcher = led()
    algorithm.plan = lambda: algorithm.buy("AAPL", 1)
    dispatcher.market(trigger("1-0"), TRADE)

    def fail() -> None:
        algorithm.buy("AAPL", 5)
        raise ZeroDivisionError("no bars yet")

    algorithm.plan = fail
    with pytest.raises(HandlerFailed, match=r"on_trade raised ZeroDivisionError: no bars yet .*trades 2-0"):
        dispatcher.market(trigger("2-0"), TRADE)
    (kept,) = dispatcher.desk.take("7:me", 1500, 0)
    assert isinstance(kept, OrderRequest)
    assert kept.trigger == "md:AAPL:trades 1-0"
    assert [order.client_order_id for order in algorithm.open_orders] == [kept.client_order_id]


@pytest.mark.parametrize("state", [State.BOOTSTRAP, State.FOLLOWER, State.ABORTED])
def test_only_a_leaders_orders_leave(state: State) -> None:
    algorithm, dispatcher = led()
    dispatcher.desk.state = state
    algorithm.plan = lambda: algorithm.buy("AAPL", 1)
    dispatcher.market(trigger(), TRADE)
    assert dispatcher.desk.take("7:me", 1500, 0) == []
    assert dispatcher.desk.suppressed == 1
    assert not algorithm.open_orders


def test_nothing_leaves_after_an_acknowledged_shutdown() -> None:
    algorithm, dispatcher = led()
    dispatcher.shutdown(5)
    algorithm.plan = lambda: [algorithm.buy("AAPL", 1), algorithm.cancel("other")]
    dispatcher.market(trigger(), TRADE)
    assert not dispatcher.desk.has_requests
    assert dispatcher.desk.suppressed == 2


def test_events_change_the_portfolio_before_the_handler_looks() -> None:
    algorithm, dispatcher = led()
    terms = OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(2))
    dispatcher.event(
        trigger(),
        OrderApproved(
            algorithm="scripted",
            client_order_id="id",
            terms=terms,
            reserve_price=Decimal(1),
            trigger="t",
            received_ns=1,
            requested_ns=1,
            approved_ns=1,
        ),
    )
    fill = OrderFilled(
        algorithm="scripted",
        client_order_id="id",
        broker_order_id="b",
        execution_id="e1",
        symbol="AAPL",
        side="buy",
        quantity=Decimal(2),
        price=Decimal(10),
        filled_quantity=Decimal(2),
        status="filled",
        at_ns=1,
    )
    dispatcher.event(trigger(), fill)
    assert algorithm.given == ["approved", ("e1", Decimal(2))]
    assert algorithm.positions == {"AAPL": Decimal(2)}


def test_gaps_timers_halts_and_state_reach_their_handlers() -> None:
    algorithm, dispatcher = led()
    opened = GapOpened(feed="iex", since_ns=5, reason="disconnected")
    dispatcher.gap(trigger(), "AAPL", "trades", opened)
    dispatcher.gap(trigger(), "AAPL", "trades", GapClosed(feed="iex", since_ns=5, until_ns=9))
    dispatcher.gap(trigger(), "AAPL", "trades", None)
    dispatcher.timer(Timer(name="tick", scheduled_ns=500_000_000))
    halt = Halt(scope="all", reason="test", by="ann", at_ns=3)
    dispatcher.kill_switch(halt, 4)
    dispatcher.status(State.ABORTED, 5)
    gaps = [item for item in algorithm.given if isinstance(item, Gap)]
    assert [(gap.kind, gap.since_ns, gap.until_ns) for gap in gaps] == [
        ("opened", 5, None),
        ("closed", 5, 9),
        ("trimmed", 1000, None),
    ]
    assert algorithm.given[3:] == [("tick", 500_000_000), halt, (State.LEADER, State.ABORTED, False)]
    assert dispatcher.desk.timers == {"tick": 500_000_000}


def test_replacing_keeps_the_terms_and_names_the_order_that_it_replaces() -> None:
    algorithm, dispatcher = led()
    made: list[str] = []
    algorithm.plan = lambda: made.append(algorithm.buy("AAPL", 2, limit_price=10))
    dispatcher.market(trigger("1-0"), TRADE)
    algorithm.plan = lambda: made.append(algorithm.replace(made[0], limit_price=11))
    dispatcher.market(trigger("2-0"), TRADE)
    _, replacement = dispatcher.desk.take("7:me", 1500, 0)
    assert isinstance(replacement, ReplaceRequest)
    assert (replacement.replaces, replacement.client_order_id) == (made[0], made[1])
    assert (replacement.terms.limit_price, replacement.terms.quantity) == (11, 2)


def test_an_unknown_order_cannot_be_replaced() -> None:
    algorithm, _ = led()
    with pytest.raises(ValueError, match="order nobody is not known"):
        algorithm.replace("nobody", quantity=1)


def test_parameters_read_as_their_defaults_until_given() -> None:
    class Tuned(Algorithm):
        fast: int = parameter(5)

    assert Tuned().fast == 5
    assert Tuned(fast=7).fast == 7
    assert Tuned.fast == 5
    with pytest.raises(TypeError, match="Tuned has no parameter slow; it has fast"):
        Tuned(slow=1)
