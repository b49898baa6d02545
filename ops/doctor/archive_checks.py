"""Reads what there is of a journal and its archive."""

import os
import time
from pathlib import Path

from bus import streams
from bus.connection import Client
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.settings import BusSettings
from oms.journal.archive import Archive
from oms.journal.trimmed import trimmed
from ops.doctor.archive_rules import ArchiveFacts, archive
from ops.doctor.rules import Finding

_DAY_MS = 86_400_000


async def archive_finding(client: Client, account: str, settings: BusSettings) -> Finding | None:
    """What is wrong with the archive; None where there is no journal."""
    stream = streams.journal(account)
    first = await client.xrange(stream, count=1)
    if not first:
        return None
    began = await trimmed(client, account)
    found = None
    if settings.journal_archive is not None:
        first_id = first[0][0].decode() if began is None else began.first_id
        found = Archive(settings.journal_archive, account, first_id)
    files, archived_to, broken = _archived(found)
    if began is not None and files and entry_position(archived_to) < entry_position(began.id):
        broken = (
            *broken,
            f"it ends with {archived_to}, and entries up to {began.id} are on the server no more",
        )
    return archive(
        ArchiveFacts(
            entries=await client.xlen(stream),
            size_bytes=await client.memory_usage(stream) or 0,
            days=_days_since(first[0][0].decode()),
            keep_days=settings.journal_keep_days,
            trimmed=0 if began is None else began.entries,
            trimmed_to="" if began is None else began.id,
            root="" if settings.journal_archive is None else str(settings.journal_archive),
            not_writable="" if found is None else _not_writable(found.directory),
            files=files,
            archived_to=archived_to,
            archived_days_ago=_days_since(archived_to) if archived_to else 0,
            broken=broken,
        )
    )


def _archived(found: Archive | None) -> tuple[int, str, tuple[str, ...]]:
    """How many files there are, the last entry in them, and what is wrong."""
    if found is None:
        return 0, "", ()
    try:
        segments = found.segments()
        return len(segments), segments[-1].last_id if segments else "", tuple(found.gaps())
    except InvalidInput as error:
        return 0, "", (str(error),)


def _not_writable(directory: Path) -> str:
    """Why files cannot be made there; the directory itself is made where it is missing."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if not there.is_dir():
        return f"{there} is no directory"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} may not be written"


def _days_since(entry_id: str) -> int:
    return max(0, int(time.time() * 1000) - entry_position(entry_id)[0]) // _DAY_MS
