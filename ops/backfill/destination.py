"""Where history is brought to."""

from collections.abc import Sequence
from typing import Protocol

from ops.backfill.asked import Part
from ops.backfill.record import Message, Record


class Destination(Protocol):
    """Keeps the messages of each part, and with them the record of what is there."""

    # So many messages are added at a time.
    piece: int

    async def record(self, part: Part) -> Record | None:
        """What of a part is there; None for nothing. Raises InvalidInput where it is not a backfill's."""
        ...

    async def add(
        self, part: Part, before: Record | None, after: Record, messages: Sequence[Message]
    ) -> None:
        """Add messages and set the record, both or neither. Raises BackboneError where that cannot be."""
        ...

    async def finish(self, parts: Sequence[Part]) -> None:
        """All of these are there: make of them what was asked for."""
        ...

    def where(self, part: Part) -> str:
        """Where a part is to be read."""
        ...
