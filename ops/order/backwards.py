"""Looks through a journal from its end on, the stream first and then the archive, for entries with a text."""

import gzip
import json
import zlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from bus import streams
from bus.chain import Entry
from bus.entry_position import entry_position
from bus.errors import Unreadable
from bus.journal_lines import entry_of
from bus.link import Link
from bus.pages import pages
from ops.account_server import AccountServer
from ops.journal.whole import WholeJournal

JOURNAL = "journal"


class Backwards:
    """One journal, from the entry `end` back.

    Mutable: `entries` and `files` count what was looked through; `notes` say what could not be.
    """

    def __init__(self, server: AccountServer, whole: WholeJournal, end: str = "+") -> None:
        self.entries = 0
        self.files = 0
        self.notes: list[str] = []
        self._server = server
        self._whole = whole
        self._end = end

    def __repr__(self) -> str:
        return f"<looked through {self.entries} entries and {self.files} files>"

    async def with_text(self, text: str) -> AsyncGenerator[tuple[str, Entry], None]:
        """Entries whose data may hold `text`, newest first, each with where it stands."""
        inner = json.dumps(text, ensure_ascii=False)[1:-1]
        async for entry in self._of_stream(inner.encode()):
            yield JOURNAL, entry
        for name, entry in self._of_archive(json.dumps(inner, ensure_ascii=False)[1:-1].encode()):
            yield name, entry

    async def _of_stream(self, needle: bytes) -> AsyncGenerator[Entry, None]:
        link, stream = Link(self._server.url, name="ops-order"), streams.journal(self._server.account)
        try:
            async for page in pages(link, stream, end=self._end, backwards=True):
                self.entries += len(page)
                for entry in page:
                    if any(needle in value for value in entry[1]):
                        yield entry
        finally:
            await link.close()

    def _of_archive(self, needle: bytes) -> Iterator[tuple[str, Entry]]:
        began, archive = self._whole.began, self._whole.archive
        if began is None:
            return
        if archive is None:
            self.notes.append(
                f"the {began.entries:,} entries up to {began.id} are in the archive alone, and were not "
                "looked through: name it with --archive DIR"
            )
            return
        last = min(began.id, self._end if self._end != "+" else began.id, key=entry_position)
        for segment in reversed(archive.segments()):
            if entry_position(segment.first_id) <= entry_position(last):
                found = self._of_file(archive.directory / segment.name, needle)
                yield from ((segment.name, one) for one in found if _is_within(one, last))

    def _of_file(self, path: Path, needle: bytes) -> list[Entry]:
        """Newest first. A file is read whole: nothing is parsed but what may be meant."""
        self.files += 1
        try:
            lines = [line for line in gzip.decompress(path.read_bytes()).split(b"\n") if needle in line]
            return [entry_of(line + b"\n") for line in reversed(lines)]
        except (OSError, EOFError, zlib.error, Unreadable) as error:
            self.notes.append(f"{path} cannot be read ({error}): see `backbone journal verify {path}`")
            return []


def _is_within(entry: Entry, last: str) -> bool:
    return entry_position(entry[0].decode()) <= entry_position(last)
