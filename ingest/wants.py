"""What live readers want, united into what each feed must carry. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from bus.errors import InvalidInput
from bus.feed_kinds import CHANNELS, CRYPTO, FEED_KINDS, STOCKS, kind_of
from bus.streams import FILL_FIRST
from bus.symbols import HOW_WRITTEN, checked_market_symbol

# Every stock, and every crypto pair: a name with a slash belongs to the crypto feed, the wildcards too.
ALL_STOCKS = "*"
ALL_CRYPTO = "*/*"

# Alpaca sends these with the trades of the same symbol; they cannot be subscribed to.
SENT_WITH_TRADES = ("corrections", "cancelErrors")

# What is asked for over HTTP, not subscribed to: the last trade and quote (`ingest/data_api/snapshots.py`).
SNAPSHOTS = "snapshots"
WITH_SNAPSHOTS = (STOCKS, CRYPTO)

# What people look for, and why there is no such channel.
NO_STREAM = {
    "auctions": "Alpaca has them as history alone (GET /v2/stocks/auctions), not as a stream",
    "trade_updates": "they are in account:{<account>}, whoever wants them",
}

# So much is shown of what somebody wrote in the place of a channel or a symbol.
SHOWN = 60

# Channel to symbols, as Alpaca takes them (`*` for all); no channel without symbols.
Subscription = Mapping[str, frozenset[str]]


# Who wants each channel of each symbol: `<account>:<reader>`.
Readers = Mapping[tuple[str, str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RefusedWant:
    """A want that no feed carries: whose it is (`<account>:<reader>`), what it is, and why, for people."""

    reader: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Demand:
    """The union of all wants by kind of feed, who wants what of it, and what had to be left out.

    `snapshots` are the symbols whose last trade and quote are to be asked for, `first` those whose gaps are
    filled before others.
    """

    subscriptions: Mapping[str, Subscription]
    refused: tuple[RefusedWant, ...]
    readers: Mapping[str, Readers]
    snapshots: Mapping[str, frozenset[str]]
    first: Mapping[str, frozenset[str]]


def united(wants: Mapping[str, bytes]) -> Demand:
    """The union of the wants of readers: `<account>:<reader>` to JSON such as {"trades": ["AAPL"]}.

    What cannot be read or subscribed to is left out and named in `refused`; the rest of that reader's wants,
    and everybody else's, count. Raises nothing.
    """
    subscriptions: dict[str, dict[str, set[str]]] = {kind: {} for kind in FEED_KINDS}
    readers: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {kind: {} for kind in FEED_KINDS}
    aside: dict[str, dict[str, set[str]]] = {
        name: {kind: set() for kind in FEED_KINDS} for name in (SNAPSHOTS, FILL_FIRST)
    }
    refused: list[RefusedWant] = []
    for reader, text in sorted(wants.items()):
        for channel, symbol in _pairs(reader, text, refused):
            feed = kind_of(channel, symbol)
            if channel in aside and feed in WITH_SNAPSHOTS and "*" not in symbol:
                aside[channel][feed].add(symbol)
                continue
            if why := _not_carried(feed, channel, symbol):
                refused.append(RefusedWant(reader, f"{channel!r:.{SHOWN}} of {symbol}", why))
                continue
            upstream = "trades" if channel in SENT_WITH_TRADES else channel
            name = "*" if symbol == ALL_CRYPTO else symbol
            subscriptions[feed].setdefault(upstream, set()).add(name)
            known = readers[feed].get((upstream, name), ())
            if reader not in known:
                readers[feed][upstream, name] = (*known, reader)
    frozen = {
        feed: {channel: frozenset(symbols) for channel, symbols in sorted(channels.items())}
        for feed, channels in subscriptions.items()
    }
    return Demand(
        frozen,
        tuple(refused),
        readers,
        *({feed: frozenset(symbols) for feed, symbols in feeds.items()} for feeds in aside.values()),
    )


def _not_carried(feed: str, channel: str, symbol: str) -> str:
    """Why no feed carries this channel of this symbol; "" where one does."""
    if channel in CHANNELS[feed]:
        return ""
    if channel in NO_STREAM:
        return NO_STREAM[channel]
    allowed = ", ".join((*CHANNELS[feed], SNAPSHOTS) if feed in WITH_SNAPSHOTS else CHANNELS[feed])
    return f"no such channel; {feed} have {allowed}"


def wildcards(subscription: Subscription) -> frozenset[str]:
    """The channels in which all symbols are wanted, with those that come along with all trades."""
    channels = {channel for channel, symbols in subscription.items() if "*" in symbols}
    return frozenset(channels.union(SENT_WITH_TRADES) if "trades" in channels else channels)


def _pairs(reader: str, text: bytes, refused: list[RefusedWant]) -> list[tuple[str, str]]:
    """One reader's wants as (channel, symbol); what is wrong with them goes to `refused`."""
    try:
        channels = orjson.loads(text)
    except ValueError:
        channels = None
    if not isinstance(channels, dict):
        why = 'it cannot be read; expected JSON such as {"trades": ["AAPL"]}'
        refused.append(RefusedWant(reader, "all that it wants", why))
        return []
    pairs: list[tuple[str, str]] = []
    for channel, symbols in channels.items():
        if not isinstance(symbols, list):
            what = f"all of {channel!r:.{SHOWN}}"
            refused.append(RefusedWant(reader, what, "it cannot be read; expected a list of symbols"))
            continue
        for symbol in symbols:
            try:
                if symbol not in (ALL_STOCKS, ALL_CRYPTO):
                    symbol = checked_market_symbol(symbol if isinstance(symbol, str) else f"{symbol!r}?")
                pairs.append((channel, symbol))
            except InvalidInput:
                what = f"{channel!r:.{SHOWN}} of symbol {symbol!r:.{SHOWN}}"
                refused.append(RefusedWant(reader, what, HOW_WRITTEN))
    return pairs
