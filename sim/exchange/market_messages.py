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


class Bar(msgspec.Struct, tag_field="T", tag="b", gc=False):
    """A bar; its time is the bar's start."""

    channel: ClassVar[str] = "bars"

    symbol: str = msgspec.field(name="S")
    open: float = msgspec.field(name="o")
    high: float = msgspec.field(name="h")
    low: float = msgspec.field(name="l")
    close: float = msgspec.field(name="c")
    volume: float = msgspec.field(name="v")
    trade_count: int = msgspec.field(name="n")
    vwap: float = msgspec.field(name="vw")
    time_ns: Any = msgspec.field(name="t")


AnyTrade = Trade | CryptoTrade
AnyQuote = Quote | CryptoQuote
Message = Trade | Quote | CryptoTrade | CryptoQuote | Bar
