"""What ingest says of itself in its heartbeat."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

import orjson

from bus.clock import Clock
from bus.heartbeat import (
    FeedDetails,
    IngestCounters,
    IngestDetails,
    State,
    StateReason,
    WaitingDetails,
)
from bus.market_batch import MarketBatch
from bus.service import Service
from bus.streams import WRITE_PROBE, market_channel
from ingest.fallback.served_feed import ServedFeed
from ingest.leased_feed import LeasedFeed
from ingest.retention.trimming import Trimmer
from ingest.streams.alpaca_account import AccountFeed
from ingest.streams.stream_reasons import FEED_REFUSED

# Ticks a second are the mean over so many refreshes.
RATE_OVER = 4

# Where a message of a channel has its price.
_PRICE = {"trades": "p", "bars": "c"}


class Report:
    """Collects counters and details; looks at messages only when asked, never as they pass.

    `refused` says in sentences what of the wants no feed carries, `unasked` what of it Alpaca is not even
    asked for; `wants_trouble` is why the wants may not be those of now, `account_waits` why trade updates are
    not served now; None while all is well. `left_spools` says what lies on disk and nobody writes. Mutable:
    these five, prices, and what a rate is made of.
    """

    def __init__(
        self,
        feeds: Mapping[str, LeasedFeed],
        account_details: Callable[[], FeedDetails],
        trimmer: Trimmer,
        clock: Clock,
    ) -> None:
        self.refused: tuple[str, ...] = ()
        self.unasked: tuple[str, ...] = ()
        self.wants_trouble: StateReason | None = None
        self.account_waits: StateReason | None = StateReason("starting", "trade updates have not begun")
        self.left_spools: tuple[StateReason, ...] = ()
        self._feeds = feeds
        self._account_details = account_details
        self._trimmer = trimmer
        self._clock = clock
        self._prices: dict[str, str] = {}
        self._history: deque[tuple[int, int]] = deque(maxlen=RATE_OVER + 1)

    def refresh(self, service: Service) -> None:
        """Put the present figures into the heartbeat."""
        for leased in self._feeds.values():
            self._prices |= last_prices(leased.writing.recent)
            leased.writing.recent.clear()
        feeds = self._feed_details()
        if not service.stopping.is_set():
            others = *self._unasked(), *self._trimmer.reasons, *self.left_spools
            service.tell(*overall(feeds, self.wants_trouble), *others)
        service.details = IngestDetails(
            feeds=feeds,
            subscribed=self._subscribed(),
            last_prices=dict(self._prices),
            refused_wants=self.refused,
            ticks_per_second=self._rate(),
            retention=self._trimmer.details,
            counters=IngestCounters(
                **sum((Counter(leased.totals()) for leased in self._feeds.values()), Counter()),
                buffered_frames=sum(len(leased.frames) for leased in self._feeds.values()),
            ),
        )

    def _unasked(self) -> tuple[StateReason, ...]:
        return tuple(StateReason("want_refused", sentence) for sentence in self.unasked)

    def _messages_in(self) -> int:
        return sum(leased.writing.messages_in for leased in self._feeds.values())

    def _rate(self) -> float:
        self._history.append((self._clock.monotonic_ns(), self._messages_in()))
        (then_ns, then), (now_ns, now) = self._history[0], self._history[-1]
        return round((now - then) * 1e9 / (now_ns - then_ns), 1) if now_ns > then_ns else 0.0

    def _subscribed(self) -> dict[str, list[str]]:
        channels: dict[str, set[str]] = {}
        for leased in self._feeds.values():
            for channel, symbols in leased.feed.subscription.acknowledged.items():
                channels.setdefault(channel, set()).update(symbols)
        return {channel: sorted(symbols) for channel, symbols in sorted(channels.items())}

    def _feed_details(self) -> dict[str, FeedDetails]:
        """What is connected, should be, or is another ingest's; a feed that nobody ever wanted is not."""
        found = {
            kind: feed_details(
                leased.feed, leased.waits, leased.waiting, leased.waiting_reasons, leased.reasons
            )
            for kind, leased in self._feeds.items()
            if leased.waits is not None or leased.feed.connects or leased.feed.subscription.wanted
        }
        return found | {"account": self._account_details()}


def feed_details(
    feed: ServedFeed | AccountFeed,
    waits: StateReason | None,
    waiting: WaitingDetails,
    waiting_reasons: tuple[StateReason, ...],
    noticed: tuple[StateReason, ...] = (),
) -> FeedDetails:
    """How one feed stands: ready while it is connected and nothing is wrong with it, its server, its gaps.

    `noticed` is what those say who watch it.
    """
    wrong = noticed if isinstance(feed, AccountFeed) else (*noticed, *feed.refusals)
    state = State.READY
    if waits is not None:
        # What is refused is had from nobody.
        state = State.DEGRADED if waits.code in FEED_REFUSED else State.WAITING
    elif not feed.live:
        state = State.DEGRADED if feed.connects or feed.trouble else State.STARTING
    elif feed.trouble is not None or waiting_reasons or wrong:
        state = State.DEGRADED
    return FeedDetails(
        feed=feed.name,
        state=state,
        reasons=tuple(one for one in (waits, *waiting_reasons, feed.trouble, *wrong) if one is not None),
        connected=feed.live,
        connects=feed.connects,
        since_ns=feed.since_ns,
        waiting=waiting,
    )


def wants_trouble(unread: str, writes_unknown: str) -> StateReason | None:
    """What is wrong with the reading of wants, out of what the server says; None where nothing is."""
    if unread:
        return StateReason("wants_unread", f"what readers want cannot be read and stays as it was: {unread}")
    if writes_unknown:
        sentence = (
            "wants that nobody can renew cannot be told from those that were given up, as long as ingest's "
            f"user may not SET {WRITE_PROBE} on the orders server: {writes_unknown}"
        )
        return StateReason("wants_unread", sentence)
    return None


def overall(
    feeds: Mapping[str, FeedDetails], trouble: StateReason | None = None
) -> tuple[State, *tuple[StateReason, ...]]:
    """The state of the whole, and the reasons of its feeds behind a `trouble` of all of them.

    Degraded while one is, or all are; otherwise ready while it serves any: what it waits for, another ingest
    serves.
    """
    own = () if trouble is None else (trouble,)
    reasons = tuple(dict.fromkeys((*own, *(reason for feed in feeds.values() for reason in feed.reasons))))
    states = {feed.state for feed in feeds.values()} | ({State.DEGRADED} if own else set())
    for state in (State.DEGRADED, State.READY, State.STARTING):
        if state in states:
            return state, *reasons
    return State.WAITING, *reasons


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
