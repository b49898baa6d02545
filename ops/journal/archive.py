"""Brings the archive of a journal up to now, and trims what it holds."""

import time
from pathlib import Path

from bus.settings import BusSettings, load
from oms.journal.archiving import Archived, archived
from oms.journal.trimming import Trim, trim
from ops.account_server import server_of_account
from ops.journal.progress import Progress
from ops.journal.whole import required_root


async def brought_up_to_now(given: Path | None) -> Archived:
    """Archive what the archive has not. Raises InvalidInput as `archived` does."""
    root = required_root(given, "--to")
    async with server_of_account("ops-journal") as server:
        return await archived(server.url, server.account, root, Progress("archived").count)


async def trimmed_now(given: Path | None, keep_days: int | None) -> Trim:
    """Take away what is archived, and older than `keep_days`. Raises InvalidInput as `trim` does."""
    root, settings = required_root(given, "--archive"), load(BusSettings)
    kept = settings.journal_keep_days if keep_days is None else keep_days
    async with server_of_account("ops-journal") as server:
        count = Progress("verified").count
        return await trim(server.url, server.account, root, kept, time.time_ns(), count)
