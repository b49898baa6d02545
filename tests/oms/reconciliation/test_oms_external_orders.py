"""What others do on the account counts as ours does, and what cannot be read of it spoils nothing."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_run import BY_HAND, EngineRun, at_broker, frame
from risk_day import LIMITS, NOW_NS, limit_terms, name, request

from bus.halt_state import HaltState
from bus.order_events import (
    EntryDeadLettered,
    ExternalOrderFound,
    OrderApproved,
    OrderNotUnderstood,
    OrderRefused,
)
from oms.book.orders import TERMINAL
from oms.broker.alpaca_orders import read_listed
from oms.broker.protocol import UnreadableOrder
from oms.state.inputs import AccountListed, Answered, HaltStateRead, ListAccount, ListOrders, Started

# An order of several legs has neither symbol nor side.
MULTI_LEG = UnreadableOrder("0ddba11", "spread-1", "Expected `str`, got `null` - at `$.symbol`")


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready, on an account that may hold 100 shares."""
    run = EngineRun()
    run.begin(LIMITS.replace("position_quantity = 10_000", "position_quantity = 100"))
    return run


def test_an_open_order_made_by_hand_counts_in_the_account_s_limits(run: EngineRun) -> None:
    (found, _) = run.told(frame(BY_HAND, "new")).events
    assert isinstance(found, ExternalOrderFound)
    book = run.engine.state.book
    assert (book.pending("AAPL", "buy"), book.pending("AAPL", "buy", "external")) == (60, 60)
    assert (book.open_count(), book.reserved()) == (1, 6600)
    shown = run.shown()
    assert shown.external_orders == ("buy 60 AAPL trailing_stop at 110: new, 61e69015",)
    assert len(run.read(request(limit_terms("100", "40"), 1)).send) == 1
    (refused,) = run.read(request(limit_terms("100", "1"), 2)).events
    assert isinstance(refused, OrderRefused)
    assert [reason.code for reason in refused.reasons] == ["position_quantity"]


def test_exits_made_by_hand_block_no_order_of_ours(run: EngineRun) -> None:
    """Which of them belong together only the broker knows: one of two exits cancels the other."""
    (approved,) = run.read(request(limit_terms("100", "20"), 1)).send
    run.accepted(approved)
    held = replace(at_broker(approved), filled_quantity=Decimal(20), status="filled")
    run.told(frame(held, "fill", execution_id="e1", qty="20", price="100"))
    for number, (kind, limit, stop) in enumerate((("limit", "120", None), ("stop", None, "90"))):
        exit_ = replace(
            BY_HAND, id=f"x{number}", client_order_id=f"exit-{number}", side="sell", type=kind,
            quantity=Decimal(10), limit_price=None if limit is None else Decimal(limit),
            stop_price=None if stop is None else Decimal(stop),
        )  # fmt: skip
        run.told(frame(exit_, "new"))
    assert len(run.read(request(limit_terms("99", "10", "sell"), 2)).send) == 1
    run.accepted(run.sent[-1])
    run.told(frame(replace(at_broker(run.sent[-1]), status="canceled"), "canceled"))
    assert len(run.read(request(limit_terms("99", "1"), 3)).send) == 1


def test_its_fills_and_its_end_are_the_external_book_s(run: EngineRun) -> None:
    run.told(frame(BY_HAND, "new"))
    filled = replace(BY_HAND, filled_quantity=Decimal(25), filled_average_price=Decimal(100))
    run.told(
        frame(
            replace(filled, status="partially_filled"),
            "partial_fill",
            execution_id="e",
            qty="25",
            price="100",
        )
    )
    book = run.engine.state.book
    assert (book.position("AAPL", "external"), book.pending("AAPL", "buy")) == (25, 35)
    run.told(frame(replace(filled, status="canceled"), "canceled"))
    assert (book.position("AAPL", "external"), book.pending("AAPL", "buy"), book.open_count()) == (25, 0, 0)
    assert run.folded().digest() == run.engine.digest()


@pytest.mark.parametrize("status", sorted(TERMINAL - {"refused", "filled"}))
def test_one_that_came_to_nothing_before_it_was_heard_of_is_no_news(run: EngineRun, status: str) -> None:
    assert run.told(frame(replace(BY_HAND, status=status), status)).events == []


def test_open_orders_of_before_the_first_start_are_in_the_book_from_the_start() -> None:
    run = EngineRun()
    run.take(HaltStateRead(HaltState(known=True)))
    (question,) = run.take(Started(None, None)).ask
    assert isinstance(question, ListAccount)
    run.take(Answered(question, AccountListed([BY_HAND, MULTI_LEG], ()), 0))
    assert run.engine.state.book.pending("AAPL", "buy") == 60
    assert run.engine.state.not_understood == {f"order {MULTI_LEG.id}": MULTI_LEG.why}
    assert run.engine.observed.started


def test_an_order_that_cannot_be_read_is_named_once_and_hides_no_other(run: EngineRun) -> None:
    restarted = run.folded()
    run.engine = restarted
    run.tick(0)
    (question,) = run.take(Started(NOW_NS, NOW_NS)).ask
    assert isinstance(question, ListOrders)
    effects = run.take(Answered(question, [MULTI_LEG, BY_HAND, MULTI_LEG], 0))
    assert [type(event).__name__ for event in effects.events][:2] == [
        "OrderNotUnderstood",
        "ExternalOrderFound",
    ]
    assert not effects.halts
    assert run.engine.not_ready is None
    assert len([event for event in run.read_journal() if isinstance(event, OrderNotUnderstood)]) == 1


def test_one_of_ours_that_cannot_be_read_halts_the_account(run: EngineRun) -> None:
    run.engine = run.folded()
    run.tick(0)
    (question,) = run.take(Started(NOW_NS, NOW_NS)).ask
    effects = run.take(Answered(question, [replace(MULTI_LEG, client_order_id=name(9))], 0))
    assert effects.halts[0].scope == "account:paper"


def update(**order: Any) -> bytes:
    """A trade update of an order with these fields."""
    data = {"event": "new", "order": order}
    return json.dumps({"stream": "trade_updates", "data": data}).encode()


@pytest.mark.parametrize(
    "data",
    [
        update(id="0ddba11", client_order_id="spread-1", symbol=None, side=None, status="new"),
        update(id="0ddba11", client_order_id="spread-1", symbol="AAPL", side="long", status="new"),
        b'{"stream": "nta_updates", "data": {"id": 1}}',
        b'{"stream": "account_updates"}',
    ],
)
def test_what_is_plainly_nothing_of_ours_is_kept_and_halts_nothing(run: EngineRun, data: bytes) -> None:
    effects = run.told(data)
    assert isinstance(effects.events[0], EntryDeadLettered)
    assert (effects.halts, len(effects.acknowledge), run.engine.not_ready) == ([], 1, None)


@pytest.mark.parametrize(
    "data",
    [
        update(id="1", client_order_id=name(1), symbol=None, status="new"),
        update(id=f"broker-{name(1)}", client_order_id="changed", symbol=None, status="new"),
        update(client_order_id="spread-1", symbol=None, status="new"),
        b"{",
    ],
)
def test_what_may_be_of_ours_halts_the_account(run: EngineRun, data: bytes) -> None:
    (approved,) = run.read(request(limit_terms("100", "10"), 1)).send
    run.accepted(approved)
    assert run.told(data).halts


def test_an_order_of_ours_that_was_changed_by_hand_stays_its_algorithm_s(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("100", "10"), 1)).send
    run.accepted(approved)
    old = at_broker(approved)
    new = replace(old, id="b2", client_order_id="4b1d-by-hand", limit_price=Decimal(99), replaces=old.id)
    shown = json.loads(frame(new, "new"))
    shown["data"]["order"]["replaces"] = old.id
    (adopted, *_) = run.told(json.dumps(shown).encode()).events
    assert isinstance(adopted, OrderApproved)
    assert (adopted.algorithm, adopted.replaces) == ("alpha", name(1))
    run.told(frame(replace(old, status="replaced", replaced_by="b2"), "replaced"))
    book = run.engine.state.book
    assert (book.pending("AAPL", "buy", "alpha"), book.pending("AAPL", "buy", "external")) == (10, 0)


def test_an_order_of_several_legs_is_read_as_one_that_cannot_be() -> None:
    listed = read_listed({"id": "0ddba11", "client_order_id": "spread-1", "symbol": None, "status": "new"})
    assert isinstance(listed, UnreadableOrder)
    assert (listed.id, listed.client_order_id) == ("0ddba11", "spread-1")
    assert "symbol" in listed.why
    assert read_listed(None) == UnreadableOrder("", "", read_listed(None).why)  # type: ignore[union-attr]
