"""Puts a journal that was made up onto a server, and a snapshot of what it folds to beside it."""

from collections.abc import Iterable
from typing import Any

from bus import streams
from bus.chain import Entry
from bus.connection import Client
from bus.lease import Lease
from oms.journal import snapshot_store
from oms.journal.digest import digest_of
from oms.journal.fold import folded

_BATCH = 2_000


async def write_journal(client: Client, account: str, entries: Iterable[Entry]) -> None:
    """Write these entries as the account's journal."""
    stream = streams.journal(account)
    batch: Any = client.pipeline(transaction=False)
    for id_, fields in entries:
        batch.execute_command("XADD", stream, id_, *fields)
        if len(batch) >= _BATCH:
            await batch.execute()
    await batch.execute()


async def make_snapshot(client: Client, url: str, account: str, at: str) -> None:
    """Make the snapshot that an OMS would make after the entry `at`."""
    lease = Lease(client, streams.oms_lease(account), "drill", ttl_ms=600_000)
    assert await lease.acquire()
    found = await folded(url, account, until=at)
    digest = digest_of(found.state)
    await snapshot_store.write(client, account, lease.value, found.state, found.chain, found.first_id, digest)
