"""A crypto pair's book follows from its quote alone, however a client learns it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sim.exchange.market_messages import CryptoQuote, Level, OrderBook
from sim.exchange.order_books import DEPTH, OrderBooks, whole_book

NOW_NS = 1_800_000_000_000_000_000


@st.composite
def quotes(draw: st.DrawFn) -> CryptoQuote:
    bid = draw(st.integers(1, 10_000_000))
    ask = bid + draw(st.integers(1, 500))
    sizes = [draw(st.integers(1, 9)) / 10 for _ in range(2)]
    return CryptoQuote("BTC/USD", bid / 100, sizes[0], ask / 100, sizes[1], NOW_NS)


def as_levels(levels: list[Level]) -> dict[float, float]:
    return {level.price: level.size for level in levels}


def applied(side: dict[float, float], levels: list[Level]) -> dict[float, float]:
    changed = side | as_levels(levels)
    return {price: size for price, size in changed.items() if size}


@given(quotes())
def test_the_best_levels_are_the_quote_and_the_sides_never_cross(quote: CryptoQuote) -> None:
    book = whole_book(quote, NOW_NS)
    assert book.resets
    assert (book.bids[0].price, book.bids[0].size) == (quote.bid_price, quote.bid_size)
    assert (book.asks[0].price, book.asks[0].size) == (quote.ask_price, quote.ask_size)
    bids, asks = [level.price for level in book.bids], [level.price for level in book.asks]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert 0 < bids[0] < asks[0]
    assert len(bids) <= DEPTH
    assert all(Decimal(str(price)) % Decimal("0.01") == 0 for price in bids + asks)


@given(st.lists(quotes(), min_size=1, max_size=20), st.integers(0, 19))
def test_who_begins_anywhere_and_applies_the_changes_has_the_whole_book(
    played: list[CryptoQuote], joins_after: int
) -> None:
    books = OrderBooks()
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    has_joined = False
    for number, quote in enumerate(played):
        change: OrderBook | None = books.follow(quote)
        if has_joined and change is not None:
            assert not change.resets
            assert all(level.size or level.price in bids for level in change.bids)
            bids, asks = applied(bids, change.bids), applied(asks, change.asks)
        if number == joins_after:
            begun = books.begin(quote, NOW_NS)
            bids, asks, has_joined = as_levels(begun.bids), as_levels(begun.asks), True
        if has_joined:
            whole = whole_book(quote, NOW_NS)
            assert (bids, asks) == (as_levels(whole.bids), as_levels(whole.asks))


def test_the_first_change_that_is_told_is_a_whole_book() -> None:
    quote = CryptoQuote("BTC/USD", 99.0, 0.1, 99.5, 0.2, NOW_NS)
    books = OrderBooks()
    first = books.follow(quote)
    assert first is not None
    assert first.resets
    assert books.follow(quote) is None
    books.keep({"BTC/USD"})
    assert books.follow(quote) is None
    books.keep({"ETH/USD"})
    later = CryptoQuote("BTC/USD", 98.0, 0.1, 98.5, 0.2, NOW_NS)
    assert books.begin(later, NOW_NS) == whole_book(later, NOW_NS)
