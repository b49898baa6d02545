"""What ingest says of itself in its heartbeat."""

from collections import deque
from collections.abc import Iterable, Mapping

import orjson

from bus.clock import Clock
from bus.heartbeat import FeedDetails, IngestCounters, IngestDetails, State, StateReason
from bus.market_batch import MarketBatch
from bus.service import Service
from bus.streams import market_channel
from ingest.alpaca_account import AccountFeed
from ingest.alpaca_market import Item, MarketFeed
from ingest.buffer import Buffer
from ingest.pump import MarketPump

# Ticks a second are the mean over so many refreshes.
RATE_OVER = 4

# Where a message of a channel has its price.
_PRICE = {"trades": "p", "bars": "c"}


class Report:
    """Collects counters and details; looks at messages only when asked, never as they pass."""

    def __init__(
        self,
        feeds: Mapping[str, MarketFeed],
        updates: AccountFeed,
        pump: MarketPump,
        frames: Buffer[Item],
        clock: Clock,
    ) -> None:
        self.refused: tuple[str, ...] = ()
        self._feeds = feeds
        self._updates = updates
        self._pump = pump
        self._frames = frames
        self._clock = clock
        self._prices: dict[str, str] = {}
        self._history: deque[tuple[int, int]] = deque(maxlen=RATE_OVER + 1)

    def refresh(self, service: Service) -> None:
        """Put the present figures into the heartbeat."""
        self._prices |= last_prices(self._pump.recent)
        feeds = {kind: feed_details(feed) for kind, feed in self._connections().items()}
        service.tell(*overall(feeds))
        service.details = IngestDetails(
            feeds=feeds,
            subscribed=self._subscribed(),
            last_prices=dict(self._prices),
            refused_wants=self.refused,
            ticks_per_second=self._rate(),
            counters=IngestCounters(
                messages_in=self._pump.messages_in,
                gaps=sum(feed.gaps for feed in self._feeds.values()),
                unreadable=self._pump.unreadable,
                stalls=self._frames.stalls,
                buffered_frames=len(self._frames),
            ),
        )

    def _rate(self) -> float:
        self._history.append((self._clock.monotonic_ns(), self._pump.messages_in))
        (then_ns, then), (now_ns, now) = self._history[0], self._history[-1]
        return round((now - then) * 1e9 / (now_ns - then_ns), 1) if now_ns > then_ns else 0.0

    def _subscribed(self) -> dict[str, list[str]]:
        channels: dict[str, set[str]] = {}
        for feed in self._feeds.values():
            for channel, symbols in feed.subscription.acknowledged.items():
                channels.setdefault(channel, set()).update(symbols)
        return {channel: sorted(symbols) for channel, symbols in sorted(channels.items())}

    def _connections(self) -> dict[str, MarketFeed | AccountFeed]:
        """What is connected or should be; a feed that nobody ever wanted is not."""
        used: dict[str, MarketFeed | AccountFeed] = {
            kind: feed for kind, feed in self._feeds.items() if feed.connects or feed.subscription.wanted
        }
        used["account"] = self._updates
        return used


def feed_details(feed: MarketFeed | AccountFeed) -> FeedDetails:
    """How one feed stands: ready while it is connected and nothing is wrong with it."""
    state = State.READY
    if not feed.live:
        state = State.DEGRADED if feed.connects or feed.trouble else State.STARTING
    elif feed.trouble is not None:
        state = State.DEGRADED
    return FeedDetails(
        feed=feed.name,
        state=state,
        reasons=(feed.trouble,) if feed.trouble is not None else (),
        connected=feed.live,
        connects=feed.connects,
        since_ns=feed.since_ns,
    )


def overall(feeds: Mapping[str, FeedDetails]) -> tuple[State, *tuple[StateReason, ...]]:
    """The state of the whole, and the reasons of its feeds: as bad as the worst of them."""
    reasons = tuple(reason for feed in feeds.values() for reason in feed.reasons)
    if any(feed.state is State.DEGRADED for feed in feeds.values()):
        return State.DEGRADED, *reasons
    return State.READY, *reasons


def last_prices(batches: Iterable[MarketBatch]) -> dict[str, str]:
    """The last price of each symbol that traded, or had a bar, in these batches; oldest batch first."""
    prices: dict[str, str] = {}
    for batch in batches:
        for stream, data in zip(batch.streams, batch.values[1::2], strict=True):
            field = _PRICE.get(market_channel(stream))
            if field is not None:
                message = orjson.loads(data)  # type: ignore[arg-type]
                if field in message:
                    prices[message["S"]] = str(message[field])
    return prices
