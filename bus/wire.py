"""The hot-path connection: packed commands out, replies in, nothing else.

Commands are pipelined and answered in order. Nothing is ever sent twice: when the connection breaks, each
unanswered command fails with ReplyLost, and the caller, who knows what it meant, looks before it sends again.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Generator
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from bus.connection import shown
from bus.error_answers import refusal, says_replica
from bus.errors import InvalidInput, RefusedForNow, ReplyLost, ServerRefused, ServerUnreachable

Reply = Any

CONNECT_TIMEOUT_S = 5.0

# A server that owes a reply for this long is taken for gone (a cut cable sends no goodbye). Far above the
# longest BLOCK of ours, 2 s, and above what a busy disk makes us wait.
REPLY_TIMEOUT_S = 10.0

# What is still to be written when we close may take this long; then it is dropped.
CLOSE_TIMEOUT_S = 1.0


def pack(*arguments: str | bytes | int) -> bytes:
    """One command in the server's protocol."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return packed


class Sent:
    """Commands on their way: awaiting gives all their replies, errors among them as values.

    Raises ReplyLost when the connection breaks first. A cancelled wait loses nothing: the replies are kept,
    and the same object can be awaited again. (A future would be cancelled with its waiter, and shielding it
    costs every read another turn of the event loop.) Mutable: the replies so far, and who waits.
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
    """One connection to one server, TCP (`redis://`), TLS (`rediss://`) or `unix://`.

    Mutable: the transport, what leaves with the next write, and the commands that wait for replies.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._reader = hiredis.Reader()
        self._waiting: deque[Sent] = deque()
        self._leaving: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = self._loop.create_future()
        self._watch: asyncio.TimerHandle | None = None
        self._silent_watches = 0
        self._why = "closed the connection before its reply"

    def __repr__(self) -> str:
        state = "connected" if self.connected else "closed"
        return f"{state} to {shown(self._url)}, {len(self._waiting)} awaiting replies"

    @classmethod
    async def open(cls, url: str, *, name: str) -> "Wire":
        """Connect, log in and name the connection.

        Raises InvalidInput for a wrong address or password, ServerUnreachable where nobody answers.
        """
        wire = cls(url)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await wire._connect()
                await wire._introduce(name)
        except BaseException as error:
            if wire._transport is not None:
                wire._transport.abort()
            if isinstance(error, ServerRefused):
                if isinstance(error, RefusedForNow):
                    raise ServerUnreachable(f"{shown(url)} takes nobody now: {error}") from error
                raise InvalidInput(f"{shown(url)} refused the connection: {error}") from error
            if isinstance(error, ssl.SSLCertVerificationError):
                raise InvalidInput(f"{shown(url)}: its certificate does not hold: {error}") from error
            if isinstance(error, OSError | TimeoutError | ReplyLost):
                raise ServerUnreachable(f"no server answers at {shown(url)}: {error}") from error
            raise
        return wire

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._closed.done()

    def send(self, packed: bytes, replies: int = 1) -> Sent:
        """Send packed commands; await what it returns for all their replies.

        It leaves at once when nothing else is under way; otherwise what is sent within one turn of the event
        loop leaves in one write, as waking the server is the dearest part of a small command. Raises
        ServerUnreachable when there is no connection: then nothing was sent.
        """
        if self._transport is None or self._closed.done():
            raise ServerUnreachable(f"no connection to {shown(self._url)}; nothing was sent")
        sent = Sent(self._loop, replies)
        if not self._waiting:
            self._transport.write(packed)
        else:
            self._leaving.append(packed)
            if len(self._leaving) == 1:
                self._loop.call_soon(self._leave)
        self._waiting.append(sent)
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
            self._leave()
            self._transport.close()
            await asyncio.wait({self._closed}, timeout=CLOSE_TIMEOUT_S)
            if not self._closed.done():
                # The peer does not take what is still to be written.
                self._transport.abort()
                await asyncio.wait({self._closed})

    def _leave(self) -> None:
        """Write what was sent in this turn."""
        if self._leaving and self._transport is not None:
            self._transport.write(b"".join(self._leaving))
        self._leaving.clear()

    async def _connect(self) -> None:
        parts = urlsplit(self._url)
        if parts.scheme == "unix":
            await self._loop.create_unix_connection(lambda: self, unquote(parts.path))
            return
        if parts.scheme not in ("redis", "rediss"):
            raise InvalidInput(f"server address {shown(self._url)}: use redis://, rediss:// or unix://")
        try:
            port = parts.port or 6379
        except ValueError:
            raise InvalidInput(f"server address {shown(self._url)}: that port is not a number") from None
        secure = True if parts.scheme == "rediss" else None
        await self._loop.create_connection(lambda: self, parts.hostname or "127.0.0.1", port, ssl=secure)

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
        # The commands before are answered even by a server that is loading its data; this one is not.
        await self.call("PING")

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start of the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._watch = self._loop.call_later(REPLY_TIMEOUT_S / 2, self._look)

    def data_received(self, data: bytes) -> None:
        """Give each reply to whoever sent the command."""
        reader, waiting = self._reader, self._waiting
        self._silent_watches = 0
        is_replica = False
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if not waiting:
                    # A server that is full says so unasked, then closes.
                    self._give_up(f"said {str(reply)[:200]!r} unasked")
                    return
                if type(reply) is hiredis.ReplyError and says_replica(str(reply)):
                    is_replica = True
                if waiting[0].take(reply):
                    waiting.popleft()
        except hiredis.ProtocolError as error:
            self._give_up(f"does not speak the server's protocol: {error}")
        if is_replica:
            # A failover may leave this connection open: only a new one finds who takes writes now.
            self._give_up("is a replica now")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every unanswered command: its outcome is unknown."""
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            self._waiting.popleft().lose(f"{shown(self._url)} {self._why}")
        self._writable.set()
        if not self._closed.done():
            self._closed.set_result(None)

    def _look(self) -> None:
        """Called twice a reply timeout: a reply owed over three looks will not come."""
        self._silent_watches = self._silent_watches + 1 if self._waiting else 0
        if self._silent_watches > 2:
            self._give_up(f"did not answer for {REPLY_TIMEOUT_S:g} s")
        else:
            self._watch = self._loop.call_later(REPLY_TIMEOUT_S / 2, self._look)

    def _give_up(self, why: str) -> None:
        self._why = why
        assert self._transport is not None
        self._transport.abort()

    def pause_writing(self) -> None:
        """The peer does not read: hold back."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable.set()


def checked(reply: Reply) -> Reply:
    """The reply, or its error raised as Fenced or ServerRefused; RefusedForNow where waiting is the cure."""
    if isinstance(reply, hiredis.ReplyError):
        raise refusal(str(reply))
    return reply
