"""Which servers are taken, and what is said of those that are not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import hiredis
import pytest
from own_server import own_server

from bus.connection import connect, require_server, shown
from bus.errors import InvalidInput

pytestmark = pytest.mark.integration


def _reply(command: list[bytes], version: str, hello: bytes) -> bytes:
    if command[0] == b"HELLO":
        return hello
    if command[0] == b"INFO":
        text = f"# Server\r\nredis_version:{version}\r\n".encode()
        return b"$%d\r\n%s\r\n" % (len(text), text)
    return b"+OK\r\n"


@asynccontextmanager
async def fake_server(version: str, hello: bytes = b"%1\r\n+proto\r\n:3\r\n") -> AsyncIterator[str]:
    """Speaks just enough of the protocol to say its version."""
    connected: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        # Commands are read one by one: how a client's writes arrive differs between versions of Python.
        commands = hiredis.Reader()
        while data := await reader.read(4096):
            commands.feed(data)
            while (command := commands.gets()) is not False:
                writer.write(_reply(command, version, hello))
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    finally:
        listener.close()
        # From Python 3.12 on, waiting for a server to close waits for its connections too.
        for writer in connected:
            writer.close()
        await listener.wait_closed()


async def refused(url: str) -> str:
    client = connect(url, name="test")
    try:
        with pytest.raises(InvalidInput) as raised:
            await require_server(client, url, "MD_REDIS_URL")
    finally:
        await client.aclose()
    return str(raised.value)


async def test_a_server_of_today_is_taken(servers: Callable[..., object], orders_url: str) -> None:
    for url in (orders_url, servers[1].tcp_url):  # type: ignore[index]
        client = connect(url, name="test")
        await require_server(client, url, "ORDERS_REDIS_URL")
        assert await client.client_getname() in ("test", b"test")
        await client.aclose()


async def test_one_that_is_too_old_is_named_with_its_version() -> None:
    async with fake_server("6.2.14") as url:
        said = await refused(url)
    assert said == f"MD_REDIS_URL={url}: version 6.2.14 is too old; Redis 7.0 or newer is needed"


async def test_one_so_old_that_it_knows_no_hello_is_named_with_its_version_too() -> None:
    async with fake_server(
        "5.0.7", b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n"
    ) as url:
        said = await refused(url)
    assert said == f"MD_REDIS_URL={url}: version 5.0.7 is too old; Redis 7.0 or newer is needed"


@pytest.mark.parametrize("version", ["7.0.0", "7.4.1-rc1", "8.0.0", "10.0.0"])
async def test_newer_ones_are_taken(version: str) -> None:
    async with fake_server(version) as url:
        client = connect(url, name="test")
        await require_server(client, url, "MD_REDIS_URL")
        await client.aclose()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nonexistent/server.sock"])
async def test_nobody_there_is_said(url: str) -> None:
    said = await refused(url)
    assert said.startswith(f"MD_REDIS_URL={url}: no server answers there")
    assert "start it or correct the address" in said


async def test_a_wrong_password_is_said_and_not_shown() -> None:
    with own_server() as server:
        server.configure(requirepass="right")
        for user in ("", ":wr0ng@", "somebody:wr0ng@"):
            said = await refused(f"redis://{user}127.0.0.1:{server.port}/0")
            assert "the server refused the user or password" in said
            assert "wr0ng" not in said
        assert "wr0ng" not in await refused(f"unix://{server.url[7:]}?password=wr0ng")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://:wr0ng@127.0.0.1:wr0ng/0", "user:wr0ng@host"]
)
def test_an_impossible_address_is_said_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="server address") as raised:
        connect(url, name="test")
    assert ":wr0ng@" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://user:secret@host:1/0", "redis://host:1/0"),
        ("redis://:se/cr@et@host:1/0", "redis://host:1/0"),
        ("unix:///path?password=secret&db=1", "unix:///path"),
        ("user:secret@host", "host"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, expected: str) -> None:
    assert shown(url) == expected
