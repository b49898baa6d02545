"""Spools that nobody writes any more: of a server's former address, another account, another feed."""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bus.heartbeat import StateReason
from ingest.spool.directories import noted_server
from ingest.spool.spool import confirmed_until, held_alone, segment_path, segments


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A directory whose records nobody writes: what they take, and when the last was spooled (ns).

    `server` is the address that they are for; "" where that is not known.
    """

    directory: Path
    server: str
    unwritten_bytes: int
    size_bytes: int
    last_ns: int

    @property
    def reason(self) -> StateReason:
        """What an operator is told of it."""
        last = f"{datetime.fromtimestamp(self.last_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return StateReason(
            "spool_left",
            f"{self.directory} holds messages of {self.unwritten_bytes:,} bytes, the last of {last}, for "
            f"{self.server or 'another server, account or feed'}, and nobody writes them",
        )


class LeftSpools:
    """Looks for them under one directory. Mutable: what was found of each, until that changes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, LeftBehind] = {}

    def __repr__(self) -> str:
        return f"<{len(self._known)} spools in {self._root}>"

    def look(self, served: Collection[Path]) -> list[LeftBehind]:
        """What lies there beside what is `served`; what another process holds is in use."""
        found: dict[Path, LeftBehind] = {}
        for directory in sorted(self._root.glob("*/")):
            # One that cannot be read is not known to hold anything.
            with contextlib.suppress(OSError):
                if directory not in served and (left := self._left(directory)) is not None:
                    found[directory] = left
        self._known = found
        return [left for left in found.values() if left.unwritten_bytes]

    def _left(self, directory: Path) -> LeftBehind | None:
        files = [segment_path(directory, one).stat() for one in segments(directory)]
        if not files:
            return None
        size_bytes, last_ns = sum(one.st_size for one in files), max(one.st_mtime_ns for one in files)
        known = self._known.get(directory)
        if known is not None and (known.size_bytes, known.last_ns) == (size_bytes, last_ns):
            return known
        # SpoolHeld is an OSError.
        with held_alone(directory):
            unwritten_bytes = size_bytes - _confirmed_bytes(directory)
            return LeftBehind(directory, noted_server(directory), unwritten_bytes, size_bytes, last_ns)


def _confirmed_bytes(directory: Path) -> int:
    """What its segments hold that was written: their sizes alone say so, for there may be gigabytes."""
    confirmed = confirmed_until(directory)
    whole = (one for one in segments(directory) if one < confirmed.segment)
    held = sum(segment_path(directory, one).stat().st_size for one in whole)
    return held + (confirmed.offset if confirmed.segment in segments(directory) else 0)
