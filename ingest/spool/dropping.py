"""What a market feed drops where its spool has no room: quotes first, then all else but markers."""

from collections import Counter
from collections.abc import Callable, Iterable

from bus.market_batch import MarketBatch
from bus.streams import market_channel
from ingest.buffered_item import Item, PassedOver
from ingest.frames import split

# Of the spool that is in use: from when on quotes are dropped, and all else; and when each is kept again.
QUOTES_FROM, QUOTES_AGAIN = 0.75, 0.5
ALL_FROM, ALL_AGAIN = 1.0, 0.875

# There are many of them, and each makes the one before it worthless.
_QUOTES = frozenset({"quotes", "orderbooks"})

REASON = "dropped: the spool is full"


class Dropping:
    """Drops the newest messages while the spool is full, each counted by its channel.

    `open_gap` is told the streams concerned, each with the time since which messages are missing, and
    `close_gap` once they are kept again. Mutable: what is dropped now, the counts, the streams concerned.
    """

    def __init__(
        self,
        open_gap: Callable[[dict[str, int], str], None],
        close_gap: Callable[[Iterable[str]], None],
        bar_ns: int,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self.drops_quotes = self.drops_all = False
        self._open_gap = open_gap
        self._close_gap = close_gap
        self._bar_ns = bar_ns
        # The stamp before what was dropped, by stream: told, and not told yet.
        self._open: dict[str, int] = {}
        self._new: dict[str, int] = {}
        self._kept_ns = 0

    def __repr__(self) -> str:
        what = "all" if self.drops_all else "quotes" if self.drops_quotes else "nothing"
        return f"drops {what}, dropped {self.dropped.total()}"

    def kept(self, items: Iterable[Item], used: float) -> Iterable[Item]:
        """What of these is spooled while so much of the spool is in use."""
        self._decide(used)
        if not self.drops_quotes:
            return items
        return [one for item in items for one in self._lessened(item)]

    def tell(self, stamp_ns: int, used: float) -> None:
        """Open gaps for what was dropped, close those of what is kept again; `stamp_ns`: the last kept."""
        self._decide(used)
        new, self._new = self._new, {}
        if new:
            self._open |= new
            self._open_gap(new, REASON)
        self._kept_ns = stamp_ns
        whole = [stream for stream in self._open if not self._drops(stream)]
        if whole:
            for stream in whole:
                del self._open[stream]
            self._close_gap(whole)

    def _decide(self, used: float) -> None:
        self.drops_quotes = used >= (QUOTES_AGAIN if self.drops_quotes else QUOTES_FROM)
        self.drops_all = used >= (ALL_AGAIN if self.drops_all else ALL_FROM)

    def _drops(self, stream: str) -> bool:
        return self.drops_all or (self.drops_quotes and market_channel(stream) in _QUOTES)

    def _lessened(self, item: Item) -> list[Item]:
        """An item less what is dropped of it; nothing where all is."""
        if isinstance(item, tuple):
            feed, received_ns, frame = item
            batch, kept, _ = split(frame, received_ns, feed.wildcards, bar_ns=self._bar_ns, feed=feed.name)
            found: list[Item] = [PassedOver(feed.name, received_ns, one) for one in kept]
        elif isinstance(item, MarketBatch) and not item.marker:
            batch, found = item, []
        else:
            return [item]
        streams: list[str] = []
        values: list[int | bytes] = []
        for number, stream in enumerate(batch.streams):
            if self._drops(stream):
                self.dropped[market_channel(stream)] += not stream.startswith("md-all")
                if stream not in self._open:
                    self._new.setdefault(stream, self._kept_ns or batch.received_ns)
            else:
                streams.append(stream)
                values += batch.values[2 * number : 2 * number + 2]
        if streams:
            found.append(MarketBatch(streams, values, batch.received_ns, batch.feed))
        return found
