"""Kinds of market feeds, the channels of each, and which feed carries a channel of a symbol. Pure."""

from bus.symbols import is_option

# The feeds of market data that ingest serves, each under a lease of its own.
FEED_KINDS = ("stocks", "crypto", "options", "news")
STOCKS, CRYPTO, OPTIONS, NEWS = FEED_KINDS

# Stock feeds that tell of everything a quarter of an hour late.
DELAYED = frozenset({"delayed_sip"})

# The last resort of stocks, which is no stream: last trades, quotes and bars are asked for over HTTP.
REST = "rest"

_BARS = ("bars", "updatedBars", "dailyBars")
CHANNELS = {
    STOCKS: ("trades", "quotes", *_BARS, "statuses", "lulds", "corrections", "cancelErrors", "imbalances"),
    CRYPTO: ("trades", "quotes", *_BARS, "orderbooks"),
    OPTIONS: ("trades", "quotes"),
    NEWS: ("news",),
}


# What entries call the feeds of options.
_OF_OPTIONS = ("indicative", "opra")


def kind_of_feed(name: str) -> str:
    """The kind of the feed that entries call so: of stocks where it is none of the others."""
    return name if name in (CRYPTO, NEWS) else OPTIONS if name in _OF_OPTIONS else STOCKS


def kind_of(channel: str, symbol: str) -> str:
    """The kind of feed that carries this channel of this symbol, where any does.

    News of every symbol are one feed. A name with a slash is crypto's, wildcards too; `*` alone is every
    stock, and every pair in the channel that only crypto has.
    """
    if channel in CHANNELS[NEWS]:
        return NEWS
    if "/" in symbol or (symbol == "*" and channel == "orderbooks"):
        return CRYPTO
    return OPTIONS if is_option(symbol) else STOCKS
