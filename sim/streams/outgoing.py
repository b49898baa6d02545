"""Queues what is sent on one websocket: bounded, and sent in order by a task of its own."""

import asyncio
from collections import deque
from collections.abc import Callable

from aiohttp import web

from sim.streams.trickle import Trickle

MOST_BYTES = 64 * 1024 * 1024  # a client with more than this waiting is closed as slow
CLOSE_S = 1.0  # how long a client may take to answer a close frame
SLOW_CLOSE_S = 5.0  # how long a slow client may take to read why it is closed


class Outgoing:
    """The frames that wait to be sent to one client; `abort` cuts off a client that does not read at all."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        is_binary: bool,
        abort: Callable[[], None],
        most_bytes: int = MOST_BYTES,
        slow_close_s: float = SLOW_CLOSE_S,
        trickle: Trickle | None = None,
    ) -> None:
        self.is_binary = is_binary
        self._socket = socket
        self._trickle = trickle
        self._abort = abort
        self._most_bytes = most_bytes
        self._goodbye_s = slow_close_s
        self._frames: deque[bytes] = deque()
        self.waiting_bytes = 0
        self._wake = asyncio.Event()
        self._last_words = False

    def put(self, frame: bytes) -> bool:
        """Add a frame; returns False, and adds nothing, if the client is too far behind."""
        if self.waiting_bytes > self._most_bytes or self._last_words:
            return False
        self._frames.append(frame)
        self.waiting_bytes += len(frame)
        self._wake.set()
        return True

    def finish(self, frame: bytes | None) -> None:
        """Drop what waits, send this frame if there is one, and close."""
        if self._last_words:
            return
        asyncio.get_running_loop().call_later(self._goodbye_s, self._abort)
        self._frames.clear()
        self.waiting_bytes = 0
        if frame is not None:
            self._frames.append(frame)
        self._last_words = True
        self._wake.set()

    async def close(self) -> None:
        """Close because the server ends; a client that reads nothing does not delay it."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close(code=1001)
        except TimeoutError:
            self._abort()

    async def send(self) -> None:
        """Send the frames that are put, until canceled or the connection ends."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._frames:
                    frame = self._frames.popleft()
                    self.waiting_bytes -= len(frame)
                    trickle = self._trickle
                    if trickle is not None and trickle.is_on and await trickle.sent(frame, self.is_binary):
                        continue
                    if self.is_binary:
                        await self._socket.send_bytes(frame)
                    else:
                        await self._socket.send_str(frame.decode())
                if self._last_words:
                    await self._socket.close(code=1008)
                    return
        except ConnectionError:
            return  # the reading side sees the end of the connection and cleans up
