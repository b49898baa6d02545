"""One way into the book: an event is applied, counted and handed to the journal in the same breath."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from bus.codec import Message
from bus.consume import Delivery
from bus.order_messages import (
    EntryDeadLettered,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
    Registered,
)
from bus.streams import orders_dead
from oms.book import Book
from oms.journal import Entry, Journal

_COUNTED: dict[type[Message], str] = {
    OrderApproved: "approved",
    OrderRefused: "refused",
    OrderSent: "sent",
    OrderUncertain: "uncertain",
    OrderUpdated: "updates",
    OrderFilled: "fills",
    EntryDeadLettered: "dead",
}


class Records:
    """The book and the journal, kept in step: events reach both in the same order."""

    def __init__(self, book: Book, journal: Journal, account: str) -> None:
        self.book = book
        self.journal = journal
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.registered: set[str] = set()
        self.on_order: Callable[[str], None] | None = None
        self._dead = orders_dead(account)

    def __repr__(self) -> str:
        return f"<records: {self.book}, {self.journal}>"

    async def fold(self) -> None:
        """Make the book what the journal says. Raises Unreadable."""
        async for event in self.journal.fold():
            self._apply(event)

    def record(
        self, events: Sequence[Message], acknowledged: Iterable[Delivery] = ()
    ) -> asyncio.Future[None]:
        """Take events into book and journal; the future is done once they are durable."""
        for event in events:
            self.take(event)
        return self.journal.commit([self.entry(event) for event in events], acknowledged)

    def take(self, event: Message) -> None:
        """Take one event into the book and the counts; the caller hands it to the journal next."""
        name = _COUNTED.get(type(event))
        if name is not None:
            self.counts[name] += 1
        if isinstance(event, OrderRefused):
            self.refused.update(reason.code for reason in event.reasons)
        self._apply(event)
        if self.on_order is not None and isinstance(
            event, OrderSent | OrderUpdated | OrderFilled | OrderRefused
        ):
            self.on_order(event.client_order_id)

    def entry(self, event: Message) -> Entry:
        """The journal entry of an event; what could not be handled goes to `dead` beside it."""
        if isinstance(event, EntryDeadLettered):
            return Entry(event, self._dead)
        return self.journal.entry(event)

    def _apply(self, event: Message) -> None:
        if isinstance(event, Registered):
            self.registered.add(event.algorithm)
        self.book.apply(event)
