"""A broker with several addresses is reached by the first of them that answers."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from raw_server import RawServer, Request, answer_bytes
from waiting import until

from bus.clock import SystemClock
from oms.broker.connect import connect
from oms.broker.http_client import HttpClient
from oms.broker.protocol import BrokerUnreachable

pytestmark = pytest.mark.integration

# Hosts of the tests' own resolver, with their addresses in order.
SILENT, SERVING = "127.0.0.2", "127.0.0.1"
TIMEOUT_S = 5.0


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""

    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        del host, options
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


@contextlib.contextmanager
def answers_nobody(port: int) -> Iterator[None]:
    """An address where a connection is neither taken nor refused: a listener with a full queue."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SILENT, port))
        listener.listen(0)
        for _ in range(4):
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                queued.connect((SILENT, port))
        yield


async def says_ok(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    del server, request
    writer.write(answer_bytes(200, {}))


@pytest.mark.parametrize("addresses", [(SILENT, SERVING), (SERVING, SILENT)])
async def test_an_address_that_answers_nobody_does_not_use_up_the_time_of_the_others(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, str]
) -> None:
    """As where a name has an IPv6 address and the machine no route to it."""
    async with RawServer(says_ok) as server:
        with answers_nobody(server.port):
            resolve_to(monkeypatch, *addresses)
            client = HttpClient(f"http://broker.test:{server.port}", {}, SystemClock(), timeout_s=TIMEOUT_S)
            began = time.monotonic()
            assert (await client.request("GET", "/")).status == 200
            assert time.monotonic() - began < TIMEOUT_S / 2
            await client.close()


async def test_only_silent_addresses_are_unreachable_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(says_ok) as server:
        with answers_nobody(server.port):
            resolve_to(monkeypatch, SILENT)
            client = HttpClient(f"http://broker.test:{server.port}", {}, SystemClock(), timeout_s=0.5)
            with pytest.raises(BrokerUnreachable, match=r"within 0\.5 s; nothing was sent"):
                await client.request("POST", "/v2/orders", b"{}")
            await client.close()
        assert server.requests == []


async def test_addresses_that_refuse_are_all_tried_and_the_refusal_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as unused:
        unused.bind((SERVING, 0))
        port = unused.getsockname()[1]
        resolve_to(monkeypatch, SERVING, SILENT)
        client = HttpClient(f"http://broker.test:{port}", {}, SystemClock(), timeout_s=TIMEOUT_S)
        with pytest.raises(BrokerUnreachable, match=r"refused|Connect call failed"):
            await client.request("GET", "/")
        await client.close()


async def test_of_two_connections_that_open_at_once_one_is_kept_and_the_other_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oms.broker.connect.NEXT_ADDRESS_S", 0)
    writers: list[asyncio.StreamWriter] = []
    loop = asyncio.get_running_loop()
    open_one, both_open, opened = loop.create_connection, asyncio.Barrier(2), []

    async def open_together(*arguments: Any, **options: Any) -> Any:
        transport, connection = await open_one(*arguments, **options)
        opened.append(transport)
        await both_open.wait()
        return transport, connection

    monkeypatch.setattr(loop, "create_connection", open_together)
    async with RawServer(says_ok) as server:
        beside = await asyncio.start_server(lambda _, writer: writers.append(writer), SILENT, server.port)
        resolve_to(monkeypatch, SERVING, SILENT)
        connection = await connect("broker.test", server.port, None, TIMEOUT_S)
        await until(
            lambda: [transport.is_closing() for transport in opened] in ([True, False], [False, True])
        )
        connection.abort()
        beside.close()
        for writer in writers:
            writer.close()
