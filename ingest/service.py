"""Ingest: the one process that listens to Alpaca, and writes what it hears into streams."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from bus.connection import Client, connect, require_servers
from bus.dead_letter import NEVER_AN_ENTRY, dead_letter_fields
from bus.errors import Fenced, ServerAway, ServerRefused
from bus.heartbeat import State, StateReason
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.publish import MarketWriter, Publisher
from bus.service import Service, live, run_together
from bus.streams import DEAD, MARKET_LEASE, account, account_lease
from bus.streams import wants as wants_key
from ingest import gaps
from ingest.alpaca_account import AccountFeed, Fact
from ingest.alpaca_market import Item, MarketFeed
from ingest.buffer import Buffer
from ingest.pump import AccountPump, MarketPump
from ingest.report import Report
from ingest.seam import last_received_ns
from ingest.settings import IngestSettings
from ingest.wants import CRYPTO, STOCKS, Subscription, united

WANTS_S = 0.5
ACKNOWLEDGE_S = 0.25

# How long the end waits for what is buffered to be written.
FLUSH_S = 5.0

# Connections of one process each count their own; a restart has a new token and so higher epochs.
EPOCHS_PER_TOKEN = 1_000_000

# Reports of unreadable messages written at a time: a flood of them must not become one on the orders server.
KEPT_AT_ONCE = 50

log = structlog.get_logger()


async def serve(settings: IngestSettings, name: str = "ingest") -> None:
    """Run until a signal. Raises InvalidInput for settings, keys or servers that cannot work."""
    settings.keys()
    await require_servers(settings.md_redis_url, settings.orders_redis_url, name=f"{name}-check")
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
    """The parts of a running ingest, wired."""

    def __init__(self, service: Service, settings: IngestSettings, market: Client, orders: Client) -> None:
        self.service = service
        self._market_client = market
        self._orders = orders
        holder, clock = service.process, service.clock
        key, secret = settings.keys()
        bound_bytes = settings.ingest_buffer_mb * 1024 * 1024
        self.frames: Buffer[Item] = Buffer(bound_bytes)
        self.facts: Buffer[Fact] = Buffer(bound_bytes)
        self.market = LeaseKeeper(
            Lease(market, MARKET_LEASE, holder), regain="by_writer", other="another ingest"
        )
        self.account = LeaseKeeper(
            Lease(orders, account_lease(settings.account), holder), regain="at_once", other="another ingest"
        )
        self._writer = MarketWriter(settings.md_redis_url, self.market.lease, name=f"{holder}-market")
        self._publisher = Publisher(settings.orders_redis_url, self.account.lease, name=f"{holder}-account")
        bar_ns = round(settings.ingest_bar_seconds * 1_000_000_000)
        self.pump = MarketPump(self.frames, self._writer, self.market, bar_ns)
        self.account_pump = AccountPump(account(settings.account), self.facts, self._publisher, self.account)
        self.feeds = {
            STOCKS: MarketFeed(STOCKS, settings.feed, settings.stocks_url, key, secret, self.frames, clock),
            CRYPTO: MarketFeed(CRYPTO, CRYPTO, settings.crypto_url, key, secret, self.frames, clock),
        }
        self.updates = AccountFeed(settings.updates_url, key, secret, self.facts, clock)
        self.report = Report(self.feeds, self.updates, self.pump, self.frames, clock)
        self._refused: tuple[str, ...] = ()

    async def run(self) -> None:
        """Take the leases, run until asked to stop, write what is buffered, give the leases back."""
        try:
            if not await self._take_leases():
                return
            self.updates.first_epoch = self.account.lease.token * EPOCHS_PER_TOKEN + 1
            await run_together(self._listen(), self.market.keep(), self.account.keep())
        finally:
            await self._publisher.close()
            await self._close_writer()
            await self.market.give_back()
            await self.account.give_back()

    async def _close_writer(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._writer.close()
        except (TimeoutError, Fenced) as error:
            log.error("the last frames may not be written", error=f"{error or 'no server answers'}")

    async def _take_leases(self) -> bool:
        """False where a stop came first."""

        def waiting(sentence: str) -> None:
            self.service.tell(State.WAITING, StateReason("lease_held", sentence))

        stopping = self.service.stopping
        return all([await one.take(stopping=stopping, tell=waiting) for one in (self.market, self.account)])

    async def _listen(self) -> None:
        pumps = asyncio.create_task(run_together(self.pump.run(), self.account_pump.run()), name="pumps")
        try:
            await run_together(
                _until_stopped(self.service, _done(pumps)),
                *(feed.run() for feed in self.feeds.values()),
                self.updates.run(),
                self._every(WANTS_S, self._follow_wants),
                self._every(ACKNOWLEDGE_S, self._acknowledge),
                self._every(WANTS_S, self._tell),
            )
            await self._flush(pumps)
        finally:
            pumps.cancel()
            await asyncio.gather(pumps, return_exceptions=True)

    async def _flush(self, pumps: "asyncio.Task[None]") -> None:
        """Give what was received a bounded time to be written."""
        self.frames.add(None, 0)
        deadline = time.monotonic() + FLUSH_S
        while not (self.frames.idle and self.facts.idle) and not pumps.done():
            if time.monotonic() > deadline:
                log.error(
                    "not everything received was written", frames=len(self.frames), facts=len(self.facts)
                )
                return
            await asyncio.sleep(0.01)

    async def _every(self, seconds: float, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await step()
            await asyncio.sleep(seconds)

    async def _acknowledge(self) -> None:
        """A quiet feed must not leave its last frames without a reply that anybody looked at."""
        if not len(self.frames):
            self.frames.add(None, 0)

    async def _follow_wants(self) -> None:
        """Subscribe to the union of what live readers want; keep it while the server is away."""
        try:
            keys = sorted(
                [key async for key in self._orders.scan_iter(match=wants_key("*", "*"), count=1000)]
            )
            texts = await self._orders.mget(keys) if keys else []
        except (ServerAway, ServerRefused) as error:
            log.warning("wants not read", error=str(error))
            return
        prefix = len(wants_key("", "")) - 1
        wants = {key.decode()[prefix:]: text for key, text in zip(keys, texts, strict=True) if text}
        demand = united(wants)
        if demand.refused != self._refused:
            self._refused = self.report.refused = demand.refused
            for sentence in demand.refused:
                log.error("want refused", reason=sentence)
        for kind, feed in self.feeds.items():
            wanted = demand.of(kind)
            if wanted and not feed.connects and not feed.subscription.wanted:
                await self._mark_seam(feed, wanted)
            feed.want(wanted)

    async def _mark_seam(self, feed: MarketFeed, wanted: Subscription) -> None:
        """Streams that an earlier ingest left off in the middle get a gap, before anything new is written."""
        try:
            since_ns = await last_received_ns(self._market_client, gaps.streams(wanted))
        except (ServerAway, ServerRefused) as error:
            log.warning("streams of an earlier run not looked at", error=str(error))
            return
        feed.open_gap(since_ns, "ingest was not running")

    async def _tell(self) -> None:
        """Refresh what the heartbeat says, and keep what could not be understood."""
        self.report.refresh(self.service)
        for _ in range(min(len(self.pump.kept), KEPT_AT_ONCE)):
            feed, received_ns, kept = self.pump.kept[0]
            letter = dead_letter_fields(
                stream=f"feed:{feed}",
                entry_id=str(received_ns),
                fields={b"d": kept.payload},
                error=kept.reason,
                by=self.service.process,
                why_not_put_back=NEVER_AN_ENTRY,
            )
            try:
                await self._orders.xadd(DEAD, letter)
            except (ServerAway, ServerRefused) as error:
                log.warning("unreadable message not kept yet", error=str(error))
                return
            with contextlib.suppress(IndexError):
                self.pump.kept.popleft()


async def _done(task: "asyncio.Task[None]") -> None:
    await asyncio.wait({task})
    task.result()


async def _until_stopped(service: Service, body: Coroutine[Any, Any, None]) -> None:
    """Run body until it returns or the service is asked to stop."""

    async def stopped() -> None:
        await service.stopping.wait()

    await run_together(stopped(), body)
