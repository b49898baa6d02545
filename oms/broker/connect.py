"""Connect to a host by the first of its addresses that answers."""

import asyncio
import socket
import ssl
from functools import partial
from itertools import chain, zip_longest

from oms.broker.http_connection import Connection

# How long an address may keep silent before the next one is tried beside it (RFC 8305 recommends this).
NEXT_ADDRESS_S = 0.25


async def connect(host: str, port: int, tls: ssl.SSLContext | None, unacknowledged_s: float) -> Connection:
    """Return the first connection to open. Raises the first OSError where no address lets us in.

    One address that answers nobody, as of a family that has no route, must not use up the time of the others.
    """
    waiting = await _addresses(host, port)
    under_way: set[asyncio.Task[Connection]] = set()
    errors: list[OSError] = []
    try:
        while waiting or under_way:
            if waiting:
                attempt = _attempt(waiting.pop(0), port, tls, host, unacknowledged_s)
                under_way.add(asyncio.create_task(attempt))
            wait_s = NEXT_ADDRESS_S if waiting else None
            done, _ = await asyncio.wait(under_way, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                under_way.discard(task)
                try:
                    return task.result()
                except OSError as error:
                    errors.append(error)
        raise errors[0]
    finally:
        # Not awaited: a timeout in between would lose the connection that is returned.
        for task in under_way:
            task.cancel()
            task.add_done_callback(_give_up)


async def _attempt(
    address: str, port: int, tls: ssl.SSLContext | None, host: str, unacknowledged_s: float
) -> Connection:
    name = None if tls is None else host
    _, connection = await asyncio.get_running_loop().create_connection(
        partial(Connection, unacknowledged_s), address, port, ssl=tls, server_hostname=name
    )
    return connection


def _give_up(attempt: "asyncio.Task[Connection]") -> None:
    """Close a connection that opened too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()


async def _addresses(host: str, port: int) -> list[str]:
    """The addresses in the resolver's order, its families by turns."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append(str(address[0]))
    by_turns = chain.from_iterable(zip_longest(*families.values()))
    return list(dict.fromkeys(address for address in by_turns if address is not None))
