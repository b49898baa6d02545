"""A journal as one, although its beginning may be in the archive alone: first that, then the stream."""

from collections.abc import AsyncIterator
from pathlib import Path

from bus import streams
from bus.chain import Chain, Entry
from bus.errors import InvalidInput
from bus.link import Link
from bus.pages import pages
from bus.settings import BusSettings, load
from oms.journal.archive import Archive
from oms.journal.trimmed import Trimmed, trimmed
from ops.account_server import AccountServer


def archive_root(given: Path | None) -> Path | None:
    """Where archives are: as the command line says, or BACKBONE_JOURNAL_ARCHIVE; None where neither does."""
    settings = load(BusSettings)
    return given or settings.journal_archive


def required_root(given: Path | None, option: str) -> Path:
    """The same. Raises InvalidInput where neither says."""
    root = archive_root(given)
    if root is None:
        raise InvalidInput(f"{option} is missing: name the directory, or set BACKBONE_JOURNAL_ARCHIVE to it")
    return root


class WholeJournal:
    """The journal of an account; `began` is where its stream begins, `archive` None where none is named."""

    def __init__(self, server: AccountServer, began: Trimmed | None, archive: Archive | None) -> None:
        self.began = began
        self.archive = archive
        self._server = server
        self._stream = streams.journal(server.account)

    def __repr__(self) -> str:
        return f"<{self._stream}, {self.archive or 'no archive'}>"

    def chain(self) -> Chain:
        """The chain up to where the stream begins."""
        return Chain() if self.began is None else self.began.chain()

    async def pages(self, start: str = "-", end: str = "+") -> AsyncIterator[list[Entry]]:
        """The stream's own entries between two ids, both included.

        Raises InvalidInput where its beginning was trimmed meanwhile: some were missed.
        """
        link = Link(self._server.url, name="ops-journal")
        try:
            async for page in pages(link, self._stream, start=start, end=end):
                if page:
                    yield page
        finally:
            await link.close()
        if await trimmed(self._server.client, self._server.account) != self.began:
            raise InvalidInput(f"{self._stream} was trimmed while it was read: do it again")


async def whole_journal(server: AccountServer, given: Path | None) -> WholeJournal:
    """The journal, with its archive where `given` or the setting names one that there is.

    Raises InvalidInput where there is no journal, and where `given` does not hold its archive.
    """
    client, account = server.client, server.account
    first = await client.xrange(streams.journal(account), count=1)
    if not first:
        raise InvalidInput(f"{streams.journal(account)} is empty: account {account} has no journal")
    began, root = await trimmed(client, account), archive_root(given)
    if root is None:
        return WholeJournal(server, began, None)
    archive = Archive(root, account, first[0][0].decode() if began is None else began.first_id)
    if not archive.segments():
        if given is None and began is None:
            return WholeJournal(server, None, None)
        raise InvalidInput(f"{archive.directory} holds no file of this journal's archive")
    return WholeJournal(server, began, archive)
