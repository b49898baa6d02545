"""Writes a journal as lines of JSON, while it grows."""

from collections.abc import AsyncIterator

import msgspec

from bus import streams
from bus.chain import HASH, NO_HASH, Entry
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.journal_files import written
from bus.journal_lines import line_before, line_of
from bus.link import Link
from bus.pages import pages
from ops.account_server import AccountServer, server_of_account
from ops.journal.progress import Progress


class Exported(msgspec.Struct, frozen=True):
    """What was written: how many entries, the last of them and its hash, "" where it has none."""

    stream: str
    file: str
    entries: int
    first_id: str
    head_id: str
    head: str


async def exported(file: str, first: str, last: str) -> Exported:
    """Export the entries between two ids (both included). Raises InvalidInput where there are none."""
    for what, id_ in (("--from", first), ("--to", last)):
        _require_id(what, id_)
    async with server_of_account("ops-journal") as server:
        stream = streams.journal(server.account)
        end = await server.client.xrevrange(stream, last, first, count=1)
        if not end:
            raise InvalidInput(f"{stream} has no entries between {first} and {last}")
        # Whatever is written meanwhile stays outside: the file ends where the journal ended.
        last = end[0][0].decode()
        previous = await _before(server, stream, first)
        progress = Progress("exported", await server.client.xlen(stream))
        first_id, head_id, head = "", "0-0", ""
        with written(file) as out:
            if previous != NO_HASH:
                out.write(line_before(previous))
            async for page in _entries(server.url, stream, first, last):
                out.writelines(map(line_of, page))
                progress.count(len(page))
                first_id = first_id or page[0][0].decode()
                head_id = page[-1][0].decode()
                head = page[-1][1][-1].decode() if page[-1][1][-2:-1] == [HASH] else ""
    return Exported(stream, file, progress.entries, first_id, head_id, head)


async def _entries(url: str, stream: str, first: str, last: str) -> AsyncIterator[list[Entry]]:
    link = Link(url, name="ops-journal")
    try:
        async for page in pages(link, stream, start=first, end=last):
            if page:
                yield page
    finally:
        await link.close()


async def _before(server: AccountServer, stream: str, first: str) -> bytes:
    """The hash on which the first entry stands."""
    if first == "-":
        return NO_HASH
    before = await server.client.xrevrange(stream, f"({first}", count=1)
    if not before:
        return NO_HASH
    hash_: bytes | None = before[0][1].get(HASH)
    if hash_ is None:
        raise InvalidInput(
            f"--from {first}: the entry before it, {before[0][0].decode()}, has no hash; leave out --from"
        )
    return hash_


def _require_id(what: str, id_: str) -> None:
    if id_ in ("-", "+"):
        return
    try:
        entry_position(id_ if "-" in id_ else f"{id_}-0")
    except ValueError:
        raise InvalidInput(
            f"{what} {id_!r}: an entry's id such as 1700000000000-0, or a time in milliseconds since 1970"
        ) from None
