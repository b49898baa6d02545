"""Read a journal from its first entry: its events in their order, and whether its chain is unbroken."""

import gc
from collections.abc import Callable, Sequence

from bus.chain import Chain, Entry
from bus.codec import Message, MessageCodec
from bus.entry_position import entry_position
from bus.errors import ServerRefused, Unreadable
from bus.events import EVENTS
from bus.link import Link
from bus.pages import pages

# Entries: orders with exits refer to one another, and are garbage once they were put away.
_LOOK_FOR_GARBAGE_EVERY = 100_000

EVENT_CODEC = MessageCodec(EVENTS, keep_unknown=True)


class JournalBroken(Unreadable):
    """An entry of the journal is not what was written, or one before it is gone."""


class JournalReader:
    """Reads one journal, from its first entry or from the end of `chain`.

    Mutable: `chain`, as far as it was read, `first_id`, "0-0" before any entry, and `entries`, how many were
    read.
    """

    def __init__(self, url: str, stream: str, chain: Chain | None = None, first_id: str = "0-0") -> None:
        self.chain = Chain() if chain is None else chain
        self.first_id = first_id
        self.entries = 0
        self._stream = stream
        self._link = Link(url, name="oms-fold")

    def __repr__(self) -> str:
        return f"<{self._stream} read up to {self.chain.head_id}>"

    async def fold(self, apply_all: Callable[[Sequence[Message]], object], until: str = "+") -> None:
        """Give every event that was not given before, oldest first; of newer versions as UnknownMessage.

        They come many at once. Up to the entry `until` where one is named. Left in the middle, the next call
        goes on there. Raises Unreadable where an entry cannot be read, and JournalBroken, once all are read,
        where one is not what was written.
        """
        start = "-" if self.first_id == "0-0" else f"({self.chain.head_id}"
        looked_at = self.entries
        # Little that is made here is garbage soon: to look for it at each page takes a tenth of the time.
        gc.disable()
        try:
            async for page in pages(self._link, self._stream, start=start, end=until):
                if page and self.first_id == "0-0":
                    self.first_id = page[0][0].decode()
                self._fold(page, apply_all)
                if self.entries - looked_at >= _LOOK_FOR_GARBAGE_EVERY:
                    looked_at = self.entries
                    gc.collect()
        finally:
            gc.enable()
        self.require_unbroken()

    def require_unbroken(self) -> None:
        """Raise JournalBroken where an entry is not what was written."""
        chain = self.chain
        if chain.wrong_id:
            raise JournalBroken(
                f"{self._stream} {chain.wrong_id} {chain.why}: where somebody wrote it by hand, take it out "
                "with XDEL; where it was damaged, or an entry before it is gone, bring it back from a file "
                "with `backbone journal import`, or take it as it is with `backbone journal begin-chain`"
            )

    async def last_generated(self) -> tuple[int, int]:
        """The highest id that the journal ever had, which an entry that was taken out may have had.

        Waits while the server is away.
        """
        try:
            info = await self._link.asked("XINFO", "STREAM", self._stream)
        except ServerRefused as error:
            if "no such key" not in str(error):
                raise
            return 0, 0
        return entry_position(dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"].decode())

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    def _fold(self, page: list[Entry], apply_all: Callable[[Sequence[Message]], object]) -> None:
        events: list[Message] = []
        take, read, add = self.chain.take, EVENT_CODEC.read, events.append
        try:
            for id_, fields in page:
                self.entries += 1
                if take(id_, fields):
                    add(read(fields[1], fields[3], fields[5]))
                else:
                    add(EVENT_CODEC.decode(dict(zip(fields[0::2], fields[1::2], strict=True))))
        except Unreadable as error:
            raise Unreadable(
                f"{self._stream} {id_.decode()}: {error}; somebody wrote it by hand, or it was damaged: "
                "take that entry out with XDEL, or restore the journal"
            ) from error
        finally:
            apply_all(events)


def read_event(entry: Entry) -> Message:
    """The event of an entry; of newer versions as UnknownMessage. Raises Unreadable."""
    _, fields = entry
    return EVENT_CODEC.decode(dict(zip(fields[0::2], fields[1::2], strict=True)))
