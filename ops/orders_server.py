"""Connects to the orders server of the environment, or of what runs on this machine."""

import contextlib
from collections.abc import AsyncIterator

from bus.connection import Client, connect, require_server
from ops.running import Servers, servers


@contextlib.asynccontextmanager
async def orders_server(name: str, found: Servers | None = None) -> AsyncIterator[tuple[Client, str]]:
    """Open a client of the orders server, called `name` there, and name the account; closed with the block.

    Of `found` where that is known already.

    Raises InvalidInput where nothing tells which server, or where it does not answer.
    """
    found = found or servers(orders_only=True)
    client = connect(found.orders, name=name)
    try:
        await require_server(client, found.orders, "ORDERS_REDIS_URL")
        yield client, found.account
    finally:
        await client.aclose()
