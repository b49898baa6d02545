"""Finds what the journal says of one order: the decision on it, and what became of it."""

from typing import TYPE_CHECKING

from bus.codec import Message
from bus.order_events import OrderApproved, OrderRefused, OrdersRefused

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.connection import Client

_PAGE = 1000


class Story:
    """One order's events, each with its entry id, oldest first. Mutable: until they are all found."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        self.events: list[tuple[str, Message]] = []

    @property
    def decision(self) -> tuple[str, OrderApproved | OrderRefused] | None:
        """The event by which risk decided, and its entry; None where the journal has none."""
        for entry_id, event in self.events:
            if isinstance(event, OrderApproved) or (isinstance(event, OrderRefused) and event.by == "risk"):
                return entry_id, event
        return None


async def told(client: "Client", account: str, wanted: str) -> Story:
    """What the journal says of an order, by its client id or the broker's, read from its end backwards.

    Raises InvalidInput where it says nothing of it.
    """
    from bus.errors import InvalidInput
    from bus.streams import journal
    from oms.journal.journal_reader import EVENT_CODEC

    story, end = Story(wanted), "+"
    while story.decision is None:
        page = await client.xrevrange(journal(account), end, "-", count=_PAGE)
        if not page:
            break
        for entry_id, fields in page:
            data = fields.get(b"data", b"")
            if wanted.encode() not in data and story.order_id.encode() not in data:
                continue
            event = _about(EVENT_CODEC.decode(fields), story, wanted)
            if event is not None:
                story.events.insert(0, (entry_id.decode(), event))
        end = f"({page[-1][0].decode()}"
    if not story.events:
        raise InvalidInput(
            f"the journal of account {account} says nothing of an order {wanted}: give its client order id, "
            "such as bb-ma-cross-..., or the broker's id"
        )
    return story


def _about(event: Message, story: Story, wanted: str) -> Message | None:
    """The event where it is about the order; of several that were refused together, this one's."""
    if getattr(event, "broker_order_id", "") == wanted:
        story.order_id = getattr(event, "client_order_id", "") or wanted
        return event
    if isinstance(event, OrdersRefused):
        own = [one for one in event.one_by_one() if one.client_order_id == story.order_id]
        return own[0] if own else None
    return event if getattr(event, "client_order_id", "") == story.order_id else None
