"""Drives a session live: reads streams, makes requests durable, then acknowledges what was handled."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from algos.connections import Connections
from algos.inputs import Input, UnreadableEntry, event_input, market_input
from algos.session import Request, Session
from bus.clock import Clock
from bus.codec import MessageCodec
from bus.consume import GroupReader
from bus.dead_letters import write_dead_letter
from bus.delivery import Delivery
from bus.errors import Fenced, ServerAway, Unreadable
from bus.order_messages import REQUESTS
from bus.replay import read
from bus.retry import pause, until_answered
from bus.service import until_cancelled
from bus.streams import DEAD, events, orders_dead, requests

# Orders of one slice leave together. Waiting for the rest of a large batch would cost more than a round trip.
SLICE = 50

# A slice ends after this long, so that slow handlers leave the loop time for lease and heartbeat.
SLICE_NS = 5_000_000

# How often a lease that may have run out is looked at, until its keeper has it again or gives up.
LEASE_LOOK_S = 0.01

_CODEC = MessageCodec(REQUESTS)

log = structlog.get_logger()


class Driver:
    """Gives a session its inputs one at a time, as they come; its requests leave in the same order.

    Mutable: `waiting`, which is set while something waits in the outbox that no reading is about to send; how
    many failures were logged; and how far the events are folded.
    """

    def __init__(
        self,
        session: Session,
        connections: Connections,
        clock: Clock,
        *,
        account: str,
        trigger_max_age_ns: int,
    ) -> None:
        self.session = session
        self.waiting = asyncio.Event()
        self._connections = connections
        self._clock = clock
        self._requests = requests(account, session.name)
        self._events = events(account, session.name)
        self._dead_events = orders_dead(account)
        self._trigger_max_age_ns = trigger_max_age_ns
        self._failures_logged = 0
        self._folded_to = "-"
        # Requests leave in the order in which they were asked for, also those that go again.
        self._turn = asyncio.Lock()
        # What is under way: whether it left is not known.
        self._leaving: Sequence[Request] = ()

    @property
    def not_known_sent(self) -> Sequence[Request]:
        """Requests that did not leave, or of which nobody knows whether they did."""
        return (*self._leaving, *self.session.outbox)

    def take(self, input: Input) -> None:
        """Have the session take an input that comes from no stream; what it asks for leaves by itself."""
        if self.session.take(input):
            self.waiting.set()
        self._log_failures()

    async def fold(self) -> None:
        """Bring the portfolio up to date with the events stream, without calling a handler.

        Raises ServerAway; the next call goes on there.
        """
        stream = self._events
        async for delivery in read(self._connections.client, [stream], start=self._folded_to):
            self._folded_to = f"({delivery.id}"
            try:
                event = event_input(delivery, self._clock.now_ns())
            except Unreadable:
                # The reader comes upon it too, and keeps it in `dead`.
                continue
            if event is not None:
                self.session.take(event)

    async def read_market(self, reader: GroupReader) -> None:
        """Take what comes for as long as the session leads, until cancelled."""
        while self.session.state.runs_handlers:
            await self.lease_held()
            await self.handle(reader, await reader.deliveries(), market_input, DEAD)
        await reader.flush()
        await until_cancelled()

    async def read_events(self, reader: GroupReader) -> None:
        """Take what comes; an aborted algorithm's portfolio is kept up to date all the same."""
        while True:
            await self.lease_held()
            await self.handle(reader, await reader.deliveries(), event_input, self._dead_events)

    async def handle(
        self,
        reader: GroupReader,
        deliveries: Sequence[Delivery],
        input_of: Callable[[Delivery, int], Input | None],
        dead: str,
    ) -> None:
        """Handle one read. What the algorithm failed on, and what is behind it, is not acknowledged."""
        session, clock = self.session, self._clock
        done: list[Delivery] = []
        unreadable: list[tuple[Delivery, Unreadable]] = []
        now_ns, began_ns = clock.now_ns(), clock.monotonic_ns()
        for delivery in deliveries:
            try:
                input = input_of(delivery, now_ns)
            except Unreadable as error:
                entry = UnreadableEntry(delivery.stream, delivery.id, now_ns, b"", delivery.redelivered)
                if not session.has_taken(entry):
                    unreadable.append((delivery, error))
                session.take(entry)
                done.append(delivery)
            else:
                if input is not None:
                    session.take(input)
                if input is None or session.state.runs_handlers:
                    done.append(delivery)
            late = clock.monotonic_ns() - began_ns > SLICE_NS
            if late or (session.outbox and len(done) >= SLICE):
                await self._finish(reader, done, unreadable, dead)
                done, unreadable = [], []
                now_ns, began_ns = clock.now_ns(), clock.monotonic_ns()
        await self._finish(reader, done, unreadable, dead)

    async def send(self) -> None:
        """Make durable what handlers asked for so far, however long that takes.

        While the server is away or refuses, nothing has left: what became too old meanwhile is dropped.
        Raises Fenced when another has or had the lease, ServerRefused where the server will never take them.
        """
        self._log_failures()
        session, publisher = self.session, self._connections.publisher
        async with self._turn:
            while session.outbox:
                await publisher.opened()
                lease = self._follow_lease()
                leaving = session.empty_outbox(self._clock.now_ns(), self._trigger_max_age_ns)
                self._leaving = leaving
                try:
                    await publisher.append_now([(self._requests, _CODEC.encode(one)) for one in leaving])
                except (ServerAway, Fenced) as error:
                    session.put_back(leaving)
                    self._leaving = ()
                    await self._mend(error, lease)
                else:
                    self._leaving = ()

    async def send_when_waiting(self) -> None:
        """Send what handlers outside the streams asked for, until cancelled."""
        while True:
            await self.waiting.wait()
            self.waiting.clear()
            await self.send()

    async def acknowledge_shutdown(self) -> None:
        """Say, durably, that nothing follows under this lease, however long that takes; raises as `send`."""
        while True:
            await self.send()
            lease = self._follow_lease()
            message = self.session.acknowledge_shutdown(self._clock.now_ns())
            try:
                await self._connections.publisher.append_now([(self._requests, _CODEC.encode(message))])
            except (ServerAway, Fenced) as error:
                await self._mend(error, lease)
            else:
                return

    async def _finish(
        self,
        reader: GroupReader,
        done: Sequence[Delivery],
        unreadable: Sequence[tuple[Delivery, Unreadable]],
        dead: str,
    ) -> None:
        """Only what is durable, requests and unreadable entries, may be acknowledged."""
        if self.session.outbox:
            await self.send()
        else:
            # Nearly always: what these entries led to, if anything, is durable already.
            self._log_failures()
        for delivery, error in unreadable:
            await self._keep_unreadable(delivery, error, dead)
        for delivery in done:
            reader.acknowledge(delivery)
        if done:
            # Give lease and heartbeat a turn, also where nothing had to be waited for.
            await asyncio.sleep(0)

    async def _keep_unreadable(self, delivery: Delivery, error: Unreadable, dead: str) -> None:
        """Have it kept once, however long that takes: also where a reply was lost, or it was read before."""
        by, is_new = f"algo-{self.session.name}", not delivery.redelivered

        async def keep() -> None:
            nonlocal is_new
            unless_kept, is_new = not is_new, False
            await write_dead_letter(
                self._connections.client, delivery, error, by=by, into=dead, unless_kept=unless_kept
            )

        await until_answered(
            keep,
            stopping=None,
            tell=lambda trouble: log.warning("dead letter not written yet", error=trouble),
        )

    async def lease_held(self) -> None:
        """Wait until the lease is certainly ours: its keeper takes it again, or raises Fenced.

        Asked before each read: a leader that was paused shares its consumer groups' one member with whoever
        leads since, and would take entries that nobody is given again.
        """
        while not self._connections.lease.lease.held:
            await pause(LEASE_LOOK_S, stopping=None)

    def _follow_lease(self) -> str:
        """Have what leaves now leave under the lease as it is now; returns its value."""
        lease = self._connections.lease.lease.value
        if lease and self.session.lease and lease != self.session.lease:
            self.session.lease_regained(lease)
        return lease

    async def _mend(self, error: ServerAway | Fenced, lease: str) -> None:
        """Wait until what did not leave, under this value of the lease, may be tried again."""
        if isinstance(error, Fenced):
            await self._connections.lease.regain(lease)
        else:
            await self._connections.publisher.wait_out(error)

    def _log_failures(self) -> None:
        for failure in self.session.failures[self._failures_logged :]:
            self._failures_logged += 1
            what = "algorithm aborted: it handles nothing more; mend it and start it again"
            if self._failures_logged > 1:
                what = f"{failure.handler} of an aborted algorithm failed too"
            log.error(what, handler=failure.handler, handling=failure.trigger, exc_info=failure.error)
