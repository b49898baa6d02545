"""The tap on alpaca-py's market socket: data frames go straight to us, control frames on to the SDK.

It sits below the websocket library: a data frame costs no task switch, no future and no reader. The SDK
receives control frames only, and needs to know nothing of it.
"""

import asyncio
import contextlib
import sys
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

# What ends the answer to the handshake; frames begin behind it.
_HEADERS_END = b"\r\n\r\n"

# A frame beyond what the socket takes is read past, up to this size; the library would close the connection.
MOST_PASSED_BYTES = 256 * 1024 * 1024

# What is shown of such a frame.
SHOWN_BYTES = 16 * 1024

# First byte of a frame (RFC 6455, 5.2): final, no extension, binary. 0x88 to 0x8F: close, ping, pong.
_PLAIN = 0x82
_CONTROL_OPCODES = 0x88


class Sink(Protocol):
    """Whoever takes what comes out of a socket. Nothing here may raise."""

    @property
    def full(self) -> bool:
        """Whether reading has to stop."""

    async def room(self) -> None:
        """Wait until another frame can be taken."""

    def data(self, frame: bytes) -> None:
        """A frame of market data, as received."""

    def too_long(self, size_bytes: int, begins: bytes) -> None:
        """A frame of more bytes than the socket takes was passed over; what it begins with."""

    def control(self, message: dict[str, Any]) -> None:
        """A control message."""

    def broke(self, reason: str) -> None:
        """The connection is gone."""


class TapProtocol(WebSocketClientProtocol):
    """The client's end of a websocket, with a sink for data frames.

    A whole, plain binary frame of market data goes from the socket's bytes to the sink: the library's own
    reading costs more than everything else that is done for a frame. Any other frame goes to the library,
    which answers pings and closes, and tells us messages in `read_message`. A server that sends fragments or
    compresses gets all its frames read by the library from then on, so that none overtakes another.
    Mutable: how far the bytes are sorted, and in whose hands frames are.
    """

    def __init__(self, *arguments: Any, sink: Sink, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sink = sink
        self._turn = 0
        self._rest = b""
        self._is_open = False
        self._is_plain = True
        # Of a frame that is too long: how long it is, what it begins with, and what is still to come.
        self._too_long = 0, b""
        self._to_pass_bytes = 0
        # Control frames that the sink has heard of and the library has not read yet.
        self._told = 0
        self._waiting: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Called by the event loop: sort frames, once the handshake's answer is over."""
        if self._to_pass_bytes:
            data = self._passed(data)
        if self._rest:
            data = self._rest + data
        self._rest = data[self._sorted(data) :]
        if not self._is_plain and self._rest:
            super().data_received(self._rest)
            self._rest = b""
        if self._sink.full and self._waiting is None:
            self.transport.pause_reading()
            self._waiting = asyncio.create_task(self._read_on())

    def _sorted(self, data: bytes) -> int:
        """Hand out the whole frames at the start of what was received; returns where the rest begins."""
        position = 0
        if not self._is_open:
            end = data.find(_HEADERS_END)
            if end < 0:
                return 0
            self._is_open, position = True, end + len(_HEADERS_END)
            super().data_received(data[:position])
        most_bytes = self.max_size or sys.maxsize - 1
        while self._is_plain:
            start, length = _payload(data, position)
            kind = data[position] if start else 0
            if kind == _PLAIN and most_bytes < length <= MOST_PASSED_BYTES:
                self._too_long, self._to_pass_bytes = (length, b""), length
                position = len(data) - len(self._passed(data[start:]))
                continue
            if start and (length > most_bytes or not (kind == _PLAIN or kind & 0xF8 == _CONTROL_OPCODES)):
                self._is_plain = False
            if not start or not self._is_plain or start + length > len(data):
                break
            end = start + length
            if kind == _PLAIN and data[start : start + 1] != b"\x91":
                self._sink.data(data[start:end])
            else:
                self._hand_on(data[position:end], data[start:end], kind)
            position = end
        return position

    def _passed(self, data: bytes) -> bytes:
        """Read past a frame that is too long; returns what comes behind it."""
        length, begins = self._too_long
        begins += data[: min(self._to_pass_bytes, SHOWN_BYTES - len(begins))]
        rest = data[self._to_pass_bytes :]
        self._to_pass_bytes -= len(data) - len(rest)
        self._too_long = length, begins
        if not self._to_pass_bytes:
            self._sink.too_long(length, begins)
        return rest

    def _hand_on(self, frame: bytes, payload: bytes, kind: int) -> None:
        """A frame that may be the library's: one message, or a ping, pong or close."""
        message = _control(payload) if kind == _PLAIN else None
        if kind == _PLAIN and message is None:
            self._sink.data(payload)
            return
        if message is not None:
            self._sink.control(message)
            self._told += 1
        super().data_received(frame)

    async def _read_on(self) -> None:
        """Go on reading once the sink has room."""
        await self._sink.room()
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

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
            message = _control(frame)
            if message is not None:
                if self._told:
                    self._told -= 1
                else:
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


def _payload(data: bytes, position: int) -> tuple[int, int]:
    """Where the payload of the frame at `position` begins, and its length (RFC 6455, 5.2); 0, 0: too short.

    A masked frame, which no server may send, gets a length that no message has.
    """
    if len(data) < position + 2:
        return 0, 0
    length = data[position + 1]
    if length < 126:
        return position + 2, length
    size = {126: 2, 127: 8}.get(length, 0)
    if not size:
        return position + 2, sys.maxsize
    start = position + 2 + size
    return (start, int.from_bytes(data[position + 2 : start])) if len(data) >= start else (0, 0)


def _control(frame: bytes) -> dict[str, Any] | None:
    """The control message in a frame; None when it is data, or garbage that is to be kept."""
    if frame[:1] != b"\x91" or frame[2:5] == _DATA:
        return None
    try:
        message = msgpack.unpackb(frame)[0]
    except (ValueError, TypeError):
        return None
    return message if isinstance(message, dict) and message.get("T") in _CONTROL else None
