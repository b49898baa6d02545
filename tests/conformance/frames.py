"""The client's edge to websockets: every frame both ways, seen below an unmodified client."""

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.legacy.client import WebSocketClientProtocol


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, decompressed; `direction` is sent or received, `opcode` such as text, cont or close."""

    at_ns: int
    direction: str
    opcode: str
    is_last: bool
    data: bytes


class Wire:
    """One websocket address and everything that goes over it."""

    def __init__(self, url: str, tell: Callable[["Wire", Frame], None]) -> None:
        self.url = url
        self.frames: list[Frame] = []
        self._tell = tell

    def note(self, direction: str, opcode: int, is_last: bool, data: bytes) -> None:
        """Keep and tell one frame."""
        frame = Frame(time.time_ns(), direction, Opcode(opcode).name.lower(), is_last, data)
        self.frames.append(frame)
        self._tell(self, frame)

    def received(self) -> list[bytes]:
        """What has come, in order, control frames left out."""
        return [
            one.data
            for one in self.frames
            if one.direction == "received" and one.opcode in ("text", "binary")
        ]

    def parameters(self) -> dict[str, Any]:
        """`websocket_params` for alpaca-py: its own defaults, and this wire under the connection."""
        return {
            "ping_interval": 10,
            "ping_timeout": 180,
            "max_queue": 1024,
            "create_protocol": functools.partial(_Protocol, self),
        }

    def connection(self) -> Any:
        """`create_connection` for websockets' own client."""
        return functools.partial(_Connection, self)


class _Protocol(WebSocketClientProtocol):
    """What alpaca-py connects with, telling each frame."""

    def __init__(self, wire: Wire, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire = wire

    async def read_frame(self, max_size: int | None) -> Any:
        frame = await super().read_frame(max_size)
        self._wire.note("received", frame.opcode, frame.fin, bytes(frame.data))
        return frame

    def write_frame_sync(self, fin: bool, opcode: int, data: Any) -> None:
        self._wire.note("sent", opcode, fin, bytes(data))
        super().write_frame_sync(fin, opcode, data)


class _Connection(ClientConnection):
    """A plain connection, telling each frame that comes and each message that goes."""

    def __init__(self, wire: Wire, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire = wire

    def process_event(self, event: Any) -> None:
        if isinstance(event, WireFrame):
            self._wire.note("received", event.opcode, event.fin, bytes(event.data))
        super().process_event(event)

    async def send(self, message: Any, *args: Any, **options: Any) -> None:
        parts = (
            list(message) if isinstance(message, Iterable) and not isinstance(message, str | bytes) else None
        )
        for index, part in enumerate([message] if parts is None else parts):
            is_last = parts is None or index == len(parts) - 1
            opcode = Opcode.CONT if index else Opcode.TEXT if isinstance(part, str) else Opcode.BINARY
            self._wire.note("sent", opcode, is_last, part.encode() if isinstance(part, str) else part)
        await super().send(message if parts is None else parts, *args, **options)
