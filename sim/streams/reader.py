"""One websocket connection: its codec, its account, and what waits to be sent on it."""

from typing import Any

from aiohttp import web

from sim.faults.faults import Faults
from sim.streams.codecs import JSON, MSGPACK, Codec
from sim.streams.outgoing import MOST_BYTES, Outgoing
from sim.streams.trickle import Trickle


class Reader:
    """A client of a stream; `account` is known once it has authenticated.

    One that `speaks_msgpack` does so whatever it asks for; where the stream `writes_binary`, JSON comes in
    binary frames as well.
    """

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        stream: str,
        faults: Faults,
        *,
        speaks_msgpack: bool = False,
        writes_binary: bool = False,
        most_waiting_bytes: int = MOST_BYTES,
    ) -> None:
        self.request = request
        asks_for_msgpack = "msgpack" in request.headers.get("Content-Type", "")
        self.codec: Codec = MSGPACK if asks_for_msgpack or speaks_msgpack else JSON
        self.account: str | None = None
        self.is_silent = False
        self._silent_at: str | None = None
        self.outgoing = Outgoing(
            socket,
            writes_binary or self.codec.is_binary,
            self.abort,
            most_bytes=most_waiting_bytes,
            trickle=Trickle(faults, stream, request, lambda: self.account),
        )

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be sent."""
        return self.outgoing.waiting_bytes

    def fall_silent_at(self, step: str | None) -> None:
        """Say nothing any more from this step of the handshake on; None: from no step."""
        self._silent_at = step
        self.hears("connected")

    def hears(self, step: str) -> bool:
        """Return whether it answers at this step: unless it falls silent there, or did before."""
        self.is_silent = self.is_silent or self._silent_at == step
        return not self.is_silent

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        if self.request.transport is not None:
            self.request.transport.abort()

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self.outgoing.put(self.codec.control(message))

    def end_as_slow(self) -> None:
        """Close the connection because it does not read."""
        self.outgoing.finish(None)
