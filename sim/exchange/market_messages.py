"""The messages of market data, under Alpaca's short names on the wire.

Prices are floats because they are JSON numbers on the wire. Money is computed from what was sent:
Decimal(str(price)).
"""

from typing import Any, ClassVar

import msgspec

# `time_ns` is Any because a codec puts its own form into the field while it writes (codecs.py).


class Trade(msgspec.Struct, tag_field="T", tag="t", gc=False):
    """A trade of a share; ids are consecutive within a symbol."""

    channel: ClassVar[str] = "trades"

    symbol: str = msgspec.field(name="S")
    id: int = msgspec.field(name="i")
    exchange: str = msgspec.field(name="x")
    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")
    conditions: list[str] = msgspec.field(name="c")
    tape: str = msgspec.field(name="z")
    time_ns: Any = msgspec.field(name="t")


class Quote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    """The best bid and ask of a share."""

    channel: ClassVar[str] = "quotes"

    symbol: str = msgspec.field(name="S")
    bid_exchange: str = msgspec.field(name="bx")
    bid_price: float = msgspec.field(name="bp")
    bid_size: float = msgspec.field(name="bs")
    ask_exchange: str = msgspec.field(name="ax")
    ask_price: float = msgspec.field(name="ap")
    ask_size: float = msgspec.field(name="as")
    conditions: list[str] = msgspec.field(name="c")
    tape: str = msgspec.field(name="z")
    time_ns: Any = msgspec.field(name="t")


class CryptoTrade(msgspec.Struct, tag_field="T", tag="t", gc=False):
    """A trade of a crypto pair; `taker_side` is B or S."""

    channel: ClassVar[str] = "trades"

    symbol: str = msgspec.field(name="S")
    id: int = msgspec.field(name="i")
    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")
    taker_side: str = msgspec.field(name="tks")
    time_ns: Any = msgspec.field(name="t")


class CryptoQuote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    """The best bid and ask of a crypto pair."""

    channel: ClassVar[str] = "quotes"

    symbol: str = msgspec.field(name="S")
    bid_price: float = msgspec.field(name="bp")
    bid_size: float = msgspec.field(name="bs")
    ask_price: float = msgspec.field(name="ap")
    ask_size: float = msgspec.field(name="as")
    time_ns: Any = msgspec.field(name="t")


class BarFields(msgspec.Struct, gc=False):
    """The fields of every bar; its time is its start."""

    symbol: str = msgspec.field(name="S")
    open: float = msgspec.field(name="o")
    high: float = msgspec.field(name="h")
    low: float = msgspec.field(name="l")
    close: float = msgspec.field(name="c")
    volume: float = msgspec.field(name="v")
    trade_count: int = msgspec.field(name="n")
    vwap: float = msgspec.field(name="vw")
    time_ns: Any = msgspec.field(name="t")


class Bar(BarFields, tag_field="T", tag="b", gc=False):
    """A bar whose period is over."""

    channel: ClassVar[str] = "bars"


class UpdatedBar(BarFields, tag_field="T", tag="u", gc=False):
    """A bar sent again, with the trades that came late."""

    channel: ClassVar[str] = "updatedBars"


class DailyBar(BarFields, tag_field="T", tag="d", gc=False):
    """The day so far; its time is midnight in New York."""

    channel: ClassVar[str] = "dailyBars"


class Status(msgspec.Struct, tag_field="T", tag="s", gc=False):
    """Trading in a share is halted or resumes; the codes are those of its tape."""

    channel: ClassVar[str] = "statuses"

    symbol: str = msgspec.field(name="S")
    status_code: str = msgspec.field(name="sc")
    status_message: str = msgspec.field(name="sm")
    reason_code: str = msgspec.field(name="rc")
    reason_message: str = msgspec.field(name="rm")
    time_ns: Any = msgspec.field(name="t")
    tape: str = msgspec.field(name="z")


class PriceBand(msgspec.Struct, tag_field="T", tag="l", gc=False):
    """Limit up and limit down: a share may not trade outside of these prices."""

    channel: ClassVar[str] = "lulds"

    symbol: str = msgspec.field(name="S")
    limit_up: float = msgspec.field(name="u")
    limit_down: float = msgspec.field(name="d")
    indicator: str = msgspec.field(name="i")
    time_ns: Any = msgspec.field(name="t")
    tape: str = msgspec.field(name="z")


class Correction(msgspec.Struct, tag_field="T", tag="c", gc=False):
    """The correction of an earlier trade."""

    channel: ClassVar[str] = "corrections"

    symbol: str = msgspec.field(name="S")
    exchange: str = msgspec.field(name="x")
    original_id: int = msgspec.field(name="oi")
    original_price: float = msgspec.field(name="op")
    original_size: float = msgspec.field(name="os")
    original_conditions: list[str] = msgspec.field(name="oc")
    corrected_id: int = msgspec.field(name="ci")
    corrected_price: float = msgspec.field(name="cp")
    corrected_size: float = msgspec.field(name="cs")
    corrected_conditions: list[str] = msgspec.field(name="cc")
    tape: str = msgspec.field(name="z")
    time_ns: Any = msgspec.field(name="t")


class CancelError(msgspec.Struct, tag_field="T", tag="x", gc=False):
    """The cancellation of an earlier trade; `action` is C for canceled, E for an error."""

    channel: ClassVar[str] = "cancelErrors"

    symbol: str = msgspec.field(name="S")
    id: int = msgspec.field(name="i")
    exchange: str = msgspec.field(name="x")
    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")
    action: str = msgspec.field(name="a")
    tape: str = msgspec.field(name="z")
    time_ns: Any = msgspec.field(name="t")


class Imbalance(msgspec.Struct, tag_field="T", tag="i", gc=False):
    """Orders of one side without a counterpart, at the price where most of them would trade."""

    channel: ClassVar[str] = "imbalances"

    symbol: str = msgspec.field(name="S")
    price: float = msgspec.field(name="p")
    tape: str = msgspec.field(name="z")
    time_ns: Any = msgspec.field(name="t")


class Level(msgspec.Struct, gc=False):
    """The size at one price of an order book; in a change, size 0 removes the level."""

    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")


class OrderBook(msgspec.Struct, tag_field="T", tag="o", omit_defaults=True):
    """A crypto pair's order book: all of it where it `resets` the one before, otherwise what changed."""

    channel: ClassVar[str] = "orderbooks"

    symbol: str = msgspec.field(name="S")
    time_ns: Any = msgspec.field(name="t")
    bids: list[Level] = msgspec.field(name="b")
    asks: list[Level] = msgspec.field(name="a")
    resets: bool = msgspec.field(name="r", default=False)


class OptionTrade(msgspec.Struct, tag_field="T", tag="t", gc=False):
    """A trade of an option; the symbol is OCC's and the condition one letter."""

    channel: ClassVar[str] = "trades"

    symbol: str = msgspec.field(name="S")
    time_ns: Any = msgspec.field(name="t")
    price: float = msgspec.field(name="p")
    size: int = msgspec.field(name="s")
    exchange: str = msgspec.field(name="x")
    condition: str = msgspec.field(name="c")


class OptionQuote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    """The best bid and ask of an option; sizes are in contracts."""

    channel: ClassVar[str] = "quotes"

    symbol: str = msgspec.field(name="S")
    time_ns: Any = msgspec.field(name="t")
    bid_exchange: str = msgspec.field(name="bx")
    bid_price: float = msgspec.field(name="bp")
    bid_size: int = msgspec.field(name="bs")
    ask_exchange: str = msgspec.field(name="ax")
    ask_price: float = msgspec.field(name="ap")
    ask_size: int = msgspec.field(name="as")
    condition: str = msgspec.field(name="c")


class Article(msgspec.Struct, tag_field="T", tag="n"):
    """A news article about any number of symbols."""

    channel: ClassVar[str] = "news"

    id: int
    headline: str
    summary: str
    author: str
    created_ns: Any = msgspec.field(name="created_at")
    updated_ns: Any = msgspec.field(name="updated_at")
    url: str
    content: str
    symbols: list[str]
    source: str


def share_size(size: float) -> float:
    """Return the size, as an int where it is whole: alpaca-trade-api-go reads nothing else."""
    return int(size) if size == int(size) else size


AnyTrade = Trade | CryptoTrade
AnyQuote = Quote | CryptoQuote
Message = Trade | Quote | CryptoTrade | CryptoQuote | Bar  # what is played
Event = (
    UpdatedBar
    | DailyBar
    | Status
    | PriceBand
    | Correction
    | CancelError
    | Imbalance
    | OrderBook
    | OptionTrade
    | OptionQuote
)  # what is derived from it, or reported beside it
TimedMessage = Message | Event
AnyMessage = TimedMessage | Article
