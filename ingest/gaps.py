"""Markers that stand in the streams where a feed broke and where it was whole again. Pure."""

from collections.abc import Mapping

import msgspec

from bus.market_batch import MarketBatch
from bus.market_messages import Gap, GapClosed, GapOpened
from bus.streams import market, market_all_partitions
from ingest.wants import Subscription


def streams(subscription: Subscription) -> list[str]:
    """The streams that a break of this subscription concerns; for `*`, the partitions of all symbols."""
    names: list[str] = []
    for channel, symbols in sorted(subscription.items()):
        for symbol in sorted(symbols):
            names += market_all_partitions(channel) if symbol == "*" else [market(symbol, channel)]
    return names


def opened(since_ns: Mapping[str, int], *, feed: str, at_ns: int, reason: str) -> MarketBatch:
    """GapOpened in each stream: what follows may miss messages since that stream's time."""
    markers = {
        stream: GapOpened(feed=feed, since_ns=since, reason=reason) for stream, since in since_ns.items()
    }
    return _batch(markers, at_ns, feed, "GapOpened")


def closed(markers: Mapping[str, GapClosed], *, feed: str, at_ns: int) -> MarketBatch:
    """GapClosed in each of these streams."""
    return _batch(markers, at_ns, feed, "GapClosed")


def _batch(markers: Mapping[str, Gap], at_ns: int, feed: str, kind: str) -> MarketBatch:
    values: list[int | bytes] = []
    for marker in markers.values():
        values += (at_ns // 1_000_000, msgspec.json.encode(marker))
    return MarketBatch(list(markers), values, at_ns, feed, kind)
