"""The files of a journal's archive: each is named by the ids of the first and the last entry in it. Pure."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from bus.entry_position import entry_position
from bus.errors import InvalidInput

SUFFIX = ".jsonl.gz"


class Segment(NamedTuple):
    """A file of the archive, by the entries that it holds, both included."""

    first_id: str
    last_id: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.first_id}_{self.last_id}{SUFFIX}"


def segments_in_order(names: Iterable[str]) -> list[Segment]:
    """The segments among files with these names, oldest first; other files are passed by.

    Raises InvalidInput where two of them hold the same entries.
    """
    found = [segment for name in names if (segment := _segment(name)) is not None]
    found.sort(key=lambda one: (entry_position(one.first_id), entry_position(one.last_id)))
    for before, after in itertools.pairwise(found):
        if entry_position(after.first_id) <= entry_position(before.last_id):
            raise InvalidInput(
                f"{before.name} and {after.name} hold the same entries: verify each, and move one of them "
                "out of the archive"
            )
    return found


def _segment(name: str) -> Segment | None:
    first_id, _, last_id = name.removesuffix(SUFFIX).partition("_")
    segment = Segment(first_id, last_id)
    try:
        entry_position(first_id), entry_position(last_id)
    except ValueError:
        return None
    return segment if segment.name == name else None
