"""Sends orders, cancels and questions in the loop's own tasks, within the request budget."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from bus.clock import Clock
from bus.order_messages import Reason
from oms.broker import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerRefused,
    MaySend,
    OrdersQuery,
    Outcome,
    RateLimited,
    Refused,
    UnreadableOrder,
)
from oms.budget import Bucket, Lane
from oms.risk import Approved
from oms.turns import Turns

# Orders under way at once; one connection more is kept for cancels and questions, however slow orders are.
CONNECTIONS = 4

# An order that waited longer was decided on prices of another time: it is refused rather than sent late.
LONGEST_WAIT_S = 5.0

# A cancel may be repeated safely; after these waits without an answer whoever asked is told.
CANCEL_WAITS_S = (0.25, 1.0, 2.0)

_NS = 1_000_000_000

Answer = TypeVar("Answer")


class Sender:
    """Calls the broker when budget and a connection are free: cancels and questions first, orders in turn.

    An order waits at most `longest_wait_s`. Mutable: its turns, and the count of calls that are not done.
    """

    def __init__(
        self,
        broker: Broker,
        bucket: Bucket,
        clock: Clock,
        *,
        connections: int = CONNECTIONS,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self.bucket = bucket
        self._broker = broker
        self._clock = clock
        self._longest_wait_ns = int(longest_wait_s * _NS)
        too_late = Reason(
            code="rate_budget",
            message=f"the request budget did not allow it within {longest_wait_s:g} s: not sent",
            limit=f"{longest_wait_s:g}",
        )
        self._turns = Turns(bucket, clock, connections, too_late)
        self._calls = 0
        self._done = asyncio.Event()

    def __repr__(self) -> str:
        return f"<sender: {self._turns}, {self.bucket}>"

    @property
    def waiting(self) -> int:
        """Requests that wait for the budget or a connection."""
        return self._turns.waiting("order") + self._turns.waiting("cancel")

    @property
    def busy(self) -> bool:
        """Whether any call is not done: it waits, is under way, or is about to be repeated."""
        return self._calls > 0

    async def idle(self) -> None:
        """Return once no call is left."""
        while self._calls:
            self._done.clear()
            await self._done.wait()

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Send an approved order, or a replace, once; its approval must be durable.

        The OMS refuses one that waited too long (`rate_budget`) or was withdrawn.
        """
        send = self._broker.submit if approved.replaces_broker_id is None else self._broker.replace
        until_ns = self._clock.monotonic_ns() + self._longest_wait_ns
        self._calls += 1
        try:
            while True:
                refused = await self._turns.take("order", name=approved.client_order_id, until_ns=until_ns)
                if refused is not None:
                    return Refused("oms", refused)
                try:
                    return await send(approved, may_send)
                except RateLimited as error:
                    # Certainly not carried out, so the same order may go again, while its time lasts.
                    self._limited("order", error)
                finally:
                    self._turns.give_back("order")
        finally:
            self._ended()

    def withdraw(self, client_order_id: str, why: Reason) -> bool:
        """Take back an order that still waits; False where it is under way or done."""
        return self._turns.withdraw(client_order_id, why)

    async def cancel(self, broker_order_id: str) -> None:
        """Ask for a cancel, and again while there is no answer; raises the last BrokerError, or a refusal."""
        await self._ask_again(partial(self._broker.cancel, broker_order_id))

    async def cancel_all(self) -> None:
        """Ask for a cancel of every order, as `cancel` does for one."""
        await self._ask_again(self._broker.cancel_all)

    async def _ask_again(self, cancel: Callable[[], Awaitable[None]]) -> None:
        self._calls += 1
        try:
            for wait_s in (*CANCEL_WAITS_S, None):
                try:
                    return await self.ask(cancel)
                except BrokerRefused:
                    raise
                except BrokerError:
                    if wait_s is None:
                        raise
                    await asyncio.sleep(wait_s)
        finally:
            self._ended()

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make one request that is no order, before all orders that wait; raises what the broker raises."""
        self._calls += 1
        try:
            await self._turns.take("cancel")
            try:
                return await question()
            except RateLimited as error:
                self._limited("cancel", error)
                raise
            finally:
                self._turns.give_back("cancel")
        finally:
            self._ended()

    async def orders(self, query: OrdersQuery) -> list[BrokerOrder | UnreadableOrder]:
        """List orders by time of submission, page by page, each page a request of its own.

        An order that two pages hold is returned once, as the later page has it.
        """
        found: dict[str, BrokerOrder | UnreadableOrder] = {}
        following: OrdersQuery | None = query
        while following is not None:
            page = await self.ask(partial(self._broker.orders_page, following))
            known = len(found)
            found.update((order.id, order) for order in page.orders)
            # A page that brings nothing new would bring itself again.
            following = page.next if len(found) > known else None
        return list(found.values())

    def _limited(self, lane: Lane, error: RateLimited) -> None:
        reset_ns = None if error.reset_s is None else int(error.reset_s * _NS)
        self.bucket.limited(lane, self._clock.monotonic_ns(), reset_ns)

    def _ended(self) -> None:
        self._calls -= 1
        self._done.set()
