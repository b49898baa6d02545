"""An algorithm's process from start to end: register, take the lease, lead, and stop in order."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import structlog

from algos.connections import Connections
from algos.driver import Driver
from algos.inputs import ControlEntry, ShutdownRequested, StateChanged, TimerDue
from algos.lifecycle import State
from algos.registration import Entry, Wants, register
from algos.report import Report
from algos.session import Session
from algos.timers import due, next_due_ns
from algos.watchdog import Watchdog
from bus.clock import GrowingTime
from bus.codec import Message
from bus.control_messages import CancelOrders, ControlMessage, Shutdown
from bus.errors import BackboneError, Fenced
from bus.halt_state import concerns
from bus.heartbeat import StateReason
from bus.retry import pause, until_answered
from bus.service import Service, run_together, run_until, until_cancelled

# How often a new algorithm looks whether the OMS reads its requests.
REGISTERED_S = 0.2

_NOT_REGISTERED = StateReason(
    "not_registered", "waits for the OMS, which has to read this algorithm's requests"
)

# How often timers are looked at where none is due sooner: a handler may have set a new one.
TIMERS_S = 0.2

# What closing may take; past it the other side finds out by itself what we did not say.
CLOSE_S = 1.0

# A process whose loop still turns says by itself who was late, and closes; only one that hangs is ended so.
WATCHED_S = CLOSE_S + 2

Answer = TypeVar("Answer")

log = structlog.get_logger()


class ShutdownLate(BackboneError):
    """The algorithm did not acknowledge its shutdown in time; the process ended anyway."""


class Runner:
    """Runs one algorithm's session live; `run` is the body of its service.

    Mutable: the entry id of the control message that asked for the shutdown, where one did.
    """

    def __init__(
        self,
        session: Session,
        connections: Connections,
        service: Service,
        *,
        account: str,
        symbols: Sequence[str],
        subscriptions: Mapping[str, Sequence[str]],
        trigger_max_age_s: float,
        shutdown_grace_s: float,
    ) -> None:
        self._session, self._connections, self._service = session, connections, service
        self._clock, self._lease = service.clock, connections.lease.lease
        self._account, self._symbols = account, tuple(symbols)
        self._grace_s = shutdown_grace_s
        self._driver = Driver(
            session,
            connections,
            service.clock,
            account=account,
            trigger_max_age_ns=int(trigger_max_age_s * 1e9),
        )
        self._wants = Wants(connections.client, account, session.name, subscriptions)
        self._watchdog = Watchdog(session.name, shutdown_grace_s + WATCHED_S, lambda: session.running)
        self._report = Report(service, session, connections, subscriptions, self._wants)
        self._shutdown_entry_id = ""

    async def run(self) -> None:
        """Run until the service is asked to stop, the lease is lost, or the algorithm is late in stopping."""
        # It watches to the very end of the process, our own closing included.
        self._watchdog.start()
        try:
            await run_together(
                self._live(), self._connections.halts.run(self._control), self._report.run(), self._want()
            )
        finally:
            self._report.refresh()
            await self._close()

    async def _live(self) -> None:
        session = self._session
        entry = Entry(secrets.token_hex(8), self._clock.now_ns(), self._symbols)
        ours = partial(register, self._connections.client, self._account, session.name, entry)
        registered = await self._until_answered(ours, stopping=self._service.stopping)
        if registered is None:
            return
        session.lineage = registered.lineage
        if await self._is_registered() and await self._take_lease():
            try:
                await self._lead()
            except Fenced:
                if session.state is State.LEADER:
                    self._become(State.FOLLOWER, session.lease)
                raise

    async def _lead(self) -> None:
        """Get ready, then lead until the stop, the lease renewed all the while. Raises Fenced."""
        await run_together(self._connections.lease.keep(), self._get_ready_and_lead())

    async def _get_ready_and_lead(self) -> None:
        connections, driver, stopping = self._connections, self._driver, self._service.stopping
        await run_until(stopping, self._get_ready())
        if self._session.state is State.ABORTED:
            # A handler failed while we got ready: the lease is for whoever can lead.
            await connections.lease.give_back()
            await stopping.wait()
        if stopping.is_set():
            return
        self._become(State.LEADER, self._lease.value)
        log.info("leads", token=self._lease.token, position=self._session.portfolio.quantities)
        await run_together(
            driver.send_when_waiting(),
            driver.read_events(connections.events),
            self._timers(),
            self._shut_down(),
            *(driver.read_market(reader) for reader in connections.market),
        )

    async def _get_ready(self) -> None:
        """Know the portfolio and be able to read; that may take longer than a lease lasts by itself."""
        await self._until_answered(self._driver.fold, stopping=None)
        for reader in self._connections.readers:
            await reader.open()
        await self._driver.lease_held()

    async def _take_lease(self) -> bool:
        """Follow until the lease is ours; False when the process is to stop first."""

        def follow(reason: StateReason) -> None:
            if self._session.state is State.BOOTSTRAP:
                self._become(State.FOLLOWER)
            self._report.waiting_for = reason

        taken = await self._connections.lease.take(
            stopping=self._service.stopping,
            tell=follow,
            # An algorithm that aborted waits for the stop alone.
            willing=lambda: self._session.state is not State.ABORTED,
        )
        self._report.waiting_for = None
        return taken

    def _become(self, state: State, lease: str = "") -> None:
        self._driver.take(StateChanged(state, lease, self._clock.now_ns()))

    async def _is_registered(self) -> bool:
        """Wait until the OMS says that it reads our requests; False when the process is to stop first."""
        while not self._service.stopping.is_set():
            await self._until_answered(self._driver.fold, stopping=self._service.stopping)
            self._report.waiting_for = _NOT_REGISTERED
            if self._session.registered:
                self._report.waiting_for = None
                return True
            await pause(REGISTERED_S, self._service.stopping)
        return False

    async def _until_answered(
        self, question: Callable[[], Awaitable[Answer]], *, stopping: asyncio.Event | None
    ) -> Answer | None:
        """What the orders server answers, once it does; None where `stopping` was set first."""

        def away(trouble: str) -> None:
            sentence = f"waiting for the orders server: {trouble}"
            self._report.waiting_for = StateReason("server_away", sentence)
            log.warning("orders server away", error=trouble)

        answer = await until_answered(question, stopping=stopping, tell=away)
        self._report.waiting_for = None
        return answer

    async def _want(self) -> None:
        """Want market data until the algorithm is aborted; the process stays, for an operator to see why."""
        await self._wants.run(lambda: self._session.state is not State.ABORTED)
        await until_answered(
            self._wants.withdraw,
            stopping=self._service.stopping,
            tell=lambda trouble: log.warning("wants not withdrawn", error=trouble),
        )
        await until_cancelled()

    async def _timers(self) -> None:
        # An instant that came twice would ask for no order the second time: its id would be the same.
        time = GrowingTime(self._clock)
        since_ns = time.now_ns()
        while True:
            now_ns = time.now_ns()
            next_ns = next_due_ns(self._session.timers, now_ns)
            # uvloop rounds to whole milliseconds: less than half of one is none, and the loop would spin.
            wait_s = TIMERS_S if next_ns is None else max(0.001, (next_ns - now_ns) / 1e9)
            await asyncio.sleep(min(TIMERS_S, wait_s))
            now_ns = time.now_ns()
            for timer in due(self._session.timers, since_ns, now_ns):
                self._driver.take(TimerDue(timer, self._clock.now_ns()))
            since_ns = now_ns

    def _control(self, entry_id: str, message: Message) -> None:
        name = self._session.name
        if not isinstance(message, ControlMessage) or not concerns(message.scope, self._account, name):
            return
        if isinstance(message, CancelOrders):
            return  # What becomes of its orders, an algorithm hears of each.
        if not isinstance(message, Shutdown):
            self._driver.take(ControlEntry(entry_id, self._clock.now_ns(), message))
        elif not message.scope.startswith("symbol:") and not self._service.stopping.is_set():
            # A symbol has no process to stop.
            self._shutdown_entry_id = entry_id
            self._service.stop(f"shutdown by {message.by}: {message.reason}")

    async def _shut_down(self) -> None:
        """Once asked to stop, tell the algorithm and wait for its word; meanwhile all goes on."""
        await self._service.stopping.wait()
        self._watchdog.ask()
        session, now_ns = self._session, self._clock.now_ns()
        self._driver.take(ShutdownRequested(now_ns, session.lease, self._shutdown_entry_id))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s
        while not session.acknowledged and session.state is not State.ABORTED:
            if loop.time() > deadline:
                raise ShutdownLate(
                    f"algorithm {session.name} was late: it did not acknowledge its shutdown within "
                    f"{self._grace_s:g} s; its process ends anyway, with "
                    f"{len(session.portfolio.open_orders)} orders open"
                )
            await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout_at(deadline):
                await self._driver.acknowledge_shutdown()
        except TimeoutError:
            raise ShutdownLate(self._not_taken()) from None

    def _not_taken(self) -> str:
        """Which server did not take an algorithm's last word in time, and what stays unsaid."""
        publisher, unknown = self._connections.publisher, self._driver.not_known_sent
        for request in unknown:
            log.error(
                "request not known to have left", kind=type(request).__name__, id=request.client_order_id
            )
        return (
            f"algorithm {self._session.name} could not say that it stopped: the orders server "
            f"{publisher.server} took nothing within the {self._grace_s:g} s of its shutdown"
            f"{f' ({publisher.away})' if publisher.away else ''}; its process ends anyway, and of "
            f"{len(unknown):,} requests it is not known that they left"
        )

    async def _close(self) -> None:
        """Acknowledge what was handled, give back wants and lease; a server that is away holds up nothing."""
        try:
            async with asyncio.timeout(CLOSE_S):
                for reader in self._connections.readers:
                    await reader.close()
                await self._wants.withdraw()
                await self._connections.lease.give_back()
        except (TimeoutError, BackboneError) as error:
            log.warning("wants and lease not given back", error=repr(error))
        await self._connections.close()
