"""Whether a server takes writes now, found out without writing anything."""

from bus.connection import Client
from bus.streams import WRITE_PROBE


async def require_writes(client: Client) -> None:
    """Raise RefusedForNow where the server answers and takes no writes, as one that is full or a replica.

    A key is set where it exists, and it never does: the server refuses before it looks. Raises ServerAway and
    ServerRefused as every command does.
    """
    await client.set(WRITE_PROBE, b"", xx=True)
