"""Verifies a journal, or a file of one, against its chain."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus import streams
from bus.chain import Chain, Entry
from bus.entry_position import entry_position
from bus.errors import InvalidInput, Unreadable
from bus.journal_files import read
from bus.journal_lines import entries_of, previous_of
from bus.journal_messages import JournalForked
from oms.journal.archive import Archive
from oms.journal.trimmed import Trimmed
from ops.account_server import server_of_account
from ops.journal.progress import Progress
from ops.journal.segment_files import files_in_order
from ops.journal.whole import WholeJournal, whole_journal

_HASH = re.compile("[0-9a-f]{64}")
_FORKED = JournalForked.wire.encode()


class BegunAnew(msgspec.Struct, frozen=True):
    """An entry from which on a journal was taken as it is, and what was wrong before it."""

    entry_id: str
    wrong: str


class Verified(msgspec.Struct):
    """What a journal's chain says. Mutable: while it is followed.

    `wrong` names the first entry that is not what was written, and why, "" for none. `checked_from` is the
    entry, or the hash of one, from which on it was followed, "" for the first; `unchecked` counts entries
    before it where that is known. `without_hash` counts entries that no hash covers; `forks` are entries that
    tell of entries which were lost; `wanted_at` is the entry that has the hash that was asked for, "" for
    none.
    """

    what: str
    wanted: str
    entries: int = 0
    head_id: str = ""
    head: str = ""
    wrong: str = ""
    checked_from: str = ""
    unchecked: int = 0
    without_hash: int = 0
    begun_anew: list[BegunAnew] = []
    forks: list[str] = []
    wanted_at: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every entry is what was written, and one has the hash that was asked for."""
        return not (self.wrong or self.without_hash or (self.wanted and not self.wanted_at))

    def told(self) -> str:
        """The same in sentences."""
        lines = [f"{self.what}: {self.entries:,} entries, the last {self.head_id} with hash {self.head}"]
        if self.unchecked:
            lines.append(
                f"checked from entry {self.checked_from} on; the {self.unchecked:,} entries up to it are in "
                "the archive alone: --archive DIR checks them too"
            )
        elif self.checked_from:
            lines.append(f"checked from an entry on whose hash was {self.checked_from}; it begins after that")
        lines += [f"begun anew at {one.entry_id}; before it: {one.wrong}" for one in self.begun_anew]
        lines += [f"entry {id_} tells of entries that were lost before it" for id_ in self.forks]
        if self.wrong:
            lines.append(f"NOT WHAT WAS WRITTEN: {self.wrong}")
        if self.without_hash:
            lines.append(f"{self.without_hash:,} entries have no hash yet: the OMS's next start covers them")
        if self.wanted:
            lines.append(
                f"entry {self.wanted_at} has the hash {self.wanted}"
                if self.wanted_at
                else f"NO ENTRY HAS THE HASH {self.wanted}: this is not the journal that had it"
            )
        if self.is_good:
            lines.append("every entry is what was written")
        return "\n".join(lines)


async def verified(files: Sequence[Path], head: str, archive: Path | None = None) -> Verified:
    """Follow a journal, or files of one, oldest first; of a directory its segments.

    Raises InvalidInput where there is none, or `head` is no hash.
    """
    if head and not _HASH.fullmatch(head):
        raise InvalidInput(f"--head {head[:80]!r}: a hash is 64 hexadecimal digits, as `--json` shows it")
    return _files(files_in_order(files), head) if files else await _journal(head, archive)


async def _journal(head: str, given: Path | None) -> Verified:
    async with server_of_account("ops-journal") as server:
        whole = await whole_journal(server, given)
        stream = streams.journal(server.account)
        found, began = Verified(stream, head), whole.began
        progress = Progress("verified", await server.client.xlen(stream))
        archived = Chain()
        if whole.archive is not None:
            try:
                _follow_archive(found, archived, whole.archive, began, progress)
            except InvalidInput as error:
                found.wrong = str(error)
                return _end(found, archived)
        elif began is not None:
            found.checked_from, found.unchecked = began.id, began.entries
        chain = whole.chain()
        async for page in whole.pages():
            for entry in page:
                chain.take(*entry)
                _note(found, chain, entry)
                if chain.head_id == archived.head_id:
                    _require_same(found, archived, chain, whole)
            progress.count(len(page))
        if whole.archive is not None and entry_position(chain.head_id) < entry_position(archived.head_id):
            _require_same(found, archived, chain, whole)
    return _end(found, chain)


def _follow_archive(
    found: Verified, chain: Chain, archive: Archive, began: Trimmed | None, progress: Progress
) -> None:
    """Follow all of the archive; only what the stream has not is counted. Raises InvalidInput."""
    for entry in archive.entries(chain):
        if began is not None and entry_position(chain.head_id) <= entry_position(began.id):
            _note(found, chain, entry)
        if began is not None and chain.head_id == began.id and chain.head.decode() != began.hash:
            raise InvalidInput(f"{archive.directory}: entry {began.id} is not the one that the journal had")
        progress.count(1)
    if began is not None and entry_position(chain.head_id) < entry_position(began.id):
        raise InvalidInput(
            f"{archive.directory} ends with entry {chain.head_id}: it lacks those to {began.id}"
        )


def _require_same(found: Verified, archived: Chain, chain: Chain, whole: WholeJournal) -> None:
    """Note where the archive's last entry is not the journal's."""
    if (chain.head_id, chain.head) != (archived.head_id, archived.head) and not chain.wrong_id:
        found.wrong = f"{whole.archive} ends with entry {archived.head_id}, which the journal has not so"


def _files(files: Sequence[Path], head: str) -> Verified:
    found, chain = Verified(", ".join(map(str, files[:3])), head), Chain()
    if files[3:]:
        found.what += f" and {len(files) - 3} more"
    progress = Progress("verified")
    for number, file in enumerate(files):
        with read(file) as lines:
            try:
                first = next(lines, b"")
                if number == 0 and (previous := previous_of(first)) is not None:
                    chain = Chain("its beginning", previous)
                    found.checked_from = previous.decode()
                for entry in entries_of(itertools.chain([first], lines), chain, str(file)):
                    _note(found, chain, entry)
                    progress.count(1)
            except Unreadable as error:
                found.wrong = str(error) if str(file) in str(error) else f"{file}: {error}"
                break
    return _end(found, chain)


def _note(found: Verified, chain: Chain, entry: Entry) -> None:
    fields: Sequence[bytes] = entry[1]
    found.entries += 1
    if fields[1:2] == [_FORKED]:
        found.forks.append(chain.head_id)
    if found.wanted and chain.head.decode() == found.wanted and not chain.wrong_id:
        found.wanted_at = chain.head_id


def _end(found: Verified, chain: Chain) -> Verified:
    found.head_id, found.head = chain.head_id, chain.head.decode()
    found.without_hash = chain.uncovered
    found.begun_anew = [BegunAnew(*one) for one in chain.begun_anew]
    if chain.wrong_id and not found.wrong:
        found.wrong = f"entry {chain.wrong_id} {chain.why}"
    return found
