"""An entry as a consumer group delivers it."""

from collections.abc import Mapping

import msgspec

# The field of a delivery that tells what was cut.
CUT = b"cut"


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One entry as delivered. `trimmed`: its content is gone from the stream.

    Either it was pending, or it is the first of several that were cut before they were delivered: then
    `cut_of` its fields says which.
    """

    stream: str
    id: str
    fields: dict[bytes, bytes]
    redelivered: bool = False
    trimmed: bool = False

    def __repr__(self) -> str:
        notes = [word for word, said in (("again", self.redelivered), ("trimmed", self.trimmed)) if said]
        return f"{self.stream} {self.id}{' (' + ', '.join(notes) + ')' if notes else ''}"


class Cut(msgspec.Struct, frozen=True):
    """So many entries are gone, from the first of them up to the first that was kept."""

    first_id: str
    kept_id: str
    entries: int


def cut_of(fields: Mapping[bytes, bytes]) -> Cut | None:
    """What the fields of a delivery say of a cut; None where it tells of none."""
    told = fields.get(CUT)
    if told is None:
        return None
    first_id, kept_id, entries = told.decode().split(" ")
    return Cut(first_id, kept_id, int(entries))
