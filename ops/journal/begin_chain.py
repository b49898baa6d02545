"""Takes a journal as it is although its chain is broken."""

import time

import msgspec

from bus import streams
from bus.acting_user import acting_user
from bus.chain import Chain, message_hash
from bus.codec import MessageCodec
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.journal_messages import ChainBegun
from bus.lease import FENCE, Lease
from bus.link import Link
from bus.pages import pages
from oms.journal.trimmed import trimmed
from ops.account_server import AccountServer, server_of_account

# KEYS: the OMS's lease, the journal. ARGV: the lease's value, the id that has to be the last, then id, type,
# version, data and hash of the entry.
_APPEND = (
    FENCE
    + """\
local tail = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if not tail or tail[1] ~= ARGV[2] then return redis.error_reply('ERR the journal grew meanwhile') end
return redis.call(
  'XADD', KEYS[2], ARGV[3], 'type', ARGV[4], 'version', ARGV[5], 'data', ARGV[6], 'hash', ARGV[7]
)
"""
)

_CODEC = MessageCodec((ChainBegun,))


class Begun(msgspec.Struct, frozen=True):
    """The entry from which on the chain holds, and what is wrong before it."""

    stream: str
    entry_id: str
    wrong: str


async def begun(reason: str) -> Begun:
    """Cover a journal as it is. Raises InvalidInput where nothing is wrong with it, or an OMS has it."""
    async with server_of_account("ops-journal") as server:
        lease = Lease(server.client, streams.oms_lease(server.account), f"begin-chain-{acting_user()}")
        if not await lease.acquire():
            raise InvalidInput(
                f"the lease of account {server.account}'s OMS is held: stop that OMS; if it was killed, try "
                f"again in {lease.ttl_ms // 1000} s"
            )
        try:
            return await _begin(server, lease, reason)
        finally:
            await lease.release()


async def _begin(server: AccountServer, lease: Lease, reason: str) -> Begun:
    stream, trim = streams.journal(server.account), await trimmed(server.client, server.account)
    chain = Chain() if trim is None else trim.chain()
    link = Link(server.url, name="ops-journal")
    try:
        async for page in pages(link, stream):
            for entry in page:
                chain.take(*entry)
            await lease.renew()
    finally:
        await link.close()
    if not chain.wrong_id:
        raise InvalidInput(f"{stream}: every entry is what was written; the OMS goes on from there")
    now_ns = time.time_ns()
    event = ChainBegun(after_id=chain.head_id, reason=reason, by=acting_user(), at_ns=now_ns)
    milliseconds, sequence = entry_position(chain.head_id)
    now_ms = now_ns // 1_000_000
    id_ = (f"{now_ms}-0" if now_ms > milliseconds else f"{milliseconds}-{sequence + 1}").encode()
    encoded = _CODEC.encode(event)
    hash_ = message_hash(chain.head, id_, *encoded)
    values = (lease.value, chain.head_id, id_, *encoded, hash_)
    await server.client.eval(_APPEND, 2, lease.key, stream, *values)
    return Begun(stream, id_.decode(), f"entry {chain.wrong_id} {chain.why}")
