"""Makes a snapshot in a process of its own: `python -m oms.journal.snapshot_process`, started by the OMS.

It folds the journal itself, from the snapshot before on, and holds what it comes to against the digest of the
state in the OMS's memory. The order, as JSON, comes on standard input; the answer goes to standard output.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from bus import logs
from bus.connection import connect
from bus.errors import BackboneError
from oms.journal import snapshot_store
from oms.journal.fold import folded
from oms.journal.process_apart import step_back


class Wanted(msgspec.Struct, frozen=True):
    """A snapshot of the state after entry `until`, whose digest is `digest`, under this lease.

    `archive` is where archives are, "" for nowhere.
    """

    url: str
    account: str
    until: str
    digest: str
    lease: str
    archive: str = ""


class Made(msgspec.Struct, frozen=True):
    """What came of it; `error` is "" where it was written."""

    error: str = ""
    id: str = ""
    entries: int = 0
    size_bytes: int = 0
    seconds: float = 0.0


async def make(wanted: Wanted) -> Made:
    """Fold, compare, write. Raises what stands against it."""
    began = time.monotonic()
    archive = Path(wanted.archive) if wanted.archive else None
    found = await folded(wanted.url, wanted.account, until=wanted.until, archive=archive)
    client = connect(wanted.url, name="oms-snapshot")
    try:
        written = await snapshot_store.write(
            client, wanted.account, wanted.lease, found.state, found.chain, found.first_id, wanted.digest
        )
    finally:
        await client.aclose()
    seconds = round(time.monotonic() - began, 3)
    return Made("", written.id, found.entries, written.size_bytes, seconds)


def main() -> int:
    """Make the snapshot that standard input asks for; returns the exit code."""
    logs.set_up("oms-snapshot", level="WARNING")
    step_back()
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    try:
        made = asyncio.run(make(wanted))
    except BackboneError as error:
        made = Made(error=f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(made))
    return 1 if made.error else 0


if __name__ == "__main__":
    sys.exit(main())
