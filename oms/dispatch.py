"""What is sent to the broker and what each answer means: sent, refused, or uncertain and watched."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from bus.clock import Clock
from bus.codec import Message
from bus.consume import Delivery
from bus.errors import BackboneError
from bus.order_messages import CancelRefused, OrderRefused, OrderSent, OrderUncertain, Reason
from oms.broker import (
    Broker,
    BrokerOrder,
    BrokerRefused,
    BrokerUnreachable,
    IdConflict,
    NotPermitted,
)
from oms.orders import Order
from oms.permission import Permission
from oms.records import Records
from oms.risk import Approved
from oms.sender import Job, Sender

# A cancel may be repeated safely; after these waits without an answer the algorithm is told.
CANCEL_WAITS_S = (0.25, 1.0, 2.0)

log = structlog.get_logger()


class Dispatch:
    """Hands approved orders and cancels to the sender, and writes down what came of them."""

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        records: Records,
        permission: Permission,
        clock: Clock,
        watch: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._sender = sender
        self._records = records
        self._permission = permission
        self._clock = clock
        self._watch = watch
        # Requests for a cancel, by client id: until the order is at the broker, and until its answer.
        self._cancels_waiting: dict[str, list[Delivery]] = {}
        self._cancels_under_way: dict[str, list[Delivery]] = {}
        records.on_order = self._order_changed

    def __repr__(self) -> str:
        return f"<dispatch over {self._sender}>"

    def order(self, approved: Approved) -> None:
        """Send an approved order, or a replace; its approval must be durable."""
        sent_ns: list[int] = []
        before_send = self._permission.before_send(approved, sent_ns)
        send = self._broker.submit if approved.replaces_broker_id is None else self._broker.replace

        def work() -> tuple[BrokerOrder, int]:
            return send(approved, before_send), self._clock.now_ns()

        def done(result: Any) -> None:
            self._settle(approved, sent_ns, result)

        self._sender.put(Job("order", work, done, key=approved.client_order_id))

    def cancel(self, order: Order, delivery: Delivery) -> None:
        """Pass a cancel on. Its request is acknowledged only once the broker has answered."""
        client_order_id = order.client_order_id
        under_way = self._cancels_under_way.get(client_order_id)
        if under_way is not None:
            # One that asks again and again must not spend the requests of all the others.
            under_way.append(delivery)
        elif order.broker_order_id:
            self._cancel_at_broker(order.algorithm, client_order_id, order.broker_order_id, [delivery], 0)
        elif self._sender.withdraw(client_order_id):
            refusal = OrderRefused(
                algorithm=order.algorithm,
                client_order_id=client_order_id,
                by="oms",
                reasons=(Reason(code="cancelled", message="cancelled before it was sent"),),
                at_ns=self._clock.now_ns(),
                terms=order.terms,
            )
            self._records.record([refusal], [delivery])
        else:
            self._cancels_waiting.setdefault(client_order_id, []).append(delivery)

    def cancel_stray(self, order: Order, broker_order_id: str) -> None:
        """Cancel an order that was given up as never sent and has appeared at the broker."""
        self._records.counts["strays"] += 1
        log.error("order given up as never sent is at the broker", client_order_id=order.client_order_id)
        self._cancel_at_broker(order.algorithm, order.client_order_id, broker_order_id, [], 0)

    def _settle(self, approved: Approved, sent_ns: list[int], result: Any) -> None:
        event = approved.event
        if isinstance(result, tuple):
            found, acknowledged_ns = result
            self._records.record(
                [
                    OrderSent(
                        algorithm=event.algorithm,
                        client_order_id=event.client_order_id,
                        broker_order_id=found.id,
                        approved_ns=event.approved_ns,
                        sent_ns=sent_ns[-1] if sent_ns else acknowledged_ns,
                        acknowledged_ns=acknowledged_ns,
                    )
                ]
            )
            return
        if not isinstance(result, BackboneError):
            return  # A defect: the sender ends the process with it, and recovery asks about this order.
        order = self._records.book.orders[event.client_order_id]
        if order.broker_order_id:
            return  # The broker's own update came first and says that it has the order.
        refusal = _refusal(result)
        if refusal is None:
            log.warning("order uncertain", client_order_id=event.client_order_id, error=str(result))
            self._watch(event.client_order_id)
            outcome: Message = OrderUncertain(
                algorithm=event.algorithm,
                client_order_id=event.client_order_id,
                why=str(result),
                at_ns=self._clock.now_ns(),
            )
        else:
            by, reason = refusal
            if isinstance(result, IdConflict):
                log.error("client id in use for another order", client_order_id=event.client_order_id)
            outcome = OrderRefused(
                algorithm=event.algorithm,
                client_order_id=event.client_order_id,
                by="broker" if by == "broker" else "oms",
                reasons=(reason,),
                at_ns=self._clock.now_ns(),
                terms=event.terms,
            )
        self._records.record([outcome])

    def _order_changed(self, client_order_id: str) -> None:
        """Go on with cancels that waited for the broker's word on their order."""
        if not self._cancels_waiting or client_order_id not in self._cancels_waiting:
            return
        order = self._records.book.orders[client_order_id]
        if not order.settled:
            return
        waiting = self._cancels_waiting.pop(client_order_id)
        if order.open:
            self._cancel_at_broker(order.algorithm, client_order_id, order.broker_order_id, waiting, 0)
        else:
            reason = Reason(code="not_open", message=f"it is {order.status} already", value=order.status)
            asyncio.get_running_loop().call_soon(
                self._refuse_cancel, order.algorithm, client_order_id, waiting, reason
            )

    def _cancel_at_broker(
        self, algorithm: str, client_order_id: str, broker_order_id: str, waiting: list[Delivery], tries: int
    ) -> None:
        self._cancels_under_way[client_order_id] = waiting

        def done(result: Any) -> None:
            again = isinstance(result, BackboneError) and not isinstance(result, BrokerRefused)
            if not again or tries >= len(CANCEL_WAITS_S):
                self._cancels_under_way.pop(client_order_id, None)
            if result is None:
                if waiting:
                    self._records.counts["cancels"] += 1
                    self._records.record([], waiting)
            elif isinstance(result, BrokerRefused):
                reason = Reason(code=f"broker_{result.code}", message=result.message)
                self._refuse_cancel(algorithm, client_order_id, waiting, reason)
            elif isinstance(result, BackboneError) and tries < len(CANCEL_WAITS_S):
                asyncio.get_running_loop().call_later(
                    CANCEL_WAITS_S[tries],
                    self._cancel_at_broker,
                    algorithm,
                    client_order_id,
                    broker_order_id,
                    waiting,
                    tries + 1,
                )
            elif isinstance(result, BackboneError):
                reason = Reason(code="unanswered", message=f"the broker did not answer the cancel: {result}")
                self._refuse_cancel(algorithm, client_order_id, waiting, reason)

        self._sender.put(Job("cancel", lambda: self._broker.cancel(broker_order_id), done))

    def _refuse_cancel(
        self, algorithm: str, client_order_id: str, waiting: list[Delivery], reason: Reason
    ) -> None:
        refusal = CancelRefused(
            algorithm=algorithm,
            client_order_id=client_order_id,
            reason=reason,
            at_ns=self._clock.now_ns(),
        )
        self._records.record([refusal], waiting)


def _refusal(error: BackboneError) -> tuple[str, Reason] | None:
    """Whose definite no this is, and why; None where the order may be at the broker."""
    if isinstance(error, IdConflict):
        return "broker", Reason(code="id_conflict", message=error.message)
    if isinstance(error, BrokerRefused):
        return "broker", Reason(code=f"broker_{error.code}", message=error.message)
    if isinstance(error, NotPermitted):
        return "oms", error.reason
    if isinstance(error, BrokerUnreachable):
        return "oms", Reason(code="broker_unreachable", message=str(error))
    return None
