"""Market data as algorithms see it: Alpaca's messages with full names, exact prices, integer nanoseconds."""

from decimal import Decimal

import msgspec


class Trade(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"symbol": "S", "price": "p", "size": "s", "at_ns": "t", "id": "i", "exchange": "x"},
):
    """One trade on the tape; `at_ns` is the exchange's time."""

    symbol: str
    price: Decimal
    size: Decimal
    at_ns: int
    id: int | str = 0
    exchange: str = ""


class Quote(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={
        "symbol": "S",
        "bid_price": "bp",
        "bid_size": "bs",
        "ask_price": "ap",
        "ask_size": "as",
        "at_ns": "t",
    },
):
    """The best bid and ask; a side without a quote has price 0."""

    symbol: str
    bid_price: Decimal
    bid_size: Decimal
    ask_price: Decimal
    ask_size: Decimal
    at_ns: int


class Bar(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"symbol": "S", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "at_ns": "t"},
):
    """A bar; `at_ns` is its start, as Alpaca stamps it."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    at_ns: int


class GapOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The feed broke here: what follows may miss trades since `since_ns`."""

    feed: str
    since_ns: int
    reason: str


class GapClosed(msgspec.Struct, frozen=True, kw_only=True):
    """The feed is back; what was missed lies between the two times."""

    feed: str
    since_ns: int
    until_ns: int


Gap = GapOpened | GapClosed
MarketMessage = Trade | Quote | Bar
