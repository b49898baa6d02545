"""Archives and trims the journal in a process of its own: `python -m oms.journal.archive_process`.

The OMS starts it at the end of a trading day. The order, as JSON, comes on standard input; the answer goes to
standard output.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from bus import logs
from bus.errors import BackboneError
from oms.journal.archiving import Archived, archived
from oms.journal.process_apart import step_back
from oms.journal.trimming import Trim, trim


class ToArchive(msgspec.Struct, frozen=True):
    """A journal, the directory in which archives are, and for how many days entries stay on the server."""

    url: str
    account: str
    root: str
    keep_days: int


class Kept(msgspec.Struct):
    """What came of it; `error` is "" where both were done. Mutable: while it is done."""

    archived: Archived | None = None
    trim: Trim | None = None
    error: str = ""


async def archive_and_trim(order: ToArchive) -> Kept:
    """Bring the archive up to now, and take away what it holds and is old enough."""
    found, root = Kept(), Path(order.root)
    try:
        found.archived = await archived(order.url, order.account, root)
        found.trim = await trim(order.url, order.account, root, order.keep_days, time.time_ns())
    except BackboneError as error:
        found.error = str(error)
    return found


def main() -> int:
    """Do what standard input asks for; returns the exit code."""
    logs.set_up("oms-archive", level="WARNING")
    step_back()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=ToArchive)
    found = asyncio.run(archive_and_trim(order))
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 1 if found.error else 0


if __name__ == "__main__":
    sys.exit(main())
