"""Verifies a journal, or a file of one, against its chain."""

import re
from collections.abc import Sequence

import msgspec

from bus import streams
from bus.chain import Chain, Entry
from bus.errors import InvalidInput, Unreadable
from bus.journal_files import read
from bus.journal_lines import entries_of
from bus.journal_messages import JournalForked
from bus.link import Link
from bus.pages import pages
from ops.account_server import server_of_account
from ops.journal.progress import Progress

_HASH = re.compile("[0-9a-f]{64}")
_FORKED = JournalForked.wire.encode()


class BegunAnew(msgspec.Struct, frozen=True):
    """An entry from which on a journal was taken as it is, and what was wrong before it."""

    entry_id: str
    wrong: str


class Verified(msgspec.Struct):
    """What a journal's chain says. Mutable: while it is followed.

    `wrong` names the first entry that is not what was written, and why, "" for none; `without_hash` counts
    entries that no hash covers; `forks` are entries that tell of entries which were lost; `wanted_at` is the
    entry that has the hash that was asked for, "" for none.
    """

    what: str
    wanted: str
    entries: int = 0
    head_id: str = ""
    head: str = ""
    wrong: str = ""
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


async def verified(file: str | None, head: str) -> Verified:
    """Follow a journal, or a file of one. Raises InvalidInput where there is none, or `head` is no hash."""
    if head and not _HASH.fullmatch(head):
        raise InvalidInput(f"--head {head[:80]!r}: a hash is 64 hexadecimal digits, as `--json` shows it")
    return await _journal(head) if file is None else _file(file, head)


async def _journal(head: str) -> Verified:
    async with server_of_account("ops-journal") as server:
        stream = streams.journal(server.account)
        count = await server.client.xlen(stream)
        if not count:
            raise InvalidInput(f"{stream} is empty: account {server.account} has no journal")
        found, chain = Verified(stream, head), Chain()
        progress = Progress("verified", count)
        link = Link(server.url, name="ops-journal")
        try:
            async for page in pages(link, stream):
                for entry in page:
                    chain.take(*entry)
                    _note(found, chain, entry)
                progress.count(len(page))
        finally:
            await link.close()
    return _end(found, chain)


def _file(file: str, head: str) -> Verified:
    found, chain, progress = Verified(file, head), Chain(), Progress("verified")
    with read(file) as lines:
        try:
            for entry in entries_of(lines, chain, file):
                _note(found, chain, entry)
                progress.count(1)
        except Unreadable as error:
            found.wrong = str(error)
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
