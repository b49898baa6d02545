"""What of a history is there, so that an interrupted backfill goes on, nothing twice or missing. Pure.

A record is written together with each piece of messages, whole or not at all. Time alone does not say where
to go on: several messages may have the same, and the break may lie between them. So it names those of the
last time that are there.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import orjson

Message = dict[str, Any]


class Record(msgspec.Struct, frozen=True):
    """All before `through_ns` is there, and of what happened just then the messages in `edge`.

    `since_ns` is where it begins, `feed` whose history it is; `messages` and `pieces` count what is there.
    """

    feed: str
    since_ns: int
    through_ns: int
    edge: tuple[str, ...] = ()
    messages: int = 0
    pieces: int = 0

    def with_piece(self, messages: Sequence[Message]) -> "Record":
        """The record once these are there too, which follow on what is, in order of time."""
        last_ns = messages[-1]["t"]
        edge = tuple(written(message).decode() for message in messages if message["t"] == last_ns)
        return Record(
            feed=self.feed,
            since_ns=self.since_ns,
            through_ns=last_ns,
            edge=self.edge + edge if last_ns == self.through_ns else edge,
            messages=self.messages + len(messages),
            pieces=self.pieces + 1,
        )

    def up_to(self, until_ns: int) -> "Record":
        """The record once nothing is missing before this time."""
        return msgspec.structs.replace(self, through_ns=until_ns, edge=())


class StillMissing:
    """Leaves out, of what history tells from a record's `through_ns` on, what is there already.

    Mutable: which messages of that time it has not met yet.
    """

    def __init__(self, record: Record) -> None:
        self._at_ns = record.through_ns
        self._there = Counter(record.edge)

    def of(self, messages: Iterable[Message]) -> list[Message]:
        """Those of the next messages that are not there; to be asked for each page, in order."""
        return [message for message in messages if not self._is_there(message)]

    def _is_there(self, message: Message) -> bool:
        if message["t"] != self._at_ns:
            return False
        text = written(message).decode()
        if not self._there[text]:
            return False
        self._there[text] -= 1
        return True


def written(message: Message) -> bytes:
    """A message as its entry has it."""
    return orjson.dumps(message)
