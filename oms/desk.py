"""Takes deliveries of requests and of broker facts, decides on each in order, and commits them as batches."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import redis.asyncio
import structlog

from bus.clock import Clock
from bus.codec import Message, MessageCodec
from bus.consume import Delivery
from bus.errors import Unreadable
from bus.halt import HaltWatch
from bus.order_messages import (
    REQUESTS,
    CancelRequest,
    EntryDeadLettered,
    OrderRequest,
    ReplaceRequest,
    ShutdownAcknowledged,
)
from bus.streams import requests
from oms import orders
from oms.dispatch import Dispatch
from oms.limits import Limits
from oms.preconditions import Context, Price
from oms.prices import Prices
from oms.records import Records
from oms.registry import Registry
from oms.requests import decide, decide_cancel
from oms.risk import Approved
from oms.updates import translate

# Batches handed to the journal and not yet durable: enough to decide while the disk works, few enough that a
# decision is never far ahead of what is durable.
_MOST_BATCHES = 4

_REQUEST_CODEC = MessageCodec(REQUESTS)

log = structlog.get_logger()


@dataclass(slots=True)
class _Batch:
    """What one batch comes to: its events, what it answers, and what may be sent once it is durable."""

    events: list[Message] = field(default_factory=list)
    acknowledged: list[Delivery] = field(default_factory=list)
    approved: list[Approved] = field(default_factory=list)


class Desk:
    """Where requests meet the book. `why_not_ready` is "" once orders may be taken."""

    def __init__(
        self,
        account: str,
        limits: Limits | None,
        records: Records,
        prices: Prices,
        registry: Registry,
        halts: HaltWatch,
        dispatch: Dispatch,
        clock: Clock,
        on_unreadable_fact: Callable[[str], Awaitable[None]],
        on_connected: Callable[[Delivery], None],
    ) -> None:
        self.limits = limits
        self.why_not_ready = "starting"
        self._account = account
        self._records = records
        self._prices = prices
        self._registry = registry
        self._halts = halts
        self._dispatch = dispatch
        self._clock = clock
        self._on_unreadable_fact = on_unreadable_fact
        self._on_connected = on_connected
        self._prefix = requests(account, "")
        self._retired: dict[str, str] = {}
        self._under_way: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<desk of {self._account}: {self.why_not_ready or 'ready'}>"

    async def take_requests(self, deliveries: Sequence[Delivery]) -> None:
        """Decide on a batch of requests; approved orders are sent once their approval is durable."""
        read = [(delivery, self._read(delivery)) for delivery in deliveries]
        await self._look_up_leases(read)
        symbols = {
            message.terms.symbol for _, message in read if isinstance(message, OrderRequest | ReplaceRequest)
        }
        prices = await self._prices.refresh(symbols) if symbols else self._prices.known
        now_ns = self._clock.now_ns()
        contexts: dict[str, Context] = {}
        batch = _Batch()
        for delivery, message in read:
            name = delivery.stream[len(self._prefix) :]
            if isinstance(message, ShutdownAcknowledged):
                self._retired[name] = message.lease
                contexts.pop(name, None)
            context = contexts.get(name)
            if context is None:
                context = contexts[name] = self._context(name, now_ns)
            self._take_request(delivery, message, prices, context, batch)
        await self._commit(batch)

    def _take_request(
        self,
        delivery: Delivery,
        message: Message,
        prices: Mapping[str, Price],
        context: Context,
        batch: _Batch,
    ) -> None:
        records = self._records
        event: Message | None
        if isinstance(message, OrderRequest | ReplaceRequest):
            decision = decide(message, records.book, self.limits, prices, context)
            records.counts["requests"] += 1
            if decision.approved is not None:
                batch.approved.append(decision.approved)
            elif decision.event is None:
                records.counts["duplicates"] += 1
            event = decision.event
        elif isinstance(message, CancelRequest):
            records.counts["cancel_requests"] += 1
            decision = decide_cancel(message, records.book, context)
            if decision.cancel is not None:
                # Acknowledged only once the broker has answered.
                self._dispatch.cancel(decision.cancel, delivery)
                return
            event = decision.event
        else:
            event = message if isinstance(message, EntryDeadLettered) else None
        batch.acknowledged.append(delivery)
        if event is not None:
            records.take(event)
            batch.events.append(event)

    async def take_facts(self, deliveries: Sequence[Delivery]) -> None:
        """Take a batch of the account stream into book and journal."""
        batch = _Batch()
        strays: list[tuple[orders.Order, str]] = []
        unreadable: list[tuple[Delivery, str]] = []
        for delivery in deliveries:
            kind = delivery.fields.get(b"type", b"")
            if kind == b"Connected":
                # Acknowledged only once what was missed before it is booked.
                self._on_connected(delivery)
                continue
            if kind == b"Disconnected":
                batch.acknowledged.append(delivery)
                continue
            try:
                if kind != b"TradeUpdate":
                    raise Unreadable(f"an entry of type {kind.decode(errors='replace')[:64]!r}")
                batch.events += self._translated(delivery, strays)
                batch.acknowledged.append(delivery)
            except Unreadable as error:
                kept = self._kept(delivery, str(error))
                self._records.take(kept)
                batch.events.append(kept)
                unreadable.append((delivery, f"{delivery.stream} {delivery.id} cannot be read: {error}"))
        await self._commit(batch)
        for order, broker_order_id in strays:
            self._dispatch.cancel_stray(order, broker_order_id)
        for delivery, why in unreadable:
            await self._on_unreadable_fact(why)
            # Not before: a crash in between must not leave the account open.
            self._records.record([], [delivery])

    def _translated(self, delivery: Delivery, strays: list[tuple[orders.Order, str]]) -> list[Message]:
        book = self._records.book
        try:
            received_ns = int(delivery.fields.get(b"r", b"0")) or self._clock.now_ns()
        except ValueError as error:
            raise Unreadable("its receive time r is not a number") from error
        translation = translate(delivery.fields.get(b"data", b""), book, received_ns)
        for event in translation.events:
            self._records.take(event)
        if translation.absorbed is not None:
            orders.absorb(*translation.absorbed)
        if translation.stray is not None and translation.order is not None:
            strays.append((translation.order, translation.stray))
        return translation.events

    async def _commit(self, batch: _Batch) -> None:
        entries = [self._records.entry(event) for event in batch.events]
        durable = self._records.journal.commit(entries, batch.acknowledged)
        if batch.approved:
            durable.add_done_callback(lambda future: self._send(future, batch.approved))
        self._under_way.append(durable)
        while self._under_way and (self._under_way[0].done() or len(self._under_way) >= _MOST_BATCHES):
            oldest = self._under_way.popleft()
            # Cancelling the wait must not cancel the future: its approved orders would never be sent.
            await asyncio.wait({oldest})
            oldest.result()

    def _send(self, durable: asyncio.Future[None], approved: list[Approved]) -> None:
        if durable.cancelled() or durable.exception() is not None:
            return  # Not durable, so not sent; the journal's task ends the process with the reason.
        for one in approved:
            self._dispatch.order(one)

    def _read(self, delivery: Delivery) -> Message:
        try:
            return _REQUEST_CODEC.decode(delivery.fields)
        except Unreadable as error:
            log.error("unreadable request", stream=delivery.stream, id=delivery.id, error=str(error))
            return self._kept(delivery, str(error))

    def _kept(self, delivery: Delivery, error: str) -> EntryDeadLettered:
        payload = b" ".join(b"%s=%s" % item for item in delivery.fields.items())
        return EntryDeadLettered(
            stream=delivery.stream,
            entry_id=delivery.id,
            error=error,
            payload=payload.decode(errors="backslashreplace"),
            at_ns=self._clock.now_ns(),
        )

    async def _look_up_leases(self, read: Sequence[tuple[Delivery, Message]]) -> None:
        """Ask for the leases again where a request carries another than the one we know."""
        leases = self._registry.leases
        for delivery, message in read:
            lease = getattr(message, "lease", None)
            if lease is not None and leases.get(delivery.stream[len(self._prefix) :]) != lease:
                try:
                    await self._registry.read_leases()
                except (redis.asyncio.RedisError, OSError) as error:
                    # Then those we know hold: who leads by another is refused.
                    log.warning("leases not readable", error=str(error))
                return

    def _context(self, algorithm: str, now_ns: int) -> Context:
        return Context(
            account=self._account,
            algorithm=algorithm,
            now_ns=now_ns,
            halt=self._halts.state,
            control_fresh=self._halts.fresh(),
            why_not_ready=self.why_not_ready,
            lease=self._registry.leases.get(algorithm, ""),
            retired_lease=self._retired.get(algorithm, ""),
        )
