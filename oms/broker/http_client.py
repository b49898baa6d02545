"""One HTTP request and its answer within one deadline; nothing is repeated, no stale connection is used."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import certifi
import h11

from bus.clock import Clock
from bus.errors import InvalidInput
from oms.broker.connect import connect
from oms.broker.http_connection import Answer, Connection, ConnectionBroke
from oms.broker.protocol import BrokerUnreachable, OutcomeUnknown

# A connection that was idle longer is closed, not used: load balancers close idle connections after seconds
# to minutes, and a request that meets their close on its way has an unknown outcome. Opening another costs
# two or three round trips, an order whose outcome is unknown costs a look-up and the algorithm's patience.
REUSE_WITHIN_S = 4.0

_PORTS = {"http": 80, "https": 443}


class HttpClient:
    """Requests to one server over HTTP/1.1 with keep-alive; as many connections as there are requests.

    `headers` go with every request and are never shown. Raises InvalidInput for a `url` that is none.
    Mutable: which connections are open, which of them are idle since when, and whether it was closed.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        clock: Clock,
        *,
        timeout_s: float,
        reuse_within_s: float = REUSE_WITHIN_S,
    ) -> None:
        parts = urlsplit(url)
        if not url.isascii() or parts.scheme not in _PORTS or not parts.hostname:
            raise InvalidInput(f"trading_url: {url!r} is not an address such as https://api.alpaca.markets")
        self._url = url
        self._host, self._port = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._path = parts.path.rstrip("/")
        # Made once: reading the certificates takes tens of milliseconds of CPU.
        self._ssl = _trusting() if parts.scheme == "https" else None
        self._headers = [("Host", parts.netloc.rpartition("@")[2]), ("User-Agent", "alpaca-backbone")]
        self._headers += headers.items()
        self._clock = clock
        self._timeout_s = timeout_s
        self._reuse_within_ns = int(reuse_within_s * 1_000_000_000)
        self._idle: deque[tuple[int, Connection]] = deque()
        self._open: set[Connection] = set()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<HTTP client of {self._url}: {len(self._open)} connections, {len(self._idle)} of them idle>"

    async def request(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        before_first_byte: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send a request and return the whole answer, whatever its status.

        `before_first_byte` is called with the connection open and nothing awaited afterwards; what it raises
        is raised, and nothing is sent. Raises BrokerUnreachable where nothing was sent, and OutcomeUnknown
        where the answer did not come whole within the timeout, which covers the connection as well.
        """
        head = self._head(method, target, body)
        began = False
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._reusable() or await self._connected()
                try:
                    connection.prepare(head, body)
                    before_first_byte()
                    began = True
                    return await connection.send()
                finally:
                    if not began:
                        connection.forget()
                    self._keep(connection)
        except TimeoutError:
            if began:
                raise OutcomeUnknown(
                    f"the broker's answer was not there within {self._timeout_s:g} s"
                ) from None
            raise BrokerUnreachable(
                f"no connection to the broker within {self._timeout_s:g} s; nothing was sent"
            ) from None
        except ConnectionBroke as error:
            raise OutcomeUnknown(
                f"the connection broke before the broker's answer was there: {error}"
            ) from None

    async def close(self) -> None:
        """Close every connection; requests under way end with OutcomeUnknown, and no other is sent."""
        self._is_closed = True
        self._idle.clear()
        closing = list(self._open)
        for connection in closing:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in closing))

    def _head(self, method: str, target: str, body: bytes) -> h11.Request:
        headers = [*self._headers, ("Content-Length", str(len(body)))] if body else self._headers
        return h11.Request(method=method, target=self._path + target, headers=headers)

    async def _connected(self) -> Connection:
        if self._is_closed:
            raise BrokerUnreachable("the connections to the broker are closed; nothing was sent")
        try:
            connection = await connect(self._host, self._port, self._ssl, self._timeout_s)
        except OSError as error:
            raise BrokerUnreachable(f"no connection to the broker; nothing was sent ({error})") from error
        if self._is_closed:
            connection.abort()
            raise BrokerUnreachable("the connections to the broker were closed; nothing was sent")
        self._open.add(connection)
        connection.closed.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _reusable(self) -> Connection | None:
        """The fresh connection that was used last; those that are not fresh are closed."""
        used_since_ns = self._clock.monotonic_ns() - self._reuse_within_ns
        while self._idle and self._idle[0][0] < used_since_ns:
            self._idle.popleft()[1].abort()
        while self._idle:
            _, connection = self._idle.pop()
            if connection.is_fresh:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        if connection.is_fresh:
            self._idle.append((self._clock.monotonic_ns(), connection))
        else:
            connection.abort()


def _trusting() -> ssl.SSLContext:
    """Trust in the system's certificates and in certifi's: some installations of Python find no system's."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    return context
