"""Says a word to the OMS of an account on control, and follows what its journal tells from then on."""

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from bus.errors import BackboneError, InvalidInput

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.codec import Message
    from bus.connection import Client
    from bus.control_messages import AccountCommand, CancelOrders, Flatten

# The OMS follows control and takes what it hears within milliseconds; one whose machine cannot keep up is
# waited for while it holds its lease.
TAKEN_WITHIN_S = 2.0
_LONGEST_S = 20.0

_POLL_S = 0.01

Event = TypeVar("Event")


class NotTaken(BackboneError):
    """No OMS has taken what was said on control; one that is `alive` still may."""

    def __init__(self, message: str, *, alive: bool) -> None:
        super().__init__(message)
        self.alive = alive


class JournalFollower:
    """Follows an account's journal from a moment on. Mutable: how far, and what was read beyond that."""

    def __init__(self, client: "Client", account: str, position: str) -> None:
        from bus import streams

        self._client, self._position = client, position
        self._journal, self._lease = streams.journal(account), streams.oms_lease(account)
        self._read: list[Message] = []

    @classmethod
    async def begin(cls, client: "Client", account: str) -> "JournalFollower":
        """From the journal's present end on."""
        from bus.streams import journal

        last = await client.xrevrange(journal(account), count=1)
        return cls(client, account, last[0][0].decode() if last else "0-0")

    async def ask(self, message: "CancelOrders | Flatten | AccountCommand", answer: type[Event]) -> Event:
        """Say it, and return the event with which the OMS takes it.

        Raises NotTaken where none does, and InvalidInput with the OMS's own words where it declines.
        """
        from bus import control
        from bus.book_messages import Declined

        entry_id = await control.tell(self._client, message)
        began = time.monotonic()
        while not (why := await self._given_up(time.monotonic() - began)):
            events = await self.next()
            for number, event in enumerate(events, 1):
                if _asked_by(event) != entry_id:
                    continue
                if isinstance(event, Declined):
                    raise InvalidInput(event.why)
                if isinstance(event, answer):
                    self._read = events[number:]
                    return event
        raise why

    async def _given_up(self, waited_s: float) -> NotTaken | None:
        if waited_s >= TAKEN_WITHIN_S and not await self._client.exists(self._lease):
            return NotTaken(f"no OMS took it within {TAKEN_WITHIN_S:g} s", alive=False)
        if waited_s >= _LONGEST_S:
            return NotTaken(
                f"an OMS is alive and has not answered within {_LONGEST_S:g} s: it still may", alive=True
            )
        return None

    async def next(self) -> "list[Message]":
        """What the journal says next, after a short wait where it says nothing."""
        from oms.journal.journal_reader import EVENT_CODEC

        if self._read:
            events, self._read = self._read, []
            return events
        entries = await self._client.xrange(self._journal, f"({self._position}", count=500)
        if not entries:
            await asyncio.sleep(_POLL_S)
        events = []
        for entry_id, fields in entries:
            self._position = entry_id.decode()
            events.append(EVENT_CODEC.decode(fields))
        return events


def _asked_by(event: "Message") -> str:
    """The entry in control by which an event came about; "" where by none."""
    from bus.book_messages import Booked

    asked_by: str = event.reference if isinstance(event, Booked) else getattr(event, "entry_id", "")
    return asked_by
