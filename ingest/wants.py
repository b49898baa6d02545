"""What live readers want, united into what each feed must carry, and the steps from here to there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from bus.errors import InvalidInput
from bus.symbols import checked_symbol

STOCKS = "stocks"
CRYPTO = "crypto"

# Every stock, and every crypto pair: a name with a slash belongs to the crypto feed, the wildcards too.
ALL_STOCKS = "*"
ALL_CRYPTO = "*/*"

_ALWAYS = ("trades", "quotes", "bars", "updatedBars", "dailyBars")
CHANNELS = {
    STOCKS: (*_ALWAYS, "statuses", "lulds", "corrections", "cancelErrors"),
    CRYPTO: (*_ALWAYS, "orderbooks"),
}

# Alpaca sends these with the trades of the same symbol; they cannot be subscribed to.
SENT_WITH_TRADES = ("corrections", "cancelErrors")

# What is asked for over HTTP, not subscribed to: the last trade and quote (`ingest/snapshots.py`).
SNAPSHOTS = "snapshots"

# Channel to symbols, as Alpaca takes them (`*` for all); no channel without symbols.
Subscription = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Demand:
    """The union of all wants by feed; and, in sentences, what had to be left out of it.

    `snapshots` are the symbols whose last trade and quote are to be asked for.
    """

    stocks: Subscription
    crypto: Subscription
    refused: tuple[str, ...] = ()
    snapshots: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: {STOCKS: frozenset(), CRYPTO: frozenset()}
    )

    def of(self, feed: str) -> Subscription:
        """The subscription of one feed."""
        return self.crypto if feed == CRYPTO else self.stocks


@dataclass(frozen=True, slots=True)
class Change:
    """What to add to a subscription and what to take from it."""

    add: Subscription
    remove: Subscription

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


def united(wants: Mapping[str, bytes]) -> Demand:
    """The union of the wants of readers: `<account>:<reader>` to JSON such as {"trades": ["AAPL"]}.

    What cannot be read or subscribed to is left out and named in `refused`; the rest of that reader's wants,
    and everybody else's, count. Raises nothing.
    """
    subscriptions: dict[str, dict[str, set[str]]] = {STOCKS: {}, CRYPTO: {}}
    snapshots: dict[str, set[str]] = {STOCKS: set(), CRYPTO: set()}
    refused: list[str] = []
    for reader, text in sorted(wants.items()):
        for channel, symbol in _pairs(reader, text, refused):
            feed = CRYPTO if "/" in symbol else STOCKS
            if channel == SNAPSHOTS and "*" not in symbol:
                snapshots[feed].add(symbol)
                continue
            if channel not in CHANNELS[feed]:
                allowed = ", ".join((*CHANNELS[feed], SNAPSHOTS))
                refused.append(f"{reader} wants {channel!r} of {symbol}; {feed} have {allowed}")
                continue
            upstream = "trades" if channel in SENT_WITH_TRADES else channel
            name = "*" if symbol == ALL_CRYPTO else symbol
            subscriptions[feed].setdefault(upstream, set()).add(name)
    frozen = {
        feed: {channel: frozenset(symbols) for channel, symbols in sorted(channels.items())}
        for feed, channels in subscriptions.items()
    }
    return Demand(
        frozen[STOCKS],
        frozen[CRYPTO],
        tuple(refused),
        {feed: frozenset(symbols) for feed, symbols in snapshots.items()},
    )


def difference(wanted: Subscription, subscribed: Subscription) -> Change:
    """What has to change so that `subscribed` becomes `wanted`; what both have is not touched."""
    return Change(_without(wanted, subscribed), _without(subscribed, wanted))


def wildcards(subscription: Subscription) -> frozenset[str]:
    """The channels in which all symbols are wanted, with those that come along with all trades."""
    channels = {channel for channel, symbols in subscription.items() if "*" in symbols}
    return frozenset(channels.union(SENT_WITH_TRADES) if "trades" in channels else channels)


def _pairs(reader: str, text: bytes, refused: list[str]) -> list[tuple[str, str]]:
    """One reader's wants as (channel, symbol); what is wrong with them goes to `refused`."""
    try:
        channels = orjson.loads(text)
    except ValueError:
        channels = None
    if not isinstance(channels, dict):
        refused.append(f'the wants of {reader} cannot be read: expected JSON such as {{"trades": ["AAPL"]}}')
        return []
    pairs: list[tuple[str, str]] = []
    for channel, symbols in channels.items():
        if not isinstance(symbols, list):
            refused.append(f"the wants of {reader} in {channel!r} cannot be read: expected a list of symbols")
            continue
        for symbol in symbols:
            try:
                if symbol not in (ALL_STOCKS, ALL_CRYPTO):
                    symbol = checked_symbol(symbol if isinstance(symbol, str) else f"{symbol!r}?")
                pairs.append((channel, symbol))
            except InvalidInput as error:
                refused.append(f"{reader} wants {channel!r} of {error}")
    return pairs


def _without(left: Subscription, right: Subscription) -> dict[str, frozenset[str]]:
    rests = {channel: symbols - right.get(channel, frozenset()) for channel, symbols in left.items()}
    return {channel: rest for channel, rest in rests.items() if rest}
