"""An address leads to another server after a failover: nobody stays with the one that became a replica."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from own_server import OwnServer, own_server
from proxy import Proxy
from waiting import until

from bus import halt
from bus.clock import SystemClock
from bus.connection import connect
from bus.control_messages import Halt
from bus.errors import RefusedForNow, ServerAway
from bus.link import Link

pytestmark = pytest.mark.integration


@pytest.fixture
def old() -> Iterator[OwnServer]:
    """The server that takes writes at first."""
    with own_server() as server:
        yield server


@pytest.fixture
def new() -> Iterator[OwnServer]:
    """The server that takes them after the failover."""
    with own_server() as server:
        yield server


@pytest.fixture
async def address(old: OwnServer) -> AsyncIterator[Proxy]:
    """The address of whichever server takes writes, as a name or a virtual address is."""
    async with Proxy(old.url) as proxy:
        yield proxy


async def demote(server: OwnServer) -> None:
    """Make it a replica that follows nobody who answers; connections that wait for nothing stay open."""
    client = connect(server.url, name="operator")
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    await client.aclose()


async def fail_over(address: Proxy, old: OwnServer, new: OwnServer) -> None:
    """Let the new one take writes instead of the old one."""
    await demote(old)
    address.lead_to(new.url)


async def test_a_link_leaves_a_server_that_became_a_replica(
    address: Proxy, old: OwnServer, new: OwnServer
) -> None:
    link = Link(address.url, name="test")
    assert await (await link.opened()).call("SET", "x", "1") == b"OK"
    await fail_over(address, old, new)
    with pytest.raises(RefusedForNow, match="READONLY"):
        await (await link.opened()).call("SET", "x", "2")

    async def written() -> bool:
        try:
            return bool(await (await link.opened()).call("SET", "x", "2") == b"OK")
        except ServerAway:
            return False

    await until(written, "the server that takes writes to be found")
    await link.close()


@pytest.mark.parametrize("together", [False, True])
async def test_a_client_leaves_a_server_that_became_a_replica(
    address: Proxy, old: OwnServer, new: OwnServer, together: bool
) -> None:
    client = connect(address.url, name="test")

    async def write() -> None:
        if together:
            await client.pipeline().set("x", "1").execute()
        else:
            await client.set("x", "1")

    await write()
    await fail_over(address, old, new)
    with pytest.raises(RefusedForNow, match="READONLY"):
        await write()
    await write()
    await client.aclose()
    at_new = connect(new.url, name="test")
    assert await at_new.get("x") == b"1"
    await at_new.aclose()


async def test_a_halt_is_seen_though_its_watch_came_back_to_the_replica_first(
    address: Proxy, old: OwnServer, new: OwnServer
) -> None:
    """An address moves later than the servers do, and a replica answers whoever only asks."""
    for server in (old, new):
        client = connect(server.url, name="test")
        await halt.initialise(client, 1)
        await client.aclose()
    watch = halt.HaltWatch(address.url, SystemClock())
    task = asyncio.create_task(watch.run())
    await until(watch.fresh)
    connected = address.accepted
    await demote(old)
    await until(lambda: address.accepted > connected, "the watch to come back")
    address.lead_to(new.url)
    client = connect(new.url, name="operator")
    await halt.change(client, Halt(scope="all", reason="r", by="ann", at_ns=time.time_ns()))
    await client.aclose()
    await until(lambda: "all" in watch.state.scopes and watch.fresh(), "the halt to be seen")
    task.cancel()
    await asyncio.wait({task})
    await watch.close()
