"""Sends orders, cancels and questions in the loop's own tasks, within the request budget."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from bus.clock import Clock
from bus.heartbeat import SendingDetails
from bus.order_messages import Reason
from bus.service import ended
from oms.broker.breaker import Breaker
from oms.broker.budget import Bucket, Lane
from oms.broker.protocol import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerRefused,
    BrokerUnreachable,
    OrdersQuery,
    Outcome,
    RateLimited,
    Rejected,
    RequestsLeft,
    UnreadableOrder,
)
from oms.broker.turns import Turn, Turns
from oms.risk.approval import Approved

# Orders under way at once; one connection more is kept for cancels and questions, however slow orders are.
CONNECTIONS = 4

# An order that waited longer was decided on prices of another time: it is refused rather than sent late.
LONGEST_WAIT_S = 5.0

# A cancel may be repeated safely; after these waits without an answer whoever asked is told.
CANCEL_WAITS_S = (0.25, 1.0, 2.0)

_NS = 1_000_000_000

# How often the broker is asked whether it answers again, at most.
_LOOK_S = 0.25

# What stands against an approved order, asked directly before its first byte leaves; None for nothing.
Objection = Callable[[Approved], Reason | None]

# Hears what came of an order; where the broker has a defect, its error.
OnOutcome = Callable[[Approved, Outcome | BaseException], None]

Answer = TypeVar("Answer")

log = structlog.get_logger()


async def _at_once(_: Approved) -> None:
    """Wait for nothing."""


class Sender:
    """Calls the broker when budget and a connection are free, in the order of `fair_queue.py`.

    An order waits at most `longest_wait_s`, one of the kill switch as long as it takes; in its turn it waits
    for `until_known`, so that what stands against it is asked of what is known now. While the broker fails
    (`breaker.py`) nothing waits: only cancels are sent, and look-ups of our own, one at a time. Mutable: its
    turns, the count of calls that are not done, what the kill switch wants, how the broker does.
    """

    def __init__(
        self,
        broker: Broker,
        bucket: Bucket,
        clock: Clock,
        *,
        connections: int = CONNECTIONS,
        longest_wait_s: float = LONGEST_WAIT_S,
        until_known: Callable[[Approved], Awaitable[None]] = _at_once,
    ) -> None:
        self.bucket = bucket
        self._broker = broker
        self._clock = clock
        self._longest_wait_s = longest_wait_s
        self._longest_wait_ns = int(longest_wait_s * _NS)
        self._until_known = until_known
        self.turns = Turns(bucket, clock, connections, self._too_late)
        self._calls = 0
        self._done = asyncio.Event()
        self.breaker = Breaker()
        self._looking: asyncio.Task[None] | None = None
        # Orders that are at the broker.
        self._sending: set[asyncio.Future[Outcome]] = set()
        # Cancels, by name, that the kill switch has asked for as well.
        self._hastened: set[str] = set()
        broker.watch(self)

    def __repr__(self) -> str:
        return f"<sender: {self.turns}, {self.bucket}, {self.breaker}>"

    @property
    def waiting(self) -> int:
        """Requests that wait for the budget or a connection."""
        return len(self.turns.queue)

    @property
    def failing(self) -> str:
        """Why nothing but cancels and look-ups is sent; "" while the broker answers."""
        return self.breaker.reason(self._clock.monotonic_ns()).message if self.breaker.is_open else ""

    def details(self, held: dict[str, int]) -> SendingDetails:
        """How requests stand, for the heartbeat; `held` are those that are not decided on yet."""
        now_ns = self._clock.monotonic_ns()
        closed_ns = self.bucket.closed_until_ns("shared", now_ns) - now_ns
        return SendingDetails(
            waiting=self.turns.queue.by_algorithm(),
            held=held,
            broker_failing=self.failing,
            closed_s=max(0, closed_ns) / _NS,
        )

    @property
    def busy(self) -> bool:
        """Whether any call is not done: it waits, is under way, or is about to be repeated."""
        return self._calls > 0

    async def idle(self) -> None:
        """Return once no call is left."""
        while self._calls:
            self._done.clear()
            await self._done.wait()

    def submit(
        self, approved: Approved, objection: Objection, on_outcome: OnOutcome, waited_ns: int = 0
    ) -> None:
        """Send an approved order, or a replace, once; its approval must be durable, which took `waited_ns`.

        `objection` says what stands against it directly before its first byte leaves, `on_outcome` hears what
        came of it. The OMS refuses one that waited too long, for the journal (`journalled_late`) or its turn
        (`rate_budget`), or that was withdrawn. One that closes a position at an operator's word takes the
        turns of the kill switch, and waits as long as it takes.
        """
        event = approved.event
        order = _Order(
            "urgent" if approved.closes else "shared",
            event.algorithm,
            "reduce" if approved.reduces else "new",
            event.client_order_id,
            None if approved.closes else self._clock.monotonic_ns() + self._longest_wait_ns - waited_ns,
            sender=self,
            approved=approved,
            objection=objection,
            on_outcome=on_outcome,
        )
        self._calls += 1
        if waited_ns > self._longest_wait_ns and not approved.closes:
            order.told(self._journalled_late(waited_ns))
        elif self.breaker.is_open and not approved.closes:
            order.told(self.breaker.reason(self._clock.monotonic_ns()))
        else:
            self.turns.ask(order)

    def withdraw(self, client_order_id: str, why: Reason) -> bool:
        """Take back an order that still waits; False where it is under way or done."""
        return self.turns.withdraw(client_order_id, why)

    async def cancel(self, broker_order_id: str, algorithm: str = "", *, urgent: bool = False) -> None:
        """Ask for a cancel, and again while there is no answer; raises the last BrokerError, or a refusal.

        It takes the algorithm's turns, or, where it is urgent, those of the kill switch.
        """
        cancel = partial(self._broker.cancel, broker_order_id)
        await self._ask_again(cancel, "urgent" if urgent else "shared", algorithm, broker_order_id)

    def hasten(self, broker_order_id: str) -> None:
        """Have a cancel that is not done yet take the turns of the kill switch from now on."""
        self._hastened.add(broker_order_id)
        self.turns.hasten(broker_order_id)

    async def cancel_all(self) -> None:
        """Ask for a cancel of every order, as `cancel` does for one, urgently."""
        await self._ask_again(self._broker.cancel_all, "urgent", "", "")

    async def ask(self, question: Callable[[], Awaitable[Answer]], lane: Lane = "doubt") -> Answer:
        """Make one request that is no order; raises what the broker raises.

        Raises BrokerUnreachable at once while the broker fails.
        """
        self._calls += 1
        try:
            self._require_broker()
            turn = await self.turns.take(lane, "", "query")
            return await self._within(turn, question, self._require_broker)
        finally:
            self.call_ended()

    async def orders(self, query: OrdersQuery, lane: Lane = "doubt") -> list[BrokerOrder | UnreadableOrder]:
        """List orders by time of submission, page by page, each page a request of its own.

        An order that two pages hold is returned once, as the later page has it.
        """
        found: dict[str, BrokerOrder | UnreadableOrder] = {}
        following: OrdersQuery | None = query
        while following is not None:
            page = await self.ask(partial(self._broker.orders_page, following), lane)
            known = len(found)
            found.update((order.id, order) for order in page.orders)
            # A page that brings nothing new would bring itself again.
            following = page.next if len(found) > known else None
        return list(found.values())

    def answered(self, left: RequestsLeft | None) -> None:
        """The broker answered: it is believed in what it says of its limit."""
        if self.breaker.answered():
            log.warning("the broker answers again")
        if left is not None:
            before = self.bucket.per_minute
            self.bucket.told(self._clock.monotonic_ns(), left.left, int(left.reset_s * _NS), left.limit)
            if self.bucket.per_minute != before:
                log.warning(
                    "the broker's limit of requests", per_minute=self.bucket.per_minute, before=before
                )

    def failed(self, why: str) -> None:
        """The broker did not answer: after some of that, what waits is refused, and look-ups begin."""
        now_ns = self._clock.monotonic_ns()
        if not self.breaker.failed(now_ns, why):
            return
        reason = self.breaker.reason(now_ns)
        log.error("the broker fails", why=reason.message, orders_refused=self.turns.refuse_orders(reason))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look_until_answered())

    async def close(self) -> None:
        """Send nothing more. What waits stays unsent, and of what is under way no answer comes any more."""
        self.turns.close()
        looking = () if self._looking is None else (self._looking,)
        await ended(*self._sending, *looking)

    async def _look_until_answered(self) -> None:
        while self.breaker.is_open:
            if self.breaker.look(self._clock.monotonic_ns()):
                turn = await self.turns.take("doubt", "", "query")
                with contextlib.suppress(BrokerError):
                    await self._within(turn, self._broker.account)
            await asyncio.sleep(_LOOK_S)

    def _require_broker(self) -> None:
        if self.breaker.is_open:
            raise BrokerUnreachable(self.breaker.reason(self._clock.monotonic_ns()).message)

    async def _ask_again(
        self, cancel: Callable[[], Awaitable[None]], lane: Lane, algorithm: str, name: str
    ) -> None:
        self._calls += 1
        waits = iter(CANCEL_WAITS_S)
        try:
            while True:
                turn = await self.turns.take(
                    "urgent" if name in self._hastened else lane, algorithm, "cancel", name
                )
                try:
                    return await self._within(turn, cancel)
                except BrokerRefused:
                    raise
                except RateLimited:
                    continue  # Certainly not carried out: the next turn comes when the broker takes more.
                except BrokerError:
                    wait_s = next(waits, None)
                    if wait_s is None:
                        raise
                    await asyncio.sleep(wait_s)
        finally:
            self._hastened.discard(name)
            self.call_ended()

    async def _within(
        self,
        turn: Turn,
        request: Callable[[], Awaitable[Answer]],
        require: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Make a request in a turn that was granted, where what it requires still holds."""
        try:
            require()
            return await request()
        except RateLimited as error:
            self.limited(error)
            raise
        except BrokerUnreachable:
            self.bucket.put_back()
            raise
        finally:
            self.turns.give_back(turn)

    def begin(self, order: "_Order") -> None:
        """Send an order whose turn has come."""
        sending = asyncio.ensure_future(self._send(order))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        sending.add_done_callback(order.sent)

    async def _send(self, order: "_Order") -> Outcome:
        approved = order.approved
        await self._until_known(approved)
        send = self._broker.submit if approved.replaces_broker_id is None else self._broker.replace
        return await send(approved, partial(order.objection, approved))

    def limited(self, error: RateLimited) -> None:
        """The broker answered 429."""
        reset_ns = None if error.reset_s is None else int(error.reset_s * _NS)
        self.bucket.limited(self._clock.monotonic_ns(), reset_ns)

    def call_ended(self) -> None:
        """A call is done."""
        self._calls -= 1
        self._done.set()

    def _journalled_late(self, waited_ns: int) -> Reason:
        return Reason(
            code="journalled_late",
            message="the orders server did not take the decision in time: not sent",
            limit=f"{self._longest_wait_s:g}",
            value=f"{waited_ns / _NS:.1f}",
        )

    def _too_late(self, turn: Turn, now_ns: int) -> Reason:
        closed_s = (self.bucket.closed_until_ns(turn.lane, now_ns) - now_ns) / _NS
        own = self.turns.queue.by_algorithm().get(turn.algorithm, 0)
        why = (
            f"the broker takes no more requests for {closed_s:.1f} s"
            if closed_s > 0
            else f"{own} other requests of {turn.algorithm} and {self.waiting - own} more wait as well"
        )
        return Reason(
            code="rate_budget",
            message=f"the request budget did not allow it within {self._longest_wait_s:g} s: not sent; {why}",
            limit=f"{self._longest_wait_s:g}",
            value=f"{(now_ns - turn.asked_ns) / _NS:.1f}",
        )


@dataclass(slots=True, eq=False, kw_only=True)
class _Order(Turn):
    """An order on its way."""

    sender: Sender
    approved: Approved
    objection: Objection
    on_outcome: OnOutcome

    def told(self, refused: Reason | None) -> None:
        """Its turn has come, or it is not sent."""
        if refused is None:
            self.sender.begin(self)
        else:
            # Not at once: whoever hears it may ask for more, and turns are being granted.
            asyncio.get_running_loop().call_soon(self._end, Rejected("oms", refused))

    def sent(self, sending: "asyncio.Future[Outcome]") -> None:
        """The broker's answer is there, or the sender was closed."""
        sender = self.sender
        if sending.cancelled():
            sender.call_ended()
            return
        error = sending.exception()
        if isinstance(error, RateLimited):
            sender.limited(error)
            # Certainly not carried out, so the same order may go again, while its time lasts.
            sender.turns.again(self)
            return
        answer = error or sending.result()
        if isinstance(answer, Rejected) and answer.by == "oms":
            sender.bucket.put_back()  # Nothing was sent.
        sender.turns.give_back(self)
        self._end(answer)

    def _end(self, answer: Outcome | BaseException) -> None:
        self.on_outcome(self.approved, answer)
        self.sender.call_ended()
