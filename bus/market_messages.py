"""Market data as algorithms see it: Alpaca's messages with full names, exact prices, integer nanoseconds."""

from decimal import Decimal

import msgspec

from bus.symbols import canonical_symbol

# Codes of trading statuses. Tapes A and B: opening delay (1), trading halt (2), resume (3), no open or no
# resume (4). Tape C: trading halt (H), volatility pause (P), trading resumption (T); when quotation resumes
# (Q), trading does not yet. Others say nothing of whether there is trading.
HALTS = frozenset("124HP")
RESUMPTIONS = frozenset("3T")


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
    rename={
        "symbol": "S",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "vwap": "vw",
        "trade_count": "n",
        "at_ns": "t",
    },
):
    """A bar; `at_ns` is its start, as Alpaca stamps it.

    `vwap` is the average price of its trades, weighted by their sizes, and `trade_count` how many they were;
    None where Alpaca did not say.
    """

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    vwap: Decimal | None = None
    trade_count: int | None = None
    at_ns: int


class UpdatedBar(Bar, frozen=True, kw_only=True, gc=False):
    """A bar told again, because a trade of its minute came after it: it replaces the one of its start."""


class DailyBar(Bar, frozen=True, kw_only=True, gc=False):
    """The bar of the day so far, told each minute; `at_ns` is the day's midnight."""


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


class PriceBand(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={
        "symbol": "S",
        "limit_up": "u",
        "limit_down": "d",
        "indicator": "i",
        "at_ns": "t",
        "tape": "z",
    },
):
    """Limit up and limit down (LULD): a stock is not to trade outside of these prices.

    `indicator` is the tape's code for the limit state.
    """

    symbol: str
    limit_up: Decimal
    limit_down: Decimal
    indicator: str = ""
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
        "original_size": "os",
        "id": "ci",
        "price": "cp",
        "size": "cs",
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
    original_size: Decimal | None = None
    id: int | str
    price: Decimal
    size: Decimal | None = None
    conditions: tuple[str, ...] = ()
    tape: str = ""
    at_ns: int


class CanceledTrade(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={
        "symbol": "S",
        "exchange": "x",
        "id": "i",
        "price": "p",
        "size": "s",
        "action": "a",
        "at_ns": "t",
    },
):
    """An earlier trade, `id` of that exchange, never was: canceled (action C) or an error (E)."""

    symbol: str
    exchange: str = ""
    id: int | str
    price: Decimal
    size: Decimal | None = None
    action: str = ""
    at_ns: int


class Imbalance(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"symbol": "S", "price": "p", "at_ns": "t", "tape": "z"},
):
    """Before an auction, orders of one side of a stock are without a counterpart at this price."""

    symbol: str
    price: Decimal
    at_ns: int
    tape: str = ""


class Level(msgspec.Struct, frozen=True, gc=False, rename={"price": "p", "size": "s"}):
    """The size at one price of an order book."""

    price: Decimal
    size: Decimal


class OrderBook(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"symbol": "S", "bids": "b", "asks": "a", "resets": "r", "at_ns": "t"},
):
    """What changed in a crypto pair's order book: sizes by price, 0 where nothing is left at one.

    Where it `resets`, it is the whole book: what was known before counts no more. So it is after each
    connection of ingest; a reader that begins between two of them has only what changed since.
    """

    symbol: str
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    resets: bool = False
    at_ns: int


class News(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"created_at_ns": "created_at", "updated_at_ns": "updated_at"},
):
    """A news article about any number of symbols; one that is changed comes again under its id."""

    id: int
    headline: str
    symbols: tuple[str, ...] = ()
    summary: str = ""
    author: str = ""
    content: str = ""
    url: str = ""
    source: str = ""
    created_at_ns: int
    updated_at_ns: int

    def __post_init__(self) -> None:
        # News write BTCUSD where all the others write BTC/USD.
        msgspec.structs.force_setattr(self, "symbols", tuple(map(canonical_symbol, self.symbols)))


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
MarketMessage = (
    Trade
    | Quote
    | Bar
    | UpdatedBar
    | DailyBar
    | TradingStatus
    | PriceBand
    | Correction
    | CanceledTrade
    | Imbalance
    | OrderBook
    | News
    | Snapshot
)
