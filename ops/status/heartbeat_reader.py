"""Reads the heartbeats of one account."""

from bus import streams
from bus.connection import Client
from bus.heartbeat import decode
from ops.status.heartbeats import Found


async def read_heartbeats(orders: Client, account: str) -> list[Found]:
    """Read every heartbeat of the account, sorted by key, and those of versions that named no account."""
    keys = [key.decode() async for key in orders.scan_iter(match=streams.heartbeats(), count=500)]
    names = {key: streams.heartbeat_names(key) for key in sorted(keys)}
    ours = [key for key, (of, _, _) in names.items() if of in (account, "")]
    values = await orders.mget(ours) if ours else []
    return [
        decode(*names[key][1:], value) for key, value in zip(ours, values, strict=True) if value is not None
    ]
