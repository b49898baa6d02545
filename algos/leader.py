"""What a process does with triggers: hand them over, send what is asked for, abort when a handler fails."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec

import structlog

from algos.dispatch import Dispatcher, HandlerFailed
from algos.lifecycle import State, runs_handlers
from bus.clock import Clock
from bus.codec import MessageCodec
from bus.errors import Fenced
from bus.lease import Lease
from bus.order_messages import REQUESTS, ShutdownAcknowledged
from bus.publish import Publisher

P = ParamSpec("P")

_CODEC = MessageCodec(REQUESTS)

log = structlog.get_logger()


class Leader:
    """Acts for one algorithm under its lease.

    Handlers are called one at a time, in the order of `hand`; requests leave in the same order.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        publisher: Publisher,
        lease: Lease,
        requests_stream: str,
        clock: Clock,
        trigger_max_age_ns: int,
    ) -> None:
        self.dispatcher = dispatcher
        self.desk = dispatcher.desk
        self.requested = 0
        self.failure = ""
        # Set whenever something waits in the outbox that no feed is about to send.
        self.waiting = asyncio.Event()
        self._publisher = publisher
        self._lease = lease
        self._stream = requests_stream
        self._clock = clock
        self._trigger_max_age_ns = trigger_max_age_ns
        self._canceled: set[str] = set()

    @property
    def leads(self) -> bool:
        """Are triggers handed to the algorithm?"""
        return runs_handlers(self.desk.state)

    @property
    def aborted(self) -> bool:
        """Did a handler fail?"""
        return self.desk.state is State.ABORTED

    def require_lease(self) -> None:
        """Raises Fenced unless the lease is certainly ours.

        Asked before each read: a leader that was paused shares its consumer groups' one member with whoever
        leads since, and would take entries that nobody is given again.
        """
        if not self._lease.held:
            raise Fenced(f"the lease {self._lease.key} ran out: somebody else may lead")

    def hand(self, call: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> bool:
        """Call one of the dispatcher's methods; False when the handler failed: the algorithm is aborted."""
        try:
            call(*arguments, **named)
        except HandlerFailed as failure:
            self.abort(failure)
            return False
        return True

    def abort(self, failure: HandlerFailed) -> None:
        """The algorithm's state is half changed: it handles nothing more, and its policy is carried out."""
        self.failure = str(failure)
        log.error(
            "algorithm aborted: it handles nothing more; mend it and start it again",
            handler=failure.handler,
            handling=failure.trigger_id,
            exc_info=failure.__cause__,
        )
        try:
            self.dispatcher.status(State.ABORTED, self._clock.now_ns())
        except HandlerFailed as second:
            log.error("on_status_change failed too", exc_info=second.__cause__)
        self.carry_out_policy()

    def carry_out_policy(self) -> None:
        """Ask once that each open order be cancelled, where that is the aborted algorithm's policy."""
        if self.dispatcher.on_abort == "keep" or not self._lease.value:
            # A follower's orders are its leader's to cancel.
            return
        for order in self.desk.portfolio.open_orders:
            if order.client_order_id not in self._canceled:
                self._canceled.add(order.client_order_id)
                self.desk.cancel(order.client_order_id)
        self.waiting.set()

    async def send(self) -> None:
        """Make durable what handlers asked for so far. Raises Fenced when the lease is lost."""
        if not self.desk.has_requests:
            return
        now_ns = self._clock.now_ns()
        requests = self.desk.take(self._lease.value, now_ns, now_ns - self._trigger_max_age_ns)
        self.requested += len(requests)
        await self._publisher.append([(self._stream, _CODEC.encode(request)) for request in requests])

    async def send_when_waiting(self) -> None:
        """Send what handlers outside the feeds asked for, until cancelled."""
        while True:
            await self.waiting.wait()
            self.waiting.clear()
            await self.send()

    async def acknowledge_shutdown(self) -> None:
        """Say, durably, that nothing follows under this lease."""
        await self.send()
        self.desk.acknowledged = True
        message = ShutdownAcknowledged(lease=self._lease.value, at_ns=self._clock.now_ns())
        await self._publisher.append([(self._stream, _CODEC.encode(message))])
