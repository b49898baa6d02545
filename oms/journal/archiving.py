"""Copies what a journal has and its archive has not, while the journal grows."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from bus import streams
from bus.chain import HASH, Chain, Entry
from bus.connection import Client, connect
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.link import Link
from bus.pages import pages
from oms.journal.archive import Archive
from oms.journal.trimmed import Trimmed, trimmed

# Entries of a segment: some 13 MB while it is written, and little to read for whoever looks for one of them.
SEGMENT_ENTRIES = 20_000


class Archived(msgspec.Struct, frozen=True):
    """What was copied: `entries`, into `segments`.

    The archive now begins with `first_id` and ends with `head_id`, whose hash is `head`.
    """

    stream: str
    directory: str
    entries: int
    segments: list[str]
    first_id: str
    head_id: str
    head: str


async def archived(
    url: str,
    account: str,
    root: Path,
    count: Callable[[int], None] = lambda entries: None,
    *,
    segment_entries: int = SEGMENT_ENTRIES,
) -> Archived:
    """Bring the journal's archive below `root` up to now; `count` hears how many entries were copied.

    It may end at any moment: the next one goes on where this one was. Raises InvalidInput where there is no
    journal, where the archive is not this journal's, and where one of them is not what was written.
    """
    client, stream = connect(url, name="journal-archive"), streams.journal(account)
    link = Link(url, name="journal-archive")
    try:
        began = await trimmed(client, account)
        first, last = await client.xrange(stream, count=1), await client.xrevrange(stream, count=1)
        if not first:
            raise InvalidInput(f"{stream} is empty: account {account} has no journal")
        archive = Archive(root, account, first[0][0].decode() if began is None else began.first_id)
        with archive.being_written():
            chain = _end(archive)
            await _require_goes_on(client, stream, archive, chain, began)
            start = "-" if chain.head_id == "0-0" else f"({chain.head_id}"
            copied, written = 0, []
            async for before, entries in _pieces(
                pages(link, stream, start=start, end=last[0][0].decode()), chain, segment_entries
            ):
                written.append(archive.write(before, entries).name)
                copied += len(entries)
                count(len(entries))
    finally:
        await link.close()
        await client.aclose()
    segments = archive.segments()
    return Archived(
        stream,
        str(archive.directory),
        copied,
        written,
        segments[0].first_id,
        chain.head_id,
        chain.head.decode(),
    )


def _end(archive: Archive) -> Chain:
    try:
        return archive.end()
    except InvalidInput as error:
        raise InvalidInput(
            f"{error}; where the journal still has what stood there, move that file out of the archive: it "
            "is archived again"
        ) from error


async def _pieces(
    found: AsyncIterator[list[Entry]], chain: Chain, size: int
) -> AsyncIterator[tuple[Chain, list[Entry]]]:
    """The entries by segments, each with the chain before it. It ends where all that was read is covered by
    a hash; `chain` has taken them all."""
    before, held = Chain(chain.head_id, chain.head), list[Entry]()
    async for page in found:
        for entry in page:
            chain.take(*entry)
            held.append(entry)
            if len(held) >= size and _is_covered(chain):
                yield before, held
                before, held = Chain(chain.head_id, chain.head), []
    if held and not _is_covered(chain):
        what = (
            f"entry {chain.wrong_id} {chain.why}; see `backbone journal verify`"
            if chain.wrong_id
            else f"{chain.uncovered:,} entries have no hash yet: the OMS's next start covers them"
        )
        raise InvalidInput(f"{what}; nothing from entry {held[0][0].decode()} on was archived")
    if held:
        yield before, held


def _is_covered(chain: Chain) -> bool:
    return not (chain.wrong_id or chain.uncovered)


async def _require_goes_on(
    client: Client, stream: str, archive: Archive, end: Chain, began: Trimmed | None
) -> None:
    """Raise InvalidInput where the journal does not go on after the end of its archive."""
    if end.head_id == "0-0" and began is None:
        return
    if began is not None and entry_position(end.head_id) < entry_position(began.id):
        raise InvalidInput(
            f"{archive.directory} ends with entry {end.head_id}, and the entries after it, up to {began.id}, "
            "are in the journal no more: name the directory with the archive that holds them"
        )
    if began is not None and end.head_id == began.id:
        said = began.hash.encode()
    else:
        found = await client.xrange(stream, end.head_id, end.head_id)
        said = found[0][1].get(HASH, b"") if found else b""
    if said != end.head:
        raise InvalidInput(
            f"{archive.directory} ends with entry {end.head_id}, and {stream} has no such entry: it lost "
            "entries, of which the archive is the only copy. Keep that: move the last files out of the "
            "directory, until one ends with an entry that the journal has"
        )
