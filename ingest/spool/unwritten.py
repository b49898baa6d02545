"""What of the frames that an earlier process left in its spool is not in the streams yet."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bus.connection import Client
from bus.errors import ServerAway, ServerRefused
from bus.feed_kinds import REST
from bus.market_batch import MarketBatch
from bus.outage import Outage
from bus.retry import until_answered
from bus.streams import market_parts
from ingest.buffered_item import Item, Missing
from ingest.frames import split
from ingest.spool.market_records import MarketRecords

# Entries read at once: at first, as most streams end with a message, and behind that.
_FIRST, _PAGE = 20, 1000

Page = list[tuple[bytes, dict[bytes, bytes]]]


class _End(NamedTuple):
    """The end of a stream: when its last live message was received, and what else stands behind that."""

    received_ns: int
    markers: frozenset[int]

    def has(self, batch: MarketBatch) -> bool:
        """Whether a batch of this stream is written. Each stream is written in its order."""
        return batch.received_ns <= self.received_ns or batch.received_ns in self.markers


class Unwritten:
    """Compares with the streams what an earlier process of one feed left.

    A stream that has something newer is left as it is: nothing is written into its middle. Mutable: the ends
    of the streams as they were before this process wrote, and `left_out`, entries for which they were too
    new: another ingest wrote there.
    """

    def __init__(self, client: Client, records: MarketRecords, feed: str, bar_ns: int) -> None:
        self.left_out = 0
        self._client = client
        self._records = records
        # Those whose entries count in the streams of all symbols, into which feeds of other kinds write too.
        self._feeds = {feed.encode()}
        self._bar_ns = bar_ns
        self._ends: dict[str, _End] = {}
        self._not_compared = Outage("spool of an earlier run not compared yet", feed=feed)

    def __repr__(self) -> str:
        return f"<compared with {len(self._ends)} streams, {self.left_out} entries left out>"

    async def of(self, items: Sequence[Item]) -> list[Item]:
        """What of these items is to be written; waits for a server that is away."""
        batches = [self._batch(item) for item in items]
        self._feeds |= {batch.feed.encode() for batch in batches if batch is not None}
        streams = {stream for batch in batches if batch is not None for stream in batch.streams}
        if new := sorted(streams - self._ends.keys()):
            ends = await until_answered(
                lambda: self._read(new),
                stopping=None,
                tell=self._not_compared.goes_on,
                away=(ServerAway, ServerRefused),
            )
            self._not_compared.ended()
            self._ends |= ends or {}
        found: list[Item] = []
        for item, batch in zip(items, batches, strict=True):
            if isinstance(item, Missing):
                # What is carried is known only once readers say what they want.
                item = Missing(item.reason, tuple(sorted(self._ends)))
            found += [item] if batch is None else self._lacking(item, batch)
        return found

    def _batch(self, item: Item) -> MarketBatch | None:
        """What is written of an item; None where that is nothing."""
        if isinstance(item, tuple):
            feed, received_ns, frame = item
            return split(frame, received_ns, feed.wildcards, bar_ns=self._bar_ns, feed=feed.name).batch
        return item if isinstance(item, MarketBatch) else None

    def _lacking(self, item: Item, batch: MarketBatch) -> list[Item]:
        """The item where all of it is to be written, that part of it which is, or nothing."""
        lacking = [n for n, stream in enumerate(batch.streams) if not self._ends[stream].has(batch)]
        self.left_out += sum(
            self._ends[stream].received_ns > self._records.left_off.last_ns for stream in batch.streams
        )
        if len(lacking) == len(batch.streams):
            return [item]
        if not lacking:
            return []
        streams = [batch.streams[n] for n in lacking]
        values = [value for n in lacking for value in batch.values[2 * n : 2 * n + 2]]
        return [MarketBatch(streams, values, batch.received_ns, batch.feed, batch.marker)]

    async def _read(self, streams: Sequence[str]) -> Mapping[str, _End]:
        pipeline = self._client.pipeline(transaction=False)
        for stream in streams:
            pipeline.xrevrange(stream, count=_FIRST)
        pages = await pipeline.execute()
        return {stream: await self._end(stream, page) for stream, page in zip(streams, pages, strict=True)}

    async def _end(self, stream: str, page: Page) -> _End:
        markers: set[int] = set()
        is_of_all = market_parts(stream)[0] == "*"
        while page:
            for _, fields in page:
                feed = fields.get(b"feed", b"")
                # Last trades that are asked for go on with nothing; any stream of a symbol's does.
                is_others = feed and feed not in self._feeds
                if is_others and (is_of_all or feed == REST.encode()):
                    continue
                received_ns = int(fields.get(b"r", b"0"))
                if b"type" not in fields and b"b" not in fields:
                    return _End(received_ns, frozenset(markers))
                markers.add(received_ns)
            page = await self._client.xrevrange(stream, max=f"({page[-1][0].decode()}", count=_PAGE)
        return _End(0, frozenset(markers))
