"""A server of HTTP bytes by hand in the test's own loop, for answers that no well-behaved broker gives."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

# What a server does about one request: `request` is whole, `writer` is for the answer.
Script = Callable[["RawServer", "Request", asyncio.StreamWriter], Awaitable[None]]


class Request:
    """A request as it came, and the number of its connection and of itself, from 0."""

    def __init__(self, head: bytes, body: bytes, connection: int, number: int) -> None:
        self.head, self.body = head, body
        self.connection, self.number = connection, number

    @property
    def method(self) -> str:
        """Such as POST."""
        return self.head.split(b" ", 1)[0].decode()

    def order(self, **changes: Any) -> dict[str, Any]:
        """Alpaca's order object for what was asked, with some of it changed."""
        asked = json.loads(self.body)
        return {"id": f"at-broker-{asked['client_order_id']}", "status": "new", **asked, **changes}


class RawServer:
    """Listens on a free port; `requests` are those that came whole, `connections` counts those accepted."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.requests: list[Request] = []
        self.connections = 0
        self.closed_by_peer = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "RawServer":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self.connections
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                request = Request(head, await reader.readexactly(length), connection, len(self.requests))
                self.requests.append(request)
                await self._script(self, request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed_by_peer += 1
        finally:
            writer.close()


def answer_bytes(status: int, body: Any, **headers: str) -> bytes:
    """A whole answer; a body that is not bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def takes_orders(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer an order as Alpaca does."""
    del server
    writer.write(answer_bytes(200, request.order()))


async def says_nothing(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    """Read the request and never answer."""
    del server, request, writer


async def drips(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with a byte at a time, each sooner than any timeout of a single read."""
    del server
    for byte in answer_bytes(200, request.order()):
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.1)


async def hangs_up(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    """Read the request and close the connection."""
    del server, request
    writer.close()
    await writer.wait_closed()


async def half_then_silence(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with the first half of what would be an acceptance, and say no more."""
    del server
    whole = answer_bytes(200, request.order())
    writer.write(whole[: len(whole) - 20])


async def half_then_close(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with the first half of what would be an acceptance, and close the connection."""
    whole = answer_bytes(200, request.order())
    writer.write(whole[: len(whole) - 20])
    await hangs_up(server, request, writer)
