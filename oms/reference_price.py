"""What the market's last entries make of a symbol's reference price. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from bus.codec import market_message
from bus.errors import Unreadable
from bus.market_messages import Bar, Quote, Trade

# A trade this recent is the price; an older one gives way to a newer quote's middle.
TRADE_FRESH_NS = 1_000_000_000

# A bar's close may be a minute old when it arrives: it counts only where nothing else came for so long.
BAR_AFTER_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """A reference price: `at_ns` is the market's time of it, `received_ns` when we received it."""

    price: Decimal
    at_ns: int
    received_ns: int


def read_price(channel: str, fields: Mapping[bytes, bytes]) -> Price | None:
    """The price of an entry: a trade's, the middle of a two-sided quote, a bar's close; else None."""
    try:
        message = market_message(channel, fields)
        received_ns = int(fields[b"r"])
    except (Unreadable, KeyError, ValueError):
        return None
    if isinstance(message, Trade) and message.price > 0:
        return Price(message.price, message.at_ns, received_ns)
    if isinstance(message, Quote) and message.bid_price > 0 and message.ask_price > 0:
        middle: Decimal = (message.bid_price + message.ask_price) / 2
        return Price(middle, message.at_ns, received_ns)
    if isinstance(message, Bar) and message.close > 0:
        return Price(message.close, message.at_ns, received_ns)
    return None


def choose(trade: Price | None, quote: Price | None, bar: Price | None, now_ns: int) -> Price | None:
    """The trade while it is fresh, otherwise the newer of trade and quote; a bar's close long after both."""
    if trade is None or quote is None:
        heard = trade or quote
    elif now_ns - trade.received_ns <= TRADE_FRESH_NS or trade.received_ns >= quote.received_ns:
        heard = trade
    else:
        heard = quote
    if heard is None or (bar is not None and bar.received_ns - heard.received_ns >= BAR_AFTER_NS):
        return bar
    return heard
