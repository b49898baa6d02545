"""The tap on alpaca-py's market socket: data frames go straight to us, control frames on to the SDK.

It sits where the websocket library assembles messages, before its queue: a data frame costs no task switch
and no future. The SDK receives control frames only, and needs to know nothing of it.
"""

import asyncio
import contextlib
from typing import Any, Protocol

import msgpack  # type: ignore[import-untyped]
import websockets
from alpaca.data.live.websocket import DataStream
from alpaca.trading.stream import TradingStream
from websockets.legacy.client import WebSocketClientProtocol

# A socket with a full buffer does not yield by itself; the writer must get its turn.
FRAMES_PER_TURN = 64

# The start of a message of market data: its first key is T, and the value of one letter.
_DATA = b"\xa1T\xa1"
_CONTROL = ("success", "error", "subscription")


class Sink(Protocol):
    """Whoever takes what comes out of a socket. Nothing here may raise."""

    @property
    def full(self) -> bool:
        """Whether reading has to stop."""

    async def room(self) -> None:
        """Wait until another frame can be taken."""

    def data(self, frame: bytes) -> None:
        """A frame of market data, as received."""

    def control(self, message: dict[str, Any]) -> None:
        """A control message."""

    def broke(self, reason: str) -> None:
        """The connection is gone."""


class TapProtocol(WebSocketClientProtocol):
    """The client's end of a websocket, with a sink for data frames."""

    def __init__(self, *arguments: Any, sink: Sink, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sink = sink
        self._turn = 0

    async def read_message(self) -> str | bytes | None:
        """The next message that is not market data; None when the connection closes."""
        sink, read = self._sink, super().read_message
        while True:
            if sink.full:
                await sink.room()
            frame = await read()
            if frame is None:
                return None
            if isinstance(frame, str):
                frame = frame.encode()
            if frame[:1] == b"\x91" and frame[2:5] != _DATA:
                message = _control(frame)
                if message is not None:
                    sink.control(message)
                    return frame
            sink.data(frame)
            self._turn += 1
            if self._turn == FRAMES_PER_TURN:
                self._turn = 0
                await asyncio.sleep(0)


class WatchedSocket:
    """Stands where the SDK keeps its socket, to hear when it breaks; has the three methods the SDK uses."""

    def __init__(self, socket: Any, sink: Sink) -> None:
        self._socket = socket
        self._sink = sink

    async def recv(self) -> str | bytes:
        """The next control frame."""
        try:
            frame: str | bytes = await self._socket.recv()
        except websockets.WebSocketException as error:
            self._sink.broke(str(error))
            raise
        return frame

    async def send(self, message: Any) -> None:
        """Send a message, in fragments when it is an iterator."""
        await self._socket.send(message)

    async def close(self, *arguments: Any, **options: Any) -> None:
        """Close the socket."""
        await self._socket.close(*arguments, **options)


async def end(stream: DataStream | TradingStream, task: "asyncio.Task[None]") -> None:
    """End a stream that runs in `task`, at once, and close its socket.

    One cancellation is not enough: the legacy websocket swallows one that comes while it closes. Nor is
    the SDK's own stop, which an idle stream notices after five seconds.
    """
    await stream.stop_ws()
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
    with contextlib.suppress(websockets.WebSocketException, OSError):
        await stream.close()


def _control(frame: bytes) -> dict[str, Any] | None:
    """The control message in a frame; None when it is data, or garbage that is to be kept."""
    try:
        message = msgpack.unpackb(frame)[0]
    except (ValueError, TypeError):
        return None
    return message if isinstance(message, dict) and message.get("T") in _CONTROL else None
