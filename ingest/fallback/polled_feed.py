"""Stocks without a stream: the last trade, quote and bar of what is wanted, asked for again and again."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from bus.clock import Clock
from bus.feed_kinds import REST, STOCKS
from bus.heartbeat import StateReason
from bus.streams import market
from ingest.buffer import Buffer
from ingest.buffered_item import Item
from ingest.data_api.alpaca_snapshots import Snapshots
from ingest.fallback.polled_messages import POLLED, PolledState
from ingest.gaps import gap_entries
from ingest.gaps.gap_marks import GapMarks
from ingest.streams.stream_reasons import refusals
from ingest.streams.subscription import Refusal, SubscriptionState
from ingest.wants import Subscription

_NEVER_NS = 2**63

_NOT_POLLED = "no stream of stocks is to be had, and this cannot be asked for over HTTP"

# How often it is looked whether answers come.
LOOK_S = 0.5


class PolledFeed:
    """What stands in where no stream is to be had. Its streams miss messages, so their gaps stay open.

    Mutable: what is wanted, how the API answers, and the gaps.
    """

    def __init__(
        self,
        asking: Callable[[PolledState], Snapshots],
        buffer: Buffer[Item],
        clock: Clock,
        *,
        bar_ns: int,
        open_gaps: Mapping[str, int],
    ) -> None:
        self.kind = STOCKS
        self.name = REST
        self.subscription = SubscriptionState()
        self.subscription.connected()  # What is wanted is asked for at once, or refused.
        self.heard: set[str] = set()
        self.live = False
        self.connects = 0
        self.gaps = 0
        self.since_ns = clock.now_ns()
        self.trouble: StateReason | None = None
        self.marks = GapMarks(REST, buffer, clock, open_gaps)
        self._now_ns = clock.now_ns
        self._state = PolledState(bar_ns)
        self._snapshots = asking(self._state)

    def __repr__(self) -> str:
        return f"{self.name} {'live' if self.live else 'down'}, {self.subscription!r}, {self.gaps} gaps"

    @property
    def refusals(self) -> tuple[StateReason, ...]:
        """What cannot be polled though it is wanted."""
        return refusals(self.subscription.refused)

    @property
    def carried(self) -> list[str]:
        """The streams that are written now, if anything comes for them."""
        return gap_entries.streams(self.subscription.acknowledged)

    def want(self, wanted: Subscription) -> None:
        """Ask for exactly this."""
        if wanted == self.subscription.wanted:
            return
        subscription = self.subscription
        subscription.want(wanted)
        pairs = frozenset((channel, symbol) for channel, symbols in wanted.items() for symbol in symbols)
        polled = frozenset(pair for pair in pairs if pair[0] in POLLED and pair[1] != "*")
        subscription.refused = {pair: Refusal(None, _NOT_POLLED, 1, _NEVER_NS) for pair in pairs - polled}
        subscription.acknowledged = {
            channel: frozenset(symbol for name, symbol in polled if name == channel)
            for channel in sorted({name for name, _ in polled})
        }
        self.open_gap(
            dict.fromkeys(gap_entries.streams(wanted), self._now_ns()),
            "no stream is to be had: only the last trade, quote and bar are asked for",
        )
        since_ns = self.marks.open
        self._state.want_pairs({pair: since_ns[market(pair[1], pair[0])] for pair in polled})

    def open_gap(self, since_ns: dict[str, int], reason: str) -> None:
        """Say in these streams that messages are missing since these times."""
        if self.marks.mark(since_ns, reason):
            self.gaps += 1

    def hold_gap(self, since_ns: dict[str, int], reason: str) -> None:
        """The same: the gaps are open until a stream is back."""
        self.open_gap(since_ns, reason)

    def release_gap(self, streams: Iterable[str]) -> None:
        """Nothing is whole by that."""

    def broke(self, reason: str) -> None:
        """It ends; its gaps are open already."""
        self.live = False

    async def run(self) -> None:
        """Ask until cancelled."""
        asking = asyncio.create_task(self._snapshots.run(), name="polling")
        try:
            while not asking.done():
                self._look()
                await asyncio.sleep(LOOK_S)
            asking.result()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _look(self) -> None:
        why, was_live = self._snapshots.trouble, self.live
        self.live = self._snapshots.is_answered and not why
        self.trouble = StateReason("not_connected", why) if why else None
        if self.live != was_live:
            self.since_ns = self._now_ns()
            self.connects += self.live
