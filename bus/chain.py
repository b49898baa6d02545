"""The journal's hash chain: each entry's hash covers the hash before it, its id and its fields. Pure.

An entry's last field, `hash`, is the SHA-256, as 64 hexadecimal digits, of the hash before it (64 zeros
before the first entry), then the entry's id, then the name and the value of each field before `hash`, in
their order. Each of these but the first is written as its length in bytes, a colon, its bytes and a comma.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

# An id, and the names and values of its fields by turns.
Entry = tuple[bytes, list[bytes]]

# The hash before the first entry.
NO_HASH = b"0" * 64

# The field that holds an entry's hash, and the type of an entry from which on a journal is covered anew.
HASH = b"hash"
_AS_WRITTEN = [b"type", b"version", b"data", HASH]
CHAIN_BEGUN = b"ChainBegun"


def message_hash(previous: bytes, id_: bytes, kind: bytes, version: bytes, data: bytes) -> bytes:
    """The hash of an entry with the fields type, version and data: as of `entry_hash`, in half the time."""
    parts = (previous, len(id_), id_, _type_and_version(kind, version), len(data), data)
    return sha256(b"%b%d:%b,%b4:data,%d:%b," % parts).hexdigest().encode()


@lru_cache(maxsize=256)
def _type_and_version(kind: bytes, version: bytes) -> bytes:
    return b"4:type,%d:%b,7:version,%d:%b," % (len(kind), kind, len(version), version)


def entry_hash(previous: bytes, id_: bytes, fields: Sequence[bytes]) -> bytes:
    """The hash of an entry with these fields, names and values by turns, without `hash`."""
    parts = b"".join(b"%d:%b," % (len(part), part) for part in (id_, *fields))
    return sha256(previous + parts).hexdigest().encode()


class Chain:
    """Follows a journal's entries, and tells the first that is not what was written.

    Mutable: `head_id` and `head`, the id and the hash of the last entry taken, computed and not as it says of
    itself; `begun`, whether any entry had a hash; `wrong_id`, the first entry that does not follow, "" for
    none, and `why`; `uncovered`, entries before the first hash, which no hash has covered yet; `begun_anew`,
    ids of the entries from which on the journal was covered anew, with what was wrong before.
    """

    def __init__(self, head_id: str = "0-0", head: bytes = NO_HASH) -> None:
        self.head_id = head_id
        self.head = head
        self.begun = head != NO_HASH
        self.wrong_id = ""
        self.why = ""
        self.uncovered = 0
        self.begun_anew: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        state = f"wrong at {self.wrong_id}" if self.wrong_id else "unbroken"
        return f"<chain up to {self.head_id}, {state}>"

    @property
    def written(self) -> bytes:
        """The hash that the last entry has to have; b"" where no entry has any."""
        return self.head if self.begun else b""

    def take(self, id_: bytes, fields: list[bytes]) -> bool:
        """Take the next entry, with its names and values by turns.

        Whether these are, as written here, `type`, `version`, `data` and `hash`.
        """
        said: bytes | None
        as_written = fields[::2] == _AS_WRITTEN and len(fields) == 8
        if as_written:
            said = fields[7]
            head = message_hash(self.head, id_, fields[1], fields[3], fields[5])
        else:
            content, said = (fields[:-2], fields[-1]) if fields[-2:-1] == [HASH] else (fields, None)
            head = entry_hash(self.head, id_, content)
        if said == head:
            self.begun = True
            if fields[1] == CHAIN_BEGUN:
                self._begin_anew(id_)
        elif said is not None or self.begun:
            self._note_wrong(id_, "has no hash" if said is None else "is not what was written after that")
        else:
            self.uncovered += 1
        self.head, self.head_id = head, id_.decode(errors="replace")
        return as_written

    def _begin_anew(self, id_: bytes) -> None:
        """What this entry covers is taken as it is, whatever was wrong with it."""
        if self.wrong_id or self.uncovered:
            before = f"{self.wrong_id} {self.why}" if self.wrong_id else f"{self.uncovered} without a hash"
            self.begun_anew.append((id_.decode(), before))
        self.wrong_id, self.why, self.uncovered = "", "", 0

    def _note_wrong(self, id_: bytes, what: str) -> None:
        self.begun = True
        if not self.wrong_id:
            self.wrong_id = id_.decode(errors="replace")
            self.why = f"{what} (the entry before it is {self.head_id})"
