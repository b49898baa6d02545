"""The raw limits: the least that the same work costs on this machine, measured in the same run.

No service code and no framework: prepacked bytes, one asyncio protocol with hiredis, replies parsed.
"""

import asyncio
import time
from collections import deque
from typing import Any, cast

import hiredis


class RawConnection(asyncio.Protocol):
    """Bytes out, parsed replies in: what any client at all must pay."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[list[Any]], list[Any], int]] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, url: str) -> "RawConnection":
        """Connect over the server's unix socket."""
        path = url.removeprefix("unix://")
        _, protocol = await asyncio.get_running_loop().create_unix_connection(cls, path)
        return protocol

    def send(self, packed: bytes, replies: int = 1) -> asyncio.Future[list[Any]]:
        """Write, and a future for that many replies."""
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._waiting.append((future, [], replies))
        assert self._transport is not None
        self._transport.write(packed)
        return future

    async def call(self, *arguments: str | bytes | int) -> Any:
        """One command, its reply; an error reply ends the benchmark."""
        (reply,) = await self.send(packed(*arguments))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        """Close the connection."""
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            future, replies, wanted = self._waiting[0]
            replies.append(reply)
            if len(replies) == wanted:
                self._waiting.popleft()
                future.set_result(replies)


def packed(*arguments: str | bytes | int) -> bytes:
    """One command in the server's protocol."""
    return cast(bytes, hiredis.pack_command(arguments))  # type: ignore[arg-type]


async def scripts_and_cpu_seconds(url: str, command: bytes, *, seconds: float) -> tuple[int, float]:
    """How often one prepacked command was carried out and its reply parsed, and the CPU seconds of ours."""
    connection = await RawConnection.open(url)
    count, started_cpu, until = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        (reply,) = await connection.send(command)
        if isinstance(reply, Exception):
            raise reply
        count += 1
    used = time.process_time() - started_cpu
    connection.close()
    return count, used


async def scripts_per_second(url: str, command: bytes, *, seconds: float) -> float:
    """The same by the clock on the wall."""
    connection = await RawConnection.open(url)
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        (reply,) = await connection.send(command)
        if isinstance(reply, Exception):
            raise reply
        count += 1
    elapsed = time.perf_counter() - started
    connection.close()
    return count / elapsed


def percentile(values: list[int], percent: float) -> float:
    """The value below which `percent` of the sorted values lie."""
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))])
