"""A price on demand: whose last trade and quote are asked for next, and what is written of them. Pure.

A stream tells what happens from when it is subscribed to. What a symbol was traded at before that, and the
quote that has been standing since, has to be asked for: else a thinly traded symbol has no price for as long
as nothing happens, and one beyond the plan's symbol limit has none at all.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bus.errors import Unreadable
from bus.market_batch import MarketBatch
from bus.rfc3339 import time_ns
from bus.streams import market

CHANNEL = "snapshots"

# The last trade and quote of a symbol are asked for this often while somebody wants them.
EVERY_NS = 10_000_000_000

# What did not change is written again after so long: the last one may have been dropped before it was
# written, or lost by the server since.
AGAIN_NS = 60_000_000_000

# In one request: their names are in its address.
MOST_SYMBOLS = 100

# A symbol that Alpaca does not know would have every request with it refused: it is left out for so long.
ASIDE_NS = 600_000_000_000


class SnapshotState:
    """Whose snapshots one feed is to ask for.

    Mutable: who is wanted, when each is to be asked for next, how many at once, and what was given to be
    written of each, when.
    """

    def __init__(self, every_ns: int | None = None) -> None:
        self._every_ns = EVERY_NS if every_ns is None else every_ns
        self._next_ns: dict[str, int] = {}
        self._at_most = MOST_SYMBOLS
        self._given: dict[str, tuple[bytes, int]] = {}

    def __repr__(self) -> str:
        return f"<snapshots of {len(self._next_ns)} symbols>"

    def want(self, symbols: frozenset[str]) -> None:
        """Ask for these and no others, the new ones as soon as possible."""
        self._next_ns = {symbol: self._next_ns.get(symbol, 0) for symbol in symbols}
        self._given = {symbol: given for symbol, given in self._given.items() if symbol in symbols}

    def due(self, now_ns: int) -> list[str]:
        """The symbols to ask for now, those that have waited longest first; empty for none."""
        found = sorted((next_ns, symbol) for symbol, next_ns in self._next_ns.items() if next_ns <= now_ns)
        return [symbol for _, symbol in found[: self._at_most]]

    def postpone(self, symbols: list[str], now_ns: int) -> None:
        """These were asked for, whatever came of it."""
        for symbol in symbols:
            if symbol in self._next_ns:
                self._next_ns[symbol] = now_ns + self._every_ns

    def refuse(self, symbols: list[str], now_ns: int) -> str | None:
        """A request for these was refused: fewer are asked for at a time until it is known for which one.

        Returns that symbol once it is; it is left out for a while.
        """
        if len(symbols) > 1:
            self._at_most = len(symbols) // 2
            for symbol in symbols:
                self._next_ns[symbol] = 0
            return None
        self._at_most = MOST_SYMBOLS
        self._next_ns[symbols[0]] = now_ns + ASIDE_NS
        return symbols[0]

    def understood(self) -> None:
        """A request was answered: the next may be for more symbols again."""
        self._at_most = min(2 * self._at_most, MOST_SYMBOLS)

    def batch(self, answer: Mapping[str, Any], received_ns: int, feed: str) -> MarketBatch:
        """The entries for what an answer tells that is new, or due again: symbol to its snapshot."""
        self.understood()
        streams: list[str] = []
        values: list[int | bytes] = []
        for symbol, snapshot in answer.items():
            text = _entry(symbol, snapshot)
            if text is None or symbol not in self._next_ns:
                continue
            if is_due(text, self._given.get(symbol), received_ns):
                self._given[symbol] = text, received_ns
                streams.append(market(symbol, CHANNEL))
                # Known when it arrives: its messages are of the past.
                values += (received_ns // 1_000_000, text)
        return MarketBatch(streams, values, received_ns, feed)


def _entry(symbol: str, snapshot: Any) -> bytes | None:
    """A snapshot's last trade and quote as one message; None where it has neither."""
    if not isinstance(snapshot, dict):
        return None
    parts = {
        name: part
        for name, long_name in (("trade", "latestTrade"), ("quote", "latestQuote"))
        if (part := past_message(symbol, snapshot.get(long_name))) is not None
    }
    return orjson.dumps({"S": symbol, **parts}) if parts else None


def is_due(text: bytes, given: tuple[bytes, int] | None, now_ns: int) -> bool:
    """Whether this has to be written; `given` is what was given last, and when."""
    return given is None or text != given[0] or now_ns - given[1] >= AGAIN_NS


def past_message(symbol: str, told: Any) -> dict[str, Any] | None:
    """A trade or quote as the streams have it; None where there is none, or none with a time."""
    if not isinstance(told, dict):
        return None
    try:
        return {**told, "S": symbol, "t": time_ns(str(told.get("t")))}
    except Unreadable:
        return None
