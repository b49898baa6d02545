"""Fold a journal to the state that it stands for: from its last snapshot on, or from its first entry."""

from dataclasses import dataclass
from pathlib import Path

from bus import streams
from bus.chain import Chain
from bus.connection import connect
from oms.journal.beginning import beginning
from oms.journal.journal_reader import JournalReader
from oms.state.state import State


@dataclass(frozen=True, slots=True)
class Folded:
    """A state, the journal's chain up to the entry after which it is, and the journal's first entry.

    `entries` were read for it; `snapshot_id` is the entry of the snapshot on which it stands, "" for none.
    """

    state: State
    chain: Chain
    first_id: str
    entries: int
    snapshot_id: str = ""


async def folded(url: str, account: str, *, until: str = "+", archive: Path | None = None) -> Folded:
    """Fold the journal up to an entry; `archive` is where archives are, for one whose beginning was trimmed.

    Raises Unreadable where an entry cannot be read, and where one is not what was written, and InvalidInput
    where the beginning is missing.
    """
    client = connect(url, name="oms-fold")
    try:
        began = await beginning(client, account, archive, until)
    finally:
        await client.aclose()
    reader = JournalReader(url, streams.journal(account), began.chain, began.first_id)
    try:
        await reader.fold(began.state.apply_all, until)
    finally:
        await reader.close()
    entries = began.archived + reader.entries
    return Folded(began.state, reader.chain, reader.first_id, entries, began.snapshot_id)
