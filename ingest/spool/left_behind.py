"""Spools that nobody writes any more: of a server's former address, another account, another feed."""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bus.heartbeat import StateReason
from ingest.spool import spool_records
from ingest.spool.directories import noted_server
from ingest.spool.spool import confirmed_until, held_alone, segment_path, segments
from ingest.spool.spool_records import Damaged

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A directory whose records nobody writes: how many there are, and when the last was spooled (ns).

    `server` is the address that they are for; "" where that is not known.
    """

    directory: Path
    server: str
    records: int
    size_bytes: int
    last_ns: int

    @property
    def reason(self) -> StateReason:
        """What an operator is told of it."""
        last = f"{datetime.fromtimestamp(self.last_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return StateReason(
            "spool_left",
            f"{self.directory} holds {self.records:,} messages ({self.size_bytes / _MB:,.1f} MB, the last of "
            f"{last}) for {self.server or 'another server, account or feed'}, and nobody writes them",
        )


class LeftSpools:
    """Looks for them under one directory. Mutable: what was counted of each, until that changes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._counted: dict[Path, LeftBehind] = {}

    def __repr__(self) -> str:
        return f"<{len(self._counted)} spools in {self._root}>"

    def look(self, served: Collection[Path]) -> list[LeftBehind]:
        """What lies there beside what is `served`; what another process holds is in use."""
        found: dict[Path, LeftBehind] = {}
        for directory in sorted(self._root.glob("*/")):
            # One that cannot be read is not known to hold anything.
            with contextlib.suppress(OSError):
                if directory not in served and (left := self._left(directory)) is not None:
                    found[directory] = left
        self._counted = found
        return [left for left in found.values() if left.records]

    def _left(self, directory: Path) -> LeftBehind | None:
        files = [segment_path(directory, one).stat() for one in segments(directory)]
        if not files:
            return None
        size_bytes, last_ns = sum(one.st_size for one in files), max(one.st_mtime_ns for one in files)
        known = self._counted.get(directory)
        if known is not None and (known.size_bytes, known.last_ns) == (size_bytes, last_ns):
            return known
        # SpoolHeld is an OSError.
        with held_alone(directory):
            server, records = noted_server(directory), _records(directory)
            return LeftBehind(directory, server, records, size_bytes, last_ns)


def _records(directory: Path) -> int:
    """How many records are not confirmed."""
    confirmed, count = confirmed_until(directory), 0
    for segment in segments(directory):
        if segment < confirmed.segment:
            continue
        data = segment_path(directory, segment).read_bytes()
        rest = data[confirmed.offset if segment == confirmed.segment else 0 :]
        found = spool_records.read(rest, is_whole=True).found
        count += sum(not isinstance(one, Damaged) for one in found)
    return count
