"""Whoever writes to streams of an account, for commands that must be alone."""

from bus.connection import Client
from bus.errors import InvalidInput
from ops.status.heartbeat_reader import read_heartbeats

_WRITERS = ("oms", "ingest", "algo-")


async def require_nobody_writes(client: Client, account: str, then: str) -> None:
    """Raise InvalidInput where somebody who writes is alive; `then` is what to do once they are stopped."""
    alive = [one for one in await read_heartbeats(client, account) if one.process.startswith(_WRITERS)]
    if alive:
        named = ", ".join(sorted(f"{one.process} ({one.instance})" for one in alive))
        raise InvalidInput(f"alive on account {account}: {named}; stop them first, then {then}")
