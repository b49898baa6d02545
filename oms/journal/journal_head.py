"""Where a journal ends, kept on the market-data server too, so that it is noticed when its tail is lost.

A server that is restored from a copy, or a replica that takes over, may have forgotten entries that were
durable; its journal looks whole all the same.
"""

from bus import streams
from bus.chain import HASH
from bus.connection import Client, connect
from bus.entry_position import entry_position
from oms.journal.journal import Journal
from oms.journal.trimmed import trimmed
from oms.state.inputs import EntriesMissing

# How often it is written where it moved: what is lost of the time since the last write goes unnoticed.
KEEP_S = 0.25


class JournalHead:
    """Writes the end of one journal elsewhere. Mutable: what was written last, and `compared`, whether the
    journal was held against what was written before: until then that is not overwritten."""

    def __init__(self, md_url: str, account: str, journal: Journal) -> None:
        self._client = connect(md_url, name="oms-head")
        self._account = account
        self._journal = journal
        self._written_id = ""
        self.compared = False

    def __repr__(self) -> str:
        return f"<head of {self._journal!r}, written up to {self._written_id or 'nothing'}>"

    async def missing(self, orders: Client) -> EntriesMissing | None:
        """What the journal on this server lacks of what was written; None where it lacks nothing.

        The journal is one that was folded. Raises ServerAway or ServerRefused.
        """
        kept = await self._client.get(streams.journal_head(self._account))
        missing = None
        if kept is not None:
            until_id, _, until_hash = kept.decode().partition(" ")
            if not await self._is_there(orders, until_id, until_hash.encode()):
                before = await orders.xrevrange(streams.journal(self._account), f"({until_id}", count=1)
                after_id = before[0][0].decode() if before else "0-0"
                missing = EntriesMissing(after_id, until_id, until_hash)
        self.compared = True
        return missing

    async def write(self) -> None:
        """Write the head where it moved since it was compared. Raises ServerAway or ServerRefused."""
        journal = self._journal
        if self.compared and journal.last_hash and journal.last_id != self._written_id:
            id_ = journal.last_id
            value = f"{id_} {journal.last_hash.decode()}"
            await self._client.set(streams.journal_head(self._account), value)
            self._written_id = id_

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _is_there(self, orders: Client, id_: str, hash_: bytes) -> bool:
        """Whether the journal, or one of the account's that was set aside, has this entry.

        One that was trimmed had it: entries are archived, and days old, before they are.
        """
        began = await trimmed(orders, self._account)
        if began is not None and entry_position(id_) <= entry_position(began.id):
            return True
        journal = streams.journal(self._account)
        kept = orders.scan_iter(match=streams.kept(self._account, "*", journal), count=500)
        for stream in (journal, *[key.decode() async for key in kept]):
            found = await orders.xrange(stream, id_, id_)
            if found and found[0][1].get(HASH) == hash_:
                return True
        return False
