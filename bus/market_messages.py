"""Market data as algorithms see it: Alpaca's messages with full names, exact prices, integer nanoseconds."""

from decimal import Decimal

import msgspec


class Trade(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={
        "symbol": "S",
        "price": "p",
        "size": "s",
        "at_ns": "t",
        "id": "i",
        "exchange": "x",
        "conditions": "c",
        "tape": "z",
    },
):
    """One trade on the tape; `at_ns` is the exchange's time.

    `conditions` are the codes of its `tape` (A, B or C) for what kind of a trade it was; crypto has neither.
    """

    symbol: str
    price: Decimal
    size: Decimal
    at_ns: int
    id: int | str = 0
    exchange: str = ""
    conditions: tuple[str, ...] = ()
    tape: str = ""


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
        "conditions": "c",
    },
):
    """The best bid and ask; a side without a quote has price 0."""

    symbol: str
    bid_price: Decimal
    bid_size: Decimal
    ask_price: Decimal
    ask_size: Decimal
    at_ns: int
    conditions: tuple[str, ...] = ()


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


class TradingStatus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={
        "symbol": "S",
        "code": "sc",
        "meaning": "sm",
        "reason_code": "rc",
        "reason": "rm",
        "at_ns": "t",
        "tape": "z",
    },
):
    """Trading in a stock halts or resumes, in the codes and the words of its tape."""

    symbol: str
    code: str
    meaning: str = ""
    reason_code: str = ""
    reason: str = ""
    at_ns: int
    tape: str = ""


class Correction(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={
        "symbol": "S",
        "exchange": "x",
        "original_id": "oi",
        "original_price": "op",
        "id": "ci",
        "price": "cp",
        "conditions": "cc",
        "tape": "z",
        "at_ns": "t",
    },
):
    """An earlier trade, `original_id` of that exchange, was another one; `at_ns` is when that was said."""

    symbol: str
    exchange: str = ""
    original_id: int | str
    original_price: Decimal | None = None
    id: int | str
    price: Decimal
    conditions: tuple[str, ...] = ()
    tape: str = ""
    at_ns: int


class CanceledTrade(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"symbol": "S", "exchange": "x", "id": "i", "price": "p", "action": "a", "at_ns": "t"},
):
    """An earlier trade, `id` of that exchange, never was: canceled (action C) or an error (E)."""

    symbol: str
    exchange: str = ""
    id: int | str
    price: Decimal
    action: str = ""
    at_ns: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename={"symbol": "S"}):
    """What Alpaca answered when it was asked for a symbol's last trade and the quote that stands."""

    symbol: str
    trade: Trade | None = None
    quote: Quote | None = None


class GapOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The feed broke here: what follows may miss trades since `since_ns`."""

    feed: str
    since_ns: int
    reason: str


class GapClosed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The feed was back at `until_ns`, and nothing more will be written of what was missed.

    `backfilled` counts what was missed and came from history: before this marker, or, where that took too
    long, in the stream `history`. None: there is no history of it, or none was to be had.
    """

    feed: str
    since_ns: int
    until_ns: int
    backfilled: int | None = None
    history: str = ""


Gap = GapOpened | GapClosed
MarketMessage = Trade | Quote | Bar

# What is said of a symbol and of its earlier trades, without or after being asked.
TapeMessage = TradingStatus | Correction | CanceledTrade | Snapshot
