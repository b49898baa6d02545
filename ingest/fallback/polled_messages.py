"""Last trades, quotes and bars, as a snapshot tells them, to entries of the streams that carry such. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from bus.market_batch import MarketBatch
from bus.streams import market
from ingest.data_api.snapshots import SnapshotState, is_due, past_message

# Each channel that can be polled: its part of a snapshot, and the type of its messages.
POLLED = {
    "trades": ("latestTrade", "t"),
    "quotes": ("latestQuote", "q"),
    "bars": ("minuteBar", "b"),
    "dailyBars": ("dailyBar", "d"),
}

# The same symbol is asked for no more often.
EVERY_NS = 1_000_000_000

Pair = tuple[str, str]


class PolledState(SnapshotState):
    """Whose last messages are to be asked for.

    Mutable besides: which channels of them are wanted, each with the time since which it is news: what is
    last may be of the month before last, or was heard already.
    """

    def __init__(self, bar_ns: int) -> None:
        super().__init__(EVERY_NS)
        self._bar_ns = bar_ns
        self._since_ns: dict[Pair, int] = {}
        self._last: dict[Pair, tuple[bytes, int]] = {}

    def want_pairs(self, since_ns: Mapping[Pair, int]) -> None:
        """Ask for these channels of these symbols, and no others."""
        self._since_ns = dict(since_ns)
        self._last = {pair: given for pair, given in self._last.items() if pair in since_ns}
        self.want(frozenset(symbol for _, symbol in since_ns))

    def batch(self, answer: Mapping[str, Any], received_ns: int, feed: str) -> MarketBatch:
        """The entries for what an answer tells that is new; nobody knew any of it before it came.

        A quote that stands is written again now and then. A trade or bar is not, or it would count twice: one
        that was lost on the way is in the gap, which is filled once a stream is back.
        """
        self.understood()
        streams: list[str] = []
        values: list[int | bytes] = []
        for symbol, snapshot in answer.items():
            for channel, (part, kind) in POLLED.items():
                pair = channel, symbol
                if pair not in self._since_ns or not isinstance(snapshot, dict):
                    continue
                message = past_message(symbol, snapshot.get(part))
                if message is None or not self._is_news(pair, message["t"], received_ns):
                    continue
                text = orjson.dumps({"T": kind, **message})
                given = self._last.get(pair)
                stands = channel == "quotes" and is_due(text, given, received_ns)
                if stands or given is None or text != given[0]:
                    self._last[pair] = text, received_ns
                    streams.append(market(symbol, channel))
                    values += (received_ns // 1_000_000, text)
        return MarketBatch(streams, values, received_ns, feed)

    def _is_news(self, pair: Pair, at_ns: int, received_ns: int) -> bool:
        channel, _ = pair
        if channel == "dailyBars":
            return True
        if channel == "bars":
            return self._since_ns[pair] < at_ns + self._bar_ns <= received_ns
        return at_ns > self._since_ns[pair]
