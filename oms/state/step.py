"""One input being taken: the state, what was observed, the time, and the effects so far. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec

from bus.book_messages import Booked
from bus.codec import Message
from bus.control_messages import Halt
from bus.dead_letter import payload_text
from bus.delivery import Delivery
from bus.errors import Unreadable
from bus.halt_messages import HaltTriggered
from bus.order_events import (
    CancelRefused,
    EntryDeadLettered,
    OrderFilled,
    OrderRefused,
    OrdersRefused,
    OrderUpdated,
)
from oms.amounts import minus
from oms.book.book import Book
from oms.book.halt_triggers import halt_of
from oms.book.orders import Order
from oms.state.effects import Effects, Note
from oms.state.inputs import FindOrder, Question
from oms.state.observed import Observed
from oms.state.state import State


class Step(msgspec.Struct):
    """What the functions that decide share while one input is taken.

    Mutable: `state` and `observed`, which outlive the step, and `effects`, which is what the step comes to.
    """

    account: str
    state: State
    observed: Observed
    now_ns: int
    effects: Effects = msgspec.field(default_factory=Effects)

    @property
    def book(self) -> Book:
        """The book as it is now, with the events of this step in it."""
        return self.state.book

    def record(self, *events: Message) -> None:
        """Apply events, and have them journalled in this order."""
        for event in events:
            kind = type(event)
            self.state.apply(event)
            self.effects.events.append(event)
            self.observed.events[kind] += 1
            note = _NOTES.get(kind)
            if note is not None:
                note(self, event)
            self.observed.last_ns = self.now_ns

    def _note_rejected(self, event: OrderUpdated) -> None:
        """Count what the broker refused after it had taken it."""
        if event.status == "rejected":
            self.observed.refused_now.append(("broker", event.algorithm, "", 1))

    def _note_moved(self, event: OrderFilled | Booked) -> None:
        """Remember what moved a position since the broker was last asked for all of them."""
        observed = self.observed
        if isinstance(event, Booked):
            if event.quantity:
                observed.booked_since.add(event.symbol)
        elif event.client_order_id not in observed.filled_before:
            order = self.state.book.order(event.client_order_id)
            if order is not None:
                observed.filled_before[event.client_order_id] = minus(order.filled, event.quantity)

    def _count_refused(self, event: OrderRefused | OrdersRefused | CancelRefused) -> None:
        count = len(event.orders) if isinstance(event, OrdersRefused) else 1
        self.observed.refusals_of[event.algorithm] += count
        if isinstance(event, CancelRefused):
            return
        self.observed.orders_refused += count
        self.observed.refused_now.append((event.by, event.algorithm, event.reasons[0].code, count))
        for reason in event.reasons:
            self.observed.refused[reason.code] += count

    def ask(self, question: Question) -> None:
        """Have a question asked, once: one that is under way is not asked again."""
        if question not in self.observed.asked:
            self.observed.asked.add(question)
            self.effects.ask.append(question)

    def look_up(self, client_order_id: str) -> None:
        """Have an order asked for, and booked what the answer says beyond the book."""
        self.observed.looked_up.add(client_order_id)
        self.ask(FindOrder(client_order_id))

    def order(self, client_order_id: str) -> Order | None:
        """The order of this client id, if the book knows it; not to be changed where it was put away."""
        return self.state.book.order(client_order_id)

    def keep(self, delivery: Delivery, error: Unreadable) -> None:
        """Have an entry that cannot be read kept as a dead letter."""
        self.error("entry not readable", stream=delivery.stream, id=delivery.id, error=str(error))
        self.record(
            EntryDeadLettered(
                stream=delivery.stream,
                entry_id=delivery.id,
                error=str(error),
                payload=payload_text(delivery.fields),
                at_ns=self.now_ns,
            )
        )

    def halt(
        self, scope: str, code: str, reason: str, limit: str = "", value: str = "", *, latched: bool = False
    ) -> None:
        """Have trading in a scope halted, unless it is; `limit` and `value` are those of the rule.

        One that is `latched` only a named person lifts.
        """
        if isinstance(self.state.halts.scopes.get(scope), Halt):
            return
        event = HaltTriggered(
            scope=scope,
            code=code,
            reason=reason,
            limit=limit,
            value=value,
            latched=latched,
            at_ns=self.now_ns,
        )
        self.record(event)
        self.observed.counted.asked.add(scope)
        self.effects.halts.append(halt_of(event))

    def halt_account(self, code: str, reason: str) -> None:
        """Have trading on the whole account halted, unless it is."""
        self.halt(f"account:{self.account}", code, reason)

    def warn(self, text: str, **about: str) -> None:
        """Have a warning logged."""
        self.effects.notes.append(Note("warning", text, about))

    def error(self, text: str, **about: str) -> None:
        """Have an error logged."""
        self.effects.notes.append(Note("error", text, about))


# What is observed of an event beside how many there were of its kind.
_NOTES: dict[type[Message], Callable[[Step, Any], None]] = {
    OrderFilled: Step._note_moved,
    Booked: Step._note_moved,
    OrderRefused: Step._count_refused,
    OrdersRefused: Step._count_refused,
    CancelRefused: Step._count_refused,
    OrderUpdated: Step._note_rejected,
}
