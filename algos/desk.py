"""What an algorithm stands on: its clock, its state, its portfolio, and the outbox of its requests."""

from collections.abc import Sequence

import msgspec

from algos.lifecycle import State, may_cancel, may_order
from algos.order_id import client_order_id
from algos.portfolio import Portfolio
from bus.order_messages import CancelRequest, OrderRequest, OrderTerms, ReplaceRequest

Request = OrderRequest | CancelRequest | ReplaceRequest


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """What a handler is called for. `id` names it: stream and entry, timer and instant, or control message.

    `content` tells two triggers with one id apart. `received_ns` is when it reached us; orders of a trigger
    that is too old are dropped. `now_ns` is the time that the handler sees.
    """

    id: str
    content: bytes
    received_ns: int
    now_ns: int


class NewOrder(msgspec.Struct, frozen=True):
    """An order, or a replacement of one, that a handler asked for."""

    client_order_id: str
    terms: OrderTerms
    trigger: Trigger
    replaces: str | None = None


class Cancel(msgspec.Struct, frozen=True):
    """A cancel that a handler asked for."""

    client_order_id: str


class Desk:
    """One algorithm's desk. Handlers put orders into its outbox; whoever runs them takes requests out.

    Pure: it reads no clock and does no I/O.
    """

    def __init__(self, name: str, lineage: str) -> None:
        self.name = name
        self.lineage = lineage
        self.state = State.BOOTSTRAP
        self.portfolio = Portfolio()
        self.acknowledged = False
        # Timers by name, with their period in nanoseconds.
        self.timers: dict[str, int] = {}
        self.suppressed = 0
        self.dropped = 0
        self._trigger = Trigger("", b"", 0, 0)
        self._orders_of_trigger = 0
        self._outbox: list[NewOrder | Cancel] = []
        self._begun_at = 0
        self._last_requested_ns = 0

    @property
    def now_ns(self) -> int:
        """The time of the trigger at hand."""
        return self._trigger.now_ns

    @property
    def has_requests(self) -> bool:
        """Did handlers ask for something that was not taken yet?"""
        return bool(self._outbox)

    def begin(self, trigger: Trigger) -> None:
        """A handler is about to be called for this trigger."""
        self._trigger = trigger
        self._orders_of_trigger = 0
        self._begun_at = len(self._outbox)

    def abandon(self) -> None:
        """The handler failed: what it asked for in this call is forgotten."""
        for ask in self._outbox[self._begun_at :]:
            if isinstance(ask, NewOrder):
                self.portfolio.dropped(ask.client_order_id)
        del self._outbox[self._begun_at :]

    def order(self, terms: OrderTerms, replaces: str | None = None) -> str:
        """Ask for an order; returns its client order id.

        An order that is known already, because its trigger was delivered again, is not asked for twice.
        """
        n = self._orders_of_trigger
        self._orders_of_trigger += 1
        trigger = self._trigger
        new_id = client_order_id(self.name, self.lineage, trigger.id, trigger.content, n)
        if not may_order(self.state) or self.acknowledged:
            self.suppressed += 1
            return new_id
        known = self.portfolio.order(new_id)
        if known is None or known.terms != terms:
            self.portfolio.requested(new_id, terms, replaces)
            self._outbox.append(NewOrder(new_id, terms, trigger, replaces))
        return new_id

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; an order that is known to be closed needs none."""
        known = self.portfolio.order(order_id)
        if known is not None and not known.is_open:
            return
        if not may_cancel(self.state) or self.acknowledged:
            self.suppressed += 1
            return
        self._outbox.append(Cancel(order_id))

    def take(self, lease: str, now_ns: int, oldest_trigger_ns: int) -> Sequence[Request]:
        """Empty the outbox into requests under this lease.

        Orders whose trigger was received before `oldest_trigger_ns` are dropped and counted: they answer a
        market that is gone. Cancels never are.
        """
        requests: list[Request] = []
        for ask in self._outbox:
            # No two requests are equal, so that one whose reply was lost is recognised in the stream.
            self._last_requested_ns = max(now_ns, self._last_requested_ns + 1)
            if isinstance(ask, NewOrder) and ask.trigger.received_ns < oldest_trigger_ns:
                self.dropped += 1
                self.portfolio.dropped(ask.client_order_id)
                continue
            requests.append(_request(ask, lease, self._last_requested_ns))
        self._outbox.clear()
        self._begun_at = 0
        return requests


def _request(ask: NewOrder | Cancel, lease: str, requested_ns: int) -> Request:
    if isinstance(ask, Cancel):
        return CancelRequest(client_order_id=ask.client_order_id, lease=lease, requested_ns=requested_ns)
    if ask.replaces is not None:
        return ReplaceRequest(
            client_order_id=ask.client_order_id,
            replaces=ask.replaces,
            terms=ask.terms,
            lease=lease,
            trigger=ask.trigger.id,
            received_ns=ask.trigger.received_ns,
            requested_ns=requested_ns,
        )
    return OrderRequest(
        client_order_id=ask.client_order_id,
        terms=ask.terms,
        lease=lease,
        trigger=ask.trigger.id,
        received_ns=ask.trigger.received_ns,
        requested_ns=requested_ns,
    )
