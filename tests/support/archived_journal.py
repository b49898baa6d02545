"""A journal of some days on a server, with a snapshot near its end, to archive, to trim and to damage."""

from pathlib import Path
from typing import Any

from bus import streams
from bus.chain import Entry
from bus.journal_lines import line_of
from oms.journal.archive import Archive
from oms.journal.archiving import archived
from oms.journal.trimming import Trim, trim
from ops.drill.long_journal import entries
from ops.drill.written_journal import make_snapshot, write_journal

ACCOUNT = "paper"
JOURNAL = streams.journal(ACCOUNT)
DAY_NS = 86_400 * 1_000_000_000


class ArchivedJournal:
    """What was written, and where; `first_id` is its first entry."""

    def __init__(self, client: Any, url: str, root: Path, count: int) -> None:
        self.client, self.url, self.root = client, url, root
        self.entries: list[Entry] = list(entries(count))
        self.first_id = self.entries[0][0].decode()

    @property
    def archive(self) -> Archive:
        """Its archive."""
        return Archive(self.root, ACCOUNT, self.first_id)

    @property
    def text(self) -> bytes:
        """The whole journal as `backbone journal export` writes it."""
        return b"".join(map(line_of, self.entries))

    async def write(self, *, snapshot_at: int) -> None:
        """Put it on the server, with a snapshot after the entry of this number."""
        await write_journal(self.client, ACCOUNT, self.entries)
        await make_snapshot(self.client, self.url, ACCOUNT, self.entries[snapshot_at][0].decode())

    async def archived(self, segment_entries: int = 50) -> None:
        """Bring its archive up to now."""
        await archived(self.url, ACCOUNT, self.root, segment_entries=segment_entries)

    async def trim(self, number: int, step: int = 40) -> Trim:
        """Trim it when the entry of this number is old enough, and no later one."""
        ms = int(self.entries[number][0].split(b"-")[0])
        return await trim(self.url, ACCOUNT, self.root, 1, (ms + 1) * 1_000_000 + DAY_NS, step=step)

    async def left(self) -> list[bytes]:
        """The ids of the entries on the server."""
        return [id_ for id_, _ in await self.client.xrange(JOURNAL)]
