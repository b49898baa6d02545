"""The OMS as a process: read, take, journal, carry out; start and stop without leaving a doubt."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from bus import halt, streams
from bus.codec import Message
from bus.connection import connect
from bus.consume import GroupReader
from bus.control_messages import AccountCommand, CancelOrders, Flatten, Resume
from bus.delivery import Delivery
from bus.errors import ServerAway, ServerRefused
from bus.heartbeat import State, StateReason
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.outage import Outage
from bus.service import Service
from oms import heartbeat
from oms.actions import Actions
from oms.broker.budget import Bucket
from oms.broker.protocol import Broker
from oms.broker.sender import Sender
from oms.engine import Engine
from oms.halt_file_watch import HaltFileWatch
from oms.journal.journal import Journal
from oms.journal.journal_head import JournalHead
from oms.journal.snapshot_keeper import SnapshotKeeper
from oms.limits.limits import Limits
from oms.market_questions import MarketQuestions
from oms.objections import Objections
from oms.prices.prices import Prices
from oms.reconciliation.heard_before import heard_before_ns
from oms.registry import LOOK_S, WANT_S, Registry
from oms.requests.refusal_throttle import RefusalThrottle
from oms.settings import OmsSettings
from oms.state.effects import Effects
from oms.state.inputs import (
    BrokerMessageRead,
    BrokerMessagesRead,
    ControlRead,
    HaltStateRead,
    Input,
    RequestRead,
    RequestsRead,
    Tick,
    read_request,
)

# Readers look up from a quiet stream this often, so that a stop and a new algorithm are noticed.
BLOCK_MS = 100

# A standby takes over this long after the leader was last heard of. Renewed five times as often, it outlives
# stalls of 400 ms on either side.
LEASE_MS = 700

# Until it takes orders it may stand still for so long: on a machine that is that slow two OMS would take the
# lease from each other, and neither would ever come to the end of its start.
STARTING_LEASE_MS = 3000

LEASE_ASK_S = 0.02

# How often a lease that may have run out is looked at, until its keeper has it again or gives up.
_LEASE_LOOK_S = 0.01

# How often requests and broker messages are looked for that were given to an OMS before this one.
_UNSEEN_S = 1.0

# Batches handed to the journal and not yet durable: enough to decide while the disk works, few enough that a
# decision is never far ahead of what is durable.
_MOST_BATCHES = 4

# How often the engine is told that time passes.
TICK_S = 0.25

# Orders hashed for the digest at each tick: some milliseconds. In a burst the heartbeat shows an older one.
MOST_HASHED = 250

log = structlog.get_logger()


class Oms:
    """The parts of one OMS, and one event's way through them.

    Must be made inside the event loop. Mutable: the engine and the parts; `waiting_for`, why the engine does
    not work yet; `halt_state_awaited`, set once a first one is written; `rules_taken`, set once halts and
    limits may be journalled. In a new journal nothing stands before what the account held: a start that ends
    earlier must find it new again.
    """

    def __init__(
        self,
        service: Service,
        settings: OmsSettings,
        limits: Limits,
        broker: Broker,
        make_journal: Callable[..., Journal] = Journal,
    ) -> None:
        url, account, clock = settings.orders_redis_url, settings.account, service.clock
        self.service, self.settings, self.limits, self.broker = service, settings, limits, broker
        self.account, self.clock = account, clock
        self.client = connect(url, name="oms")
        self.lease = LeaseKeeper(
            Lease(
                self.client,
                streams.oms_lease(account),
                f"{service.process}-{service.instance}",
                ttl_ms=LEASE_MS,
                first_ms=STARTING_LEASE_MS,
                clock=clock,
            ),
            other="another OMS",
            ask_s=LEASE_ASK_S,
        )
        self.halts = halt.HaltWatch(url, clock, name="oms-halts")
        self.journal = make_journal(url, self.lease, account, clock)
        every, archive = settings.oms_snapshot_every, settings.journal_archive
        self.snapshots = SnapshotKeeper(url, account, self.journal, lambda: self._digest, every, archive)
        self.head = JournalHead(settings.md_redis_url, account, self.journal)
        longest_send_s = settings.oms_send_timeout_s + settings.oms_doubt_s
        self.engine = Engine(
            account,
            longest_send_ns=int(longest_send_s * 1e9),
            compare_every_ns=int(settings.oms_compare_s * 1e9),
            on_difference=settings.oms_on_difference,
            halt_after=settings.halt_after(),
        )
        self.objections = Objections(
            self.lease.lease, self.halts, lambda one: self.engine.objection(one, self.halt_file.state)
        )
        self.sender = Sender(
            broker,
            Bucket(clock.monotonic_ns(), settings.oms_requests_per_minute),
            clock,
            connections=settings.oms_connections,
            longest_wait_s=settings.oms_longest_wait_s,
            until_known=self.objections.until_known,
        )
        self.actions = Actions(
            broker, self.sender, self.client, clock, self.take, self.take_requests, self.objections.against
        )
        self.throttle = RefusalThrottle(int(settings.oms_longest_wait_s * 1e9))
        self.halt_file = HaltFileWatch(settings.halt_file, account, self.halts, self.actions.put_in_force)
        self.market_questions = MarketQuestions(broker, self.sender, clock, self.take)
        self.prices = Prices(settings.md_redis_url, clock)
        self.registry = Registry(self.client, account)
        self.requests = GroupReader(
            url, (), streams.GROUP_OMS, start="0", block_ms=BLOCK_MS, name="oms-requests"
        )
        # Made by `open_account_stream`: where it begins is known only then.
        self.account_reader: GroupReader | None = None
        self.waiting_for: StateReason | None = None
        self._requests_prefix = streams.requests(account, "")
        self._account_stream = streams.account(account)
        # And the journal's id at which the state had it, and how many entries were durable then.
        self._digest = "", "0-0", 0
        self.halt_state_awaited = False
        self.rules_taken = False
        self._handed_in: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<OMS of {self.account}: {self.waiting_for or self.engine!r}>"

    # Read.

    async def read_requests(self) -> None:
        """Take requests as they come, until cancelled."""
        while True:
            if await self._may_read() and (admitted := self._admitted(await self.requests.deliveries())):
                await self._decide(admitted)

    async def take_requests(self, deliveries: Sequence[Delivery]) -> None:
        """Take requests again that waited for something."""
        await self._decide([read_request(delivery, self._requests_prefix) for delivery in deliveries])

    def _admitted(self, deliveries: Sequence[Delivery]) -> list[RequestRead]:
        """Those to be decided on now, of what was read and of what is held back."""
        admitted = self.throttle.taken(
            [read_request(delivery, self._requests_prefix) for delivery in deliveries],
            self.engine.observed.refusals_of,
            self.engine.may_cancel,
            self.clock.monotonic_ns(),
        )
        self.requests.paused = self.throttle.full()
        return admitted

    async def _decide(self, read: Sequence[RequestRead]) -> None:
        """Take requests, with the leases and prices that they need."""
        if not all(self.registry.knows(one) for one in read):
            await self.read_leases()
        symbols = {one.message.terms.symbol for one in read if hasattr(one.message, "terms")}
        if due := self.prices.due(symbols):
            await self.prices.refresh(due)
        prices = {symbol: known for symbol in symbols if (known := self.prices.known.get(symbol))}
        if symbols:
            await self.objections.until_control_is_read()
        await self._handed_to_journal(self.take(RequestsRead(read, self.halts.fresh(), prices)))

    async def read_account(self) -> None:
        """Take entries of the account stream as they come, until cancelled."""
        while True:
            if await self._may_read() and (messages := await self.account_messages()):
                await self._handed_to_journal(self.take(BrokerMessagesRead(messages)))

    async def open_account_stream(self, start: str, *, anew: bool = False) -> GroupReader:
        """Begin to read the account stream; a group that is missing is made at `start`.

        `anew`: also where there is one, whatever it had not read.
        """
        if anew and await self.client.exists(self._account_stream):
            await self.client.xgroup_destroy(self._account_stream, streams.GROUP_OMS)
        self.account_reader = GroupReader(
            self.settings.orders_redis_url,
            (self._account_stream,),
            streams.GROUP_OMS,
            start=start,
            block_ms=BLOCK_MS,
            name="oms-account",
        )
        await self.account_reader.open()
        return self.account_reader

    async def account_messages(self) -> list[BrokerMessageRead]:
        """The next entries of the account stream, oldest first; empty when nothing came for a while."""
        assert self.account_reader is not None, "it is opened at the start"
        return [
            BrokerMessageRead(one, await heard_before_ns(self.client, one))
            if one.fields.get(b"type") == b"Connected"
            else BrokerMessageRead(one)
            for one in await self.account_reader.deliveries()
        ]

    async def _may_read(self) -> bool:
        """Asked before each read: an OMS that was paused shares its group's one member with its successor,
        and would take what that one is to answer. Whether there is one, the lease's keeper finds out."""
        if self.lease.lease.held:
            return True
        await asyncio.sleep(_LEASE_LOOK_S)
        return False

    def _readers(self) -> list[GroupReader]:
        return [self.requests] if self.account_reader is None else [self.requests, self.account_reader]

    # Take and journal.

    def take(self, taken: Input) -> "asyncio.Future[None]":
        """Have the engine take an input, and its effects journalled and then carried out."""
        halts = self.halt_file.state
        differs = halts != self.engine.state.halts_read
        if self.rules_taken and differs and not isinstance(taken, HaltStateRead):
            self.take(HaltStateRead(halts))
        taken_ns = self.clock.monotonic_ns()
        effects = self.engine.take(taken, self.clock.now_ns())
        for note in effects.notes:
            getattr(log, note.level)(note.text, **note.about)
        durable = self.journal.commit(effects.events, effects.acknowledge, tell_later=bool(effects.send))
        durable.add_done_callback(partial(self._carry_out, effects, taken_ns))
        return durable

    async def _handed_to_journal(self, durable: "asyncio.Future[None]") -> None:
        """Let decisions run ahead of the disk, but not far."""
        self._handed_in.append(durable)
        while self._handed_in and (self._handed_in[0].done() or len(self._handed_in) >= _MOST_BATCHES):
            oldest = self._handed_in.popleft()
            if not oldest.done():
                # Cancelling the wait must not cancel the future: what it carries out would never happen.
                await asyncio.wait({oldest})
            oldest.result()

    def hear(self, entry_id: str, message: Message) -> None:
        """Take an operator's word from control; halts and resumes are in the halt key already.

        Before the engine has started nothing is canceled or closed: it does not know yet what there is. A
        resume lifts what the halt file here has too, wherever it was given.
        """
        if isinstance(message, Resume):
            self.halt_file.resume(message)
        words = CancelOrders | Flatten | AccountCommand
        if isinstance(message, words) and self.engine.observed.started:
            self.take(ControlRead(entry_id, message, self.prices.known))

    # Carry out.

    def _carry_out(self, effects: Effects, taken_ns: int, durable: "asyncio.Future[None]") -> None:
        if durable.cancelled() or durable.exception() is not None:
            return  # Not durable, so not carried out; the journal's task ends the process with the reason.
        for reader in self._readers():
            reader.acknowledged_elsewhere(effects.acknowledge)
        if effects.first_halt_state:
            self.halt_state_awaited = True
        for message in effects.halts:
            self.halt_file.halt(message)
        self.actions.start(effects, self.clock.monotonic_ns() - taken_ns)

    # Observe.

    async def follow_registry(self) -> None:
        """Read newly registered algorithms and who leads each, until cancelled."""
        await self.repeat(LOOK_S, self._look)

    async def redeliver_unseen(self) -> None:
        """Have what an OMS before this one took and cannot answer any more come here, until cancelled."""
        await self.repeat(_UNSEEN_S, self._redeliver_unseen)

    async def want_prices(self) -> None:
        """Keep wanting prices of what is held, ordered, asked for or wanted by others, until cancelled."""
        await self.repeat(WANT_S, self._want_prices)

    async def tick(self) -> None:
        """Tell the engine that time passes, and everyone how it is, until cancelled."""
        while True:
            self.halt_file.look()
            self.take(Tick(self.clock.monotonic_ns()))
            self.tell()
            await asyncio.sleep(TICK_S)

    async def repeat(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Act again and again, until cancelled; a server that is away is said and tried again."""
        unread = Outage("orders server not readable")
        while True:
            with unread:
                await act()
            await asyncio.sleep(seconds)

    async def read_leases(self) -> None:
        """Read who leads each algorithm now; where that cannot be read, those we know hold."""
        try:
            await self.registry.read_leases()
        except (ServerAway, ServerRefused) as error:
            log.warning("leases not readable", error=str(error))
        self.take(self.registry.read())

    async def _redeliver_unseen(self) -> None:
        for reader in self._readers():
            await reader.redeliver_unseen()

    async def _want_prices(self) -> None:
        held = self.engine.state.book.symbols()
        await self.registry.want_prices(held | self.prices.wanted())
        if due := self.prices.due(held):
            # Profits are shown at them.
            await self.prices.refresh(due)

    async def _look(self) -> None:
        await self.registry.look(self.requests)
        self.take(self.registry.read())

    # Tell.

    def wait_for(self, reason: StateReason | None) -> None:
        """Say, before the engine works, why it does not; None once it does."""
        self.waiting_for = reason
        self.tell()

    def tell(self, most_hashed: int = MOST_HASHED) -> None:
        """Bring the heartbeat up to date."""
        self._show()
        digest = self.engine.digest_within(most_hashed)
        if digest is not None:
            self._digest = digest, self.journal.assigned_id, self.journal.entries
        self.service.details = heartbeat.details(
            self.engine,
            ready=self.service.state is State.READY,
            leads=self.lease.lease.held,
            budget=self.sender.bucket.tokens,
            commits=self.journal.commits,
            digest=self._digest[0],
            digest_at=self._digest[1],
            head=self.journal.last_hash.decode(),
            head_at=self.journal.last_id,
            snapshot_at=self.snapshots.at_id,
            halt_file=self.halt_file.details(),
            sending=self.sender.details(self.throttle.held()),
            last_prices=self.prices.last(self.engine.state.book.ledger.holdings()),
        )

    def _show(self) -> None:
        if self.waiting_for is not None:
            self.service.tell(State.WAITING, self.waiting_for)
        else:
            state, reasons = heartbeat.state(self.engine, self.sender.failing)
            self.service.tell(state, *reasons)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(
            *(reader.close() for reader in self._readers()),
            self.journal.close(),
            self.head.close(),
            self.prices.close(),
            self.halts.close(),
            self.client.aclose(),
            self.sender.close(),
            self.broker.close(),
            return_exceptions=True,
        )
