"""How records lie one behind another in a segment of the spool: mark, length, checksum, payload. Pure."""

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

# Begins every record, so that the next whole one is found behind one that is damaged.
MARK = b"bbS1"
_HEAD = struct.Struct("<4sII")

# No payload is longer: a frame has at most 16 MiB, and a length beyond this is damage.
MOST_BYTES = 64 * 1024 * 1024

# What is shown of a damaged record.
SHOWN_BYTES = 16 * 1024


class Damaged(NamedTuple):
    """Bytes of a segment that are no record, or not the one that was written: why, and their first ones.

    `is_last` where no whole record follows in the segment: what was being written when the process died.
    """

    reason: str
    payload: bytes
    size_bytes: int
    is_last: bool


class Read(NamedTuple):
    """Payloads and damages in their order, and how many bytes they take."""

    found: list[bytes | Damaged]
    used_bytes: int


def packed(payloads: Iterable[bytes]) -> bytes:
    """These payloads as records."""
    parts: list[bytes] = []
    for payload in payloads:
        parts += (_HEAD.pack(MARK, len(payload), zlib.crc32(payload)), payload)
    return b"".join(parts)


def read(data: bytes, *, is_whole: bool) -> Read:
    """The records at the start of `data`; one that goes on behind its end is left.

    `is_whole`: nothing follows in the segment, so that what is not a whole record now never will be.
    """
    found: list[bytes | Damaged] = []
    position = 0
    while position < len(data):
        payload = _record(data, position)
        if payload is None and not is_whole and _may_go_on(data, position):
            break
        if payload is not None:
            found.append(payload)
            position += _HEAD.size + len(payload)
            continue
        end = _next_record(data, position)
        if end is None and not is_whole:
            # Where the damage ends is seen once more of the segment is read.
            break
        found.append(_damaged(data, position, end))
        position = len(data) if end is None else end
    return Read(found, position)


def _record(data: bytes, position: int) -> bytes | None:
    """The payload of the record that begins here; None where it is not whole."""
    start = position + _HEAD.size
    if len(data) < start:
        return None
    mark, length, checksum = _HEAD.unpack_from(data, position)
    if mark != MARK or length > MOST_BYTES or len(data) < start + length:
        return None
    payload = data[start : start + length]
    return payload if zlib.crc32(payload) == checksum else None


def _may_go_on(data: bytes, position: int) -> bool:
    """Whether a record that begins here may be whole once more is read."""
    if len(data) < position + _HEAD.size:
        return MARK.startswith(data[position : position + len(MARK)])
    mark, length, _ = _HEAD.unpack_from(data, position)
    return bool(mark == MARK and length <= MOST_BYTES and len(data) < position + _HEAD.size + length)


def _next_record(data: bytes, position: int) -> int | None:
    """Where the next whole record begins behind a damaged one; None where there is none."""
    while (position := data.find(MARK, position + 1)) >= 0:
        if _record(data, position) is not None:
            return position
    return None


def _damaged(data: bytes, position: int, end: int | None) -> Damaged:
    stop = len(data) if end is None else end
    if len(data) < position + _HEAD.size or _HEAD.unpack_from(data, position)[0] != MARK:
        reason = "a record of the spool whose head is damaged"
    elif _HEAD.unpack_from(data, position)[1] != stop - position - _HEAD.size:
        reason = "a record of the spool whose length is damaged, or that was not written to its end"
    else:
        reason = "a record of the spool whose checksum does not hold"
    return Damaged(reason, data[position:stop][:SHOWN_BYTES], stop - position, end is None)
