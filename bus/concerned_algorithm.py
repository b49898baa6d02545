"""Which algorithm an entry of the journal concerns, and is therefore told of it. Pure."""

import msgspec

from bus.chain import Entry
from bus.streams import EXTERNAL


class _Concerns(msgspec.Struct):
    algorithm: str = ""


_decode = msgspec.json.Decoder(_Concerns).decode


def concerned_algorithm(entry: Entry) -> str:
    """Its name, "" where it concerns none of ours; of events of newer releases too."""
    _, fields = entry
    try:
        name = _decode(fields[fields.index(b"data") + 1]).algorithm
    except (ValueError, msgspec.DecodeError):
        return ""
    return "" if name == EXTERNAL else name
