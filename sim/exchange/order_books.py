"""Makes crypto pairs' order books from the quote in force: it is the best level, the others lie behind it.

A book depends on its quote alone, so it is the same for every subscriber.
"""

import zlib
from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import lru_cache

from sim.exchange.market_messages import CryptoQuote, Level, OrderBook

DEPTH = 10
_LEAST_STEP = Decimal("0.01")
_Side = Mapping[float, float]
_STEPS = 20_000  # levels are this fraction of the price apart: 5 dollars at a price of 100,000


def _size(symbol: str, price: Decimal) -> float:
    """Return the size at a price: always the same, so that a level stays as it is while the best moves."""
    draw = zlib.crc32(f"{symbol} {price}".encode())
    return (1 + draw % 5000) / 1000


@lru_cache(maxsize=4096)  # prices recur, and making a side takes ten times as long
def _levels(symbol: str, best: float, best_size: float, is_bid: bool) -> _Side:
    """Return sizes by price, the best first; the prices behind it lie on a grid."""
    if best <= 0:
        return {}
    price = Decimal(str(best))
    step = max(_LEAST_STEP, (price / _STEPS).quantize(_LEAST_STEP))
    on_grid = price // step * step
    levels = {best: best_size}
    for number in range(DEPTH):
        if len(levels) == DEPTH:
            break
        behind = on_grid - number * step if is_bid else on_grid + (number + 1) * step
        if behind > 0 and behind != price:
            levels[float(behind)] = _size(symbol, behind)
    return levels


def _changes(before: _Side, after: _Side) -> list[Level]:
    gone = [Level(price, 0.0) for price in before if price not in after]
    return gone + [Level(price, size) for price, size in after.items() if before.get(price) != size]


def _sides(quote: CryptoQuote) -> tuple[_Side, _Side]:
    return (
        _levels(quote.symbol, quote.bid_price, quote.bid_size, True),
        _levels(quote.symbol, quote.ask_price, quote.ask_size, False),
    )


def _whole(symbol: str, sides: tuple[_Side, _Side], time_ns: int) -> OrderBook:
    bids, asks = ([Level(price, size) for price, size in side.items()] for side in sides)
    return OrderBook(symbol, time_ns, bids, asks, True)


def whole_book(quote: CryptoQuote, time_ns: int) -> OrderBook:
    """Return the full book behind a quote."""
    return _whole(quote.symbol, _sides(quote), time_ns)


class OrderBooks:
    """The books as they were sent last, from which a new quote makes a change."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[_Side, _Side]] = {}

    def keep(self, symbols: Collection[str]) -> None:
        """Forget the books of all but these, which are still subscribed to."""
        self._told = {symbol: told for symbol, told in self._told.items() if symbol in symbols}

    def begin(self, quote: CryptoQuote, time_ns: int) -> OrderBook:
        """Return the full book as sent last; where none was, the book of this quote is kept and returned."""
        told = self._told.get(quote.symbol)
        if told is None:
            told = self._told[quote.symbol] = _sides(quote)
        return _whole(quote.symbol, told, time_ns)

    def follow(self, quote: CryptoQuote) -> OrderBook | None:
        """Return what the quote changes; the full book where none was sent; None where nothing changes."""
        symbol, after = quote.symbol, _sides(quote)
        before = self._told.get(symbol)
        self._told[symbol] = after
        if before is None:
            return _whole(symbol, after, quote.time_ns)
        bids, asks = (_changes(*sides) for sides in zip(before, after, strict=True))
        return OrderBook(symbol, quote.time_ns, bids, asks) if bids or asks else None
