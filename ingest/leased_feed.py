"""One market feed under a lease of its own: received, split and written for as long as the lease is ours."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from bus.clock import Clock
from bus.connection import Client
from bus.errors import Fenced
from bus.feed_kinds import STOCKS
from bus.heartbeat import StateReason, WaitingDetails
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.market_writer import MarketWriter
from bus.outage import Outage
from bus.retry import pause
from bus.service import run_together, run_until
from bus.streams import market_lease, market_parts
from ingest.buffered_item import Item
from ingest.data_api.alpaca_history import History
from ingest.data_api.request_budget import RequestBudget
from ingest.fallback.fallback import Fallback
from ingest.fallback.fallback_watch import LOOK_S, until_another_takes_over
from ingest.fallback.refused_feed import RefusedFeed
from ingest.fallback.served_feed import FeedMaker, ServedFeed
from ingest.gaps import gap_entries
from ingest.gaps.gap_filler import GapFiller
from ingest.gaps.open_gaps import OpenGaps
from ingest.gaps.resume_point import brought_by_all, whole_until_ns
from ingest.kept_counts import KeptCounts
from ingest.settings import IngestSettings
from ingest.silence.silence_watch import SilenceWatch
from ingest.spool.adoption import market_prepared
from ingest.spool.directories import market_directory
from ingest.spool.dropping import Dropping
from ingest.spool.market_records import MarketRecords
from ingest.spool.spooled_buffer import SpooledBuffer
from ingest.spool.unwritten import Unwritten
from ingest.spool.waiting import waiting_details, waiting_reasons
from ingest.streams.alpaca_market import FeedRefused
from ingest.streams.subscription import Pair, Refusal
from ingest.wants import Readers, RefusedWant, Subscription
from ingest.writing import FLUSH_S, FrameWriter, flushed, until_done

ACKNOWLEDGE_S = 0.25

# How often counts are kept.
COUNTS_S = 1.0

# What waits for so long goes to disk: longer than a server stands still that saves or loads, and than
# acknowledgements are left unread.
SPOOL_AFTER_S = 0.5

log = structlog.get_logger()


class LeasedFeed:
    """A market feed, from its lease to its streams; `kind` is one of FEED_KINDS.

    Every feed has its own lease, connection and buffer, so that one which another ingest takes over stops
    alone. What `_make` makes is made anew each time the lease is waited for: nothing that was under way under
    a lost lease is written later. `waits` says why the feed is not served; None while it is. Mutable: these,
    the `fallback`, what was counted in earlier turns, and which streams were looked at for gaps.
    """

    def __init__(
        self,
        kind: str,
        settings: IngestSettings,
        client: Client,
        clock: Clock,
        budget: RequestBudget,
        *,
        holder: str,
    ) -> None:
        self.kind = kind
        away_ns = round(settings.ingest_fallback_seconds * 1e9)
        self.fallback = Fallback(settings.feed_names(kind), away_ns)
        self.waits: StateReason | None = StateReason("starting", f"the {kind} feed has not begun")
        self._refusal = RefusedFeed()
        self._bar_ns = round(settings.ingest_bar_seconds * 1_000_000_000)
        self.writing = FrameWriter(self._bar_ns)
        self._settings = settings
        self._client = client
        self._clock = clock
        self._budget = budget
        self._holder = holder
        # Streams that are wanted, and of which it is known whether an earlier time of it broke off.
        self._looked_at: set[str] = set()
        self._not_looked_at = Outage("streams of an earlier run not looked at", feed=self.name)
        self._counts = KeptCounts(client, self.name)
        # What was counted in turns before this one.
        self._earlier: dict[str, int] = {}
        self._keeper = LeaseKeeper(
            Lease(client, market_lease(self.name), holder), regain="by_writer", other="another ingest"
        )
        self._maker = FeedMaker(kind, settings, budget, clock)
        self.feed: ServedFeed
        self._make()

    def __repr__(self) -> str:
        return f"{self.feed!r}, {self._keeper!r}"

    @property
    def name(self) -> str:
        """What entries call the feed that is served."""
        return self.fallback.served

    @property
    def reasons(self) -> tuple[StateReason, ...]:
        """What else is not as it should be: another feed stands in, it is silent, gaps are open."""
        return (*self.fallback.reasons, *self.watch.reasons, *self.filler.reasons)

    @property
    def waiting_reasons(self) -> tuple[StateReason, ...]:
        """Why what is received is not written at once; nothing where it is."""
        return tuple(waiting_reasons("market-data", self._writer.away, self.frames, self._dropping))

    @property
    def waiting(self) -> WaitingDetails:
        """What was received and is not written, and what became of what waited."""
        return waiting_details(
            self.frames, self._records.damaged, self._unwritten.left_out, self._dropping.dropped
        )

    async def run(self, stopping: asyncio.Event, is_start: Callable[[], bool]) -> None:
        """Serve the feed whenever its lease is ours, until `stopping` is set; what is buffered is written.

        One that Alpaca refuses, where nothing stands in, is left to others and asked for again now and then.
        Raises InvalidInput for wrong keys, and for stocks that are refused while `is_start` says that no feed
        was ever connected; ServerRefused as the writer does.
        """
        while not stopping.is_set():
            is_ours, alone_s = True, 0.0
            try:
                if not await self._keeper.take(stopping=stopping, tell=self._wait):
                    return
                await run_together(self._serve_in_turn(stopping), self._keeper.keep())
            except Fenced as error:
                is_ours = False
                sentence = f"{error}; it waits for its turn"
                self.waits = StateReason("lease_lost", sentence)
                log.error("market feed given up", feed=self.name, error=str(error), frames=len(self.frames))
            except FeedRefused as error:
                if self.kind == STOCKS and is_start():
                    raise
                self.waits = self._refusal.refused(error.code, str(error), self.feed.connects)
                alone_s = self._refusal.wait_ns / 1e9
                log.error("market feed refused", feed=self.name, error=self.waits.sentence)
            finally:
                await self.frames.close(keep=is_ours)
                await self._close_writer()
                await self._keeper.give_back()
            if not stopping.is_set():
                self._earlier = self.counted()
                self._make(connects=self.feed.connects)
                await pause(alone_s, stopping)

    async def want(
        self,
        wanted: Subscription,
        snapshots: frozenset[str] = frozenset(),
        first: frozenset[str] = frozenset(),
    ) -> None:
        """Subscribe to exactly this, and ask for these snapshots, where the feed is ours to serve.

        Gaps of the symbols in `first` are filled before others.
        """
        if self.waits is not None:
            return
        self.snapshots.want(snapshots)
        self.filler.first = first
        if await self._mark_interruptions(wanted):
            self.feed.want(wanted)

    def counted(self) -> dict[str, int]:
        """What this process has counted of the feed, in all its turns."""
        turn = {
            "gaps": self.feed.gaps,
            "backfilled": self.filler.backfilled,
            "stalls": self.frames.stalls,
        }
        return {
            "messages_in": self.writing.messages_in,
            "unreadable": self.writing.unreadable,
            **{name: count + self._earlier.get(name, 0) for name, count in turn.items()},
        }

    def totals(self) -> dict[str, int]:
        """The same of all that ever served it, while it is ours to serve; of others nothing is told here."""
        counted = self.counted()
        return self._counts.totals(counted) if self.waits is None else dict.fromkeys(counted, 0)

    def refused(self, readers: Readers) -> list[RefusedWant]:
        """What Alpaca does not give of what these readers want, for each of them.

        While it is still being asked, as after each connect, that is what it was when all was last answered.
        """
        if self.feed.subscription.settled:
            self._refused = dict(self.feed.subscription.refused)
        return [
            RefusedWant(reader, f"{channel!r} of {symbol}", refusal.sentence)
            for (channel, symbol), refusal in self._refused.items()
            for reader in readers.get((channel, symbol), ())
        ]

    def _make(self, *, connects: int = 0, before: ServedFeed | None = None) -> None:
        """New parts for the next turn; counts go on, and the gaps of the feed that was left in this turn."""
        settings, (key, secret) = self._settings, self._settings.keys()
        self._dropping = Dropping(
            lambda since_ns, why: self.feed.hold_gap(since_ns, why),
            lambda streams: self.feed.release_gap(streams),
            self._bar_ns,
        )
        self._records = MarketRecords(self.name, self._dropping, lambda: self.feed.heard)
        self._unwritten = Unwritten(self._client, self._records, self.name, self._bar_ns)
        self.frames: SpooledBuffer[Item] = SpooledBuffer(
            settings.ingest_buffer_mb * 1024 * 1024,
            market_directory(settings.ingest_spool_dir, self.name, settings.md_redis_url),
            self._records,
            lambda: self.writing.in_flight(self._writer, self.filler),
            self._unwritten.of,
            most_bytes=settings.ingest_spool_mb * 1024 * 1024,
            after_s=SPOOL_AFTER_S,
            asking=(None,),
            prepare=partial(market_prepared, settings.md_redis_url),
        )
        self.feed = self._maker.feed(self.name, self.frames, {} if before is None else before.marks.open)
        self.snapshots = self._maker.snapshots(self.name, self.frames)
        self.filler = GapFiller(
            self.name,
            History(self.kind, self.name, settings.data_api_url, key, secret, self._budget, self._clock),
            OpenGaps(self._client, self.fallback.feeds, self._bar_ns),
            self.frames,
            self._clock,
            hold_s=settings.ingest_hold_seconds,
            longest_ns=round(settings.ingest_fill_hours * 3600e9),
            bar_ns=self._bar_ns,
        )
        self.feed.connects = connects
        self._refused = dict[Pair, Refusal]()
        if before is None:
            self._looked_at = set()
        else:
            self.feed.heard = before.heard
        self._writer = MarketWriter(
            settings.md_redis_url, self._keeper.lease, name=f"{self._holder}-{self.name}"
        )
        parts = self.feed, self.writing, self._writer, self._client, self._clock, settings
        self.watch = SilenceWatch(*parts, archive=self._maker.archive(self.name))

    def _wait(self, reason: StateReason) -> None:
        self.waits = reason

    async def _serve_in_turn(self, stopping: asyncio.Event) -> None:
        """Serve the feed, and what stands in for it while it is not to be had, one after the other."""
        while True:
            if self.name == self.fallback.feeds[0]:
                await self._serve(stopping)
            else:
                await self._stand_in(stopping)
            if stopping.is_set():
                return
            self.waits = StateReason("starting", f"the {self.name} feed takes over")
            await self.frames.close(keep=True)
            await self._close_writer()
            self._earlier = self.counted()
            self._make(connects=self.feed.connects, before=self.feed)

    async def _stand_in(self, stopping: asyncio.Event) -> None:
        """Serve a feed in another's place, under its own lease too: whoever serves it writes alone."""
        lease = Lease(self._client, market_lease(self.name), self._holder)
        keeper = LeaseKeeper(lease, other="another ingest")
        name = self.name

        async def take() -> None:
            await keeper.take(stopping=stopping, tell=self._wait)

        try:
            await run_together(take(), self._another_takes_over())
            if keeper.lease.held and self.name == name:
                await run_together(self._serve(stopping), keeper.keep())
        finally:
            await keeper.give_back()

    async def _serve(self, stopping: asyncio.Event) -> None:
        await self.frames.open()
        self.waits = None
        self._counts.begin(self.counted())
        writing = asyncio.create_task(
            self.writing.run(self.frames, self._writer, self._keeper, self.filler, self._carried),
            name=self.name,
        )
        try:
            await run_together(
                run_until(stopping, until_done(writing)),
                self._carry(),
                self.filler.run(),
                self._keep_counts(),
                self.frames.run(),
                self._acknowledge(),
                self.watch.run(),
            )
            await self._flush(writing)
            await self._counts.keep(self.counted())
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _carry(self) -> None:
        """Receive until another feed has to take over; all that was received is written then."""
        await run_together(self._receive(), self.snapshots.run(), self._another_takes_over())
        self.waits = StateReason("starting", f"the {self.name} feed takes over")
        reason = f"{self.feed.name} is left for {self.name}"
        self.feed.broke(reason)
        log.error("feed changed", reason=reason, why=[one.sentence for one in self.fallback.reasons])
        await self._fills_ended()
        while not self.frames.idle:  # noqa: ASYNC110 - nobody tells when all is written
            await asyncio.sleep(LOOK_S)

    async def _fills_ended(self) -> None:
        """A gap that is being filled before what comes live would have to be filled beside it otherwise."""
        while self.filler.held:  # noqa: ASYNC110 - it is over within seconds
            await asyncio.sleep(LOOK_S)

    async def _receive(self) -> None:
        try:
            await self.feed.run()
        except FeedRefused as error:
            if not self.fallback.step_down(str(error), self._clock.monotonic_ns()):
                raise

    async def _another_takes_over(self) -> None:
        """Wait until another feed has to take over."""
        await until_another_takes_over(
            self.fallback, self.feed, self._clock, why_not=self._maker.why_not, fills_ended=self._fills_ended
        )

    async def _flush(self, writing: "asyncio.Task[None]") -> None:
        """Give what was received a bounded time to be written."""
        with self._not_looked_at:
            await self.filler.leave()
        self.frames.add(None, 0)
        if not await flushed(self.frames, writing):
            log.error("not every frame received is written yet", feed=self.name, frames=len(self.frames))

    async def _keep_counts(self) -> None:
        while True:
            await self._counts.keep(self.counted())
            await asyncio.sleep(COUNTS_S)

    async def _acknowledge(self) -> None:
        """Have the replies to the last frames looked at where no further frame comes to cause it."""
        while True:
            if not len(self.frames):
                self.frames.add(None, 0)
            await asyncio.sleep(ACKNOWLEDGE_S)

    def _carried(self) -> list[str]:
        return self.feed.carried

    async def _mark_interruptions(self, wanted: Subscription) -> bool:
        """Streams that are wanted anew and have entries get a gap, before anything new is written.

        Whatever the reason was: ingest did not run, nobody wanted them, wants ran out unread. False where the
        server could not be asked.
        """
        names = set(gap_entries.streams(wanted))
        anew = names - self._looked_at
        self._looked_at &= names
        if not anew:
            return True
        reason = "it was not subscribed to" if self.feed.connects else "ingest was not running"
        with self._not_looked_at:
            brought = await brought_by_all(self._client, self.kind, anew)
            streams = sorted(anew | (brought - names))
            since_ns = await whole_until_ns(self._client, streams, self.fallback.feeds)
            since_ns = self._records.left_off.whole_until(streams, since_ns)
            self.feed.open_gap({one: since for one, since in since_ns.items() if not self._has(one)}, reason)
            self.feed.heard |= brought
            self._looked_at |= anew
            return True
        return False

    def _has(self, stream: str) -> bool:
        """Whether a stream is written already, with those of all symbols."""
        symbol, channel = market_parts(stream)
        return symbol != "*" and "*" in self.feed.subscription.acknowledged.get(channel, ())

    async def _close_writer(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._writer.close()
        except (TimeoutError, Fenced) as error:
            reason = f"{error or 'no server answers'}"
            log.error("the last frames may not be written", feed=self.name, error=reason)
