"""One HTTP request and its answer within one deadline; nothing is repeated, no stale connection is used."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from bus.errors import InvalidInput
from oms.broker import BrokerUnreachable, OutcomeUnknown

# A connection that was idle longer is closed, not used: load balancers close idle connections after seconds
# to minutes, and a request that meets their close on its way has an unknown outcome. Opening another costs
# two or three round trips, an order whose outcome is unknown costs a look-up and the algorithm's patience.
REUSE_WITHIN_S = 4.0

# What httpcore's documented trace tells: a connection was opened, though not yet encrypted; and, with the
# connection open and this request's own, that the first byte follows.
_OPENED = "connection.connect_tcp.complete"
_BEFORE_FIRST_BYTE = "http11.send_request_headers.started"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Requests to one server over HTTP/1.1 with keep-alive; as many connections as there are requests.

    `headers` go with every request and are never shown. Raises InvalidInput for a `url` that is none.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        reuse_within_s: float = REUSE_WITHIN_S,
    ) -> None:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        if scheme not in ("http", "https") or not host:
            raise InvalidInput(f"trading_url: {url!r} is not an address such as https://api.alpaca.markets")
        self._url = url.rstrip("/")
        self._headers = [*headers.items(), ("User-Agent", "alpaca-backbone")]
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            # Made once: reading the certificates takes tens of milliseconds of CPU.
            ssl_context=httpcore.default_ssl_context() if scheme == "https" else None,
            max_connections=None,
            keepalive_expiry=reuse_within_s,
            retries=0,
        )

    def __repr__(self) -> str:
        return f"<HTTP client of {self._url}>"

    async def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        before_first_byte: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send a request and return the whole answer, whatever its status.

        `before_first_byte` is called with the connection open; what it raises is raised, and nothing is sent.
        Raises BrokerUnreachable where nothing was sent, and OutcomeUnknown where the answer did not come
        whole within the timeout, which covers the connection as well.
        """
        began = False
        opened: httpcore.AsyncNetworkStream | None = None

        async def traced(event: str, told: dict[str, Any]) -> None:
            nonlocal began, opened
            if event == _OPENED:
                opened = told["return_value"]
            elif event == _BEFORE_FIRST_BYTE:
                before_first_byte()
                began = True

        # Errors go without their cause: its text may quote headers, and they hold the keys.
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._pool.request(
                    method,
                    self._url + target,
                    headers=self._headers,
                    content=body,
                    extensions={"trace": traced},
                )
        except TimeoutError:
            if began:
                raise OutcomeUnknown(
                    f"the broker's answer was not there within {self._timeout_s:g} s"
                ) from None
            raise BrokerUnreachable(
                f"no connection to the broker within {self._timeout_s:g} s; nothing was sent"
            ) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            if began:
                raise OutcomeUnknown(
                    f"the connection broke before the broker's answer was there ({type(error).__name__})"
                ) from None
            raise BrokerUnreachable(f"no connection to the broker; nothing was sent ({error})") from None
        finally:
            # httpcore forgets a connection whose handshake is cancelled, by our deadline or by our caller.
            if opened is not None and not began:
                await opened.aclose()
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
        }
        return Answer(response.status, headers, response.content)

    async def close(self) -> None:
        """Close every connection; requests under way end with OutcomeUnknown."""
        await self._pool.aclose()
