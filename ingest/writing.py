"""From the buffers to the servers: market frames split and written, broker messages appended, in order."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any

import structlog

from bus.errors import Fenced
from bus.lease_keeper import LeaseKeeper
from bus.market_batch import BACKFILLED, MarketBatch
from bus.market_messages import GapClosed, GapOpened
from bus.market_writer import MarketWriter
from bus.publish import Publisher
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Missing, PassedOver, Resumed, Turn
from ingest.frames import Kept, split
from ingest.gaps.gap_filler import GapFiller
from ingest.streams.alpaca_account import BrokerMessage

# Enough to see what is wrong with a feed; what comes beyond is counted.
MOST_KEPT = 1000

# Batches looked through for last prices when somebody asks, and how far apart they are taken: the look is
# cheap because most batches are not kept.
RECENT = 64
SAMPLE_NS = 5_000_000

# Names of streams are kept for so many frames at most: those of a second, at any rate there is.
MOST_PASSED = 50_000

# How long the end waits for what is buffered to be written.
FLUSH_S = 5.0

# One script for so many broker messages at most.
MESSAGES_AT_ONCE = 100

log = structlog.get_logger()


class FrameWriter:
    """Writes what one market feed received, in one script what waits together.

    Mutable: the counts, which go on from turn to turn; what was taken and is not written yet; the messages
    kept aside; a sample of what was written; the names of the streams of each frame, until whoever watches
    for silence takes them.
    """

    def __init__(self, bar_ns: int) -> None:
        self.messages_in = 0
        self.unreadable = 0
        self.kept: deque[tuple[str, int, Kept]] = deque(maxlen=MOST_KEPT)
        self.recent: deque[MarketBatch] = deque(maxlen=RECENT)
        self.passed: deque[list[str]] = deque(maxlen=MOST_PASSED)
        # Taken together and not written yet; the writer has the first of them.
        self._left: deque[MarketBatch] = deque()
        # Under way when the server lost what was before them, and not written anew yet.
        self._taken_back: deque[MarketBatch] = deque()
        # Taken, and its gaps are not kept yet on the server.
        self._resumed: Resumed | None = None
        self._bar_ns = bar_ns

    async def run(
        self,
        buffer: Buffer[Item],
        writer: MarketWriter,
        keeper: LeaseKeeper,
        filler: GapFiller,
        carried: Callable[[], Collection[str]],
    ) -> None:
        """Write what comes until cancelled. Raises Fenced when another ingest writes, ServerRefused.

        `carried` names the streams that a loss concerns.
        """
        self._left.clear()
        self._taken_back.clear()
        self._resumed = None
        take, gather, held, bar_ns = buffer.take, writer.gather, filler.held, self._bar_ns
        next_sample_ns, passed = 0, self.passed.append
        while True:
            if type(buffer.next_item) is not tuple:
                await writer.leave()
                if writer.lost:
                    await self._begin_anew(writer, keeper, filler, carried())
            item = await take()
            if type(item) is tuple:
                feed, received_ns, frame = item
                batch, kept, messages = split(
                    frame, received_ns, feed.wildcards, bar_ns=bar_ns, feed=feed.name
                )
                self.messages_in += messages
                if feed.wildcards:
                    feed.heard.update(batch.streams)
                passed(batch.streams)
                if received_ns >= next_sample_ns:
                    self.recent.append(batch)
                    next_sample_ns = received_ns + SAMPLE_NS
                if kept:
                    self._keep(feed.name, received_ns, kept)
                if held:
                    await self._write_all(held.hold(batch), writer, keeper)
                else:
                    try:
                        await gather(batch)
                    except Fenced:
                        await _regain(writer, keeper)
                        await _write(batch, writer, keeper)
            elif isinstance(item, MarketBatch):
                # What is held of a stream came before a gap that opens in it, and waits for all else.
                opens = item.marker == GapOpened.__name__
                batches = (*held.released(item.streams), item) if opens else held.hold(item)
                await self._write_all(batches, writer, keeper)
            elif isinstance(item, PassedOver):
                self._keep(item.feed, item.received_ns, [item.kept])
            elif isinstance(item, Missing):
                await self._tell_missing(item, writer, keeper, filler, carried())
            elif isinstance(item, Turn):
                # It may go by what the streams have.
                await _drain(writer, keeper)
                if writer.lost:
                    await self._begin_anew(writer, keeper, filler, carried())
                await self._write_all(item.write(), writer, keeper, one_by_one=True)
            elif isinstance(item, Resumed):
                await self._resume(item, writer, keeper, filler)
            else:
                await _drain(writer, keeper)
                if not held and not writer.lost:
                    buffer.confirm()
            if writer.lost:
                await self._begin_anew(writer, keeper, filler, carried())
            if isinstance(item, Turn):
                item.written()

    def in_flight(self, writer: MarketWriter, filler: GapFiller) -> list[MarketBatch | Resumed]:
        """What was taken and the server may lack, but for what is asked of history again.

        A gap whose messages and closing marker are not written is open still, and is filled anew.
        """
        taken = (*self._taken_back, *writer.under_way, *islice(self._left, 1, None), *filler.held.batches)
        kept = (batch for batch in taken if batch.marker not in (BACKFILLED, GapClosed.__name__))
        return [*kept, *([] if self._resumed is None else [self._resumed])]

    async def _resume(
        self, resumed: Resumed, writer: MarketWriter, keeper: LeaseKeeper, filler: GapFiller
    ) -> None:
        """Begin to fill gaps, once all before them is written; nothing where the server lost that."""
        self._resumed = resumed
        await _drain(writer, keeper)
        closed = [] if writer.lost else await filler.resume(resumed)
        self._resumed = None
        await self._write_all(closed, writer, keeper)

    async def _tell_missing(
        self,
        missing: Missing,
        writer: MarketWriter,
        keeper: LeaseKeeper,
        filler: GapFiller,
        carried: Collection[str],
    ) -> None:
        """A gap in all streams concerned, filled as any other."""
        streams = dict.fromkeys((*carried, *missing.streams))
        await self._write_all(filler.held.released(streams), writer, keeper)
        await _drain(writer, keeper)
        opened, resumed = await filler.lost(streams, missing.reason)
        await _write(opened, writer, keeper)
        # Where the server lost something too, all is told from the end of each stream on.
        await self._resume(resumed, writer, keeper, filler)

    async def _write_all(
        self,
        batches: Iterable[MarketBatch],
        writer: MarketWriter,
        keeper: LeaseKeeper,
        *,
        one_by_one: bool = False,
    ) -> None:
        """Write these in their order.

        `one_by_one`: each when the one before is there, and the last is there at the end. Of several under
        way a server at its limit may refuse one and take the next: what was missed would stand behind what
        came live, and behind its GapClosed.
        """
        self._left = deque(batches)
        while self._left:
            await _write(self._left[0], writer, keeper)
            if one_by_one:
                await _drain(writer, keeper)
            self._left.popleft()

    async def _begin_anew(
        self, writer: MarketWriter, keeper: LeaseKeeper, filler: GapFiller, carried: Collection[str]
    ) -> None:
        """The server lost what it had confirmed: a gap, filled as any other; then what was under way."""
        opened: MarketBatch | None = None
        while writer.lost:
            self._taken_back += (one for one in writer.taken_back() if one is not opened)
            opened, resumed = await filler.lost(carried, "the market-data server lost what it had confirmed")
            self._resumed = resumed
            await _write(opened, writer, keeper)
            await _drain(writer, keeper)
        for batch in await filler.resume(resumed):
            await _write(batch, writer, keeper)
        self._resumed = None
        while self._taken_back:
            for goes in filler.held.hold(self._taken_back[0]):
                await _write(goes, writer, keeper)
            self._taken_back.popleft()

    def _keep(self, feed: str, received_ns: int, kept: list[Kept]) -> None:
        self.unreadable += len(kept)
        for one in kept:
            self.kept.append((feed, received_ns, one))
        log.error("market messages not understood", feed=feed, count=len(kept), reason=kept[0].reason)


class UpdateWriter:
    """Appends broker messages to the account's stream, in order, each once, none dropped.

    Mutable: those that are `under_way`.
    """

    def __init__(
        self, stream: str, buffer: Buffer[BrokerMessage], publisher: Publisher, keeper: LeaseKeeper
    ) -> None:
        self._stream = stream
        self._buffer = buffer
        self._publisher = publisher
        self._keeper = keeper
        self.under_way: list[BrokerMessage] = []

    async def run(self) -> None:
        """Append until cancelled. Raises Fenced when another ingest writes, ServerRefused."""
        while True:
            self.under_way = messages = await self._buffer.take_some(MESSAGES_AT_ONCE)
            while True:
                value = self._keeper.lease.value
                try:
                    await self._publisher.append([(self._stream, message) for message in messages])
                    break
                except Fenced:
                    await self._keeper.regain(value)
            self.under_way = []
            self._buffer.confirm()


async def until_done(writing: "asyncio.Task[None]") -> None:
    """Raise what ends a task that writes; a wait that is cancelled leaves it at work."""
    await asyncio.wait({writing})
    writing.result()


async def flushed(buffer: Buffer[Any], writing: "asyncio.Task[None]") -> bool:
    """Give what is buffered FLUSH_S to be written; False where that was not enough."""
    deadline = time.monotonic() + FLUSH_S
    while not buffer.idle and not writing.done():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def _write(batch: MarketBatch, writer: MarketWriter, keeper: LeaseKeeper) -> None:
    while True:
        try:
            await writer.write(batch)
            return
        except Fenced:
            # Raised before the batch was sent, for one that was under way.
            await _regain(writer, keeper)


async def _drain(writer: MarketWriter, keeper: LeaseKeeper) -> None:
    """Wait until everything that was taken is written."""
    if not keeper.lease.value:
        await _regain(writer, keeper)
    while True:
        try:
            await writer.drain()
            return
        except Fenced:
            await _regain(writer, keeper)


async def _regain(writer: MarketWriter, keeper: LeaseKeeper) -> None:
    """The lease ran out: with a new one, whatever is not there yet is sent again."""
    while True:
        await keeper.regain(keeper.lease.value)
        try:
            await writer.resume()
            return
        except Fenced:
            continue
