"""Canceling every open order of a scope at the word of an operator."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest
from engine_run import BY_HAND, EngineRun, at_broker, frame
from risk_day import LIMITS, limit_terms, name, request

from bus.account_messages import OrdersCanceled
from bus.control_messages import CancelOrders
from oms.broker.alpaca_orders import not_canceled
from oms.broker.protocol import BrokerRefused, Rejected
from oms.requests.cancels import CANCELED_UNSENT
from oms.risk.approval import Approved
from oms.state.effects import CancelOrder, Effects
from oms.state.inputs import AllCancelsAnswered, ControlRead, OrderAnswered


@pytest.fixture
def run() -> EngineRun:
    """An engine with two orders of alpha and one of beta at the broker, and one made by hand."""
    run = EngineRun()
    run.begin()
    working(run, 1)
    working(run, 2)
    working(run, 3, algorithm="beta")
    run.told(frame(replace(BY_HAND, stop_price=Decimal(110)), "new"))
    return run


def ordered(run: EngineRun, number: int, algorithm: str = "alpha") -> Approved:
    """An order that is approved and not sent yet."""
    wanted = limit_terms("99", "1")
    lease = {"alpha": "1:alpha", "beta": "1:beta"}[algorithm]
    (approved,) = run.read(
        request(wanted, number, client_order_id=name(number, algorithm), lease=lease), algorithm
    ).send
    return approved


def working(run: EngineRun, number: int, algorithm: str = "alpha") -> None:
    """An order that the broker has taken."""
    run.accepted(ordered(run, number, algorithm))


def canceled(run: EngineRun, scope: str) -> Effects:
    """An operator says so."""
    message = CancelOrders(scope=scope, reason="a test", by="ann", at_ns=run.now_ns)
    return run.take(ControlRead("7-0", message))


@pytest.mark.parametrize("scope", ["all", "account:paper"])
def test_the_whole_account_is_canceled_with_one_request(run: EngineRun, scope: str) -> None:
    effects = canceled(run, scope)
    assert (effects.cancel_all, effects.cancel) == (True, [])
    (event,) = effects.events
    assert isinstance(event, OrdersCanceled)
    assert (event.entry_id, event.by) == ("7-0", "ann")
    assert set(event.orders) == {name(1), name(2), name(3, "beta"), "by-hand"}


@pytest.mark.parametrize(
    ("scope", "orders"),
    [
        ("algorithm:alpha", {name(1), name(2)}),
        ("algorithm:beta", {name(3, "beta")}),
        ("algorithm:nobody", set()),
        ("symbol:AAPL", {name(1), name(2), name(3, "beta"), "by-hand"}),
        ("symbol:MSFT", set()),
        ("account:other", set()),
    ],
)
def test_a_narrower_scope_is_canceled_order_by_order(run: EngineRun, scope: str, orders: set[str]) -> None:
    effects = canceled(run, scope)
    assert not effects.cancel_all
    assert {cancel.client_order_id for cancel in effects.cancel} == orders


def test_what_has_not_left_does_not_leave(run: EngineRun) -> None:
    approved = ordered(run, 4)
    effects = canceled(run, "all")
    assert effects.withdraw == [name(4)]
    reason = run.engine.objection(approved, run.engine.state.halts)
    assert reason is not None
    assert reason.code == "canceled"
    # It had left: it is canceled as soon as the broker has it.
    assert run.accepted(approved).cancel == [
        CancelOrder(name(4), at_broker(approved).id, "alpha", urgent=True)
    ]


def test_where_the_one_request_comes_to_nothing_each_is_canceled(run: EngineRun) -> None:
    canceled(run, "all")
    effects = run.take(AllCancelsAnswered(BrokerRefused("207", "2 orders were not canceled")))
    assert len(effects.cancel) == 4
    assert run.take(AllCancelsAnswered(None)).cancel == []


def seconds_of_canceling(waiting: int) -> float:
    """How long the engine takes for a cancel of all while so many orders have not left, and each answer."""
    run = EngineRun()
    run.begin(
        LIMITS.replace("open_orders = 200", "open_orders = 9_999").replace("second = 100", "second = 9_999")
    )
    for number in range(waiting):
        ordered(run, number)
    began = time.process_time()
    canceled(run, "all")
    for number in range(waiting):
        run.take(OrderAnswered(name(number), Rejected("oms", CANCELED_UNSENT)))
    took_s = time.process_time() - began
    assert not run.engine.state.book.open_count()
    return took_s


def test_thousands_that_wait_do_not_each_look_at_all_the_others() -> None:
    """Four times as many take about four times as long; with a look at each other it was sixteen."""
    seconds_of_canceling(50)
    fewer, more = (min(seconds_of_canceling(count) for _ in range(2)) for count in (300, 1200))
    assert more < 8 * fewer


def test_orders_that_come_afterwards_are_taken(run: EngineRun) -> None:
    canceled(run, "all")
    assert ordered(run, 5).client_order_id == name(5)


def test_the_answer_to_a_cancel_of_all_names_what_was_not_taken() -> None:
    assert not_canceled([{"id": "a", "status": 200}, {"id": "b", "status": 500}]) == ["b"]
    assert not_canceled([]) == []
