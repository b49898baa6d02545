"""The parts of one OMS, put together by plain arguments, and the little that several of them share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import redis.asyncio
import structlog

from bus import halt, streams
from bus.connection import connect
from bus.consume import Delivery, GroupReader, numbers
from bus.control_messages import Halt
from bus.lease import Lease
from bus.order_messages import Registered
from bus.service import Service
from oms.book import Book
from oms.broker import Broker, BrokerError
from oms.budget import Bucket
from oms.desk import Desk
from oms.dispatch import Dispatch
from oms.journal import Journal
from oms.limits import Limits
from oms.permission import Permission
from oms.prices import Prices
from oms.records import Records
from oms.recovery import Recovery
from oms.registry import Registry
from oms.sender import Sender
from oms.settings import OmsSettings
from oms.watch import Watch

# Readers look up from a quiet stream this often, so that a stop and a new algorithm are noticed.
BLOCK_MS = 100

_RETRY_S = 0.5

log = structlog.get_logger()


class Parts:
    """Everything an OMS is made of. Must be made inside the event loop."""

    def __init__(
        self,
        service: Service,
        settings: OmsSettings,
        limits: Limits,
        broker: Broker,
        make_journal: Callable[[str, Lease, str], Journal],
    ) -> None:
        url, account, clock = settings.orders_redis_url, settings.account, service.clock
        self.service, self.settings, self.limits, self.broker = service, settings, limits, broker
        self.account, self.clock = account, clock
        self.client = connect(url, name="oms")
        self.lease = Lease(self.client, streams.oms_lease(account), service.process, clock=clock)
        self.halts = halt.HaltWatch(url, clock, name="oms-halts")
        self.journal = make_journal(url, self.lease, account)
        self.records = Records(Book(), self.journal, account)
        self.sender = Sender(
            Bucket(clock.monotonic_ns(), settings.oms_requests_per_minute),
            clock,
            threads=settings.oms_threads,
            longest_wait_s=settings.oms_longest_wait_s,
        )
        broker.count_lookups(self.sender.count_lookup)
        self.watch = Watch(
            broker, self.sender, self.records, clock, settings.oms_send_timeout_s, settings.oms_settle_s
        )
        self.recovery = Recovery(broker, self.sender, self.records, self.watch, clock)
        permission = Permission(self.lease, self.halts, clock, account)
        self.dispatch = Dispatch(broker, self.sender, self.records, permission, clock, self.watch.add)
        self.prices = Prices(settings.md_redis_url, clock)
        self.registry = Registry(self.client, account)
        self.behind = asyncio.Event()
        self.desk = Desk(
            account,
            limits,
            self.records,
            self.prices,
            self.registry,
            self.halts,
            self.dispatch,
            clock,
            on_unreadable_fact=self._halt_account,
            on_connected=self._connected,
        )
        self.requests = self.reader((), "oms-requests", "0")
        self.facts: GroupReader | None = None
        self.journal.on_acknowledged = self._acknowledged
        # New connections of the broker's stream, by entry id, before which something may have been missed.
        self.breaks: dict[str, Delivery] = {}

    def __repr__(self) -> str:
        return f"<OMS of {self.account}: {self.desk.why_not_ready or 'ready'}>"

    def reader(self, names: tuple[str, ...], name: str, start: str) -> GroupReader:
        """A reader of streams on the orders server, for the OMS's group."""
        return GroupReader(
            self.settings.orders_redis_url,
            names,
            streams.GROUP_OMS,
            start=start,
            block_ms=BLOCK_MS,
            name=name,
        )

    def say(self, why_not_ready: str) -> None:
        """Take no orders for this reason; "" takes them again."""
        self.desk.why_not_ready = why_not_ready
        self.service.state = why_not_ready or "ready"
        self.service.details.update(ready=not why_not_ready, why_not=[why_not_ready] if why_not_ready else [])

    def fall_behind(self) -> None:
        """The broker may know more than the book: take no orders until that is mended."""
        self.behind.set()
        self.say("catching up with the broker")

    async def catch_up(self, *, at_start: bool) -> None:
        """Book what the broker's stream did not tell. Raises what the broker raises, and RedisError."""
        breaks = dict(self.breaks)
        await self.recovery.catch_up(at_start=at_start, heard_ns=await self._heard_ns(breaks))
        self.records.record([], breaks.values())
        for entry_id in breaks:
            del self.breaks[entry_id]

    def registered(self, name: str) -> None:
        """Tell an algorithm that its requests are read; once in its life."""
        if name not in self.records.registered:
            self.records.record([Registered(algorithm=name, at_ns=self.clock.now_ns())])

    async def asked(self, ask: Callable[[], Awaitable[None]]) -> bool:
        """Ask the broker until it answers; False where a stop came first."""
        while not self.service.stopping.is_set():
            try:
                await ask()
            except BrokerError as error:
                self.say(f"the broker's orders are not known: {error}")
                await self.pause(_RETRY_S)
            except (redis.asyncio.RedisError, OSError) as error:
                self.say(f"the orders server is not readable: {error}")
                await self.pause(_RETRY_S)
            else:
                return True
        return False

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond a stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.service.stopping.wait()
        except TimeoutError:
            pass

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something holds, but not beyond a stop."""
        while not true() and not self.service.stopping.is_set():
            await self.pause(0.005)

    async def close(self) -> None:
        """Close every connection, and end what the broker's threads wait for."""
        readers = [self.requests] if self.facts is None else [self.requests, self.facts]
        await asyncio.gather(
            *(reader.close() for reader in readers),
            self.journal.close(),
            self.prices.close(),
            self.halts.close(),
            self.client.aclose(),
            return_exceptions=True,
        )
        self.broker.close()

    def _acknowledged(self, delivery: Delivery) -> None:
        # A reader remembers what it delivered, to mend a lost group, until it hears of the acknowledgement.
        if delivery.stream == streams.account(self.account):
            if self.facts is not None:
                self.facts.acknowledged_elsewhere(delivery)
        else:
            self.requests.acknowledged_elsewhere(delivery)

    def _connected(self, delivery: Delivery) -> None:
        self.breaks[delivery.id] = delivery
        self.fall_behind()

    async def _heard_ns(self, breaks: Iterable[str]) -> int | None:
        """When the broker's stream was last heard before these breaks; 0 where it never was.

        The journal does not say it: it goes on while that stream is away. None without a break.
        """
        before = min(breaks, key=numbers, default=None)
        while before is not None:
            found = await self.client.xrevrange(
                streams.account(self.account), max=f"({before}", min="-", count=1
            )
            if not found:
                return 0
            entry_id, fields = found[0]
            if fields.get(b"type") != b"Disconnected":
                return numbers(entry_id.decode())[0] * 1_000_000
            # It may have been deaf long before it broke.
            before = entry_id.decode()
        return None

    async def _halt_account(self, why: str) -> None:
        """A broker fact that cannot be read may be a fill: stop ordering, and ask the broker."""
        log.error("account halted", reason=why)
        scope = f"account:{self.account}"
        await halt.change(self.client, Halt(scope=scope, reason=why, by="oms", at_ns=self.clock.now_ns()))
        self.fall_behind()
