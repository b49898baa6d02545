"""Markers that stand in the streams where a feed broke and where it was whole again. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from bus.market_batch import MarketBatch
from bus.market_messages import Gap, GapClosed, GapOpened
from bus.streams import market, market_all_partitions, market_parts
from ingest.wants import Subscription


def streams(subscription: Subscription, heard: Iterable[str] = ()) -> list[str]:
    """The streams that a break of this subscription concerns.

    For `*` these are the partitions of all symbols, and of the streams `heard` those of its channel.
    """
    names: dict[str, None] = {}
    for channel, symbols in sorted(subscription.items()):
        for symbol in sorted(symbols):
            some = market_all_partitions(channel) if symbol == "*" else (market(symbol, channel),)
            names |= dict.fromkeys(some)
    of_all = {channel for channel, symbols in subscription.items() if "*" in symbols}
    if of_all:
        names |= dict.fromkeys(stream for stream in sorted(heard) if market_parts(stream)[1] in of_all)
    return list(names)


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
