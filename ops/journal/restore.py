"""Writes an exported journal into an account that has none: all of it or nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bus import halt, streams
from bus.acting_user import acting_user
from bus.chain import HASH, Chain, Entry
from bus.concerned_algorithm import concerned_algorithm
from bus.errors import InvalidInput, Unreadable
from bus.journal_files import read
from bus.journal_lines import entries_of
from bus.lease import FENCE, Lease
from ops.account_server import AccountServer, server_of_account
from ops.account_writers import require_nobody_writes
from ops.journal.progress import Progress
from ops.journal.segment_files import files_in_order

# Entries written at once; the lease is renewed after each so many.
_BATCH = 1000

# KEYS: the lease, what is noted of a trimmed journal's beginning, then names under which streams were
# written, the journal's first, then the names that they get. ARGV: the lease's value. A stream that is there
# already stays; where a journal is, nothing is done. The journal that is put in place is whole.
_PUT_IN_PLACE = (
    FENCE
    + """\
local count = (#KEYS - 2) / 2
if redis.call('EXISTS', KEYS[count + 3]) == 1 then
  return redis.error_reply('ERR there is a journal already')
end
redis.call('DEL', KEYS[2])
local placed = {}
for number = 3, count + 2 do
  if redis.call('RENAMENX', KEYS[number], KEYS[count + number]) == 1 then
    placed[#placed + 1] = KEYS[count + number]
  end
end
return placed
"""
)


class Restored(msgspec.Struct, frozen=True):
    """What was written. `algorithms` are those whose events are written anew, since there were none.

    `halts_known`: the server has a halt state; without one the OMS takes no orders until somebody resumes.
    """

    stream: str
    entries: int
    head_id: str
    head: str
    algorithms: list[str]
    halts_known: bool


async def restored(files: Sequence[Path]) -> Restored:
    """Verify files, which follow one another, and write them as the account's journal."""
    files = files_in_order(files)
    _verify(files)
    async with server_of_account("ops-journal", may_be_new=True) as server:
        client, account = server.client, server.account
        if await client.exists(streams.journal(account)):
            raise InvalidInput(
                f"account {account} has a journal: an import needs one that has none. `backbone account "
                "begin-anew` sets that of a paper account aside; `BACKBONE_ACCOUNT` names another"
            )
        await require_nobody_writes(client, account, "import")
        lease = Lease(client, streams.oms_lease(account), f"import-{acting_user()}")
        if not await lease.acquire():
            raise InvalidInput(f"the lease of account {account}'s OMS is held: try again in a few seconds")
        written: dict[str, str] = {}
        try:
            return await _write(server, lease, files, written)
        finally:
            if written:
                await client.delete(*written.values())
            await lease.release()


async def _write(
    server: AccountServer, lease: Lease, files: Sequence[Path], written: dict[str, str]
) -> Restored:
    """Write all entries under other names, by the streams that they are for, then put them in place."""
    client, account, chain = server.client, server.account, Chain()
    journal, progress = streams.journal(account), Progress("imported")
    written[journal] = streams.being_imported(journal)
    await client.delete(written[journal])
    batch = client.pipeline(transaction=False)
    for entry in _entries(files, chain):
        _add(batch, written[journal], entry)
        name = concerned_algorithm(entry)
        if name:
            stream = streams.events(account, name)
            if stream not in written:
                written[stream] = streams.being_imported(stream)
                await client.delete(written[stream])
            _add(batch, written[stream], (entry[0], _without_hash(entry[1])))
        progress.count(1)
        if len(batch) >= _BATCH:
            await batch.execute()
            await lease.renew()
    await batch.execute()
    keys = (lease.key, streams.trimmed(account), *written.values(), *written)
    placed = {key.decode() for key in await client.eval(_PUT_IN_PLACE, len(keys), *keys, lease.value)}
    prefix = streams.events(account, "")
    algorithms = sorted(name.removeprefix(prefix) for name in placed - {journal})
    known = (await halt.read(client)).known
    return Restored(journal, progress.entries, chain.head_id, chain.head.decode(), algorithms, known)


def _verify(files: Sequence[Path]) -> None:
    chain, progress = Chain(), Progress("verified")
    for _ in _entries(files, chain):
        progress.count(1)
    if not progress.entries:
        raise InvalidInput(f"{', '.join(map(str, files))}: no entry is in there")


def _entries(files: Sequence[Path], chain: Chain) -> Iterator[Entry]:
    for file in files:
        with read(file) as lines:
            try:
                yield from entries_of(lines, chain, str(file))
            except Unreadable as error:
                raise InvalidInput(f"{error}; nothing was imported") from error


def _add(batch: Any, stream: str, entry: Entry) -> None:
    """As one command, so that names may stand there twice and in any order."""
    batch.execute_command("XADD", stream, entry[0], *entry[1])


def _without_hash(fields: list[bytes]) -> list[bytes]:
    return fields[:-2] if fields[-2:-1] == [HASH] else fields
