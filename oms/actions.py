"""What the engine wants done outside: requests to the broker, and halts. Each answer is an input again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from bus import halt
from bus.clock import Clock
from bus.connection import Client
from bus.control_messages import Halt, ReduceOnly
from bus.delivery import Delivery
from bus.order_messages import Reason
from bus.retry import until_answered
from oms import questions
from oms.broker.protocol import Broker, BrokerError, Outcome
from oms.broker.sender import Sender
from oms.requests.cancels import CANCELED_UNSENT
from oms.risk.approval import Approved
from oms.state.effects import CancelOrder, Effects
from oms.state.inputs import (
    AllCancelsAnswered,
    CancelAnswered,
    CompareAccount,
    Input,
    OrderAnswered,
    Question,
    Unanswered,
)

# A question that the broker did not answer is asked again after this long at the most.
_ASK_AGAIN_S = 1.0

log = structlog.get_logger()


class Actions:
    """Carries out effects but halts without waiting for any, and has the engine take what came of each.

    `objection` says what stands against an approved order directly before its first byte leaves. Must be
    made inside the event loop. Mutable: `under_way`, what is not done yet; its orders the sender has.
    """

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        client: Client,
        clock: Clock,
        take: Callable[[Input], object],
        read_again: Callable[[Sequence[Delivery]], Coroutine[Any, Any, None]],
        objection: Callable[[Approved], Reason | None],
    ) -> None:
        self._broker, self._sender, self._client, self._clock = broker, sender, client, clock
        self._take, self._read_again, self._objection = take, read_again, objection
        self.under_way: set[asyncio.Future[Any]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, effects: Effects, waited_ns: int = 0) -> None:
        """Begin what these effects ask for. They must be durable, which took `waited_ns`."""
        if effects.cancel_all:
            # First: thousands that are withdrawn are each told of it, and the broker would hear last.
            self._start(self._cancel_all())
        for client_order_id in effects.withdraw:
            self._sender.withdraw(client_order_id, CANCELED_UNSENT)
        sent = self._sent
        for approved in effects.send:
            # Without a task or a future: thousands of orders may wait for their turn.
            self._sender.submit(approved, self._objection, sent, waited_ns)
        for order in effects.cancel:
            self._start(self._cancel(order))
        for broker_order_id in effects.hasten:
            self._sender.hasten(broker_order_id)
        for question in effects.ask:
            if isinstance(question, CompareAccount):
                self._start(self._compare(question))
            else:
                self._start(self._ask(question))
        if effects.read_again:
            self._start(self._read_again(effects.read_again))
        for resume in effects.resume:
            log.warning("halt lifted", scope=resume.scope, reason=resume.reason, by=resume.by)
            self._start(self._until_written(partial(halt.change, self._client, resume)))
        if effects.first_halt_state:
            self._start(self._until_written(lambda: halt.initialise(self._client, self._clock.now_ns())))

    async def failed(self) -> None:
        """Raise what failed while it was carried out, once something has."""
        await asyncio.wait({self._failed})
        self._failed.result()

    def _sent(self, approved: Approved, answer: Outcome | BaseException) -> None:
        if isinstance(answer, BaseException):
            self._fail(answer)
            return
        try:
            self._take(OrderAnswered(approved.client_order_id, answer))
        except Exception as error:  # noqa: BLE001 - in a callback nobody else hears of it
            self._fail(error)

    async def _cancel(self, order: CancelOrder) -> None:
        error = await _error_of(
            self._sender.cancel(order.broker_order_id, order.algorithm, urgent=order.urgent)
        )
        self._take(CancelAnswered(order.client_order_id, error))

    async def _cancel_all(self) -> None:
        self._take(AllCancelsAnswered(await _error_of(self._sender.cancel_all())))

    async def _compare(self, question: CompareAccount) -> None:
        """Ask once: what only checks must not use up the request budget by being asked again and again."""
        try:
            answered = await questions.answer(question, self._broker, self._sender, self._clock)
        except BrokerError as error:
            self._unanswered(question, str(error))
        else:
            self._take(answered)

    async def _ask(self, question: Question) -> None:
        answered = await until_answered(
            partial(questions.answer, question, self._broker, self._sender, self._clock),
            stopping=None,
            tell=lambda trouble: self._unanswered(question, trouble),
            away=(BrokerError,),
            longest_wait_s=_ASK_AGAIN_S,
        )
        assert answered is not None, "without a stop it ends with an answer"
        self._take(answered)

    def _unanswered(self, question: Question, trouble: str) -> None:
        log.warning("the broker did not answer", question=repr(question), error=trouble)
        self._take(Unanswered(question, trouble))

    def put_in_force(self, message: Halt | ReduceOnly) -> None:
        """Write a halt into the halt key, however long its server is away."""
        self._start(self._until_written(lambda: halt.change(self._client, message)))

    async def _until_written(self, write: Callable[[], Awaitable[object]]) -> None:
        await until_answered(
            write, stopping=None, tell=lambda trouble: log.warning("orders server away", error=trouble)
        )

    def _start(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(body)
        self.under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        self.under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)


async def _error_of(asked: Awaitable[None]) -> BrokerError | None:
    try:
        await asked
    except BrokerError as error:
        return error
    return None
