"""The hot-path connection: packed commands out, replies in, nothing else.

Commands are pipelined and answered in order. Nothing is ever sent twice: when the connection breaks, each
unanswered command fails with ReplyLost, and the caller, who knows what it meant, looks before it sends again.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from bus.connection import shown
from bus.errors import Fenced, InvalidInput, ReplyLost, ServerRefused, ServerUnreachable

Reply = Any

CONNECT_TIMEOUT_S = 5.0


def pack(*arguments: str | bytes | int) -> bytes:
    """One command in the server's protocol."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return packed


class Sent:
    """Commands on their way: awaiting gives all their replies, errors among them as values.

    Raises ReplyLost when the connection breaks first. A cancelled wait loses nothing: the replies are kept,
    and the same object can be awaited again. (A future would be cancelled with its waiter, and shielding it
    costs every read another turn of the event loop.)
    """

    __slots__ = ("_error", "_loop", "_replies", "_waiter", "_wanted")

    def __init__(self, loop: asyncio.AbstractEventLoop, wanted: int) -> None:
        self._loop = loop
        self._wanted = wanted
        self._replies: list[Reply] = []
        self._error: str | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[Any, None, list[Reply]]:
        if not self.done:
            self._waiter = self._loop.create_future()
            yield from self._waiter
        if self._error is not None:
            raise ReplyLost(self._error)
        return self._replies

    @property
    def done(self) -> bool:
        """Whether every reply is there, or none will come any more."""
        return len(self._replies) == self._wanted or self._error is not None

    def take(self, reply: Reply) -> bool:
        """Add a reply; True with the last one."""
        self._replies.append(reply)
        if len(self._replies) != self._wanted:
            return False
        self._wake()
        return True

    def lose(self, error: str) -> None:
        """Say that the missing replies will not come."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Wire(asyncio.Protocol):
    """One connection to one server, TCP (`redis://`), TLS (`rediss://`) or `unix://`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._reader = hiredis.Reader()
        self._waiting: deque[Sent] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = self._loop.create_future()

    def __repr__(self) -> str:
        state = "connected" if self.connected else "closed"
        return f"{state} to {shown(self._url)}, {len(self._waiting)} awaiting replies"

    @classmethod
    async def open(cls, url: str, *, name: str) -> "Wire":
        """Connect, log in and name the connection.

        Raises InvalidInput for a wrong address or password, ServerUnreachable where nobody answers.
        """
        wire = cls(url)
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if parts.scheme == "unix":
                    await loop.create_unix_connection(lambda: wire, parts.path)
                elif parts.scheme in ("redis", "rediss"):
                    secure = True if parts.scheme == "rediss" else None
                    await loop.create_connection(
                        lambda: wire, parts.hostname or "127.0.0.1", parts.port or 6379, ssl=secure
                    )
                else:
                    raise InvalidInput(f"server address {shown(url)}: use redis://, rediss:// or unix://")
                await wire._introduce(name)
        except ServerRefused as error:
            await wire.close()
            if "LOADING" in str(error):
                raise ServerUnreachable(f"{shown(url)} is still loading its data") from error
            raise InvalidInput(f"{shown(url)} refused the connection: {error}") from error
        except (OSError, TimeoutError, ReplyLost) as error:
            await wire.close()
            raise ServerUnreachable(f"no server answers at {shown(url)}: {error}") from error
        return wire

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._closed.done()

    @property
    def unanswered(self) -> int:
        """Commands (or batches) that were sent and have no reply yet."""
        return len(self._waiting)

    def send(self, packed: bytes, replies: int = 1) -> Sent:
        """Send packed commands now; await what it returns for all their replies.

        Raises ServerUnreachable when there is no connection: then nothing was sent.
        """
        if self._transport is None or self._closed.done():
            raise ServerUnreachable(f"no connection to {shown(self._url)}; nothing was sent")
        sent = Sent(self._loop, replies)
        self._waiting.append(sent)
        self._transport.write(packed)
        return sent

    async def call(self, *arguments: str | bytes | int) -> Reply:
        """Send one command and return its reply.

        Raises Fenced or ServerRefused for an error reply, ReplyLost, ServerUnreachable.
        """
        await self.drained()
        (reply,) = await self.send(pack(*arguments))
        return checked(reply)

    async def drained(self) -> None:
        """Wait until the peer takes what was written: a bound on memory when it does not read."""
        await self._writable.wait()

    async def close(self) -> None:
        """Close the connection; unanswered commands fail with ReplyLost."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.shield(self._closed)

    async def _introduce(self, name: str) -> None:
        parts = urlsplit(self._url)
        query = parse_qs(parts.query)
        password = unquote(parts.password) if parts.password else query.get("password", [""])[0]
        if password:
            user = unquote(parts.username) if parts.username else query.get("username", ["default"])[0]
            await self.call("AUTH", user, password)
        database = parts.path.strip("/") if parts.scheme != "unix" else query.get("db", ["0"])[0]
        if database not in ("", "0"):
            await self.call("SELECT", database)
        await self.call("CLIENT", "SETNAME", name)

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start of the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Give each reply to whoever sent the command."""
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            if waiting[0].take(reply):
                waiting.popleft()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every unanswered command: its outcome is unknown."""
        while self._waiting:
            self._waiting.popleft().lose(f"{shown(self._url)} closed the connection before its reply")
        self._writable.set()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """The peer does not read: hold back."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable.set()


def checked(reply: Reply) -> Reply:
    """The reply, or its error raised as Fenced or ServerRefused."""
    if isinstance(reply, hiredis.ReplyError):
        text = str(reply)
        raise (Fenced if text.startswith("FENCED") else ServerRefused)(text)
    return reply
