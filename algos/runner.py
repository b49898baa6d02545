"""An algorithm's process from start to end: register, take the lease, lead, and stop in order."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable

import structlog

from algos.algorithm import Algorithm, seat
from algos.dispatch import Dispatcher, channels_of
from algos.event_feed import EventFeed
from algos.leader import Leader
from algos.lifecycle import State
from algos.market_feed import MarketFeed, readers_of, streams_of
from algos.registration import Entry, Wants, register
from algos.report import Report
from algos.settings import AlgoSettings
from algos.timers import due, next_due_ns
from algos.watchdog import Watchdog
from bus.codec import Message
from bus.connection import connect
from bus.consume import GroupReader
from bus.control_messages import ControlMessage, Shutdown
from bus.errors import BackboneError, Fenced
from bus.halt import HaltWatch
from bus.halt_state import concerns
from bus.lease import Lease
from bus.publish import Publisher
from bus.service import Service, run_together
from bus.streams import algorithm_group, algorithm_lease, events, orders_dead, requests

# A follower takes over within its lease's time to live and this.
FOLLOW_S = 0.2

# How often timers are looked at where none is due sooner: a handler may have set a new one.
TIMERS_S = 0.2

# What closing may take; past it the other side finds out by itself what we did not say.
CLOSE_S = 1.0

log = structlog.get_logger()


class ShutdownLate(BackboneError):
    """The algorithm did not acknowledge its shutdown in time; the process ended anyway."""


class Runner:
    """Runs one algorithm; `run` is the body of its service."""

    def __init__(self, algorithm: Algorithm, name: str, service: Service, settings: AlgoSettings) -> None:
        account, orders_url = settings.account, settings.orders_redis_url
        channels = channels_of(type(algorithm))
        self._name, self._account, self._service = name, account, service
        self._clock = service.clock
        self._grace_s = settings.algo_shutdown_grace_s
        self._client = connect(orders_url, name=service.process)
        self._halts = HaltWatch(orders_url, self._clock, name=f"{service.process}-control")
        self._lease = Lease(
            self._client,
            algorithm_lease(account, name),
            f"{service.process}-{os.getpid()}",
            clock=self._clock,
        )
        self._publisher = Publisher(orders_url, self._lease, name=f"{service.process}-requests")
        self._desk = seat(algorithm, name, "")
        self._dispatcher = Dispatcher(algorithm, self._desk)
        self._leader = Leader(
            self._dispatcher,
            self._publisher,
            self._lease,
            requests(account, name),
            self._clock,
            int(settings.algo_trigger_max_age_s * 1e9),
        )
        self._feeds = [
            MarketFeed(reader, self._leader, self._client, self._clock)
            for reader in readers_of(settings.md_redis_url, name, streams_of(algorithm.symbols, channels))
        ]
        stream = events(account, name)
        reader = GroupReader(orders_url, [stream], algorithm_group(name), start="0", name=service.process)
        self._events = EventFeed(reader, self._leader, self._client, stream, orders_dead(account))
        self._readers = [*(feed.reader for feed in self._feeds), reader]
        subscriptions = dict.fromkeys(channels, algorithm.symbols)
        self._wants = Wants(self._client, name, subscriptions)
        self._watchdog = Watchdog(name, self._grace_s + 1, lambda: self._dispatcher.running)
        self._report = Report(service, self._leader, self._lease, self._feeds, self._events, subscriptions)

    async def run(self) -> None:
        """Run until the service is asked to stop, the lease is lost, or the algorithm is late in stopping."""
        # It watches to the very end of the process, our own closing included.
        self._watchdog.start()
        try:
            await run_together(self._live(), self._halts.run(self._control), self._report.run(), self._want())
        finally:
            self._report.refresh()
            await self._close()

    async def _live(self) -> None:
        entry = Entry(lineage=secrets.token_hex(8), registered_ns=self._clock.now_ns())
        self._desk.lineage = (await register(self._client, self._account, self._name, entry)).lineage
        if await self._wait_for(self._is_registered, "the OMS, which has to read this algorithm's requests"):
            following = self._lease.acquire
            if not await following():
                self._leader.hand(self._dispatcher.status, State.FOLLOWER, self._clock.now_ns())
                if not await self._wait_for(following, f"the lease that {self._lease.key} is held under"):
                    return
            try:
                await self._lead()
            except Fenced:
                if self._leader.leads:
                    self._leader.hand(self._dispatcher.status, State.FOLLOWER, self._clock.now_ns())
                raise

    async def _lead(self) -> None:
        await self._events.fold()
        for reader in self._readers:
            await reader.open()
        self._leader.hand(self._dispatcher.status, State.LEADER, self._clock.now_ns())
        log.info("leads", token=self._lease.token, position=self._desk.portfolio.quantities)
        await run_together(
            self._lease.keep(),
            self._leader.send_when_waiting(),
            self._events.run(),
            self._timers(),
            self._shut_down(),
            *(self._market(feed) for feed in self._feeds),
        )

    async def _wait_for(self, condition: Callable[[], Awaitable[bool]], what: str) -> bool:
        """False when the process is to stop first; an algorithm that aborted waits for that alone."""
        self._service.details["waiting_for"] = what
        while not self._service.stopping.is_set():
            if not self._leader.aborted and await condition():
                self._service.details["waiting_for"] = ""
                return True
            await asyncio.sleep(FOLLOW_S)
        return False

    async def _is_registered(self) -> bool:
        await self._events.fold()
        return self._events.registered

    async def _market(self, feed: MarketFeed) -> None:
        await feed.run()
        await self._wants.withdraw()
        await self._until_cancelled()

    async def _want(self) -> None:
        """Want market data until the algorithm is aborted; the process stays, for an operator to see why."""
        await self._wants.run(lambda: not self._leader.aborted)
        await self._until_cancelled()

    async def _timers(self) -> None:
        since_ns = self._clock.now_ns()
        while True:
            now_ns = self._clock.now_ns()
            next_ns = next_due_ns(self._desk.timers, now_ns)
            await asyncio.sleep(TIMERS_S if next_ns is None else min(TIMERS_S, (next_ns - now_ns) / 1e9))
            now_ns = self._clock.now_ns()
            for timer in due(self._desk.timers, since_ns, now_ns):
                if self._leader.leads:
                    self._leader.hand(self._dispatcher.timer, timer)
            since_ns = now_ns
            await self._leader.send()

    def _control(self, message: Message) -> None:
        if not isinstance(message, ControlMessage) or not concerns(message.scope, self._account, self._name):
            return
        if isinstance(message, Shutdown):
            # A symbol has no process to stop.
            if not message.scope.startswith("symbol:"):
                self._service.stop(f"shutdown by {message.by}: {message.reason}")
        elif not self._leader.aborted:
            self._leader.hand(self._dispatcher.kill_switch, message, self._clock.now_ns())
            self._leader.waiting.set()

    async def _shut_down(self) -> None:
        """Once asked to stop, tell the algorithm and wait for its word; meanwhile all goes on."""
        await self._service.stopping.wait()
        self._watchdog.ask()
        if self._leader.leads:
            self._leader.hand(self._dispatcher.shutdown, self._clock.now_ns())
        await self._leader.send()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s
        while not self._desk.acknowledged and not self._leader.aborted:
            if loop.time() > deadline:
                raise ShutdownLate(
                    f"algorithm {self._name} was late: it did not acknowledge its shutdown within "
                    f"{self._grace_s:g} s; its process ends anyway, with "
                    f"{len(self._desk.portfolio.open_orders)} orders open"
                )
            await asyncio.sleep(0.01)
        await self._leader.acknowledge_shutdown()

    async def _close(self) -> None:
        """Acknowledge what was handled, give back wants and lease; a server that is away holds up nothing."""
        try:
            async with asyncio.timeout(CLOSE_S):
                for reader in self._readers:
                    await reader.close()
                await self._wants.withdraw()
                await self._lease.release()
        except (TimeoutError, BackboneError) as error:
            log.warning("left without saying goodbye to a server", error=repr(error))
        await self._publisher.close()
        await self._halts.close()
        await self._client.aclose()

    @staticmethod
    async def _until_cancelled() -> None:
        await asyncio.get_running_loop().create_future()
