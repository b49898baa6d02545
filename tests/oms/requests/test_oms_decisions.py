"""What was answered before is not answered again, an id stands for one order, each decision is told."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from engine_run import SECOND_NS, EngineRun, at_broker
from risk_day import LEASE, LIMITS, NOW_NS, fill, halted, limit_terms, name, replace_request, request, terms

from bus.codec import UnknownMessage
from bus.control_messages import Halt, ReduceOnly
from bus.halt_state import HaltState
from bus.order_events import CancelRefused, OrderRefused
from bus.order_messages import CancelRequest, OrderRequest, Reason, ShutdownAcknowledged
from oms.book.orders import REFUSED
from oms.broker.protocol import Rejected, Unknown
from oms.limits.limits import parse
from oms.state.inputs import Answered, HaltStateRead, LeasesRead, LimitsRead, OrderAnswered, Stopping


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready; an order may have ten shares."""
    run = EngineRun()
    run.begin(LIMITS.replace("order_quantity = 1000", "order_quantity = 10"))
    return run


def decided(run: EngineRun, asked: OrderRequest, algorithm: str = "alpha") -> list[str] | None:
    """The codes of a decision; None where there was nothing to decide."""
    effects = run.read(asked, algorithm)
    assert len(effects.acknowledge) == 1
    if not effects.events:
        return None
    (event,) = effects.events
    return [reason.code for reason in getattr(event, "reasons", ())]


def cancel(number: int = 1, lease: str = LEASE) -> CancelRequest:
    """A request for a cancel."""
    return CancelRequest(client_order_id=name(number), lease=lease, requested_ns=0)


def test_a_duplicate_is_not_decided_again_whatever_the_first_answer_was(run: EngineRun) -> None:
    assert decided(run, request(terms("10"), 1)) == []
    assert decided(run, request(terms("11"), 2)) == ["order_quantity"]
    run.take(HaltStateRead(halted(Halt)))
    assert decided(run, request(terms("10"), 1)) is None
    assert decided(run, request(terms("11"), 2)) is None
    assert [approved.client_order_id for approved in run.sent] == [name(1)]


def test_another_order_under_the_same_id_is_a_conflict_and_changes_nothing(run: EngineRun) -> None:
    decided(run, request(terms("10"), 1))
    assert decided(run, request(terms("9"), 1)) == ["id_conflict"]
    assert run.engine.state.book.orders[name(1)].status == "approved"
    assert decided(run, request(terms("10"), 1)) is None


def test_a_request_of_a_stale_leader_does_not_speak_for_the_new_one(run: EngineRun) -> None:
    run.take(LeasesRead({"alpha": "2:alpha"}))
    assert decided(run, request(number=1)) == ["not_leader"]
    assert decided(run, request(number=1, lease="2:alpha")) == []


def test_a_decision_tells_what_it_saw(run: EngineRun) -> None:
    run.now_ns += SECOND_NS
    (approved,) = run.read(request(limit_terms("99"), 1)).events
    basis = approved.basis  # type: ignore[attr-defined]
    assert (basis.price, basis.price_at_ns, basis.price_received_ns) == (Decimal(100), NOW_NS, NOW_NS)
    assert (basis.limits_version, basis.halt, basis.lease, basis.reserve_price) == (
        1,
        "active",
        LEASE,
        Decimal(99),
    )
    run.take(LimitsRead(parse(LIMITS.replace("5\n", "4\n", 1), "limits"), "limits.toml", "ann"))
    run.take(HaltStateRead(halted(ReduceOnly)))
    (refused,) = run.read(request(terms("1", symbol="MSFT"), 2)).events
    assert isinstance(refused, OrderRefused)
    assert {reason.code for reason in refused.reasons} == {"no_price", "reduce_only"}
    assert refused.basis is not None
    assert (refused.basis.price, refused.basis.reserve_price) == (None, None)
    assert (refused.basis.limits_version, refused.basis.halt) == (2, "reduce_only")
    run.take(HaltStateRead(HaltState(known=False)))
    run.take(Stopping())
    (refused,) = run.read(request(terms("1"), 3), control_fresh=False).events
    assert isinstance(refused, OrderRefused)
    assert refused.basis is not None
    assert (refused.basis.halt, refused.basis.control_fresh, refused.basis.not_ready) == (
        "unknown",
        False,
        "stopping",
    )


def test_limits_that_are_read_again_are_no_change(run: EngineRun) -> None:
    limits = run.engine.state.limits
    assert limits is not None
    assert not run.take(LimitsRead(limits, "limits.toml", "ann")).events
    (changed,) = run.take(LimitsRead(parse(LIMITS, "limits"), "limits.toml", "ann")).events
    assert (changed.limits_version, changed.by) == (2, "ann")  # type: ignore[attr-defined]


def test_nothing_under_a_lease_that_was_given_up_is_accepted_not_even_after_a_restart(run: EngineRun) -> None:
    run.read(ShutdownAcknowledged(lease=LEASE, at_ns=NOW_NS))
    assert decided(run, request(number=1)) == ["shut_down"]
    again = EngineRun()
    again.engine = run.folded()
    again.take(LeasesRead({"alpha": LEASE}))
    codes = decided(again, request(number=2))
    assert codes is not None
    assert "shut_down" in codes


def test_with_a_journal_of_a_newer_version_nothing_is_ordered_and_cancels_pass(run: EngineRun) -> None:
    (approved,) = run.read(request(number=1)).send
    run.accepted(approved)
    run.engine.apply(UnknownMessage(wire="OrderShipped", version=2, data=b"{}"))
    effects = run.read(request(number=2))
    (refused,) = effects.events
    assert isinstance(refused, OrderRefused)
    assert refused.reasons[0].value == "newer_journal"
    assert "OrderShipped 2" in refused.reasons[0].message
    assert len(run.read(cancel()).cancel) == 1


def test_a_cancel_needs_neither_prices_nor_limits_nor_a_resume(run: EngineRun) -> None:
    (approved,) = run.read(request(number=1)).send
    run.accepted(approved)
    run.take(HaltStateRead(halted(Halt)))
    run.take(Stopping())
    effects = run.read(cancel(), control_fresh=False)
    assert [order.broker_order_id for order in effects.cancel] == [at_broker(approved).id]
    # Acknowledged once the broker has answered.
    assert not effects.acknowledge


def test_a_cancel_of_anyone_but_the_leader_is_refused(run: EngineRun) -> None:
    run.read(request(number=1))
    effects = run.read(cancel(lease="9:other"))
    (event,) = effects.events
    assert isinstance(event, CancelRefused)
    assert event.reason.code == "not_leader"
    assert not effects.cancel
    assert len(effects.acknowledge) == 1


@pytest.mark.parametrize(
    ("written_under", "leads", "taken"),
    [
        ("7:alpha-1:aa", "7:alpha-1:aa", True),
        # It ran out in an outage and was taken again; what the OMS read of it may be older than the request.
        ("7:alpha-1:aa", "8:alpha-1:aa", True),
        ("8:alpha-1:aa", "7:alpha-1:aa", True),
        # It asked, then ended or lost its lease, before the OMS came to it.
        ("7:alpha-1:aa", "", True),
        ("7:alpha-1:aa", "8:alpha-2:aa", False),
        ("7:alpha-1:aa", "8:alpha-1:bb", False),
        ("", "8:alpha-1:aa", False),
    ],
)
def test_a_cancel_is_of_the_process_that_leads_or_of_the_last_that_did(
    run: EngineRun, written_under: str, leads: str, taken: bool
) -> None:
    (approved,) = run.read(request(number=1)).send
    run.accepted(approved)
    run.take(LeasesRead({"alpha": leads}))
    effects = run.read(cancel(lease=written_under))
    assert bool(effects.cancel) == taken
    assert bool(effects.events) != taken


def test_a_cancel_before_the_order_left_takes_it_back(run: EngineRun) -> None:
    run.read(request(number=1))
    assert run.read(cancel()).withdraw == [name(1)]
    effects = run.take(OrderAnswered(name(1), Rejected("oms", _reason("canceled"))))
    assert [type(event) for event in effects.events] == [OrderRefused]
    assert len(effects.acknowledge) == 1
    assert run.engine.state.book.orders[name(1)].status == REFUSED


def test_a_cancel_that_came_with_its_order_keeps_it_from_leaving(run: EngineRun) -> None:
    (approved,) = run.read(request(number=1)).send
    assert run.engine.objection(approved, HaltState(known=True)) is None
    run.read(cancel())
    reason = run.engine.objection(approved, HaltState(known=True))
    assert reason is not None
    assert reason.code == "canceled"


def test_a_cancel_waits_for_an_order_on_its_way(run: EngineRun) -> None:
    (approved,) = run.read(request(number=1)).send
    run.read(cancel())
    assert len(run.accepted(approved).cancel) == 1
    # A second one joins the first.
    assert not run.read(cancel()).cancel


def test_a_cancel_of_an_order_that_ended_meanwhile_is_answered(run: EngineRun) -> None:
    run.read(request(number=1))
    run.read(cancel())
    effects = run.take(OrderAnswered(name(1), Rejected("broker", _reason("broker_40310000"))))
    refused = effects.events[-1]
    assert isinstance(refused, CancelRefused)
    assert refused.reason.code == "not_open"
    assert len(effects.acknowledge) == 1


def test_an_order_of_another_under_our_id_is_a_conflict_not_ours(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("99", "10"), 1)).send
    (question,) = run.take(OrderAnswered(name(1), Unknown("client_order_id must be unique"))).ask
    other = at_broker(approved)
    effects = run.take(Answered(question, replace(other, quantity=Decimal(3)), 0))
    (refused,) = effects.events
    assert isinstance(refused, OrderRefused)
    assert (refused.by, refused.reasons[0].code) == ("broker", "id_conflict")


def test_permission_ends_where_a_scope_may_only_reduce(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("99", "10"), 1)).send
    assert run.engine.objection(approved, HaltState(known=True)) is None
    for state, code in (
        (halted(ReduceOnly), "reduce_only"),
        (halted(Halt), "halted"),
        (HaltState(known=False), "halt_unknown"),
    ):
        reason = run.engine.objection(approved, state)
        assert reason is not None
        assert reason.code == code
    assert run.engine.objection(approved, halted(ReduceOnly, "symbol:MSFT")) is None


def test_a_replace_of_what_reduces_may_still_go_out(run: EngineRun) -> None:
    run.engine.state.book.apply(fill("held", Decimal(10), "alpha"))
    (sell,) = run.read(request(limit_terms("101", "10", "sell"), 1)).send
    run.accepted(sell)
    (again,) = run.read(replace_request(name(1), limit_terms("102", "10", "sell"), 2)).send
    assert run.engine.objection(again, halted(ReduceOnly)) is None


def _reason(code: str) -> Reason:
    return Reason(code=code, message="a test")


def test_the_heartbeat_tells_what_is_reserved(run: EngineRun) -> None:
    decided(run, request(limit_terms("95", "10"), 1))
    found = run.shown(digest="1f", digest_at="7-0")
    assert (found.open_orders, found.cash, found.reserved) == (1, "0", "950")
    assert (found.digest, found.digest_at) == ("1f", "7-0")


def test_the_digest_of_a_burst_is_worked_out_piece_by_piece(run: EngineRun) -> None:
    for number in range(1, 6):
        decided(run, request(limit_terms("95", "1"), number))
    assert run.engine.digest_within(2) is None
    # What changes meanwhile is not forgotten.
    decided(run, request(limit_terms("95", "1"), 6))
    assert run.engine.digest_within(2) is None
    assert run.engine.digest_within(2) == run.folded().digest()


def test_a_number_of_any_size_in_the_journal_has_a_digest(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("95", "1"), 1)).send
    run.engine.apply(msgspec.structs.replace(approved.event, approved_ns=10**20))
    assert len(run.engine.digest()) == 32
