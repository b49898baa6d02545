"""Decides what becomes of an account's orders under the faults that are on."""

from collections.abc import Callable
from typing import Any

from sim.broker.brokerage import Brokerage
from sim.broker.orders import Order, Ticket
from sim.broker.updates import Update
from sim.clock import Clock
from sim.faults.faults import Faults
from sim.times import MILLISECOND_NS

_NEVER_HELD_BACK = frozenset({"ioc", "fok"})


class OrderFaults:
    """Asked about each order; returns the updates of a fault, or nothing where none strikes."""

    def __init__(
        self,
        faults: Faults,
        account: str,
        brokerage: Brokerage,
        clock: Clock,
        publish: Callable[[list[Update]], None],
    ) -> None:
        self._faults = faults
        self._account = account
        self._brokerage = brokerage
        self._clock = clock
        self._publish = publish
        self._to_reject: set[str] = set()  # replacements that will be rejected

    def accepted(self, order: Order, now_ns: int) -> list[Update]:
        """Reject an order that is about to be accepted, or hold it back for a while, if a fault says so."""
        if order.status != "pending_new":
            return []
        if order.id in self._to_reject:
            self._to_reject.remove(order.id)
            return self._brokerage.reject(order.id, now_ns)
        if self._faults.is_quiet:
            return []
        if self._strike("reject_order"):
            return self._brokerage.reject(order.id, now_ns)
        is_alone = order.parent is None and not order.legs
        if not is_alone or order.ticket.time_in_force in _NEVER_HELD_BACK:
            return []
        held = self._strike("hold_order")
        if held is None:
            return []
        until_ns = now_ns + int(held["ms"] * MILLISECOND_NS)
        self._clock.call_at(until_ns, lambda: self._release(order.id))
        return self._brokerage.hold_back(order.id, held["state"], now_ns)

    def canceled(self, order: Order, now_ns: int) -> list[Update]:
        """Refuse a cancel after its request was answered, where a fault says so."""
        if self._faults.is_quiet or not order.is_open or not self._strike("reject_cancel"):
            return []
        return self._brokerage.tell("order_cancel_rejected", order.id, now_ns)

    def replaced(self, order_id: str, ticket: Ticket, now_ns: int) -> tuple[Order, list[Update]] | None:
        """Refuse a replacement after its request was answered, where a fault says so.

        Returns the order that will be rejected, and the updates of the old one. Raises Refused.
        """
        if self._faults.is_quiet or self._faults.find("reject_replace", account=self._account) is None:
            return None
        new = self._brokerage.replace_to_be_rejected(order_id, ticket, now_ns)
        self._strike("reject_replace")
        self._to_reject.add(new.id)
        return new, self._brokerage.tell("order_replace_rejected", order_id, now_ns)

    def _release(self, order_id: str) -> None:
        self._publish(self._brokerage.release(order_id, self._clock.now_ns()))

    def _strike(self, name: str) -> dict[str, Any] | None:
        return self._faults.strike(name, account=self._account)
