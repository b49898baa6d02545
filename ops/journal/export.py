"""Writes a journal as lines of JSON, while it grows."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from bus import streams
from bus.chain import HASH, NO_HASH, Chain, Entry
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.journal_lines import line_before, line_of
from bus.whole_file import written
from ops.account_server import AccountServer, server_of_account
from ops.journal.progress import Progress
from ops.journal.whole import WholeJournal, whole_journal


class Exported(msgspec.Struct, frozen=True):
    """What was written: how many entries, the last of them and its hash, "" where it has none.

    `left_out` counts entries before the first, which are in the archive alone.
    """

    stream: str
    file: str
    entries: int
    first_id: str
    head_id: str
    head: str
    left_out: int = 0

    def told(self) -> str:
        """The same in sentences."""
        text = f"{self.entries:,} entries of {self.stream}, the last {self.head_id} with hash {self.head}"
        if self.left_out:
            text += (
                f"\nNOT THE WHOLE JOURNAL: {self.left_out:,} entries before these are in the archive alone; "
                "with --archive DIR they are exported too"
            )
        return text


async def exported(file: str, first: str, last: str, archive: Path | None = None) -> Exported:
    """Export the entries between two ids (both included). Raises InvalidInput where there are none."""
    for what, id_ in (("--from", first), ("--to", last)):
        _require_id(what, id_)
    async with server_of_account("ops-journal") as server:
        stream = streams.journal(server.account)
        whole = await whole_journal(server, archive)
        # Whatever is written meanwhile stays outside: the file ends where the journal ended.
        last = await _last(server, last)
        progress = Progress("exported", await _count(server, whole))
        first_id, head_id, head = "", "0-0", ""
        with written(file) as out:
            async for previous, page in _pieces(server, whole, first, last):
                if not first_id and previous != NO_HASH:
                    out.write(line_before(previous))
                out.writelines(map(line_of, page))
                progress.count(len(page))
                first_id = first_id or page[0][0].decode()
                head_id = page[-1][0].decode()
                head = page[-1][1][-1].decode() if page[-1][1][-2:-1] == [HASH] else ""
            if not first_id:
                raise InvalidInput(f"{stream} has no entries between {first} and {last}")
    left_out = whole.began.entries if first == "-" and whole.began and not whole.archive else 0
    return Exported(stream, file, progress.entries, first_id, head_id, head, left_out)


async def _pieces(
    server: AccountServer, whole: WholeJournal, first: str, last: str
) -> AsyncIterator[tuple[bytes, list[Entry]]]:
    """The entries between two ids, by pieces, each with the hash on which the first of all stands."""
    began, archive = whole.began, whole.archive
    if began is not None and first != "-" and _lowest(first) <= entry_position(began.id) and archive is None:
        raise InvalidInput(
            f"--from {first}: entries up to {began.id} are in the archive alone; name it with --archive DIR"
        )
    start = first
    if began is not None and archive is not None and _lowest(first) <= entry_position(began.id):
        chain, previous = Chain(), NO_HASH
        for entry in archive.entries(chain, began.id):
            if _lowest(first) <= entry_position(chain.head_id) <= _highest(last):
                yield previous, [entry]
            previous = chain.head
        start = "-"
    if began is None or _highest(last) > entry_position(began.id):
        previous = await _before(server, whole, start)
        async for page in whole.pages(start, last):
            yield previous, page


async def _last(server: AccountServer, last: str) -> str:
    found = await server.client.xrevrange(streams.journal(server.account), last, "-", count=1)
    return found[0][0].decode() if found else last


async def _count(server: AccountServer, whole: WholeJournal) -> int:
    archived = whole.began.entries if whole.began is not None and whole.archive is not None else 0
    return archived + int(await server.client.xlen(streams.journal(server.account)))


async def _before(server: AccountServer, whole: WholeJournal, first: str) -> bytes:
    """The hash on which the first entry of the stream from `first` on stands."""
    began = whole.chain().head
    if first == "-":
        return began
    before = await server.client.xrevrange(streams.journal(server.account), f"({first}", count=1)
    if not before:
        return began
    hash_: bytes | None = before[0][1].get(HASH)
    if hash_ is None:
        raise InvalidInput(
            f"--from {first}: the entry before it, {before[0][0].decode()}, has no hash; leave out --from"
        )
    return hash_


def _lowest(id_: str) -> tuple[float, float]:
    """The first id that `id_` may mean; a time alone means that of its millisecond."""
    return (0, 0) if id_ == "-" else entry_position(id_ if "-" in id_ else f"{id_}-0")


def _highest(id_: str) -> tuple[float, float]:
    """The last id that `id_` may mean."""
    if id_ == "+":
        return math.inf, 0
    return entry_position(id_) if "-" in id_ else (int(id_), math.inf)


def _require_id(what: str, id_: str) -> None:
    if id_ in ("-", "+"):
        return
    try:
        _lowest(id_)
    except ValueError:
        raise InvalidInput(
            f"{what} {id_!r}: an entry's id such as 1700000000000-0, or a time in milliseconds since 1970"
        ) from None
