"""Orders of which nobody knows whether the broker has them: looked for, settled, and watched for the day."""

from dataclasses import dataclass
from functools import partial

import structlog

from bus.clock import Clock
from bus.codec import Message
from bus.errors import Unreadable
from bus.order_messages import OrderRefused, Reason
from oms.broker import Broker, BrokerError, BrokerOrder, BrokerRefused
from oms.dispatch import Dispatch
from oms.external_orders import caught_up, found
from oms.records import Records
from oms.sender import Sender

# How often uncertain orders are asked about, and orders given up are looked for among the open ones.
ASK_S = 1.0
LOOK_FOR_STRAYS_S = 30.0

# A "not found" counts only when the last request that could have carried the order ended this long ago.
SETTLE_S = 5.0

# Asked this often after that, with "not found" each time, an order was never sent.
_ENOUGH_ANSWERS = 2

NEVER_SENT = "never_sent"

_SECOND_NS = 1_000_000_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Doubt:
    counts_from_ns: int
    not_found: int = 0


class Watch:
    """Asks the broker about uncertain orders until each is found, or certainly was never sent.

    `last_send_s` is how long a request that began just before a crash may still be under way.
    """

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        records: Records,
        clock: Clock,
        last_send_s: float,
        settle_s: float,
    ) -> None:
        self._broker = broker
        self._sender = sender
        self._records = records
        self._clock = clock
        self._wait_ns = int((last_send_s + settle_s) * _SECOND_NS)
        self._doubts: dict[str, _Doubt] = {}
        self._given_up: set[str] = set()
        self._looked_ns = clock.monotonic_ns()

    def __repr__(self) -> str:
        return f"<watch over {len(self._doubts)} uncertain and {len(self._given_up)} given up>"

    @property
    def uncertain(self) -> int:
        """How many orders are in doubt."""
        return len(self._doubts)

    def add(self, client_order_id: str) -> None:
        """Begin to look for an order."""
        now_ns = self._clock.monotonic_ns()
        self._doubts.setdefault(client_order_id, _Doubt(now_ns + self._wait_ns))

    def remember_given_up(self) -> None:
        """After a start: watch again for what earlier runs of today gave up."""
        since_ns = self._clock.now_ns() - 24 * 3600 * _SECOND_NS
        self._given_up |= {
            order.client_order_id
            for order in self._records.book.orders.values()
            if order.refusal == NEVER_SENT and order.approved_ns >= since_ns
        }

    async def ask(self) -> None:
        """Ask about each uncertain order once."""
        for client_order_id, doubt in list(self._doubts.items()):
            order = self._records.book.orders[client_order_id]
            if order.settled:
                del self._doubts[client_order_id]
                continue
            asked_ns = self._clock.monotonic_ns()
            try:
                at_broker = await self._sender.call(partial(self._broker.find, client_order_id))
            except BrokerError as error:
                log.warning(
                    "uncertain order not looked up", client_order_id=client_order_id, error=str(error)
                )
                continue
            if at_broker is not None:
                self._found(at_broker)
            elif asked_ns >= doubt.counts_from_ns:
                doubt.not_found += 1
                if doubt.not_found >= _ENOUGH_ANSWERS and not order.settled:
                    self._give_up(client_order_id)

    async def look_for_strays(self, dispatch: Dispatch) -> None:
        """Now and then, look for given-up orders among the broker's open ones; cancel those found."""
        now_ns = self._clock.monotonic_ns()
        if not self._given_up or now_ns - self._looked_ns < LOOK_FOR_STRAYS_S * _SECOND_NS:
            return
        self._looked_ns = now_ns
        try:
            still_open = await self._sender.call(self._broker.open_orders)
        except BrokerError as error:
            log.warning("open orders not readable", error=str(error))
            return
        for at_broker in still_open:
            if at_broker.client_order_id in self._given_up:
                order = self._records.book.orders[at_broker.client_order_id]
                self._records.record(caught_up(order, at_broker, self._clock.now_ns()))
                dispatch.cancel_stray(order, at_broker.id)

    def _found(self, at_broker: BrokerOrder) -> None:
        order = self._records.book.orders[at_broker.client_order_id]
        now_ns = self._clock.now_ns()
        events: list[Message] = [found(order.algorithm, at_broker, order.approved_ns, now_ns)]
        try:
            events += caught_up(order, at_broker, now_ns)
        except Unreadable as error:
            raise BrokerRefused("unreadable", str(error)) from error
        self._records.record(events)
        self._doubts.pop(at_broker.client_order_id, None)

    def _give_up(self, client_order_id: str) -> None:
        order = self._records.book.orders[client_order_id]
        reason = Reason(
            code=NEVER_SENT,
            message="the broker does not have it, long after the last request that could have carried it",
        )
        self._records.record(
            [
                OrderRefused(
                    algorithm=order.algorithm,
                    client_order_id=client_order_id,
                    by="oms",
                    reasons=(reason,),
                    at_ns=self._clock.now_ns(),
                    terms=order.terms,
                )
            ]
        )
        self._given_up.add(client_order_id)
        del self._doubts[client_order_id]
