"""What a run is counted to have done."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.order_events import OrderApproved, OrderFilled, OrderRefused, OrderSent
from bus.order_messages import CancelRequest, OrderRequest, OrderTerms, Reason
from ops.durations import duration
from ops.run.summary import Summary, lines, summary
from ops.status.latencies import Latencies
from ops.status.totals import RunTotals, refusals

TERMS = OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(1))


def approved(received_ns: int = 1_000, requested_ns: int = 3_000, approved_ns: int = 8_000) -> OrderApproved:
    return OrderApproved(
        algorithm="a",
        client_order_id=f"id-{approved_ns}",
        terms=TERMS,
        reserve_price=Decimal(1),
        trigger="1-0",
        received_ns=received_ns,
        requested_ns=requested_ns,
        approved_ns=approved_ns,
    )


def request(name: str) -> OrderRequest:
    return OrderRequest(
        client_order_id=name, terms=TERMS, lease="1:a", trigger="1-0", received_ns=1, requested_ns=2
    )


def refused(name: str, code: str) -> OrderRefused:
    reasons = (Reason(code=code, message="no"),)
    return OrderRefused(algorithm="a", client_order_id=name, by="risk", reasons=reasons, at_ns=1, terms=TERMS)


def test_each_span_is_the_time_between_its_two_steps() -> None:
    latencies = Latencies()
    latencies.apply(approved())
    latencies.apply(
        OrderSent(
            algorithm="a",
            client_order_id="x",
            broker_order_id="b",
            approved_ns=8_000,
            sent_ns=20_000,
            acknowledged_ns=90_000,
        )
    )
    assert {span: found["p50"] for span, found in latencies.percentiles_us().items()} == {
        "tick_to_request": 2.0,
        "request_to_approved": 5.0,
        "tick_to_approved": 7.0,
        "approved_to_sent": 12.0,
    }


def test_an_order_without_a_tick_has_no_tick_spans() -> None:
    latencies = Latencies()
    latencies.apply(approved(received_ns=0))
    found = latencies.percentiles_us()
    assert found["tick_to_approved"] == {"p50": None, "p99": None}
    assert found["request_to_approved"]["p50"] == 5.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200))
def test_percentiles_are_durations_that_were_measured(durations: list[int]) -> None:
    latencies = Latencies()
    for duration_ns in durations:
        latencies.apply(approved(requested_ns=1_000, approved_ns=1_000 + duration_ns))
    found = latencies.percentiles_us()["request_to_approved"]
    measured = {round(duration_ns / 1000, 1) for duration_ns in durations}
    assert {found["p50"], found["p99"]} <= measured
    assert found["p50"] is not None
    below = sum(duration_ns <= found["p50"] * 1000 + 50 for duration_ns in durations)
    assert below * 2 >= len(durations)


def test_a_tally_counts_requests_answers_and_fills() -> None:
    totals = RunTotals()
    for name in ("id-8000", "r1", "r2", "lost"):
        totals.requested(request(name))
    totals.requested(CancelRequest(client_order_id="id-8000", lease="1:a", requested_ns=1))
    for event in (approved(), refused("r1", "halted"), refused("r2", "halted")):
        totals.journalled(event)
    fill = OrderFilled(
        algorithm="a",
        client_order_id="id-8000",
        broker_order_id="b",
        execution_id="e",
        symbol="AAPL",
        side="buy",
        quantity=Decimal(1),
        price=Decimal(5),
        filled_quantity=Decimal(1),
        status="filled",
        at_ns=9,
    )
    totals.journalled(fill)
    assert (totals.requests, totals.approved, totals.fills) == (4, 1, 1)
    assert refusals(totals.refused) == {"halted": 2}
    assert totals.unanswered == {"lost"}
    assert totals.book.position("AAPL") == 1


def summed(totals: RunTotals, **changes: object) -> Summary:
    given: dict[str, object] = {
        "seconds": 1.23456,
        "entries": {"md:AAPL:trades": 10, "md-all:trades:00": 10, "orders:{paper}:journal": 3},
        "restarts": {"oms": 1},
        "gaps": 1,
        "markers": 2,
        "dead": 0,
        "halted": False,
        "differences": [],
        "failed": [],
    }
    return summary(totals, **(given | changes))  # type: ignore[arg-type]


def test_markers_and_copies_are_no_messages() -> None:
    assert summed(RunTotals()).messages_in == 8


def test_a_difference_makes_a_run_inconsistent() -> None:
    assert summed(RunTotals()).consistent
    assert not summed(RunTotals(), differences=["position in AAPL"]).consistent


def test_a_table_says_what_was_refused_and_restarted() -> None:
    totals = RunTotals()
    totals.journalled(refused("x", "halted"))
    shown = dict(lines(summed(totals)))
    assert (shown["refused"], shown["restarts"], shown["books agree"]) == ("1 halted", "oms 1", "yes")
    assert shown["tick → approved"] == "-"


def test_durations_have_the_unit_of_their_size() -> None:
    assert [duration(value) for value in (410.4, 1_234.0, 2_500_000.0)] == ["410 µs", "1.2 ms", "2.50 s"]
