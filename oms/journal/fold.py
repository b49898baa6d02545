"""Fold a journal to the state that it stands for: from its last snapshot on, or from its first entry."""

from dataclasses import dataclass

from bus import streams
from bus.chain import Chain
from bus.connection import connect
from oms.journal import snapshot_store
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


async def folded(url: str, account: str, *, until: str = "+") -> Folded:
    """Fold the journal up to an entry.

    Raises Unreadable where an entry cannot be read, and where one is not what was written.
    """
    client = connect(url, name="oms-fold")
    try:
        found = await snapshot_store.believed(client, account)
    finally:
        await client.aclose()
    state, chain, first_id, snapshot_id = State(), Chain(), "0-0", ""
    if found is not None:
        snapshot, state = found
        snapshot_id, first_id = snapshot.id, snapshot.first_id
        chain = Chain(snapshot_id, snapshot.hash.encode())
    reader = JournalReader(url, streams.journal(account), chain, first_id)
    try:
        await reader.fold(state.apply_all, until)
    finally:
        await reader.close()
    return Folded(state, chain, reader.first_id, reader.entries, snapshot_id)
