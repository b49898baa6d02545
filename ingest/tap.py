"""The tap on alpaca-py's socket: data frames go straight to us, control frames on to the SDK."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import msgpack  # type: ignore[import-untyped]
import websockets
from alpaca.data.live.websocket import DataStream
from alpaca.trading.stream import TradingStream

# The socket does not yield while it has frames queued; the writer must get its turn.
FRAMES_PER_TURN = 64

_DATA = b"\xa1T\xa1"
_CONTROL = ("success", "error", "subscription")


class Sink(Protocol):
    """Whoever takes what comes out of a socket. Nothing here may raise or block."""

    async def room(self) -> None:
        """Wait until another frame can be taken."""

    def data(self, frame: bytes) -> None:
        """A frame of market data, as received."""

    def control(self, message: dict[str, Any]) -> None:
        """A control message."""

    def broke(self, reason: str) -> None:
        """The connection is gone."""


class TapSocket:
    """Stands where the SDK keeps its socket, and has the three methods that the SDK uses on it."""

    def __init__(self, socket: Any, sink: Sink) -> None:
        self._socket = socket
        self._sink = sink

    async def recv(self) -> bytes:
        """The next control frame; data frames never come this far.

        May be cancelled at any await without losing a frame: alpaca-py does so every five seconds.
        """
        receive: Callable[[], Any] = self._socket.recv
        sink, turn = self._sink, 0
        while True:
            await sink.room()
            try:
                frame = await receive()
            except websockets.WebSocketException as error:
                sink.broke(str(error))
                raise
            if isinstance(frame, str):
                frame = frame.encode()
            if frame[:1] == b"\x91" and frame[2:5] != _DATA:
                message = _control(frame)
                if message is not None:
                    sink.control(message)
                    return bytes(frame)
            sink.data(frame)
            turn += 1
            if turn == FRAMES_PER_TURN:
                turn = 0
                await asyncio.sleep(0)

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
