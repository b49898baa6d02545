"""One connection to an HTTP/1.1 server: a request is written in one piece, its answer read as it comes."""

import asyncio
import select
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import h11

# Closed with this, a connection drops what the peer's system has not taken yet. Else ours goes on sending it
# for minutes: an order would arrive after it was given up.
_DROP_UNSENT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionBroke(Exception):
    """The connection ended, or broke the protocol, before the answer was whole."""


class _Exchange:
    """One request. Mutable: what has come of its answer so far."""

    def __init__(self, head: h11.Request, body: bytes) -> None:
        self._http = h11.Connection(our_role=h11.CLIENT)
        parts = [self._http.send(head)]
        parts += [self._http.send(h11.Data(data=body))] if body else []
        parts += [self._http.send(h11.EndOfMessage())]
        self.request = b"".join(part for part in parts if part)
        self._response: h11.Response | None = None
        self._body: list[bytes] = []

    def take(self, data: bytes) -> Answer | None:
        """Read on; `data` is empty at the connection's end. The answer once it is whole.

        Raises ConnectionBroke, also where more follows the answer.
        """
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Response):
                    self._response = event
                elif isinstance(event, h11.Data):
                    self._body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    return self._answer()
                elif event is h11.NEED_DATA:
                    return None
                elif not isinstance(event, h11.InformationalResponse):
                    raise ConnectionBroke("it ended")
        except h11.RemoteProtocolError as error:
            raise ConnectionBroke("it ended" if not data else f"what came is no HTTP: {error}") from None

    @property
    def leaves_open(self) -> bool:
        """Whether another request may follow: the answer is whole, and neither side is to close."""
        return self._http.their_state is h11.DONE and not self._http.trailing_data[0]

    def _answer(self) -> Answer:
        assert self._response is not None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._response.headers}
        return Answer(self._response.status_code, headers, b"".join(self._body))


class Connection(asyncio.Protocol):
    """An open connection, for one request at a time.

    What was written and not acknowledged by the peer's system within `unacknowledged_s` ends the connection,
    whether this process lives or not, where the system can do that. Mutable: the exchange under way, and
    whether another request may follow.
    """

    def __init__(self, unacknowledged_s: float) -> None:
        self._unacknowledged_ms = round(unacknowledged_s * 1000)
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._exchange: _Exchange | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._is_open = False

    @property
    def is_fresh(self) -> bool:
        """Whether a request may be written: open, not in use, and nothing came from the peer, nor its close.

        Asked of the kernel too: the loop may not have read yet what has come.
        """
        if not self._is_open or self._exchange is not None or self._transport is None:
            return False
        arrived = select.poll()
        arrived.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not arrived.poll(0)

    def prepare(self, head: h11.Request, body: bytes) -> None:
        """Make ready what `send` writes. Raises h11.LocalProtocolError for what is no request."""
        self._exchange = _Exchange(head, body)

    async def send(self) -> Answer:
        """Write the prepared request, before anything else runs, and wait for the whole answer.

        Raises ConnectionBroke. A wait that is cancelled ends the connection.
        """
        assert self._transport is not None
        assert self._exchange is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(self._exchange.request)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.abort()
            raise

    def forget(self) -> None:
        """Drop the prepared request: not a byte of it was written."""
        self._exchange = None

    def abort(self) -> None:
        """Close at once."""
        self._is_open = False
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open connection."""
        # Not every loop's transports are classes of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._is_open = True
        wire = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._unacknowledged_ms)

    def data_received(self, data: bytes) -> None:
        """Read on in the answer; close where nothing was asked."""
        exchange, answered = self._exchange, self._answer
        if exchange is None or answered is None or answered.done():
            self.abort()
            return
        try:
            answer = exchange.take(data)
        except ConnectionBroke as error:
            answered.set_exception(error)
            self.abort()
            return
        if answer is not None:
            self._done(exchange, answered, answer)

    def eof_received(self) -> None:
        """End an answer that lasts until the connection does; the loop closes the connection then."""
        if self._exchange is not None and self._answer is not None and not self._answer.done():
            self.data_received(b"")
        self._is_open = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that there will be no answer."""
        self._is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionBroke("it ended" if exc is None else str(exc)))
        self.closed.set_result(None)

    def _done(self, exchange: _Exchange, answered: "asyncio.Future[Answer]", answer: Answer) -> None:
        self._exchange = self._answer = None
        if not exchange.leaves_open:
            self.abort()
        answered.set_result(answer)
