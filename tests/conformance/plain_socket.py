"""A plain websocket client of Alpaca's streams: JSON or msgpack, deflate or not, one message at a time."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgpack
from frames import Frame, Wire
from target import Target
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

# A closed connection is counted for a moment longer: clients are refused and try again on the same socket.
_TRIES = 30
_PAUSE_S = 0.5


class PlainSocket:
    """One open websocket."""

    def __init__(self, target: Target, connection: ClientConnection, is_msgpack: bool) -> None:
        self.connection = connection
        self._target = target
        self._is_msgpack = is_msgpack

    def write(self, message: Any) -> bytes | str:
        """A message in this socket's codec."""
        return msgpack.packb(message) if self._is_msgpack else json.dumps(message)

    def read(self, frame: bytes | str) -> Any:
        """A frame in this socket's codec; the codec also decides between text and binary."""
        assert isinstance(frame, bytes) == self._is_msgpack, f"the frame came as {type(frame).__name__}"
        return msgpack.unpackb(frame) if isinstance(frame, bytes) else json.loads(frame)

    async def say(self, message: Any) -> None:
        """Send one message in one frame."""
        await self.connection.send(self.write(message))

    async def say_raw(self, data: bytes | str | Iterable[bytes | str]) -> None:
        """Send anything: bytes, text, or a list of fragments of one message."""
        await self.connection.send(data)

    async def hear(self) -> Any:
        """The next message."""
        return self.read(await asyncio.wait_for(self.connection.recv(), self._target.patience_s))

    async def answer(self) -> dict[str, Any]:
        """The next control message, past data that came before it; it must be alone in its array."""
        while True:
            messages = await self.hear()
            if messages[0].get("T") in ("success", "error", "subscription"):
                assert len(messages) == 1, f"a control message has company: {messages}"
                found: dict[str, Any] = messages[0]
                assert next(iter(found)) == "T", f"T is not the first key of {found}"
                return found

    async def ask(self, message: Any) -> dict[str, Any]:
        """Say something and return the control message that answers it."""
        await self.say(message)
        return await self.answer()

    async def authenticate(self) -> None:
        """Log in; where an earlier connection is still counted, again on the same socket."""
        for _ in range(_TRIES):
            found = await self.ask({"action": "auth", "key": self._target.key, "secret": self._target.secret})
            if found.get("code") != 406:
                assert found == {"T": "success", "msg": "authenticated"}
                return
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError("another connection keeps this endpoint; end it and try again")


@contextlib.asynccontextmanager
async def opened(
    target: Target,
    url: str,
    tell: Callable[[Wire, Frame], None],
    *,
    is_msgpack: bool = False,
    compression: str | None = "deflate",
    headers: dict[str, str] | None = None,
) -> AsyncIterator[PlainSocket]:
    """An open websocket, nothing said yet."""
    target.check(url)
    wire = Wire(url, tell)
    given = {"Content-Type": "application/msgpack"} if is_msgpack else {}
    connection = await _connected(url, wire, compression, given | (headers or {}))
    try:
        yield PlainSocket(target, connection, is_msgpack)
    finally:
        await connection.close()


async def _connected(
    url: str, wire: Wire, compression: str | None, headers: dict[str, str]
) -> ClientConnection:
    for _ in range(_TRIES):
        try:
            return await connect(
                url,
                additional_headers=headers,
                compression=compression,
                create_connection=wire.connection(),
                max_size=None,
                proxy=None,
            )
        except InvalidStatus as error:
            if error.response.status_code != 429:
                raise
        await asyncio.sleep(_PAUSE_S)
    raise AssertionError(f"{wire.url} is taken by another connection")
