"""How long an OMS's start takes on a long journal: from its first entry, and from a snapshot."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bus import embedded, streams
from bus.connection import Client, connect
from bus.lease import Lease
from oms.journal import snapshot_store
from oms.journal.digest import digest_of
from oms.journal.fold import folded
from ops.drill.fold_apart import Took
from ops.drill.long_journal import entries

# What was promised, of a million entries, and of so many behind a snapshot.
MOST_SECONDS = 12.0
MOST_MEGABYTES = 150.0
BEHIND_SNAPSHOT = 10_000
MOST_SECONDS_FROM_SNAPSHOT = 2.0

_ACCOUNT = "paper"
_BATCH = 2_000


class Recovery(msgspec.Struct, frozen=True):
    """What a start took from the first entry, and from a snapshot; both come to the same state."""

    from_first: Took
    from_snapshot: Took

    @property
    def passed(self) -> bool:
        """Whether it took no more than was promised, for as many entries."""
        share = self.from_first.entries / 1_000_000
        return (
            self.from_first.digest == self.from_snapshot.digest
            and self.from_first.seconds <= max(1.0, MOST_SECONDS * share)
            and self.from_first.peak_megabytes <= MOST_MEGABYTES
            and self.from_snapshot.seconds <= MOST_SECONDS_FROM_SNAPSHOT
        )


async def run(count: int, say: Callable[[str], None]) -> Recovery:
    """Write a journal of so many entries on a server of its own, and fold it in processes of their own."""
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
            await _snapshot(client, server.url, snapshot_at)
            from_snapshot = await _apart(server.url)
        finally:
            await client.aclose()
            server.stop()
    return Recovery(from_first, from_snapshot)


async def _write(client: Client, count: int, say: Callable[[str], None]) -> str:
    """Returns the entry at which a snapshot is to be made."""
    stream, snapshot_at = streams.journal(_ACCOUNT), ""
    batch: Any = client.pipeline(transaction=False)
    for number, (id_, fields) in enumerate(entries(count), 1):
        batch.execute_command("XADD", stream, id_, *fields)
        if number == max(1, count - BEHIND_SNAPSHOT):
            snapshot_at = id_.decode()
        if len(batch) >= _BATCH:
            await batch.execute()
        if number % 200_000 == 0:
            say(f"written {number:,} ...")
    await batch.execute()
    return snapshot_at


async def _snapshot(client: Client, url: str, at: str) -> None:
    lease = Lease(client, streams.oms_lease(_ACCOUNT), "drill", ttl_ms=600_000)
    assert await lease.acquire()
    found = await folded(url, _ACCOUNT, until=at)
    digest = digest_of(found.state)
    await snapshot_store.write(
        client, _ACCOUNT, lease.value, found.state, found.chain, found.first_id, digest
    )


async def _apart(url: str) -> Took:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.drill.fold_apart", url, _ACCOUNT, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    return msgspec.json.decode(said, type=Took)
