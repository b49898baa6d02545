"""Orders that ended leave memory when trading days begin; a request that comes again is known still."""

import sys
import tracemalloc
from decimal import Decimal

import pytest
from engine_run import EngineRun, at_broker, frame
from risk_day import limit_terms, replace_request, request, terms

from bus.journal_messages import OrdersPutAway
from bus.order_events import CancelRefused, OrderApproved, OrderFilled, OrderRefused, OrderSent
from bus.order_messages import CancelRequest
from oms.book.orders import Order
from oms.book.put_away import PutAway
from oms.risk.approval import Approved
from oms.state.state import State

DAY_NS = 86_400 * 1_000_000_000


def filled(run: EngineRun, approved: Approved) -> None:
    """The broker takes an order and fills it."""
    run.accepted(approved)
    order = at_broker(approved, "filled", filled="10")
    assert run.told(frame(order, "fill", execution_id="e1", qty="10", price="100")).events


def traded() -> tuple[EngineRun, Approved]:
    """An engine with one order of ten shares, filled."""
    run = EngineRun()
    run.begin()
    (approved,) = run.read(request()).send
    filled(run, approved)
    return run, approved


def gone() -> tuple[EngineRun, Approved]:
    """The same, two trading days later."""
    run, approved = traded()
    for _ in range(2):
        (event,) = run.tick(DAY_NS).events
        assert isinstance(event, OrdersPutAway)
    assert approved.client_order_id not in run.engine.state.book.orders
    run.price("100")
    return run, approved


def test_an_order_stays_for_a_whole_trading_day_after_its_end() -> None:
    run, approved = traded()
    run.tick(DAY_NS)
    assert approved.client_order_id in run.engine.state.book.orders
    run.tick(DAY_NS)
    book = run.engine.state.book
    assert (len(book.orders), len(book.put_away), len(book.by_broker_id)) == (0, 1, 0)
    assert book.position("AAPL", "alpha") == 10
    assert run.folded().digest() == run.engine.digest()


def test_an_open_order_stays_for_as_long_as_it_works() -> None:
    run = EngineRun()
    run.begin()
    (approved,) = run.read(request()).send
    run.accepted(approved)
    for _ in range(5):
        run.tick(DAY_NS)
    assert approved.client_order_id in run.engine.state.book.orders


def test_an_order_that_was_replaced_stays_for_as_long_as_its_replacement_works() -> None:
    run = EngineRun()
    run.begin()
    (old,) = run.read(request(limit_terms("99"))).send
    run.accepted(old)
    (new,) = run.read(replace_request(old.client_order_id, limit_terms("99.5"))).send
    run.accepted(new)
    run.told(frame(at_broker(old, "replaced"), "replaced"))
    for _ in range(4):
        run.tick(DAY_NS)
    assert old.client_order_id in run.engine.state.book.orders
    run.told(frame(at_broker(new, "canceled"), "canceled"))
    # A weekend is in between, which belongs to the day that it leads to.
    for _ in range(4):
        run.tick(DAY_NS)
    assert not run.engine.state.book.orders
    assert run.folded().digest() == run.engine.digest()


def test_a_request_that_comes_again_is_not_sent_again() -> None:
    run, _ = gone()
    effects = run.read(request())
    assert (effects.events, effects.send) == ([], [])
    assert run.engine.observed.counts["duplicates"] == 1


@pytest.mark.parametrize("who", ["alpha", "beta"])
def test_other_terms_or_another_asker_under_its_id_is_a_conflict(who: str) -> None:
    run, _ = gone()
    asked = request(terms("11")) if who == "alpha" else request(lease="1:beta")
    (event,) = run.read(asked, who).events
    assert isinstance(event, OrderRefused)
    assert "id_conflict" in [reason.code for reason in event.reasons]
    # And still the first is known for what it is.
    assert run.read(request()).events == []


def test_what_the_broker_tells_of_it_again_is_no_news() -> None:
    run, approved = gone()
    order = at_broker(approved, "filled", filled="10")
    effects = run.told(frame(order, "fill", execution_id="e1", qty="10", price="100"))
    assert not [
        event for event in effects.events if isinstance(event, OrderFilled | OrderApproved | OrderSent)
    ]
    assert run.engine.state.book.position("AAPL") == 10


def test_an_order_that_is_back_holds_nothing_twice_wherever_a_fold_paused() -> None:
    run, approved = gone()
    order = at_broker(approved, "filled", filled="12")
    run.told(frame(order, "fill", execution_id="e2", qty="2", price="100"))
    events = run.read_journal()
    for pause in range(len(events)):
        state = State()
        state.apply_all(events[:pause])
        state.apply_all(events[pause:])
        book = state.book
        assert (book.unexecuted(), book.open_count(), book.pending("AAPL", "buy")) == (0, 0, 0), pause


def test_a_fill_that_is_news_is_booked_and_the_order_is_back() -> None:
    run, approved = gone()
    order = at_broker(approved, "filled", filled="12")
    run.told(frame(order, "fill", execution_id="e2", qty="2", price="100"))
    book = run.engine.state.book
    assert book.position("AAPL", "alpha") == 12
    assert book.orders[approved.client_order_id].filled == 12
    for _ in range(2):
        run.tick(DAY_NS)
    assert (len(book.orders), len(book.put_away)) == (0, 1)
    assert run.folded().digest() == run.engine.digest()


def test_an_order_of_which_a_fill_is_still_to_be_told_stays() -> None:
    run = EngineRun()
    run.begin()
    (approved,) = run.read(request()).send
    run.accepted(approved)
    run.told(frame(at_broker(approved, "canceled", filled="6"), "canceled"))
    for _ in range(3):
        run.tick(DAY_NS)
    order = at_broker(approved, "canceled", filled="6")
    run.told(frame(order, "fill", execution_id="e1", qty="6", price="100"))
    book = run.engine.state.book
    assert (book.position("AAPL", "alpha"), book.pending("AAPL", "buy")) == (6, 0)


def test_a_cancel_of_one_that_was_replaced_twice_is_one_of_what_stands_in_its_place() -> None:
    run = EngineRun()
    run.begin()
    (first,) = run.read(request(limit_terms("99"))).send
    run.accepted(first)
    old = first
    for number, price in ((2, "99.5"), (3, "99.6")):
        (new,) = run.read(replace_request(old.client_order_id, limit_terms(price), number)).send
        run.accepted(new)
        run.told(frame(at_broker(old, "replaced"), "replaced"))
        old = new
    for _ in range(3):
        run.tick(DAY_NS)
    assert first.client_order_id not in run.engine.state.book.orders
    cancel = CancelRequest(client_order_id=first.client_order_id, lease="1:alpha", requested_ns=run.now_ns)
    (sent,) = run.read(cancel).cancel
    assert sent.client_order_id == old.client_order_id


def test_a_cancel_of_it_is_refused() -> None:
    run, approved = gone()
    cancel = CancelRequest(client_order_id=approved.client_order_id, lease="1:alpha", requested_ns=run.now_ns)
    (event,) = run.read(cancel).events
    assert isinstance(event, CancelRefused)
    assert event.reason.message == "it is filled already"


def test_what_stays_of_an_order_is_small() -> None:
    """Some two hundred bytes in place of some two thousand, ids and all."""
    orders: dict[str, Order] = {}
    put_away = PutAway(orders)
    for number in range(10_000):
        order_id = f"bb-ma-cross-{number:032x}"
        orders[order_id] = Order(
            "ma-cross",
            order_id,
            "AAPL",
            "buy",
            terms("10"),
            status="filled",
            filled=Decimal(10),
            broker_order_id=f"61e69015-8549-4bfd-b9c3-{number:012x}",
        )
    put_away.turn((), lambda _: False)
    ids = tuple(orders)
    tracemalloc.start()
    put_away.turn((), lambda _: False)
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(put_away) == 10_000
    assert (size_bytes + sum(map(sys.getsizeof, ids))) / 10_000 < 300
