"""The journal of an account: whose it is, and how it is set aside so that a new one begins."""

import time
from collections.abc import Sequence

import msgspec

from bus import streams
from bus.account_messages import AccountPinned, JournalSetAside
from bus.chain import HASH, message_hash
from bus.codec import MessageCodec
from bus.connection import Client
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.events import EVENTS
from bus.lease import FENCE, Lease
from ops.account_writers import require_nobody_writes
from ops.pinned_account import pinned_account

# KEYS: the OMS's lease, then keys of the account, the journal first, then the name that each gets.
# ARGV: the lease's value, then id, type, version, data and hash of the journal's last entry ("" for no hash).
# One script, and so all or nothing, also where the server is killed while it runs.
_SET_ASIDE = (
    FENCE
    + """\
local count = (#KEYS - 1) / 2
for number = 2, count + 1 do
  if redis.call('EXISTS', KEYS[count + number]) == 1 then
    return redis.error_reply('ERR ' .. KEYS[count + number] .. ' is there already')
  end
end
local hash = ARGV[6] ~= '' and {'hash', ARGV[6]} or {}
redis.call('XADD', KEYS[2], ARGV[2], 'type', ARGV[3], 'version', ARGV[4], 'data', ARGV[5], unpack(hash))
for number = 2, count + 1 do
  if redis.call('EXISTS', KEYS[number]) == 1 then
    redis.call('RENAME', KEYS[number], KEYS[count + number])
  end
end
return count
"""
)

_EVENTS = MessageCodec(EVENTS)


class SetAside(msgspec.Struct, frozen=True):
    """What was set aside: each key's name before, with its name now."""

    account: str
    number: str
    label: str
    reason: str
    by: str
    kept: dict[str, str]

    @property
    def journal(self) -> str:
        """The name of the journal now."""
        return self.kept[streams.journal(self.account)]


async def require_set_aside_is_possible(client: Client, account: str) -> AccountPinned | None:
    """The broker account of a journal that may be set aside now; None where it says of none.

    Raises InvalidInput where there is no journal, where it is of real money, or where somebody who writes
    for the account is alive.
    """
    if not await client.exists(streams.journal(account)):
        before = await _kept(client, account)
        raise InvalidInput(f"account {account} has no journal: its next start begins one{before}")
    found = await pinned_account(client, account)
    if found is not None and found.trading == "live":
        raise InvalidInput(
            f"the journal of account {account} belongs to the live account {found.number}, which nobody "
            "resets: to trade another account, set BACKBONE_ACCOUNT to another name"
        )
    await require_nobody_writes(client, account, "begin anew")
    return found


async def set_aside(client: Client, account: str, *, reason: str, by: str) -> SetAside:
    """Set the journal aside with all that belongs to it; halts and leases stay as they are.

    Raises InvalidInput as `require_set_aside_is_possible` does, and while the OMS's lease is held.
    """
    found = await require_set_aside_is_possible(client, account)
    lease = Lease(client, streams.oms_lease(account), f"begin-anew-{by}")
    if not await lease.acquire():
        raise InvalidInput(
            f"the lease of account {account}'s OMS is held: if that OMS was killed, try again in "
            f"{lease.ttl_ms // 1000} s"
        )
    try:
        # Somebody may have come while the lease was taken; an OMS that comes now waits for it.
        await require_nobody_writes(client, account, "begin anew")
        number, now_ns = "unknown" if found is None else found.number, time.time_ns()
        label = f"{number}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_ns // 1_000_000_000))}"
        names = {key: streams.kept(account, label, key) for key in await _belonging(client, account)}
        event = JournalSetAside(kept_as=label, reason=reason, by=by, at_ns=now_ns)
        keys = (lease.key, *names, *names.values())
        last = await _last_entry(client, account, _EVENTS.encode(event), now_ns)
        await client.eval(_SET_ASIDE, len(keys), *keys, lease.value, *last)
    finally:
        await lease.release()
    return SetAside(account, number, label, reason, by, names)


async def _last_entry(
    client: Client, account: str, encoded: tuple[bytes, bytes, bytes], now_ns: int
) -> tuple[bytes, ...]:
    """Id, type, version, data and hash of the entry that ends a journal; no hash where it has no chain."""
    ((before_id, before),) = await client.xrevrange(streams.journal(account), count=1)
    milliseconds, sequence = entry_position(before_id.decode())
    now_ms = now_ns // 1_000_000
    id_ = (f"{now_ms}-0" if now_ms > milliseconds else f"{milliseconds}-{sequence + 1}").encode()
    previous = before.get(HASH)
    return id_, *encoded, b"" if previous is None else message_hash(previous, id_, *encoded)


async def _belonging(client: Client, account: str) -> Sequence[str]:
    """Every key that a new journal must not find: the journal first, then streams, the registry, keys."""
    journal = streams.journal(account)
    found = [key.decode() async for key in client.scan_iter(match=streams.of_orders(account), count=500)]
    others = {key for key in found if not streams.is_lease(key)} - {journal}
    for key in (streams.account(account), streams.account_keys(account)):
        if await client.exists(key):
            others.add(key)
    return [journal, *sorted(others)]


async def _kept(client: Client, account: str) -> str:
    """The journals that were set aside before, for somebody who asks again."""
    pattern = streams.kept(account, "*", streams.journal(account))
    found = sorted([key.decode() async for key in client.scan_iter(match=pattern, count=500)])
    return f"; set aside before: {', '.join(found)}" if found else ""
