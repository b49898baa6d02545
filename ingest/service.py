"""Ingest: the one process that listens to Alpaca, and writes what it hears into streams."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from bus.account_keys import is_confirmed
from bus.connection import Client, connect, require_servers, until_required
from bus.dead_letter import NEVER_AN_ENTRY, dead_letter_fields
from bus.dead_letters import is_kept
from bus.errors import AccessRefused, Fenced, ServerAway, ServerRefused
from bus.feed_kinds import FEED_KINDS
from bus.heartbeat import FeedDetails, StateReason
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.outage import Outage
from bus.publish import Publisher
from bus.retry import pause, until_answered
from bus.service import Service, live, run_all, run_together, run_until
from bus.streams import DEAD, account, account_lease
from bus.streams import wants as wants_key
from bus.write_probe import require_writes
from ingest.data_api.request_budget import RequestBudget
from ingest.frames import Kept
from ingest.leased_feed import LeasedFeed
from ingest.refused_wants import RefusedWants, for_people
from ingest.report import Report, feed_details, wants_trouble
from ingest.retention.trimming import Trimmer
from ingest.settings import IngestSettings
from ingest.spool.account_records import AccountRecords
from ingest.spool.directories import directory_of, market_directory, note_server, root_of
from ingest.spool.left_behind import LeftSpools
from ingest.spool.spooled_buffer import LOOK_S, SpooledBuffer
from ingest.spool.waiting import waiting_details, waiting_reasons
from ingest.streams.alpaca_account import AccountFeed, BrokerMessage
from ingest.wants import Demand, united
from ingest.writing import UpdateWriter, flushed, until_done

WANTS_S = 0.5

# While the orders server takes no writes, wants run out that nobody gave up. They are kept until everybody
# has had time to say them again: readers renew them every second.
WANTS_KEPT_NS = 5_000_000_000

# How often ingest looks whether an OMS has confirmed its keys.
CONFIRMED_S = 0.1

_AWAY = (ServerAway, ServerRefused)

_UNCONFIRMED = StateReason(
    "account_unconfirmed",
    "trade updates wait until an OMS has found that these keys are of the account",
)

# Connections of one process each count their own; a restart has a new token and so higher epochs.
EPOCHS_PER_TOKEN = 1_000_000

# When it is first looked for spools that nobody writes, and how often then: those that this process takes are
# its own by then.
LEFT_AFTER_S, LEFT_EVERY_S = 10.0, 60.0

# Reports of unreadable messages written at a time: a flood of them must not become one on the orders server.
KEPT_AT_ONCE = 50

log = structlog.get_logger()


async def serve(settings: IngestSettings, name: str = "ingest") -> None:
    """Run until a signal. Raises InvalidInput for settings, keys or servers that cannot work."""
    settings.keys()
    urls = settings.md_redis_url, settings.orders_redis_url
    await until_required(lambda: require_servers(*urls, name=f"{name}-check"))
    service = Service(name, settings.account)
    market = connect(settings.md_redis_url, name=name)
    orders = connect(settings.orders_redis_url, name=name)
    try:
        ingest = Ingest(service, settings, market, orders)
        await live(service, settings.orders_redis_url, ingest.run)
    finally:
        await market.aclose()
        await orders.aclose()


class Ingest:
    """The parts of a running ingest, wired: market feeds and trade updates, each under its own lease.

    Mutable: the parts; which wants were read last, and what they come to; until when none is given up.
    """

    def __init__(self, service: Service, settings: IngestSettings, market: Client, orders: Client) -> None:
        self.service = service
        self._settings = settings
        self._orders = orders
        holder, clock = f"{service.process}-{service.instance}", service.clock
        key, secret = settings.keys()
        self._key_id = key
        # One for all feeds: the plan's limit is the keys'.
        budget = RequestBudget(settings.data_requests_per_minute)
        self.feeds = {
            kind: LeasedFeed(kind, settings, market, clock, budget, holder=holder) for kind in FEED_KINDS
        }
        self._spool_directory = directory_of(
            settings.ingest_spool_dir, f"account-{settings.account}", settings.orders_redis_url
        )
        self._records = AccountRecords("trade_updates", clock)
        self.messages: SpooledBuffer[BrokerMessage] = SpooledBuffer(
            settings.ingest_buffer_mb * 1024 * 1024,
            self._spool_directory,
            self._records,
            lambda: self.update_writer.under_way,
            self._unwritten,
            most_bytes=settings.ingest_spool_mb * 1024 * 1024,
            # As soon as it is seen that the server has not taken it: nobody tells it a second time.
            after_s=LOOK_S,
            is_durable=True,
            prepare=lambda directory: note_server(directory, settings.orders_redis_url),
        )
        self.account = LeaseKeeper(
            Lease(orders, account_lease(settings.account), holder), other="another ingest"
        )
        self._publisher = Publisher(settings.orders_redis_url, self.account.lease, name=f"{holder}-account")
        self.update_writer = UpdateWriter(
            account(settings.account), self.messages, self._publisher, self.account
        )
        self.updates = AccountFeed(
            settings.updates_url,
            key,
            secret,
            self.messages,
            clock,
            answer_s=settings.ingest_answer_seconds,
        )
        self.trimmer = Trimmer(settings, market, clock, may_trim=self._may_trim)
        self.report = Report(self.feeds, self._account_details, self.trimmer, clock)
        self._refused_wants = RefusedWants(orders)
        self._wants: dict[str, bytes] = {}
        self._demand = united({})
        self._wants_kept_until_ns = 0
        self._wants_unread = Outage("wants not read: the subscriptions stay as they are")
        self._writes_unknown = Outage("not known whether the orders server takes writes")
        self._not_kept = Outage("unreadable messages not kept yet")

    async def run(self) -> None:
        """Serve every feed whose lease is ours until asked to stop, write what is buffered, give leases back.

        A market feed that another ingest takes over waits for its turn again. Raises Fenced where another
        ingest writes the account's messages, InvalidInput for keys that cannot work, and for a stock feed
        that Alpaca refuses before any feed was connected.
        """
        stopping = self.service.stopping
        tending = run_together(
            self._every(WANTS_S, self._follow_wants),
            self._every(WANTS_S, self._tell),
            self.trimmer.run(),
            self._look_for_left(),
        )
        serving = [feed.run(stopping, self._is_start) for feed in self.feeds.values()]
        await run_all(run_until(stopping, tending), self._serve_account(), *serving)

    def _is_start(self) -> bool:
        return not any(feed.feed.connects for feed in self.feeds.values())

    async def _serve_account(self) -> None:
        stopping, is_ours = self.service.stopping, True
        try:
            # Before the lease: somebody with the right keys may be waiting for it.
            await self._until_confirmed()
            if not await self.account.take(stopping=stopping, tell=self._account_waits):
                return
            self.report.account_waits = None
            self.updates.first_epoch = self.account.lease.token * EPOCHS_PER_TOKEN + 1
            await run_together(self._listen(), self.account.keep())
        except Fenced:
            is_ours = False
            raise
        finally:
            await self.messages.close(keep=is_ours)
            await self._publisher.close()
            await self.account.give_back()

    async def _until_confirmed(self) -> None:
        """Wait until an OMS has found that our keys are of this account, or until the stop."""
        stopping = self.service.stopping

        def away(trouble: str) -> None:
            self._account_waits(StateReason("server_away", f"waiting for the orders server: {trouble}"))

        async def confirmed() -> bool:
            return await is_confirmed(self._orders, self.service.account, self._key_id)

        while not await until_answered(confirmed, stopping=stopping, tell=away, away=_AWAY):
            if stopping.is_set():
                return
            self._account_waits(_UNCONFIRMED)
            await pause(CONFIRMED_S, stopping)

    def _account_details(self) -> FeedDetails:
        return feed_details(
            self.updates,
            self.report.account_waits,
            waiting_details(self.messages, self._records.damaged),
            tuple(waiting_reasons("orders", self._publisher.away, self.messages)),
        )

    def _account_waits(self, reason: StateReason) -> None:
        self.report.account_waits = reason

    async def _listen(self) -> None:
        await self.messages.open()
        writing = asyncio.create_task(self.update_writer.run(), name="trade updates")
        listening = run_together(until_done(writing), self.updates.run(), self.messages.run())
        try:
            await run_until(self.service.stopping, listening)
            if not await flushed(self.messages, writing):
                log.error("not every broker message received is written yet", messages=len(self.messages))
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _unwritten(self, left: Sequence[BrokerMessage]) -> list[BrokerMessage]:
        """What of these, which an earlier process left, is not in the stream."""
        return await self._publisher.missing(account(self.service.account), left) if left else []

    async def _every(self, seconds: float, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await step()
            await asyncio.sleep(seconds)

    async def _follow_wants(self) -> None:
        """Subscribe to the union of what live readers want; keep it while the server is away or refuses."""
        wants = await self._read_wants()
        if wants is None:
            return
        if wants != self._wants:
            self._wants, self._demand = wants, united(wants)
            self.trimmer.follow(wants, self._demand)
        demand = self._demand
        for kind, feed in self.feeds.items():
            await feed.want(demand.subscriptions[kind], demand.snapshots[kind], demand.first[kind])
        await self._tell_refused(demand)

    def _may_trim(self) -> bool:
        """A server that is full gives no lease: whoever waits for it has to make room first."""
        return any(feed.waits is None or feed.waits.code == "server_away" for feed in self.feeds.values())

    async def _tell_refused(self, demand: Demand) -> None:
        """Tell everyone what of their wants is not carried."""
        refused = {
            kind: (*demand.refused, *feed.refused(demand.readers[kind]))
            for kind, feed in self.feeds.items()
            if feed.waits is None
        }
        self.report.refused = for_people(one for some in refused.values() for one in some)
        self.report.unasked = for_people(demand.refused)
        await self._refused_wants.tell(refused)

    async def _read_wants(self) -> dict[str, bytes] | None:
        """The wants by reader; None while the server cannot be asked, or nobody can renew them there.

        Where our user may not ask whether anybody can, what is read counts.
        """
        wants = None
        with self._wants_unread:
            keys = sorted(
                [key async for key in self._orders.scan_iter(match=wants_key("*", "*"), count=1000)]
            )
            texts = await self._orders.mget(keys) if keys else []
            try:
                await require_writes(self._orders)
                self._writes_unknown.ended()
            except AccessRefused as error:
                self._writes_unknown.goes_on(error)
            prefix = len(wants_key("", "")) - 1
            wants = {key.decode()[prefix:]: text for key, text in zip(keys, texts, strict=True) if text}
            kept = self.service.clock.monotonic_ns() < self._wants_kept_until_ns
            wants = self._wants | wants if kept else wants
        if wants is None:
            self._wants_kept_until_ns = self.service.clock.monotonic_ns() + WANTS_KEPT_NS
        self.report.wants_trouble = wants_trouble(self._wants_unread.why, self._writes_unknown.why)
        return wants

    async def _tell(self) -> None:
        """Refresh what the heartbeat says, and keep what could not be understood."""
        self.report.refresh(self.service)
        for unreadable in (*(feed.writing.kept for feed in self.feeds.values()), self._records.kept):
            await self._keep(unreadable)

    async def _look_for_left(self) -> None:
        """Find spools that nobody writes any more, and have it said."""
        settings = self._settings
        spools = LeftSpools(root_of(settings.ingest_spool_dir))
        served = [self._spool_directory] + [
            market_directory(settings.ingest_spool_dir, name, settings.md_redis_url)
            for kind in self.feeds
            for name in settings.feed_names(kind)
        ]
        wait_s = LEFT_AFTER_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = LEFT_EVERY_S
            found = await asyncio.to_thread(spools.look, served)
            self.report.left_spools = tuple(one.reason for one in found)

    async def _keep(self, unreadable: deque[tuple[str, int, Kept]]) -> None:
        for _ in range(min(len(unreadable), KEPT_AT_ONCE)):
            feed, received_ns, kept = unreadable[0]
            letter = dead_letter_fields(
                stream=f"feed:{feed}",
                entry_id=str(received_ns),
                fields={b"d": kept.payload},
                error=kept.reason,
                by=self.service.process,
                why_not_put_back=NEVER_AN_ENTRY,
            )
            with self._not_kept:
                # After a reply that was lost it may be there.
                if not (self._not_kept.why and await is_kept(self._orders, letter)):
                    await self._orders.xadd(DEAD, letter)
            if self._not_kept.why:
                return
            with contextlib.suppress(IndexError):
                unreadable.popleft()
