"""Market data as this package plays it; the names on the wire are Alpaca's short ones.

Prices here are floats because they are JSON numbers on the wire. Where money is made of them it is
made of what was shown: Decimal(str(price)).
"""

from typing import Any, ClassVar

import msgspec

# `time_ns` is Any because the codec lends the field to its own form while it writes (codecs.py).


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
    """The best bid and offer of a share."""

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
    """A trade of a coin; `taker_side` is B or S."""

    channel: ClassVar[str] = "trades"

    symbol: str = msgspec.field(name="S")
    id: int = msgspec.field(name="i")
    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")
    taker_side: str = msgspec.field(name="tks")
    time_ns: Any = msgspec.field(name="t")


class CryptoQuote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    """The best bid and offer of a coin."""

    channel: ClassVar[str] = "quotes"

    symbol: str = msgspec.field(name="S")
    bid_price: float = msgspec.field(name="bp")
    bid_size: float = msgspec.field(name="bs")
    ask_price: float = msgspec.field(name="ap")
    ask_size: float = msgspec.field(name="as")
    time_ns: Any = msgspec.field(name="t")


class BarFields(msgspec.Struct, gc=False):
    """What every bar tells; its time is its start."""

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
    """A bar once more, with the trades that came late."""

    channel: ClassVar[str] = "updatedBars"


class DailyBar(BarFields, tag_field="T", tag="d", gc=False):
    """The day so far; its time is midnight in New York."""

    channel: ClassVar[str] = "dailyBars"


class Status(msgspec.Struct, tag_field="T", tag="s", gc=False):
    """Trading in a share stops or goes on; the codes are those of its tape."""

    channel: ClassVar[str] = "statuses"

    symbol: str = msgspec.field(name="S")
    status_code: str = msgspec.field(name="sc")
    status_message: str = msgspec.field(name="sm")
    reason_code: str = msgspec.field(name="rc")
    reason_message: str = msgspec.field(name="rm")
    time_ns: Any = msgspec.field(name="t")
    tape: str = msgspec.field(name="z")


class PriceBand(msgspec.Struct, tag_field="T", tag="l", gc=False):
    """Limit up and limit down: no share trades outside of these prices."""

    channel: ClassVar[str] = "lulds"

    symbol: str = msgspec.field(name="S")
    limit_up: float = msgspec.field(name="u")
    limit_down: float = msgspec.field(name="d")
    indicator: str = msgspec.field(name="i")
    time_ns: Any = msgspec.field(name="t")
    tape: str = msgspec.field(name="z")


class Correction(msgspec.Struct, tag_field="T", tag="c", gc=False):
    """A trade told before was wrong; this is how it was."""

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
    """A trade told before never was; `action` is C for canceled, E for an error."""

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
    """Orders on one side that find no other; the price is where most of them would trade."""

    channel: ClassVar[str] = "imbalances"

    symbol: str = msgspec.field(name="S")
    price: float = msgspec.field(name="p")
    tape: str = msgspec.field(name="z")
    time_ns: Any = msgspec.field(name="t")


class Level(msgspec.Struct, gc=False):
    """What is offered or asked for at one price; in a change of a book, size 0 takes the level away."""

    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="s")


class OrderBook(msgspec.Struct, tag_field="T", tag="o", omit_defaults=True):
    """A coin's order book: whole where it `resets` what was told before, otherwise what changed."""

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
    """The best bid and offer of an option; sizes in contracts."""

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
    """A news article; it may be about several symbols, or none."""

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
    """So many shares, a whole number where they are whole: alpaca-trade-api-go reads nothing else."""
    return int(size) if size == int(size) else size


AnyTrade = Trade | CryptoTrade
AnyQuote = Quote | CryptoQuote
Message = Trade | Quote | CryptoTrade | CryptoQuote | Bar  # what makes a market
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
)  # what follows from it, or is told about it
TimedMessage = Message | Event
AnyMessage = TimedMessage | Article
