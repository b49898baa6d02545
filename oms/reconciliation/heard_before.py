"""When the account stream was last heard before a new connection: what came since may be missing in it."""

from functools import partial

import structlog

from bus.connection import Client
from bus.delivery import Delivery
from bus.entry_position import entry_position
from bus.retry import until_answered

log = structlog.get_logger()


async def heard_before_ns(client: Client, connected: Delivery) -> int:
    """When the broker's stream was last heard before this Connected; 0 where it never was.

    The journal does not say it: it goes on while that stream is away. Waits for a server that is away or
    refuses for now: who asks holds entries that are not given out again.
    """
    found = await until_answered(
        partial(_heard_before_ns, client, connected),
        stopping=None,
        tell=lambda trouble: log.warning("account stream not readable", error=trouble),
    )
    assert found is not None, "without a stop it ends with an answer"
    return found


async def _heard_before_ns(client: Client, connected: Delivery) -> int:
    before = connected.id
    while True:
        found = await client.xrevrange(connected.stream, max=f"({before}", min="-", count=1)
        if not found:
            return 0
        before = found[0][0].decode()
        # It may have heard nothing for long before it broke.
        if found[0][1].get(b"type") != b"Disconnected":
            return entry_position(before)[0] * 1_000_000
