"""Markers that stand in the streams where a feed broke and where it was whole again. Pure."""

import msgspec

from bus.market_messages import GapClosed, GapOpened
from bus.publish import MarketBatch
from bus.streams import market, market_all_partitions
from ingest.wants import Subscription


def streams(subscription: Subscription) -> list[str]:
    """The streams that a break of this subscription concerns; for `*`, the partitions of all symbols."""
    names: list[str] = []
    for channel, symbols in sorted(subscription.items()):
        for symbol in sorted(symbols):
            names += market_all_partitions(channel) if symbol == "*" else [market(symbol, channel)]
    return names


def opened(names: list[str], *, feed: str, since_ns: int, at_ns: int, reason: str) -> MarketBatch:
    """GapOpened in each stream: what follows may miss messages since `since_ns`."""
    return _marked(names, GapOpened(feed=feed, since_ns=since_ns, reason=reason), at_ns, feed)


def closed(names: list[str], *, feed: str, since_ns: int, until_ns: int, at_ns: int) -> MarketBatch:
    """GapClosed in each stream: what was missed lies between `since_ns` and `until_ns`."""
    return _marked(names, GapClosed(feed=feed, since_ns=since_ns, until_ns=until_ns), at_ns, feed)


def _marked(names: list[str], message: GapOpened | GapClosed, at_ns: int, feed: str) -> MarketBatch:
    values: list[int | bytes] = [at_ns // 1_000_000, msgspec.json.encode(message)]
    return MarketBatch(list(names), values * len(names), at_ns, feed, type(message).__name__)
