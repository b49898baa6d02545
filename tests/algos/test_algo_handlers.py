"""An author's class in its session: handlers are called with what they handle, what they ask for leaves."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from algos import Algorithm, Bar, Fill, Gap, Order, State, Timer, Trade, parameter
from algos.algorithm import session_of
from algos.inputs import (
    ControlEntry,
    GapEntry,
    MarketEntry,
    OrderEvent,
    ShutdownRequested,
    StateChanged,
    TimerDue,
    TrimmedEntry,
    market_input,
)
from algos.session import Request, Session
from algos.subscription import channels_of
from bus.control_messages import Halt
from bus.delivery import Delivery
from bus.events import Event
from bus.market_messages import GapClosed, GapOpened
from bus.order_events import OrderApproved, OrderFilled, OrdersRefused, RefusedOrder, Registered
from bus.order_messages import CancelRequest, OrderRequest, OrderTerms, ReplaceRequest

TRADE = Trade(symbol="AAPL", price=Decimal(100), size=Decimal(1), at_ns=1)


def fail() -> None:
    raise RuntimeError("broken")


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


def led() -> tuple[Scripted, Session]:
    algorithm = Scripted(symbols=("AAPL",))
    session = session_of(algorithm, "scripted", "life")
    session.take(StateChanged(State.LEADER, "7:me", 0))
    algorithm.given.clear()
    return algorithm, session


def tick(entry: str = "1-0", received_ns: int = 1000, *, redelivered: bool = False) -> MarketEntry:
    return MarketEntry("md:AAPL:trades", entry, received_ns, b"{}", redelivered, TRADE)


def happened(entry: str, event: Event) -> OrderEvent:
    return OrderEvent("orders:{paper}:events:scripted", entry, 1000, b"{}", False, event)


def leaving(session: Session, now_ns: int = 1500, max_age_ns: int = 10_000) -> list[Request]:
    return session.empty_outbox(now_ns, max_age_ns)


def approved(order_id: str) -> OrderApproved:
    return OrderApproved(
        algorithm="scripted",
        client_order_id=order_id,
        terms=OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(2)),
        reserve_price=Decimal(1),
        trigger="t",
        received_ns=1,
        requested_ns=1,
        approved_ns=1,
    )


def test_orders_that_were_refused_together_are_told_one_by_one_and_what_that_triggers_is_all_new() -> None:
    algorithm, session = led()
    ids: list[str] = []
    algorithm.plan = lambda: ids.extend(algorithm.buy("AAPL", 2) for _ in range(3))
    session.take(tick())
    leaving(session)
    heard: list[tuple[str, str]] = []
    again: list[str] = []

    def on_order(order: Order) -> None:
        heard.append((order.client_order_id, order.status))
        again.append(algorithm.buy("AAPL", 1))
        algorithm.buy("AAPL", 1)

    algorithm.on_order = on_order  # type: ignore[method-assign]
    together = OrdersRefused(
        algorithm="scripted",
        by="risk",
        reasons=(),
        orders=tuple(RefusedOrder(order_id) for order_id in ids),
        first_requested_ns=1,
        last_requested_ns=2,
        at_ns=3,
    )
    session.take(happened("2-0", together))
    assert heard == [(order_id, "refused") for order_id in ids]
    requests = leaving(session)
    assert len({one.client_order_id for one in requests}) == len(requests) == 6
    assert set(again) <= {one.client_order_id for one in requests}


def test_an_algorithm_is_subscribed_to_what_it_handles() -> None:
    class OnBars(Algorithm):
        def on_bar(self, bar: Bar) -> None:
            """Looks."""

    assert channels_of(OnBars) == ("bars",)
    assert channels_of(Scripted) == ("trades",)
    assert channels_of(Algorithm) == ()


def test_orders_leave_in_order_with_trigger_times_and_lease() -> None:
    algorithm, session = led()
    ids: list[str] = []

    def plan() -> None:
        ids.append(algorithm.buy("AAPL", 2, limit_price="99.5"))
        ids.append(algorithm.sell("MSFT", notional=50))
        algorithm.cancel(ids[0])

    algorithm.plan = plan
    session.take(tick())
    first, second, cancel = leaving(session)
    assert isinstance(first, OrderRequest)
    assert isinstance(second, OrderRequest)
    assert isinstance(cancel, CancelRequest)
    assert [first.client_order_id, second.client_order_id] == ids
    assert (first.trigger, first.received_ns, first.lease) == ("md:AAPL:trades 1-0", 1000, "7:me")
    assert first.terms.limit_price == Decimal("99.5")
    assert first.requested_ns >= 1500
    assert cancel.client_order_id == ids[0]
    assert not session.outbox


def test_requests_are_never_equal_so_that_a_lost_one_is_recognised() -> None:
    algorithm, session = led()
    algorithm.plan = lambda: [algorithm.cancel("x"), algorithm.cancel("x")]
    session.take(tick())
    first, second = leaving(session)
    assert first != second


def test_the_same_delivery_again_is_not_asked_for_twice_but_other_terms_are_the_omss_to_refuse() -> None:
    algorithm, session = led()
    algorithm.plan = lambda: algorithm.buy("AAPL", 1)
    session.take(tick())
    (first,) = leaving(session)
    session.take(tick())
    assert leaving(session) == []
    algorithm.plan = lambda: algorithm.buy("AAPL", 2)
    session.take(tick())
    (conflict,) = leaving(session)
    assert isinstance(first, OrderRequest)
    assert isinstance(conflict, OrderRequest)
    assert conflict.client_order_id == first.client_order_id


def test_an_order_of_an_old_trigger_is_dropped_and_counted_and_a_cancel_is_not() -> None:
    algorithm, session = led()
    algorithm.plan = lambda: [algorithm.buy("AAPL", 1), algorithm.cancel("other")]
    session.take(tick(received_ns=1000))
    assert algorithm.open_orders
    requests = leaving(session, 5000, 3999)
    assert [type(request) for request in requests] == [CancelRequest]
    assert session.dropped_stale == 1
    assert not algorithm.open_orders


def test_a_failed_handler_is_named_and_leaves_no_orders_behind() -> None:
    algorithm, session = led()
    algorithm.plan = lambda: algorithm.buy("AAPL", 1)
    session.take(tick("1-0"))

    def fail() -> None:
        algorithm.buy("AAPL", 5)
        raise ZeroDivisionError("no bars yet")

    algorithm.plan = fail
    session.take(tick("2-0"))
    said = "on_trade raised ZeroDivisionError: no bars yet (while handling md:AAPL:trades 2-0)"
    assert session.failure == said
    kept, cancel = leaving(session)
    assert isinstance(kept, OrderRequest)
    assert kept.trigger == "md:AAPL:trades 1-0"
    assert [order.client_order_id for order in algorithm.open_orders] == [kept.client_order_id]
    assert isinstance(cancel, CancelRequest)
    assert cancel.client_order_id == kept.client_order_id
    assert algorithm.given[-1] == (State.LEADER, State.ABORTED, False)


def test_nothing_is_handled_past_a_failure_but_the_portfolio_is_kept_and_late_orders_are_canceled() -> None:
    algorithm, session = led()
    algorithm.plan = fail
    session.take(tick("1-0"))
    algorithm.given.clear()
    session.take(tick("2-0"))
    session.take(TimerDue(Timer(name="tick", scheduled_ns=500_000_000), 500_000_000))
    session.take(ControlEntry("3-0", 1, Halt(scope="all", reason="test", by="ann", at_ns=3)))
    session.take(ShutdownRequested(1, session.lease))
    for _ in range(2):
        session.take(happened("4-0", approved("late")))
    assert algorithm.given == []
    assert [order.client_order_id for order in algorithm.open_orders] == ["late"]
    (cancel,) = leaving(session)
    assert isinstance(cancel, CancelRequest)
    assert (cancel.client_order_id, cancel.lease) == ("late", "7:me")


def test_an_aborted_algorithm_that_keeps_its_orders_asks_for_no_cancel() -> None:
    algorithm, session = led()
    type(algorithm).on_abort = "keep"
    try:
        algorithm.plan = fail
        session.take(happened("1-0", approved("mine")))
        session.take(tick("1-0"))
        session.take(happened("2-0", approved("late")))
    finally:
        del type(algorithm).on_abort
    assert session.state is State.ABORTED
    assert leaving(session) == []


def test_a_handler_that_fails_when_it_is_told_of_the_failure_is_named_too() -> None:
    class Fragile(Scripted):
        def on_status_change(self, previous: State, current: State) -> None:
            if current is State.ABORTED:
                raise KeyError("again")

    algorithm = Fragile(symbols=("AAPL",))
    session = session_of(algorithm, "scripted", "life")
    session.take(StateChanged(State.LEADER, "7:me", 0))
    algorithm.plan = fail
    session.take(tick())
    assert [(one.handler, one.trigger) for one in session.failures] == [
        ("on_trade", "md:AAPL:trades 1-0"),
        ("on_status_change", "state aborted 7"),
    ]
    assert session.failure.startswith("on_trade raised RuntimeError: broken")


def test_a_follower_is_told_of_halts_and_its_orders_are_suppressed() -> None:
    class OnHalt(Scripted):
        def on_kill_switch(self, message: object) -> None:
            self.buy("AAPL", 1)
            self.cancel("other")

    algorithm = OnHalt(symbols=("AAPL",))
    session = session_of(algorithm, "scripted", "life")
    session.take(StateChanged(State.FOLLOWER, "", 0))
    session.take(ControlEntry("3-0", 1, Halt(scope="all", reason="test", by="ann", at_ns=3)))
    session.take(tick())
    assert leaving(session) == []
    assert session.suppressed == 2
    assert algorithm.given == [(State.BOOTSTRAP, State.FOLLOWER, False)]
    assert not algorithm.open_orders


def test_nothing_leaves_after_an_acknowledged_shutdown() -> None:
    algorithm, session = led()
    session.take(ShutdownRequested(5, "7:me"))
    algorithm.plan = lambda: [algorithm.buy("AAPL", 1), algorithm.cancel("other")]
    session.take(tick())
    assert not session.outbox
    assert session.suppressed == 2


def test_events_change_the_portfolio_before_the_handler_looks() -> None:
    algorithm, session = led()
    session.take(happened("1-0", approved("id")))
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
    session.take(happened("2-0", fill))
    assert algorithm.given == ["approved", ("e1", Decimal(2))]
    assert algorithm.positions == {"AAPL": Decimal(2)}


def test_the_past_is_folded_without_a_handler_and_told_again_to_the_leader() -> None:
    algorithm = Scripted(symbols=("AAPL",))
    session = session_of(algorithm, "scripted", "life")
    session.take(happened("1-0", Registered(algorithm="scripted", at_ns=1)))
    session.take(happened("2-0", approved("id")))
    assert session.registered
    assert algorithm.given == []
    assert [order.client_order_id for order in algorithm.open_orders] == ["id"]
    session.take(StateChanged(State.LEADER, "7:me", 0))
    session.take(msgspec.structs.replace(happened("2-0", approved("id")), redelivered=True))
    assert algorithm.given[-1] == "approved"


@pytest.mark.parametrize("error", [SystemExit(0), asyncio.CancelledError(), GeneratorExit()])
def test_a_handler_that_ends_the_process_or_its_task_aborts_as_any_other(error: BaseException) -> None:
    algorithm, session = led()

    def end() -> None:
        raise error

    algorithm.plan = end
    session.take(tick("9-0"))
    assert session.state is State.ABORTED
    assert session.failures[0].error is error


@pytest.mark.parametrize("order_id", [None, b"bb", "\ud800"])
def test_a_cancel_that_the_oms_could_not_read_fails_where_it_is_asked_for(order_id: Any) -> None:
    algorithm, session = led()
    algorithm.plan = lambda: algorithm.cancel(order_id)
    session.take(tick("9-0"))
    assert "cannot cancel" in session.failure
    assert leaving(session) == []


def test_an_entry_that_comes_again_to_the_same_session_is_not_handled_again() -> None:
    algorithm, session = led()
    algorithm.plan = lambda: algorithm.cancel("other")
    handled: list[tuple[str, int]] = []
    for entry, redelivered in (
        ("9-0", False),
        ("10-0", False),
        ("9-0", True),
        ("10-0", True),
        ("10-1", True),
    ):
        before = session.handled
        session.take(tick(entry, redelivered=redelivered))
        handled.append((entry, session.handled - before))
    assert handled == [("9-0", 1), ("10-0", 1), ("9-0", 0), ("10-0", 0), ("10-1", 1)]
    assert len(leaving(session)) == 3


def test_a_follower_that_aborts_leaves_the_orders_to_its_leader() -> None:
    class CancelsAll(Scripted):
        def on_kill_switch(self, message: object) -> None:
            raise RuntimeError("broken")

        def on_status_change(self, previous: State, current: State) -> None:
            if current is State.ABORTED:
                self.cancel("mine")

    algorithm = CancelsAll(symbols=("AAPL",))
    session = session_of(algorithm, "scripted", "life")
    session.take(StateChanged(State.LEADER, "7:me", 0))
    session.take(happened("1-0", approved("mine")))
    session.take(StateChanged(State.FOLLOWER, "7:me", 0))
    session.take(ControlEntry("3-0", 1, Halt(scope="all", reason="test", by="ann", at_ns=3)))
    assert session.state is State.ABORTED
    assert algorithm.open_orders
    assert leaving(session) == []


def test_gaps_timers_halts_and_state_reach_their_handlers() -> None:
    algorithm, session = led()
    entry = ("md:AAPL:trades", "1-0", 1000, b"{}", False, "AAPL", "trades")
    session.take(GapEntry(*entry, GapOpened(feed="iex", since_ns=5, reason="disconnected")))
    session.take(GapEntry(*entry, GapClosed(feed="iex", since_ns=5, until_ns=9)))
    session.take(TrimmedEntry(*entry))
    session.take(TimerDue(Timer(name="tick", scheduled_ns=500_000_000), 500_000_000))
    halt = Halt(scope="all", reason="test", by="ann", at_ns=3)
    session.take(ControlEntry("3-0", 4, halt))
    session.take(StateChanged(State.ABORTED, "7:me", 5))
    gaps = [item for item in algorithm.given if isinstance(item, Gap)]
    assert [(gap.kind, gap.since_ns, gap.until_ns) for gap in gaps] == [
        ("opened", 5, None),
        ("closed", 5, 9),
        ("trimmed", 1_000_000, None),
    ]
    assert algorithm.given[3:] == [("tick", 500_000_000), halt, (State.LEADER, State.ABORTED, False)]
    assert session.timers == {"tick": 500_000_000}


def test_what_was_cut_unread_is_told_with_both_times_and_how_many() -> None:
    algorithm, session = led()
    fields = {b"cut": b"5-0 9-3 1200"}
    session.take(market_input(Delivery("md:AAPL:quotes", "5-0", fields, trimmed=True), 77))
    (gap,) = algorithm.given
    assert (gap.kind, gap.symbol, gap.channel) == ("trimmed", "AAPL", "quotes")
    assert (gap.since_ns, gap.until_ns) == (5_000_000, 9_000_000)
    assert "1,200 entries" in gap.reason


def test_an_order_is_named_for_what_triggered_it_and_never_for_when() -> None:
    class Always(Algorithm):
        """Orders whatever happens."""

        def on_status_change(self, previous: State, current: State) -> None:
            self.buy("AAPL", 1)

        def on_kill_switch(self, message: object) -> None:
            self.buy("AAPL", 1)

        def on_shutdown(self) -> None:
            self.buy("AAPL", 1)

    halt = Halt(scope="all", reason="test", by="ann", at_ns=3)

    def orders(now_ns: int) -> list[tuple[str, str]]:
        session = session_of(Always(), "always", "life")
        session.take(StateChanged(State.LEADER, "7:me", now_ns))
        session.take(ControlEntry("3-0", now_ns, halt))
        session.take(ShutdownRequested(now_ns, "7:me"))
        session.take(ShutdownRequested(now_ns, "7:me", "4-0"))
        made = session.empty_outbox(now_ns, 0)
        return [(one.trigger, one.client_order_id) for one in made if isinstance(one, OrderRequest)]

    assert [trigger for trigger, _ in orders(1)] == [
        "state leader 7",
        "control 3-0",
        "shutdown 7",
        "control 4-0",
    ]
    assert orders(1) == orders(2)


def test_replacing_keeps_the_terms_and_names_the_order_that_it_replaces() -> None:
    algorithm, session = led()
    made: list[str] = []
    algorithm.plan = lambda: made.append(algorithm.buy("AAPL", 2, limit_price=10))
    session.take(tick("1-0"))
    algorithm.plan = lambda: made.append(algorithm.replace(made[0], limit_price=11))
    session.take(tick("2-0"))
    _, replacement = leaving(session)
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


def test_a_pair_is_one_symbol_to_an_author_in_both_spellings() -> None:
    algorithm, session = led()
    algorithm.plan = lambda: algorithm.buy("BTCUSD", 1)
    (request,) = session.take(tick())
    assert isinstance(request, OrderRequest)
    assert request.terms.symbol == "BTC/USD"
    assert algorithm.has_open_order("BTCUSD")
    assert algorithm.has_open_order("BTC/USD", "buy")
