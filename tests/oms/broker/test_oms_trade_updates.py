"""Trade updates as received, in every state of the book, with words nobody knows, and broken."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_run import EngineRun, at_broker
from engine_run import frame as order_frame
from risk_day import NOW_NS, Day, limit_terms, name, request

from bus.errors import Unreadable
from bus.halt_messages import HaltTriggered
from bus.order_events import EntryDeadLettered, OrderFilled, OrderSent
from bus.rfc3339 import time_ns
from oms.book.book import Book
from oms.broker.alpaca_account import position_symbol
from oms.broker.trade_updates import translate


def frame(
    event: str, status: str, filled: str = "0", order: dict[str, Any] | None = None, **fields: Any
) -> bytes:
    """A frame of the trade updates stream."""
    shown = {
        "id": "b1",
        "client_order_id": name(1),
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "10",
        "limit_price": "99",
        "status": status,
        "filled_qty": filled,
        **(order or {}),
    }
    data = {"event": event, "timestamp": "2026-01-02T15:04:05.123456789Z", "order": shown, **fields}
    return json.dumps({"stream": "trade_updates", "data": data}).encode()


def working() -> Book:
    """A book with one order that the broker has."""
    day = Day()
    day.approve(request(limit_terms("99"), 1))
    sent = OrderSent(
        algorithm="alpha",
        client_order_id=name(1),
        broker_order_id="b1",
        approved_ns=NOW_NS,
        sent_ns=NOW_NS,
        acknowledged_ns=NOW_NS,
    )
    day.book.apply(sent)
    return day.book


def taken(book: Book, data: bytes) -> list[str]:
    """Translate a frame and apply it; returns the kinds of events."""
    events = translate(data, book, NOW_NS).events
    for event in events:
        book.apply(event)
    return [type(event).__name__ for event in events]


def test_a_fill_keeps_its_exact_numbers_and_time() -> None:
    data = frame("fill", "filled", "10", execution_id="e", qty="10", price="99.123456789", position_qty="10")
    (event,) = translate(data, working(), NOW_NS).events
    assert isinstance(event, OrderFilled)
    assert event.price == Decimal("99.123456789")
    assert event.at_ns == time_ns("2026-01-02T15:04:05.123456789Z")
    assert event.at_ns % 1_000_000_000 == 123_456_789


def test_control_frames_say_nothing() -> None:
    for stream in ("authorization", "listening"):
        data = json.dumps({"stream": stream, "data": {"status": "authorized"}}).encode()
        assert translate(data, Book(), NOW_NS).events == []


@pytest.mark.parametrize("event", ["trade_bust", "trade_correct"])
def test_an_execution_that_the_broker_revises_is_kept_and_halts_the_account(event: str) -> None:
    """A busted trade arrives in an order whose status is no news: it must not be dropped as such."""
    run = EngineRun()
    run.begin()
    run.read(request(limit_terms("99"), 1))
    order = replace(at_broker(run.sent[0], "partially_filled", "4"), id="b1")
    run.told(order_frame(order, "partial_fill", execution_id="e1", qty="4", price="99"))
    run.told(order_frame(order, "new"))
    taken_back = replace(order, filled_quantity=Decimal(0))
    effects = run.told(order_frame(taken_back, event, execution_id="e2", previous_execution_id="e1", qty="4"))
    assert f"a {event} of order b1" in effects.halts[0].reason
    assert [type(one) for one in effects.events] == [EntryDeadLettered, HaltTriggered]
    assert effects.acknowledge == []
    assert run.engine.not_ready is not None


def test_an_update_that_says_nothing_new_is_dropped() -> None:
    book = working()
    assert taken(book, frame("new", "new")) == ["OrderUpdated"]
    assert taken(book, frame("new", "new")) == []
    assert taken(book, frame("pending_new", "pending_new")) == []
    assert taken(book, frame("canceled", "canceled")) == ["OrderUpdated"]
    assert taken(book, frame("new", "new")) == []
    assert book.orders[name(1)].status == "canceled"


def test_a_fill_counts_even_after_the_end() -> None:
    book = working()
    taken(book, frame("canceled", "canceled"))
    fill = frame("partial_fill", "partially_filled", "4", execution_id="e", qty="4", price="99")
    assert taken(book, fill) == ["OrderFilled"]
    assert book.position("AAPL", "alpha") == 4
    assert not book.orders[name(1)].open


def test_a_status_nobody_knows_is_an_open_order() -> None:
    book = working()
    assert taken(book, frame("under_observation", "under_observation")) == ["OrderUpdated"]
    assert book.orders[name(1)].open


@pytest.mark.parametrize(
    ("event", "status"),
    [("canceled", "canceled"), ("expired", "expired"), ("rejected", "rejected"), ("replaced", "replaced")],
)
def test_an_end_in_a_status_nobody_knows_is_the_end_that_its_event_names(event: str, status: str) -> None:
    book = working()
    assert taken(book, frame(event, "under_observation")) == ["OrderUpdated"]
    assert book.orders[name(1)].status == status


def test_a_whole_fill_ends_an_order_whatever_its_status_is_called() -> None:
    book = working()
    part = frame("partial_fill", "under_observation", "4", execution_id="e1", qty="4", price="99")
    assert taken(book, part) == ["OrderFilled"]
    assert book.orders[name(1)].open
    rest = frame("fill", "under_observation", "10", execution_id="e2", qty="6", price="99")
    assert taken(book, rest) == ["OrderFilled"]
    assert book.orders[name(1)].status == "filled"


def test_a_rejected_cancel_is_told() -> None:
    assert taken(working(), frame("order_cancel_rejected", "sent")) == ["OrderUpdated", "CancelRefused"]


def test_an_unknown_order_with_our_id_is_adopted_and_another_is_external() -> None:
    book = Book()
    assert taken(book, frame("new", "new")) == ["OrderApproved", "OrderSent", "OrderUpdated"]
    assert book.pending("AAPL", "buy", "alpha") == 10
    other = {"id": "b2", "client_order_id": "a-person"}
    fill = frame("fill", "filled", "3", order=other, execution_id="e", qty="3", price="99")
    assert taken(book, fill) == ["ExternalOrderFound", "OrderFilled"]
    assert book.position("AAPL", "external") == 3


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"stream": "trade_updates"}',
        b'{"stream": "trade_updates", "data": []}',
        b'{"stream": "something_new", "data": {}}',
        frame("fill", "filled", "10", execution_id="e", price="99"),
        frame("fill", "filled", "10", execution_id="e", qty="10"),
        frame("fill", "filled", "10", execution_id="e", qty="-1", price="99"),
        frame("fill", "filled", "10", execution_id="e", qty="10", price="NaN"),
        frame("fill", "filled", "10", order={"side": "sideways"}, execution_id="e", qty="10", price="99"),
        frame("new", "new", order={"id": 7}),
        frame("new", "new", timestamp="yesterday"),
        frame("new", "new", timestamp="2026-13-45T25:00:00Z"),
        frame("new", "new", "NaN"),
        frame("fill", "filled", "sNaN", execution_id="e", qty="10", price="99"),
        frame("fill", "filled", "10", execution_id="e", qty="10", price="1e999999"),
        b'{"stream": "trade_updates", "data": ' + b"[" * 100_000,
    ],
)
def test_what_may_hide_a_fact_is_unreadable(broken: bytes) -> None:
    with pytest.raises(Unreadable):
        translate(broken, working(), NOW_NS)


@pytest.mark.parametrize(
    ("listed", "asset_class", "meant"),
    [
        ("BTCUSD", "crypto", "BTC/USD"),
        ("ETHUSDT", "crypto", "ETH/USDT"),
        ("ETHBTC", "crypto", "ETH/BTC"),
        ("BTC/USD", "crypto", "BTC/USD"),
        ("AAPL", "us_equity", "AAPL"),
        ("XUSD", "us_equity", "XUSD"),
    ],
)
def test_a_position_in_a_pair_has_the_symbol_of_its_orders(listed: str, asset_class: str, meant: str) -> None:
    assert position_symbol(listed, asset_class) == meant


@pytest.mark.parametrize("received", ["soon", "-1", "100000000000000000000"])
def test_a_receive_time_that_is_none_makes_the_entry_unreadable(received: str) -> None:
    run = EngineRun()
    run.begin()
    effects = run.told(frame("new", "new"), received=received)
    assert [type(event) for event in effects.events] == [EntryDeadLettered, HaltTriggered]


def test_another_order_under_our_client_id_changes_nothing_of_ours() -> None:
    """A venue told of another order under the client id of one that worked, and that was taken for ended."""
    book = working()
    for event, status, fields in (
        ("canceled", "canceled", {}),
        ("fill", "filled", {"execution_id": "e9", "qty": "10", "price": "99"}),
    ):
        with pytest.raises(Unreadable, match="is not ours"):
            translate(frame(event, status, "10" if fields else "0", order={"id": "b2"}, **fields), book, 1)
    assert (book.open_count(), book.position("AAPL", "alpha")) == (1, 0)
