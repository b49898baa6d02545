"""Takes entries from the beginning of a journal's stream once nobody needs them there.

They must be in the archive, which is verified; a verified snapshot must stand behind them; they must be older
than what is to be kept; and whoever reads the journal must have read them.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bus import streams
from bus.chain import Chain, Entry
from bus.connection import Client, connect
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.heartbeat import Heartbeat, OmsDetails, decode
from bus.link import Link
from bus.pages import pages
from oms.journal import snapshot_store
from oms.journal.archive import Archive
from oms.journal.snapshot_store import Snapshot
from oms.journal.trimmed import Trimmed, trimmed

_DAY_NS = 86_400 * 1_000_000_000

# Entries taken by one script: bounds how long the server is busy with it (some milliseconds).
_STEP = 1000

# KEYS: the journal, what is noted of its beginning, the snapshot. ARGV: up to which entry it was trimmed
# before ("" for none), what is to be noted, the entry up to which all is verified and its hash, the
# snapshot's entry and digest, then ids.
# What was verified is looked for in the same script that takes entries away: a journal that was set aside or
# restored meanwhile is another. By XDEL: XTRIM, beside an entry that somebody took out by hand, can leave a
# node without entries, and a server that checks what it loads does not start on it (redis/redis#15808).
_TAKE = """\
local noted = redis.call('GET', KEYS[2])
if (noted and cjson.decode(noted).id or '') ~= ARGV[1] then
  return redis.error_reply('ERR the journal is trimmed by another just now')
end
local cut = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if not cut or cut[2][#cut[2]] ~= ARGV[4] then
  return redis.error_reply('ERR entry ' .. ARGV[3] .. ' is another than the one that was verified')
end
local at, digest = unpack(redis.call('HMGET', KEYS[3], 'id', 'digest'))
if at ~= ARGV[5] or digest ~= ARGV[6] or #redis.call('XRANGE', KEYS[1], at, at) == 0 then
  return redis.error_reply('ERR the snapshot is another than the one that was verified')
end
local function position(id)
  local ms, sequence = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(sequence)
end
local cut_ms, cut_sequence = position(ARGV[3])
local function before_cut(id)
  local ms, sequence = position(id)
  return ms < cut_ms or ms == cut_ms and sequence < cut_sequence
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for field = 1, #group, 2 do about[group[field]] = group[field + 1] end
  local unread = before_cut(about['last-delivered-id'])
  local pending = redis.call('XPENDING', KEYS[1], about['name'])[2]
  if unread or pending and (pending == ARGV[3] or before_cut(pending)) then
    return redis.error_reply('ERR the group ' .. about['name'] .. ' has not read up to ' .. ARGV[3])
  end
end
redis.call('XDEL', KEYS[1], unpack(ARGV, 7))
redis.call('SET', KEYS[2], ARGV[2])
return redis.status_reply('OK')
"""


class Trim(msgspec.Struct, frozen=True):
    """What was taken away: `entries`, up to `until_id`. `why` says why it was nothing, "" where it was not.

    The stream now has `left` entries.
    """

    stream: str
    entries: int
    until_id: str
    left: int
    why: str = ""


async def trim(
    url: str,
    account: str,
    root: Path,
    keep_days: int,
    now_ns: int,
    count: Callable[[int], None] = lambda entries: None,
    *,
    step: int = _STEP,
) -> Trim:
    """Take away entries that are older than `keep_days`; `count` hears how many entries were verified.

    It may end at any moment: each step leaves a journal whose beginning is noted. Raises InvalidInput, before
    anything is taken away, with what stands against it.
    """
    client, stream = connect(url, name="journal-trim"), streams.journal(account)
    link = Link(url, name="journal-trim")
    try:
        began = await trimmed(client, account)
        at, left = "" if began is None else began.id, await client.xlen(stream)
        kept_from = f"{(now_ns - keep_days * _DAY_NS) // 1_000_000}-0"
        if not await client.xrevrange(stream, f"({kept_from}", count=1):
            return Trim(stream, 0, at, left, f"no entry is older than {keep_days} days")
        snapshot = await _snapshot(client, account)
        # Neither the snapshot's own entry goes, by which it is known to be of this journal.
        before = min(snapshot.id, kept_from, key=entry_position)
        found = await client.xrevrange(stream, f"({before}", count=1)
        if not found:
            return Trim(
                stream, 0, at, left, f"all entries are behind the snapshot, which is at {snapshot.id}"
            )
        until = found[0][0].decode()
        await _require_read(client, account, until)
        archive = Archive(root, account, snapshot.first_id)
        chain = await _verified(link, stream, archive, began, until, count)
        archive.make_durable()
        taken = await _take(client, link, account, snapshot, began, chain, step)
        return Trim(stream, taken, until, await client.xlen(stream))
    finally:
        await link.close()
        await client.aclose()


async def _snapshot(client: Client, account: str) -> Snapshot:
    found = await snapshot_store.examined(client, account)
    if isinstance(found, str):
        raise InvalidInput(
            f"nothing is trimmed without a verified snapshot: {found}; a clean stop of the OMS makes one"
        )
    return found[0]


async def _require_read(client: Client, account: str, until: str) -> None:
    """Raise InvalidInput where an OMS that is alive may still have to read what would be taken away."""
    keys = [key async for key in client.scan_iter(match=streams.alive(account, "oms", "*"), count=500)]
    for key, value in zip(keys, await client.mget(keys) if keys else (), strict=True):
        heartbeat = None if value is None else decode("oms", key.decode().rpartition(":")[2], value)
        if not isinstance(heartbeat, Heartbeat):
            continue
        details = heartbeat.details
        at = details.digest_at if isinstance(details, OmsDetails) else ""
        if not at or entry_position(at) < entry_position(until):
            raise InvalidInput(
                f"oms ({heartbeat.instance}) is still reading the journal: try again once `backbone status` "
                "shows its digest"
            )


async def _verified(
    link: Link,
    stream: str,
    archive: Archive,
    began: Trimmed | None,
    until: str,
    count: Callable[[int], None],
) -> Chain:
    """The chain up to `until`. Raises InvalidInput where archive or stream is not what was written."""
    copied = Chain()
    for number, _ in enumerate(archive.entries(copied, until), 1):
        if began is not None and copied.head_id == began.id and copied.head.decode() != began.hash:
            raise InvalidInput(
                f"{archive.directory}: entry {began.id} is another than the one that the journal had"
            )
        if number % _STEP == 0:
            count(_STEP)
    chain = Chain() if began is None else began.chain()
    async for page in pages(link, stream, end=until):
        for entry in page:
            chain.take(*entry)
        count(len(page))
    if chain.wrong_id:
        raise InvalidInput(
            f"{stream}: entry {chain.wrong_id} {chain.why}; the archive holds what was written: nothing is "
            "trimmed before `backbone journal verify` finds nothing"
        )
    if chain.head != copied.head:
        raise InvalidInput(f"{archive.directory}: entry {until} is another than the one in {stream}")
    if not chain.written or chain.uncovered:
        raise InvalidInput(f"{stream}: no hash covers entry {until} yet: the OMS's next start covers it")
    return chain


async def _take(
    client: Client,
    link: Link,
    account: str,
    snapshot: Snapshot,
    began: Trimmed | None,
    verified: Chain,
    step: int,
) -> int:
    """Take away what was verified, step by step; returns how many entries."""
    keys = streams.journal(account), streams.trimmed(account), streams.snapshot(account)
    chain, taken = (Chain() if began is None else began.chain()), 0
    at, before = ("", 0) if began is None else (began.id, began.entries)
    while chain.head_id != verified.head_id:
        question = "XRANGE", keys[0], "-", verified.head_id, "COUNT", step
        entries: list[Entry] = await (await link.opened()).call(*question)
        for entry in entries:
            chain.take(*entry)
        taken += len(entries)
        head_id, head = chain.head_id, chain.head.decode()
        about = snapshot.first_id, before + taken, snapshot.number, snapshot.trading
        note = msgspec.json.encode(Trimmed(head_id, head, *about))
        expected = at, note, verified.head_id, verified.head, snapshot.id, snapshot.digest
        await client.eval(_TAKE, len(keys), *keys, *expected, *(id_ for id_, _ in entries))
        at = head_id
    return taken
