"""When snapshots are made while the OMS works, and at its clean stop."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from bus.entry_position import entry_position
from bus.errors import BackboneError
from oms.journal.journal import Journal
from oms.journal.process_apart import said_apart
from oms.journal.snapshot_process import Made, Wanted, make

# How often it is looked whether one is due.
_LOOK_S = 1.0

# Of a large state one is due only once the journal has grown by a quarter as much, at a kilobyte an entry:
# the server has enough to do with the journal, and a start folds so many entries in a moment.
_SNAPSHOT_BYTES_PER_ENTRY = 4 * 1024

# A stop waits so long for its last snapshot; without it the next start folds more.
_AT_STOP_S = 5.0

log = structlog.get_logger()


class SnapshotKeeper:
    """Has a snapshot made of one OMS's state every so many entries, and of a large state more seldom.

    `digest` gives the last digest of the state in memory, the journal's entry after which it had it, and how
    many entries were durable then: a snapshot is held against it. `archive` is where archives are. Mutable:
    `at_id`, the entry of the last snapshot, its size, and how many entries there were then.
    """

    def __init__(
        self,
        url: str,
        account: str,
        journal: Journal,
        digest: Callable[[], tuple[str, str, int]],
        every: int,
        archive: Path | None,
    ) -> None:
        self.at_id = ""
        self._url = url
        self._account = account
        self._journal = journal
        self._digest = digest
        self._every = every
        self._archive = "" if archive is None else str(archive)
        self._entries = 0
        self._size_bytes = 0

    def __repr__(self) -> str:
        return f"<snapshots of {self._journal!r}, the last at {self.at_id or 'none'}>"

    async def keep(self) -> None:
        """Have snapshots made as they are due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if (wanted := self.due()) is not None:
                self._note(await _made_apart(wanted))

    def due(self) -> Wanted | None:
        """What to make now, None for nothing; it counts as made.

        What was written since the digest does not count. In a burst the digest is of before it, and so would
        the snapshot be, just when the process that makes it is in everybody's way.
        """
        digest, at_id, entries = self._digest()
        if entries - self._entries < entries_between(self._every, self._size_bytes):
            return None
        if (wanted := self._wanted(digest, at_id)) is not None:
            self._entries = entries
        return wanted

    async def stop(self, digest: str) -> None:
        """Make one of the state at its end, within bounded time; `digest` is that of the state now."""
        if self._journal.entries == self._entries:
            return
        wanted = self._wanted(digest, self._journal.last_id)
        if wanted is None:
            return
        try:
            async with asyncio.timeout(_AT_STOP_S):
                self._note(await make(wanted))
        except (BackboneError, TimeoutError) as error:
            log.warning(
                "no snapshot at the stop: the next start folds more", error=str(error) or "no time left"
            )

    def _wanted(self, digest: str, at_id: str) -> Wanted | None:
        """What to make; None where no digest is known of what is durable."""
        is_durable = entry_position(at_id) <= entry_position(self._journal.last_id)
        if not digest or at_id in ("0-0", self.at_id) or not is_durable:
            return None
        return Wanted(self._url, self._account, at_id, digest, self._journal.lease_value, self._archive)

    def _note(self, made: Made) -> None:
        if made.error:
            log.error("no snapshot", error=made.error)
            return
        self.at_id, self._size_bytes = made.id, made.size_bytes
        log.info(
            "snapshot", at=made.id, entries=made.entries, size_bytes=made.size_bytes, seconds=made.seconds
        )


def entries_between(every: int, size_bytes: int) -> int:
    """After how many entries the next snapshot is due where the last one had this size."""
    return max(every, size_bytes // _SNAPSHOT_BYTES_PER_ENTRY)


async def _made_apart(wanted: Wanted) -> Made:
    """In a process of its own, which ends with this task."""
    said, code = await said_apart("oms.journal.snapshot_process", msgspec.json.encode(wanted))
    try:
        return msgspec.json.decode(said, type=Made)
    except msgspec.DecodeError:
        return Made(error=f"its process ended with {code}")
