"""The client's edge to REST: an adapter under alpaca-py's own session that sees every exchange as it was."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter
from target import Target

# Headers that say something of the protocol and nothing of the account.
KEPT_HEADERS = (
    "Content-Type", "Content-Encoding", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)  # fmt: skip
# A run on paper stays within its account's minute: alpaca-py itself would try again and give up.
_LEAST_REMAINING = 5
_LONGEST_PAUSE_S = 61.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, without anything that says who asked."""

    at_ns: int
    method: str
    host: str
    path: str
    query: str
    sent: str | None
    status: int
    headers: dict[str, str]
    received: str

    @property
    def body(self) -> Any:
        """The answer read as JSON."""
        return json.loads(self.received)

    @property
    def request(self) -> Any:
        """The request's body read as JSON."""
        return json.loads(self.sent or "")

    @property
    def asked(self) -> dict[str, str]:
        """The query, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class Edge(HTTPAdapter):
    """Sends what the client sends, to the target alone, and keeps and tells every exchange."""

    def __init__(self, target: Target, tell: Callable[[Exchange], None]) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []
        self._target = target
        self._tell = tell

    def mount(self, session: requests.Session) -> None:
        """Take the place under a client's session."""
        session.mount("http://", self)
        session.mount("https://", self)

    @property
    def last(self) -> Exchange:
        """The newest exchange."""
        return self.exchanges[-1]

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; raises NotPaper before anything leaves for a foreign host."""
        assert request.url is not None
        self._target.check(request.url)
        at_ns = time.time_ns()
        response = super().send(request, *args, **kwargs)
        parts = urlsplit(request.url)
        sent = request.body
        exchange = Exchange(
            at_ns=at_ns,
            method=request.method or "",
            host=parts.hostname or "",
            path=parts.path,
            query=parts.query,
            sent=sent.decode() if isinstance(sent, bytes) else sent,
            status=response.status_code,
            headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            received="" if kwargs.get("stream") else response.text,
        )
        self.exchanges.append(exchange)
        self._tell(exchange)
        if self._target.kind == "paper":
            _keep_within(exchange.headers)
        return response


def _keep_within(headers: dict[str, str]) -> None:
    remaining, reset = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Reset")
    if remaining is not None and reset is not None and int(remaining) < _LEAST_REMAINING:
        threading.Event().wait(min(max(int(reset) - time.time(), 0.0) + 1.0, _LONGEST_PAUSE_S))
