"""An entry as a consumer group delivers it."""

import msgspec


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One entry as delivered. `trimmed`: it was pending, and its content is gone from the stream."""

    stream: str
    id: str
    fields: dict[bytes, bytes]
    redelivered: bool = False
    trimmed: bool = False

    def __repr__(self) -> str:
        notes = [word for word, said in (("again", self.redelivered), ("trimmed", self.trimmed)) if said]
        return f"{self.stream} {self.id}{' (' + ', '.join(notes) + ')' if notes else ''}"
