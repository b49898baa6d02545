"""A request that cannot be read is answered where its id can be, and never in another order's name."""

import json
from typing import Any

import pytest
from engine_run import EngineRun
from hypothesis import given
from hypothesis import strategies as st
from risk_day import LEASE, limit_terms, name, request, terms

from algos.portfolio import Portfolio
from bus.codec import Message
from bus.delivery import Delivery
from bus.errors import Unreadable
from bus.order_events import CancelRefused, EntryDeadLettered, OrderApproved, OrderRefused
from bus.order_messages import OrderRequest
from oms.state.inputs import RequestRead, RequestsRead, read_request

PREFIX = "requests:"

ORDER: dict[str, Any] = {
    "client_order_id": name(1),
    "terms": {"symbol": "AAPL", "side": "buy", "quantity": "10"},
    "lease": LEASE,
    "trigger": "1",
    "received_ns": 0,
    "requested_ns": 0,
}
CANCEL: dict[str, Any] = {"client_order_id": name(1), "lease": LEASE, "requested_ns": 0}


def raw(
    body: object, kind: str = "OrderRequest", version: str = "1", algorithm: str = "alpha"
) -> RequestRead:
    """An entry of an algorithm's stream, read as the OMS reads it; text is written as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {b"type": kind.encode(), b"version": version.encode(), b"data": data}
    return read_request(Delivery(PREFIX + algorithm, "7-0", fields), PREFIX)


def take(run: EngineRun, read: RequestRead) -> list[Message]:
    """Have it decided on; it must be acknowledged at once. Returns the events."""
    effects = run.take(RequestsRead([read], True, run.prices))
    assert effects.acknowledge == [read.delivery]
    return effects.events


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready."""
    run = EngineRun()
    run.begin()
    return run


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"time_in_force": "GTC"}, "terms.time_in_force is one of day, gtc, ioc, fok, opg and cls"),
        ({"side": "short"}, "terms.side is one of buy and sell"),
        ({"side": None}, "terms.side is one of buy and sell"),
        ({"type": "iceberg"}, "terms.type is one of market, limit, stop, stop_limit and trailing_stop"),
        ({"quantity": "many"}, "terms.quantity is a decimal number"),
        ({"quantity": []}, "terms.quantity is a decimal number"),
        ({"limit_price": "dear"}, "terms.limit_price is a decimal number"),
        ({"quantity": "NaN"}, "terms.quantity is not a finite number"),
        ({"extended_hours": "yes"}, "terms.extended_hours is true or false"),
        ({"symbol": 7}, "terms.symbol is text"),
    ],
)
def test_the_refusal_names_the_field_and_what_is_allowed(
    run: EngineRun, changes: dict[str, object], said: str
) -> None:
    kept, refused = take(run, raw(ORDER | {"terms": ORDER["terms"] | changes}))
    assert isinstance(kept, EntryDeadLettered)
    assert isinstance(refused, OrderRefused)
    assert (refused.algorithm, refused.client_order_id) == ("alpha", name(1))
    (reason,) = refused.reasons
    assert reason.code == "unreadable_request"
    assert said in reason.message


@pytest.mark.parametrize(
    ("body", "kind", "version", "said"),
    [
        (
            {key: value for key, value in ORDER.items() if key != "trigger"},
            "OrderRequest",
            "1",
            "trigger is text",
        ),
        (ORDER | {"received_ns": "noon"}, "OrderRequest", "1", "received_ns is a whole number"),
        (ORDER | {"replaces": 3}, "ReplaceRequest", "1", "replaces is text"),
        (ORDER, "OrderRequest", "2", "version '2'"),
    ],
)
def test_whatever_is_wrong_with_an_order_it_is_refused(
    run: EngineRun, body: object, kind: str, version: str, said: str
) -> None:
    _, refused = take(run, raw(body, kind, version))
    assert isinstance(refused, OrderRefused)
    assert said in refused.reasons[0].message


def test_the_portfolio_does_not_wait_for_ever(run: EngineRun) -> None:
    """And whoever mends the request may ask for it again under the same id."""
    portfolio = Portfolio()
    portfolio.requested(name(1), terms())
    for event in take(run, raw(ORDER | {"terms": ORDER["terms"] | {"time_in_force": "GTC"}})):
        portfolio.apply(event)
    order = portfolio.order(name(1))
    assert order is not None
    assert (order.status, order.reasons[0].code) == ("refused", "unreadable_request")
    (approved,) = take(run, raw(ORDER))
    assert isinstance(approved, OrderApproved)
    order = portfolio.apply(approved)
    assert order is not None
    assert order.status == "approved"


@pytest.mark.parametrize("first", ["10", "1001"])
def test_an_order_that_is_known_keeps_its_state(run: EngineRun, first: str) -> None:
    """Whether it was approved or refused."""
    run.read(request(limit_terms("99", first), 1))
    before = run.engine.digest()
    dead_only = take(run, raw(ORDER | {"terms": {"time_in_force": "GTC"}}))
    assert [type(event) for event in dead_only] == [EntryDeadLettered]
    assert run.engine.state.book.orders[name(1)].status == ("approved" if first == "10" else "refused")
    assert run.engine.digest() != before, "the dead letter is counted"


@pytest.mark.parametrize("known", [True, False])
def test_a_cancel_is_refused_and_its_order_stands(run: EngineRun, known: bool) -> None:
    if known:
        run.read(request(limit_terms("99", "10"), 1))
    _, refused = take(run, raw(CANCEL | {"requested_ns": "now"}, "CancelRequest"))
    assert isinstance(refused, CancelRefused)
    assert (refused.client_order_id, refused.reason.code) == (name(1), "unreadable_request")
    assert "requested_ns is a whole number" in refused.reason.message
    if known:
        assert run.engine.state.book.orders[name(1)].status == "approved"


@pytest.mark.parametrize(
    "read",
    [
        raw(b"\xff"),
        raw(b'{"client_order_id": "bb-alpha-1'),
        raw([1]),
        raw({"terms": 1}),
        raw(ORDER | {"client_order_id": 5}),
        raw(ORDER | {"client_order_id": name(1, "beta"), "lease": 1}),
        raw({"lease": 1, "client_order_id": name(1)}, "ShutdownAcknowledged"),
        raw(ORDER, "OrderRequests"),
        raw(b"[" * 100_000),
    ],
    ids=repr,
)
def test_what_names_no_order_of_its_algorithm_is_only_kept(run: EngineRun, read: RequestRead) -> None:
    assert isinstance(read.message, Unreadable)
    assert [type(event) for event in take(run, read)] == [EntryDeadLettered]


def test_a_long_text_makes_no_long_answer(run: EngineRun) -> None:
    _, refused = take(run, raw(ORDER | {"terms": ORDER["terms"] | {"time_in_force": "x" * 10_000}}))
    assert isinstance(refused, OrderRefused)
    assert len(refused.reasons[0].message) < 1000


@pytest.mark.parametrize(("written", "kind"), [("BTCUSD", OrderRequest), ("BTC/USD", OrderRequest)])
def test_a_pair_is_read_in_its_one_spelling(written: str, kind: type[Message]) -> None:
    read = raw(ORDER | {"terms": ORDER["terms"] | {"symbol": written}})
    assert isinstance(read.message, kind)
    assert read.message.terms.symbol == "BTC/USD"  # type: ignore[union-attr]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(
    body=st.fixed_dictionaries(
        {}, optional={key: st.just(value) | JUNK for key, value in (ORDER | {"replaces": name(9)}).items()}
    ),
    kind=st.sampled_from(["OrderRequest", "ReplaceRequest", "CancelRequest", "ShutdownAcknowledged", "No"]),
    known=st.booleans(),
)
def test_no_entry_speaks_for_an_order_that_is_known(body: dict[str, object], kind: str, known: bool) -> None:
    run = EngineRun()
    run.begin()
    if known:
        run.read(request(limit_terms("99", "10"), 1))
    read = raw(body, kind)
    if not isinstance(read.message, Unreadable):
        return
    kept, *answers = take(run, read)
    assert isinstance(kept, EntryDeadLettered)
    assert len(answers) <= 1
    for answer in answers:
        assert isinstance(answer, OrderRefused | CancelRefused)
        assert answer.client_order_id == body["client_order_id"]
        assert isinstance(answer, CancelRefused) == (kind == "CancelRequest")
        assert isinstance(answer, CancelRefused) or answer.client_order_id not in run.engine.state.book.orders
    if known:
        assert run.engine.state.book.orders[name(1)].status == "approved"
    assert run.folded().digest() == run.engine.digest()
