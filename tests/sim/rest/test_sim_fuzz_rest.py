"""Whatever is asked of any endpoint, the answer is Alpaca's shape of no, and nothing of another account."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from bad_input import GOOD_ORDER, OTHERS_ORDER, RAW, bodies, orders, queries, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import Answer, RawConnection
from simulator import Simulator

from sim import arguments
from sim import simulator as wiring

ARGUMENTS = (
    "--accounts",
    "2",
    "--rate",
    "50",
    "--requests-per-minute",
    "9000000",
    "--data-requests-per-minute",
    "9000000",
)
# What an endpoint cannot answer without.
NEEDED = {
    "/v2/stocks": {"symbols": "AAPL,MSFT", "timeframe": "1Min", "limit": "3"},
    "/v1beta3": {"symbols": "BTC/USD", "timeframe": "1Min", "limit": "3"},
    "/v2/orders:by": {"client_order_id": OTHERS_ORDER},
    "/v2/orders": {"status": "all", "nested": "true"},
    "/v2/account/portfolio": {"period": "1D", "timeframe": "15Min"},
    "/v2/calendar": {"start": "2026-01-01"},
}
STATUSES = {200, 201, 204, 207, 400, 401, 403, 404, 405, 409, 413, 415, 422}
EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _routes(kind: str) -> list[tuple[str, str]]:
    """Every method and path template that is routed, whoever adds one."""
    made = wiring.Simulator(arguments.read([]))
    app = made.application() if kind == "public" else made.control()
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "*")
    }
    return sorted(found)


# Of the websockets' endpoints, which are asked without a handshake here, one is enough.
ROUTES = [
    (method, path)
    for method, path in _routes("public")
    if not re.fullmatch(r"/v2/(sip|delayed_sip|test)|/v1beta1/\w+|/v1beta3/crypto/[\w-]+", path)
]
CONTROL_ROUTES = _routes("control")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start(*ARGUMENTS) as started:
        yield started
        assert started.process.poll() is None
        assert started.errors[-3000:] == ""


@pytest.fixture(scope="module")
def secrets_of_the_other(simulator: Simulator) -> list[str]:
    """What only the second account may ever see."""
    accounts: Any = simulator.urls["accounts"]
    headers = _headers(accounts[1]["key"], accounts[1]["secret"])
    with RawConnection(simulator.trading_url) as wire:
        order = wire.request(
            "POST",
            "/v2/orders",
            headers,
            json.dumps(
                GOOD_ORDER | {"type": "limit", "limit_price": "1", "client_order_id": OTHERS_ORDER}
            ).encode(),
        ).json()
        account = wire.request("GET", "/v2/account", headers).json()
    return [order["id"], account["id"], account["account_number"], accounts[1]["secret"]]


@pytest.fixture(scope="module")
def own(simulator: Simulator) -> list[str]:
    """Names of the first account's own: open and filled orders, a position in shares and one in coins."""
    headers = _headers(simulator.key, simulator.secret)
    filled = [simulator.trade("AAPL", "buy", "3.5")["id"], simulator.trade("BTC/USD", "buy", "0.5")["id"]]
    body = json.dumps(GOOD_ORDER | {"type": "limit", "limit_price": "1"}).encode()
    with RawConnection(simulator.trading_url) as wire:
        resting = wire.request("POST", "/v2/orders", headers, body).json()["id"]
    return [resting, *filled, "AAPL", "BTC/USD", "BTCUSD"]


@pytest.fixture(scope="module")
def wire(simulator: Simulator) -> Iterator["Wire"]:
    made = Wire(simulator.trading_url)
    yield made
    made.drop()


class Wire:
    """A connection that is opened again where the server closed it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: RawConnection | None = None

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        if self._open is None:
            self._open = RawConnection(self._url)
        try:
            answer = self._open.request(method, path, headers, body)
        except BaseException:
            self.drop()
            raise
        is_last = answer.headers.get("connection", "") == "close" or answer.head.startswith(b"HTTP/1.0")
        if is_last or "event-stream" in str(answer.headers):
            self.drop()
        return answer

    def drop(self) -> None:
        if self._open is not None:
            self._open.__exit__()
        self._open = None


def _headers(key: str, secret: str) -> dict[str, str]:
    return {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}


def _path(template: str, piece: int | str | bytes, known: list[str]) -> str:
    """The template with something in place of its name: the number of a known one, or anything."""
    named = known[piece % len(known)] if isinstance(piece, int) else piece
    data = named if isinstance(named, bytes) else named.encode(errors="replace")
    return re.sub(r"\{\w+\}", lambda _: quote_from_bytes(data, safe="/") or "x", template)


def _query(path: str, has_needed: bool, odd: list[tuple[str, str | bytes]], is_on_top: bool) -> str:
    """What the endpoint needs, and odd things on top of it or in its place."""
    needed = next((query for prefix, query in NEEDED.items() if path.startswith(prefix)), {})
    names = {name for name, _ in odd}
    chosen: list[tuple[str, str | bytes]] = [
        (name, value) for name, value in needed.items() if has_needed and (is_on_top or name not in names)
    ]
    return urlencode(chosen + odd, errors="replace")


def check(answer: Answer, path: str, hidden: list[str]) -> None:
    """Check for a proper status, Alpaca's shape of an error, and nothing of the other account."""
    seen = answer.body.decode("utf-8", "replace") + str(answer.headers)
    assert answer.status in STATUSES, (path, answer)
    for secret in hidden:
        # A refusal may name what was asked for; nothing may be told of it.
        assert secret not in seen or (secret in path and answer.status >= 400), path
    if answer.status == 204:
        assert answer.body == b""
    elif "json" in answer.headers["content-type"]:
        body = json.loads(answer.body, parse_constant=lambda name: math.nan)
        if answer.status >= 400:
            assert isinstance(body, dict), (path, body)
            assert isinstance(body["message"], str), (path, body)
            assert body["message"], (path, body)
            if answer.status != 401 and not path.startswith(("/v2/stocks", "/v1")):
                assert isinstance(body["code"], int), (path, body)
    else:
        assert "event-stream" in answer.headers["content-type"], (path, answer)


@pytest.mark.timeout(100)
@EXAMPLES
@given(
    route=st.sampled_from(ROUTES),
    piece=st.one_of(st.integers(0, 20), text, st.sampled_from(RAW)),
    has_needed=st.integers(0, 4).map(bool),
    is_on_top=st.booleans(),
    odd=queries,
    body=bodies,
)
def test_any_query_and_any_body_at_any_endpoint(
    simulator: Simulator,
    secrets_of_the_other: list[str],
    own: list[str],
    wire: Wire,
    route: tuple[str, str],
    piece: int | str | bytes,
    has_needed: bool,
    is_on_top: bool,
    odd: list[tuple[str, str | bytes]],
    body: bytes,
) -> None:
    method, template = route
    path = _path(template, piece, own + secrets_of_the_other[:1])
    if query := _query(path, has_needed, odd, is_on_top):
        path += "?" + query
    answer = wire.ask(method, path, _headers(simulator.key, simulator.secret), body)
    check(answer, path, secrets_of_the_other)


@EXAMPLES
@given(body=orders)
def test_any_order(
    simulator: Simulator, secrets_of_the_other: list[str], wire: Wire, body: dict[str, Any]
) -> None:
    headers = _headers(simulator.key, simulator.secret)
    answer = wire.ask("POST", "/v2/orders", headers, json.dumps(body).encode())
    check(answer, "/v2/orders", secrets_of_the_other)
    if answer.status == 200:
        path = f"/v2/orders/{answer.json()['id']}"
        check(wire.ask("PATCH", path, headers, json.dumps(body).encode()), path, secrets_of_the_other)


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE", "TRACE", "PROPFIND", "x"]
)
def test_any_method_at_any_endpoint(
    simulator: Simulator, secrets_of_the_other: list[str], wire: Wire, method: str
) -> None:
    headers = _headers(simulator.key, simulator.secret)
    for path in sorted({_path(template, "x", []) for _, template in _routes("public")}):
        answer = wire.ask(method, path, headers)
        if method == "HEAD":
            assert answer.status in STATUSES
        else:
            check(answer, path, secrets_of_the_other)
