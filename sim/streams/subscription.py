"""One client's subscription to a feed, and the changes that it asks for."""

from collections.abc import Mapping
from typing import Any

from sim.streams.feeds import FEEDS, Feed

EVERY = "*"
INVALID_SYNTAX, SYMBOL_LIMIT, INVALID_FOR_FEED = 400, 405, 410
MOST_SYMBOLS = 50_000  # of one connection, whatever the plan: several times what any exchange lists
LONGEST_SYMBOL = 64
_LIMITED = ("trades", "quotes")  # only these count towards the plan's symbols
_WITH_TRADES = ("corrections", "cancelErrors")  # come with the trades, without a subscription of their own
_CHANNELS = frozenset(name for feed in FEEDS for name in feed.every_channel)

Wanted = Mapping[str, frozenset[str]]


class Subscription:
    """The symbols of each channel; immutable, a change makes another one."""

    def __init__(self, feed: Feed, wanted: Wanted | None = None) -> None:
        self._feed = feed
        self.wanted: Wanted = wanted or dict.fromkeys(feed.every_channel, frozenset())
        # None stands for every symbol: one test for each message.
        self.chosen: dict[str, frozenset[str] | None] = {
            name: None if EVERY in symbols else symbols for name, symbols in self.wanted.items()
        }

    def acknowledgement(self) -> dict[str, Any]:
        """Return the answer to every change, which is always the full set."""
        told = {name: sorted(self.wanted[name]) for name in self._feed.channels}
        rare = {name: sorted(self.wanted[name]) for name in self._feed.rare_channels if self.wanted[name]}
        return {"T": "subscription", **told, **rare}

    def changed(
        self, message: Mapping[str, Any], adds: bool, symbol_limit: int | None
    ) -> "Subscription | int":
        """Return it with the message's symbols added or removed, or an error's number if that is refused.

        A channel may be null: alpaca-trade-api-go names all channels of all feeds in every message.
        """
        wanted = dict(self.wanted)
        for name, symbols in message.items():
            if name not in _CHANNELS or symbols is None or (name not in wanted and not symbols):
                continue
            if not isinstance(symbols, list) or not all(map(_is_name, symbols)):
                return INVALID_SYNTAX
            if name not in wanted:
                if adds:
                    return INVALID_FOR_FEED
                continue
            if adds and EVERY in symbols and name in self._feed.never_every:
                return INVALID_FOR_FEED
            if name in _WITH_TRADES:
                continue
            wanted[name] = wanted[name].union(symbols) if adds else wanted[name].difference(symbols)
        for name in _WITH_TRADES:
            if name in wanted:
                wanted[name] = wanted["trades"]
        # What `*` counts for is not documented: here it is one symbol like any other.
        counted = frozenset[str]().union(*(wanted.get(name, ()) for name in _LIMITED))
        if adds and symbol_limit is not None and len(counted) > symbol_limit:
            return SYMBOL_LIMIT
        if adds and len(frozenset[str]().union(*wanted.values())) > MOST_SYMBOLS:
            return SYMBOL_LIMIT
        return Subscription(self._feed, wanted)


def _is_name(symbol: object) -> bool:
    return isinstance(symbol, str) and len(symbol) <= LONGEST_SYMBOL
