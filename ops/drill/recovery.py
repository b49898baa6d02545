"""How long an OMS's start takes on a long journal: from its first entry, and from a snapshot."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bus import embedded, streams
from bus.chain import Entry
from bus.connection import Client, connect
from oms.journal.archiving import archived
from oms.journal.trimming import trim
from ops.drill.fold_apart import Took
from ops.drill.long_journal import entries
from ops.drill.written_journal import make_snapshot, write_journal

# What was promised, of a million entries, and of so many behind a snapshot.
MOST_SECONDS = 12.0
MOST_MEGABYTES = 150.0
BEHIND_SNAPSHOT = 10_000
MOST_SECONDS_FROM_SNAPSHOT = 2.0
MOST_MEGABYTES_FROM_SNAPSHOT = 200.0

_ACCOUNT = "paper"


class Recovery(msgspec.Struct, frozen=True):
    """What a start took from the first entry, and from a snapshot; both come to the same state.

    Where the journal was trimmed too: from the snapshot then, and from the archive without it; else None.
    """

    from_first: Took
    from_snapshot: Took
    trimmed: Took | None = None
    from_archive: Took | None = None

    @property
    def passed(self) -> bool:
        """Whether it took no more than was promised, for as many entries."""
        share = self.from_first.entries / 1_000_000
        every = [one for one in (self.from_first, self.from_snapshot, self.trimmed, self.from_archive) if one]
        return (
            len({one.digest for one in every}) == 1
            and (self.trimmed is None or self.trimmed.seconds <= MOST_SECONDS_FROM_SNAPSHOT)
            and self.from_first.seconds <= max(1.0, MOST_SECONDS * share)
            and self.from_first.peak_megabytes <= MOST_MEGABYTES
            and self.from_snapshot.seconds <= MOST_SECONDS_FROM_SNAPSHOT
            and self.from_snapshot.peak_megabytes <= MOST_MEGABYTES_FROM_SNAPSHOT
        )


async def run(count: int, say: Callable[[str], None], *, trim_too: bool = False) -> Recovery:
    """Write a journal of so many entries on a server of its own, and fold it in processes of their own.

    `trim_too`: then archive it, trim it up to its snapshot, and fold what is left.
    """
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        server = embedded.start("orders", Path(directory) / "orders")
        client = connect(server.url, name="drill")
        try:
            say(f"writing a journal of {count:,} entries ...")
            snapshot_at = await _write(client, count, say)
            say("folding it from its first entry ...")
            from_first = await _apart(server.url)
            say(f"it took {from_first.seconds:.1f} s and {from_first.peak_megabytes:.0f} MB")
            say(f"making a snapshot {BEHIND_SNAPSHOT:,} entries before its end, and folding from there ...")
            await make_snapshot(client, server.url, _ACCOUNT, snapshot_at)
            found = Recovery(from_first, await _apart(server.url))
            return await _trimmed(found, client, server.url, Path(directory), say) if trim_too else found
        finally:
            await client.aclose()
            server.stop()


async def _trimmed(
    found: Recovery, client: Client, url: str, root: Path, say: Callable[[str], None]
) -> Recovery:
    say("archiving it, and trimming it up to the snapshot ...")
    await archived(url, _ACCOUNT, root)
    trim_of_it = await trim(url, _ACCOUNT, root, 1, time.time_ns())
    say(f"{trim_of_it.left:,} entries are left; folding from the snapshot, then from the archive ...")
    from_snapshot = await _apart(url)
    await client.delete(streams.snapshot(_ACCOUNT))
    return Recovery(found.from_first, found.from_snapshot, from_snapshot, await _apart(url, str(root)))


async def _write(client: Client, count: int, say: Callable[[str], None]) -> str:
    """Returns the entry at which a snapshot is to be made."""
    snapshot_at = ""

    def told() -> Iterator[Entry]:
        nonlocal snapshot_at
        for number, entry in enumerate(entries(count), 1):
            if number == max(1, count - BEHIND_SNAPSHOT):
                snapshot_at = entry[0].decode()
            if number % 200_000 == 0:
                say(f"written {number:,} ...")
            yield entry

    await write_journal(client, _ACCOUNT, told())
    return snapshot_at


async def _apart(url: str, *archive: str) -> Took:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.drill.fold_apart", url, _ACCOUNT, *archive, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    return msgspec.json.decode(said, type=Took)
