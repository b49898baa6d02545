"""What the broker is asked after a start."""

from dataclasses import replace

import pytest
from engine_run import SECOND_NS, EngineRun, at_broker
from risk_day import limit_terms, request

from bus.halt_state import HaltState
from oms.broker.protocol import BrokerOrder
from oms.state.inputs import Answered, FindOrder, HaltStateRead, ListOrders, Started

HOUR_NS = 3600 * SECOND_NS
# An order may be stamped before we wrote it down.
MARGIN_NS = 60 * SECOND_NS


def test_a_journal_written_while_the_clock_was_ahead_hides_no_order_of_today() -> None:
    run = EngineRun()
    run.tick(0)
    run.take(HaltStateRead(HaltState(known=True)))
    (question,) = run.take(Started(run.now_ns - HOUR_NS, run.now_ns + HOUR_NS)).ask
    assert isinstance(question, ListOrders)
    assert question.since_ns < run.now_ns


def started_again(orders: int) -> tuple[EngineRun, list[BrokerOrder], ListOrders]:
    """A start an hour after so many orders began to work at the broker, and the first question."""
    run = EngineRun()
    run.begin()
    run.tick(0)
    working = []
    for number in range(1, orders + 1):
        (approved,) = run.read(request(limit_terms("90", "1"), number)).send
        run.accepted(approved)
        working.append(at_broker(approved))
    started_ns = run.now_ns
    run.engine = run.folded()
    run.tick(HOUR_NS)
    (question,) = run.take(Started(started_ns, run.now_ns)).ask
    assert isinstance(question, ListOrders)
    assert question.since_ns == run.now_ns - MARGIN_NS, "old orders that are open make the list no longer"
    return run, working, question


def test_open_orders_are_listed_whenever_they_were_made() -> None:
    run, working, question = started_again(30)
    assert run.take(Answered(question, working, 0)).ask == []
    assert run.engine.not_ready is None


@pytest.mark.parametrize("ended", [1, 20])
def test_a_few_that_ended_meanwhile_are_asked_for_one_by_one(ended: int) -> None:
    run, working, question = started_again(30)
    asked = run.take(Answered(question, working[ended:], 0)).ask
    assert asked == [FindOrder(order.client_order_id) for order in working[:ended]]
    for one, order in zip(asked, working[:ended], strict=True):
        assert run.engine.not_ready is not None
        run.take(Answered(one, replace(order, status="expired"), 0))
    assert run.engine.not_ready is None
    assert len(list(run.engine.state.book.open_orders())) == 30 - ended


def test_many_that_ended_meanwhile_are_listed_once_more_from_further_back() -> None:
    run, working, question = started_again(30)
    (further_back,) = run.take(Answered(question, working[21:], 0)).ask
    assert further_back == ListOrders(question.since_ns - HOUR_NS)
    ended = [replace(order, status="expired") for order in working[1:21]]
    (left,) = run.take(Answered(further_back, [*ended, *working[21:]], 0)).ask
    assert left == FindOrder(working[0].client_order_id)
    run.take(Answered(left, replace(working[0], status="expired"), 0))
    assert run.engine.not_ready is None
    assert len(list(run.engine.state.book.open_orders())) == 9
