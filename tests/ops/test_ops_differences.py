"""The comparison of book, algorithms and ledger finds every kind of disagreement, and nothing else."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from algos.portfolio import Portfolio
from bus.codec import Message
from bus.order_events import OrderApproved, OrderFilled, OrderSent, OrderUpdated
from bus.order_messages import OrderTerms, Side
from oms.book.book import Book
from ops.run.differences import Ledger, LedgerFill, LedgerOrder, differences, read_ledger


def approved(client_id: str, side: Side = "buy", symbol: str = "AAPL", quantity: int = 10) -> OrderApproved:
    return OrderApproved(
        algorithm="cross",
        client_order_id=client_id,
        terms=OrderTerms(symbol=symbol, side=side, quantity=Decimal(quantity)),
        reserve_price=Decimal(100),
        trigger="1-0",
        received_ns=1,
        requested_ns=2,
        approved_ns=3,
    )


def sent(client_id: str) -> OrderSent:
    return OrderSent(
        algorithm="cross",
        client_order_id=client_id,
        broker_order_id=f"b-{client_id}",
        approved_ns=3,
        sent_ns=4,
        acknowledged_ns=5,
    )


def filled(
    client_id: str, quantity: int, *, side: Side = "buy", symbol: str = "AAPL", status: str = "filled"
) -> OrderFilled:
    return OrderFilled(
        algorithm="cross",
        client_order_id=client_id,
        broker_order_id=f"b-{client_id}",
        execution_id=f"e-{client_id}-{quantity}",
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(100),
        filled_quantity=Decimal(quantity),
        status=status,
        at_ns=6,
    )


def told(*events: Message) -> tuple[Book, dict[str, Portfolio]]:
    """The book and the algorithm's view after the same events."""
    book, portfolio = Book(), Portfolio()
    for event in events:
        book.apply(event)
        portfolio.apply(event)
    return book, {"cross": portfolio}


def their_order(client_id: str, status: str, quantity: int, side: str = "buy") -> LedgerOrder:
    return LedgerOrder(f"b-{client_id}", client_id, "AAPL", side, status, Decimal(quantity))


def their_fill(client_id: str, quantity: int, side: str = "buy", price: int = 100) -> LedgerFill:
    return LedgerFill(f"b-{client_id}", "AAPL", side, Decimal(quantity), Decimal(price))


ONE_FILLED = (approved("a"), sent("a"), filled("a", 10))
ONE_LEDGER = Ledger((their_order("a", "filled", 10),), (their_fill("a", 10),))


def test_three_that_tell_the_same_story_do_not_differ() -> None:
    book, portfolios = told(*ONE_FILLED)
    assert differences(book, portfolios, ONE_LEDGER) == []


def test_an_order_of_the_broker_that_nobody_knows_is_named() -> None:
    book, portfolios = told()
    found = differences(book, portfolios, Ledger((their_order("x", "new", 0),), ()))
    assert found == ["order x (buy AAPL): the broker has it as new, the book does not know it"]


def test_an_order_that_the_broker_never_heard_of_is_named() -> None:
    book, portfolios = told(approved("a"))
    assert differences(book, portfolios, Ledger((), ())) == [
        "order a: approved in the book, unknown to the broker"
    ]


def test_a_fill_that_was_not_heard_of_shows_in_order_and_position() -> None:
    book, portfolios = told(approved("a"), sent("a"))
    found = "\n".join(differences(book, portfolios, ONE_LEDGER))
    assert "filled at the broker, sent in the book" in found
    assert "the broker filled 10, the book 0" in found
    assert "position in AAPL: 10 at the broker, 0 in the book" in found


def test_the_same_quantity_at_another_price_differs() -> None:
    book, portfolios = told(*ONE_FILLED)
    ledger = Ledger(ONE_LEDGER.orders, (their_fill("a", 10, price=101),))
    assert differences(book, portfolios, ledger) == [
        "order a (buy AAPL): worth 1010 at the broker, 1000 in the book"
    ]


def test_an_algorithm_that_missed_a_fill_differs_from_the_book() -> None:
    book, _ = told(*ONE_FILLED)
    _, portfolios = told(*ONE_FILLED[:2])
    found = "\n".join(differences(book, portfolios, ONE_LEDGER))
    assert "position of cross in AAPL: 0 as it sees it, 10 in the book" in found
    assert "order a of cross is open for cross itself alone" in found


def test_a_canceled_order_that_the_book_holds_open_differs() -> None:
    book, portfolios = told(approved("a"), sent("a"))
    found = differences(book, portfolios, Ledger((their_order("a", "canceled", 0),), ()))
    assert found == ["order a (buy AAPL): canceled at the broker, sent in the book"]


def test_two_words_for_an_open_order_are_no_difference() -> None:
    updated = OrderUpdated(
        algorithm="cross",
        client_order_id="a",
        broker_order_id="b-a",
        symbol="AAPL",
        event="new",
        status="new",
        filled_quantity=Decimal(0),
        at_ns=5,
    )
    book, portfolios = told(approved("a"), sent("a"), updated)
    assert differences(book, portfolios, Ledger((their_order("a", "accepted", 0),), ())) == []


def test_an_unanswered_request_is_a_difference() -> None:
    book, portfolios = told()
    assert differences(book, portfolios, None, {"q"}) == ["request q was never answered by the OMS"]


def test_a_trade_by_hand_is_booked_and_agrees() -> None:
    by_hand = OrderFilled(
        algorithm="external",
        client_order_id="hand",
        broker_order_id="b-hand",
        execution_id="e",
        symbol="AAPL",
        side="sell",
        quantity=Decimal(3),
        price=Decimal(100),
        filled_quantity=Decimal(3),
        status="filled",
        at_ns=7,
    )
    book, portfolios = told(*ONE_FILLED)
    book.apply(by_hand)
    ledger = Ledger(
        (*ONE_LEDGER.orders, their_order("hand", "filled", 3, "sell")),
        (*ONE_LEDGER.fills, their_fill("hand", 3, "sell")),
    )
    assert differences(book, portfolios, ledger) == []
    assert differences(book, portfolios, ONE_LEDGER) != []


def test_the_ledger_is_read_from_numbers_and_from_text() -> None:
    raw = (
        b'{"orders": [{"id": "1", "client_order_id": "c", "symbol": "AAPL", "side": "buy",'
        b' "status": "filled", "filled_qty": "1.5", "filled_avg_price": null}],'
        b' "fills": [{"order_id": "1", "symbol": "AAPL", "side": "buy",'
        b' "qty": 1.5, "price": "100.1", "at": "x"}]}'
    )
    ledger = read_ledger(raw)
    assert ledger.orders[0].filled_qty == ledger.fills[0].qty == Decimal("1.5")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 50)), max_size=8), st.data())
def test_any_one_lost_fill_is_found(orders: list[tuple[Side, int]], data: st.DataObject) -> None:
    events: list[Message] = []
    theirs, fills = [], []
    for number, (side, quantity) in enumerate(orders):
        name = f"o{number}"
        events += [approved(name, side, quantity=quantity), sent(name), filled(name, quantity, side=side)]
        theirs.append(their_order(name, "filled", quantity, side))
        fills.append(their_fill(name, quantity, side))
    ledger = Ledger(tuple(theirs), tuple(fills))
    book, portfolios = told(*events)
    assert differences(book, portfolios, ledger) == []
    if orders:
        lost = data.draw(st.sampled_from([event for event in events if isinstance(event, OrderFilled)]))
        book, portfolios = told(*(event for event in events if event is not lost))
        assert any(lost.client_order_id in text for text in differences(book, portfolios, ledger))
