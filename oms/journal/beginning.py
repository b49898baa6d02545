"""The state from which a journal's stream is folded on: the last snapshot's, the archive's, or a new one."""

import asyncio
import itertools
from dataclasses import dataclass
from pathlib import Path

import structlog

from bus import streams
from bus.chain import Chain
from bus.connection import Client
from bus.entry_position import entry_position
from bus.errors import InvalidInput, Unreadable
from oms.journal import snapshot_store
from oms.journal.archive import Archive
from oms.journal.journal_reader import read_event
from oms.journal.trimmed import Trimmed, trimmed
from oms.state.state import State

# Entries of the archive that are folded before others of the process have their turn: some milliseconds.
_AT_ONCE = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Beginning:
    """A state, and the journal's chain after which it is; `first_id` is the journal's first entry.

    `snapshot_id` is the entry of the snapshot that it was read from, "" for none; `archived` counts entries
    that were read from the archive.
    """

    state: State
    chain: Chain
    first_id: str
    snapshot_id: str = ""
    archived: int = 0


async def beginning(client: Client, account: str, archive: Path | None, until: str = "+") -> Beginning:
    """The state as far as the stream need not be read for it; `archive` is where archives are, None for none.

    Not beyond the entry `until`, where one is named.

    Raises InvalidInput, which says what to do, where the stream's beginning was trimmed and neither a
    snapshot nor the archive can stand for it.
    """
    found = await snapshot_store.believed(client, account)
    if found is not None and (until == "+" or entry_position(found[0].id) <= entry_position(until)):
        snapshot, state = found
        chain = Chain(snapshot.id, snapshot.hash.encode())
        return Beginning(state, chain, snapshot.first_id, snapshot.id)
    began = await trimmed(client, account)
    if began is None:
        return Beginning(State(), Chain(), "0-0")
    if archive is None:
        raise InvalidInput(
            f"the first {began.entries:,} entries of {streams.journal(account)} are in its archive alone, "
            "and no snapshot can be used (why is in the log): set BACKBONE_JOURNAL_ARCHIVE to the directory "
            f"in which {account}/{began.first_id} is, and start again"
        )
    is_before = until != "+" and entry_position(until) < entry_position(began.id)
    return await _from_archive(
        Archive(archive, account, began.first_id), began, until if is_before else began.id
    )


async def _from_archive(archive: Archive, began: Trimmed, until: str) -> Beginning:
    log.info("folding the archive", directory=str(archive.directory), entries=began.entries)
    state, chain, count = State(), Chain(), 0
    entries = archive.entries(chain, until)
    try:
        while page := list(itertools.islice(entries, _AT_ONCE)):
            state.apply_all([read_event(entry) for entry in page])
            count += len(page)
            await asyncio.sleep(0)
    except (InvalidInput, Unreadable) as error:
        raise InvalidInput(
            f"no snapshot can be used (why is in the log), nor the archive: {error}; bring the file back "
            "from a copy of the archive, and start again"
        ) from error
    if until == began.id and chain.head.decode() != began.hash:
        raise InvalidInput(
            f"{archive.directory}: entry {began.id} is another than the one that the journal had: set "
            "BACKBONE_JOURNAL_ARCHIVE to the directory with this journal's archive"
        )
    return Beginning(state, chain, began.first_id, archived=count)
