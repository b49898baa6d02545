"""What was answered before is not answered again, and an id stands for one order only."""

from typing import Any

from judging import LIMITS, Day, name, request, terms

from bus.control_messages import Halt
from bus.order_messages import CancelRefused, CancelRequest, OrderRequest
from oms.limits import parse
from oms.requests import decide, decide_cancel


def small() -> Day:
    """A day on which an order may have ten shares."""
    day = Day()
    day.limits = parse(LIMITS.replace("order_quantity = 1000", "order_quantity = 10"), "limits")
    return day


def decided(day: Day, asked: OrderRequest, **changes: Any) -> list[str] | None:
    """The codes of a decision; None where there was nothing to decide."""
    decision = decide(asked, day.book, day.limits, day.prices, day.context(**changes))
    if decision.event is None:
        return None
    day.book.apply(decision.event)
    return [reason.code for reason in getattr(decision.event, "reasons", ())]


def test_a_duplicate_is_not_decided_again_whatever_the_first_answer_was() -> None:
    day = small()
    assert decided(day, request(terms("10"), 1)) == []
    assert decided(day, request(terms("11"), 2)) == ["order_quantity"]
    day.halts.mode = Halt(scope="all", reason="r", by="b", at_ns=0)
    assert decided(day, request(terms("10"), 1)) is None
    assert decided(day, request(terms("11"), 2)) is None


def test_another_order_under_the_same_id_is_a_conflict_and_changes_nothing() -> None:
    day = Day()
    decided(day, request(terms("10"), 1))
    assert decided(day, request(terms("11"), 1)) == ["id_conflict"]
    assert day.book.orders[name(1)].status == "approved"
    assert decided(day, request(terms("10"), 1)) is None


def test_a_request_of_a_stale_leader_does_not_speak_for_the_new_one() -> None:
    day = Day()
    assert decided(day, request(number=1), lease="2:alpha") == ["not_leader"]
    assert decided(day, request(number=1, lease="2:alpha"), lease="2:alpha") == []


def test_a_cancel_needs_neither_prices_nor_limits_nor_a_resume() -> None:
    day = Day()
    verdict = day.approve(request(number=1))
    day.limits = None
    day.halts.mode = Halt(scope="all", reason="r", by="b", at_ns=0)
    asked = CancelRequest(client_order_id=verdict.client_order_id, lease=request().lease, requested_ns=0)
    decision = decide_cancel(asked, day.book, day.context(why_not_ready="starting", control_fresh=False))
    assert decision.event is None
    assert decision.cancel is day.book.orders[verdict.client_order_id]


def test_a_cancel_of_anyone_but_the_leader_is_refused() -> None:
    day = Day()
    verdict = day.approve(request(number=1))
    asked = CancelRequest(client_order_id=verdict.client_order_id, lease="9:other", requested_ns=0)
    decision = decide_cancel(asked, day.book, day.context())
    assert decision.cancel is None
    assert isinstance(decision.event, CancelRefused)
    assert decision.event.reason.code == "not_leader"
