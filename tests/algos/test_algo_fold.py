"""Any history: folding it again changes nothing, and positions are what the executions add up to."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.portfolio import Portfolio
from bus.events import Event
from bus.order_events import (
    CancelRefused,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import OrderTerms, Reason, Side
from oms.book.book import Book

pytestmark = pytest.mark.property

IDS = st.sampled_from(["a", "b", "c"])
SYMBOLS = {"a": "AAPL", "b": "MSFT", "c": "AAPL"}
SIDES: dict[str, Side] = {"a": "buy", "b": "sell", "c": "sell"}
AMOUNTS = st.decimals(min_value="0.000000001", max_value="10000", places=9)
STATUSES = st.sampled_from(["new", "partially_filled", "filled", "canceled", "expired", "replaced", "held"])
WHY = Reason(code="c", message="m")


def terms(order_id: str) -> OrderTerms:
    return OrderTerms(symbol=SYMBOLS[order_id], side=SIDES[order_id], quantity=Decimal(5))


@st.composite
def events(draw: st.DrawFn) -> Event:
    order_id = draw(IDS)
    kind = draw(st.sampled_from(["approved", "sent", "updated", "refused", "uncertain", "cancel", "filled"]))
    common = {"algorithm": "x", "client_order_id": order_id}
    if kind == "approved":
        times = {"received_ns": 1, "requested_ns": 1, "approved_ns": 1}
        return OrderApproved(**common, terms=terms(order_id), reserve_price=Decimal(1), trigger="t", **times)
    if kind == "sent":
        return OrderSent(**common, broker_order_id="b", approved_ns=1, sent_ns=1, acknowledged_ns=1)
    if kind == "updated":
        return OrderUpdated(
            **common,
            broker_order_id="b",
            symbol=SYMBOLS[order_id],
            event="e",
            status=draw(STATUSES),
            filled_quantity=draw(AMOUNTS),
            at_ns=1,
        )
    if kind == "refused":
        by = draw(st.sampled_from(["risk", "broker", "oms"]))
        return OrderRefused(**common, by=by, reasons=(WHY,), at_ns=1, terms=terms(order_id))
    if kind == "uncertain":
        return OrderUncertain(**common, why="504", at_ns=1)
    if kind == "cancel":
        return CancelRefused(**common, reason=WHY, at_ns=1)
    return OrderFilled(
        **common,
        broker_order_id="b",
        execution_id=str(draw(st.integers(0, 5))),  # not unique over orders
        symbol=SYMBOLS[order_id],
        side=SIDES[order_id],  # type: ignore[arg-type]
        quantity=draw(AMOUNTS),
        price=draw(AMOUNTS),
        filled_quantity=draw(AMOUNTS),
        status=draw(STATUSES),
        at_ns=1,
    )


def seen(portfolio: Portfolio) -> object:
    """Orders and positions; why a cancel was refused is news, not state."""
    orders = [portfolio.order(order_id) for order_id in SYMBOLS]
    return (
        [(order.status, order.filled_quantity, order.replaced_by) if order else None for order in orders],
        [portfolio.position(symbol) for symbol in ("AAPL", "MSFT")],
        {order.client_order_id for order in portfolio.open_orders},
    )


def folded(history: list[Event]) -> Portfolio:
    portfolio = Portfolio()
    for event in history:
        portfolio.apply(event)
    return portfolio


APPROVALS: list[Event] = [
    OrderApproved(
        algorithm="x",
        client_order_id=order_id,
        terms=terms(order_id),
        reserve_price=Decimal(1),
        trigger="t",
        received_ns=1,
        requested_ns=1,
        approved_ns=1,
    )
    for order_id in SYMBOLS
]
HISTORIES = st.lists(events(), max_size=20)


@settings(max_examples=150)
@given(HISTORIES, st.integers(0, 20))
def test_any_part_of_the_history_again_changes_nothing(history: list[Event], start: int) -> None:
    # The OMS approves before anything else happens to an order.
    history = [*APPROVALS, *history]
    portfolio = folded(history)
    before = seen(portfolio)
    for event in history[start:]:
        portfolio.apply(event)
    assert seen(portfolio) == before


@settings(max_examples=150)
@given(HISTORIES)
def test_each_execution_moves_the_position_once_and_money_is_conserved(history: list[Event]) -> None:
    portfolio = folded(history + history)
    executions: dict[tuple[str, str], OrderFilled] = {}
    for event in history:
        if isinstance(event, OrderFilled):
            executions.setdefault((event.client_order_id, event.execution_id), event)
    for symbol in ("AAPL", "MSFT"):
        fills = [fill for fill in executions.values() if fill.symbol == symbol]
        signed = [fill.quantity if fill.side == "buy" else -fill.quantity for fill in fills]
        position = portfolio.position(symbol)
        assert position.quantity == sum(signed)
        paid = sum(amount * fill.price for amount, fill in zip(signed, fills, strict=True))
        last = Decimal(7)
        profit = position.realized_profit + position.unrealized_profit(last)
        assert abs(profit - (position.quantity * last - paid)) < Decimal("1E-12")


@settings(max_examples=150)
@given(HISTORIES)
def test_an_algorithm_holds_what_the_oms_has_booked_for_it(history: list[Event]) -> None:
    portfolio, book = folded([*APPROVALS, *history]), Book()
    for event in (*APPROVALS, *history):
        book.apply(event)
    for symbol in ("AAPL", "MSFT"):
        assert portfolio.position(symbol).quantity == book.position(symbol, "x")


@settings(max_examples=150)
@given(HISTORIES)
def test_a_closed_order_never_opens_again(history: list[Event]) -> None:
    """A refusal is no end where the broker turns out to have the order."""
    portfolio = Portfolio()
    closed: set[str] = set()
    for event in history:
        portfolio.apply(event)
        opened = {order.client_order_id for order in portfolio.open_orders}
        assert not closed & opened
        known = {key: order for key in SYMBOLS if (order := portfolio.order(key)) is not None}
        closed |= {key for key, order in known.items() if not order.is_open and order.status != "refused"}
