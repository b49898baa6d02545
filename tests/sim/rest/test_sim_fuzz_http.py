"""Requests that are hardly HTTP: broken or endless ones, wrong keys, and clients that stop half-way."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from bad_input import FIELDS, GOOD_ORDER, raw_body_list, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import Answer, RawConnection
from simulator import Simulator

from sim import arguments
from sim import simulator as wiring
from sim.faults.kinds import KINDS

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--rate", "50", "--requests-per-minute", "9000000") as started:
        yield started
        assert started.process.poll() is None
        assert started.errors[-3000:] == ""


@pytest.fixture(autouse=True)
def the_next_good_request_works(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.clear_faults()
    with RawConnection(simulator.trading_url) as wire:
        assert wire.request("GET", "/v2/clock", keys(simulator)).status == 200


def keys(simulator: Simulator) -> dict[str, str]:
    return {"APCA-API-KEY-ID": simulator.key, "APCA-API-SECRET-KEY": simulator.secret}


def ask(simulator: Simulator, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    with RawConnection(simulator.trading_url) as wire:
        return wire.request(method, path, headers, body)


def is_refusal(answer: Answer, *statuses: int) -> bool:
    body = answer.json()
    return answer.status in statuses and isinstance(body["code"], int) and bool(body["message"])


def memory_mib(simulator: Simulator) -> float:
    return psutil.Process(simulator.process.pid).memory_info().rss / MIB


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/orders"),
        ("PATCH", "/v2/orders/00000000-0000-0000-0000-000000000000"),
        ("PATCH", "/v2/account/configurations"),
        ("POST", "/v2/watchlists"),
    ],
)
def test_every_body_that_is_no_request_is_refused(simulator: Simulator, method: str, path: str) -> None:
    for body in raw_body_list:
        answer = ask(simulator, method, path, keys(simulator), body)
        assert answer.status < 500, (body[:100], answer)
        if answer.status >= 400:
            assert is_refusal(answer, 400, 403, 404, 405, 422), (body[:100], answer)


def test_every_wrong_key_is_unauthorized(simulator: Simulator) -> None:
    key, secret = simulator.key, simulator.secret

    def basic(text: bytes) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(text).decode()}

    wrong: list[dict[str, str]] = [
        {},
        {"APCA-API-KEY-ID": key},
        {"APCA-API-SECRET-KEY": secret},
        {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": ""},
        {"APCA-API-KEY-ID": "", "APCA-API-SECRET-KEY": ""},
        {"APCA-API-KEY-ID": secret, "APCA-API-SECRET-KEY": key},
        {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret[:-1]},
        {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret + "\udcff"},
        {"APCA-API-KEY-ID": "\udcff\udcfe", "APCA-API-SECRET-KEY": "é"},
        {"APCA-API-KEY-ID": f"{key}\t{secret}", "APCA-API-SECRET-KEY": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic "},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic é"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + "x" * 4000},
        {"Authorization": f"Digest {key}:{secret}"},
        basic(b""),
        basic(b"\xff\xfe:\xfd"),
        basic(f"{key}".encode()),
        basic(f"{key}:{secret}x".encode()),
        basic(f"{secret}:{key}".encode()),
    ]
    for headers in wrong:
        answer = ask(simulator, "GET", "/v2/account", headers)
        assert (answer.status, answer.json()) == (401, {"message": "unauthorized"}), headers
    right = [keys(simulator), basic(f"{key}:{secret}".encode())]
    assert [ask(simulator, "GET", "/v2/account", headers).status for headers in right] == [200, 200]


def test_content_types_do_not_matter_and_bodies_of_other_codings_do(simulator: Simulator) -> None:
    body = json.dumps(GOOD_ORDER).encode()
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "a/b;charset=no",
    ):
        headers = keys(simulator) | {"Content-Type": kind}
        assert ask(simulator, "POST", "/v2/orders", headers, body).status == 200, kind
    for coding, sent in (("gzip", b"no gzip"), ("deflate", b"\xff\xff"), ("br", b"no brotli")):
        headers = keys(simulator) | {"Content-Encoding": coding}
        answer = ask(simulator, "POST", "/v2/orders", headers, sent)
        assert is_refusal(answer, 400, 415, 422), answer


def test_what_is_no_http_is_refused_in_alpacas_shape(simulator: Simulator) -> None:
    head = b"GET /v2/clock HTTP/1.1\r\nHost: x\r\n"
    broken = [
        b"\r\n\r\n\r\nhello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v2/clock\r\n\r\n",
        b"GET /v2/clock HTTP/9.9\r\n\r\n",
        b"GET /v2/cl\0ock HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        head + b"no colon here\r\n\r\n",
        head + b"Bad Name: x\r\n\r\n",
        head + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        head + b"".join(b"X-%d: y\r\n" % number for number in range(500)) + b"\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 1e3\r\n\r\n",
        head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: nonsense\r\n\r\n",
        head + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    ]
    for sent in broken:
        with RawConnection(simulator.trading_url) as wire:
            wire.send(sent)
            answer = wire.answer()
        assert answer.status == 401 or is_refusal(answer, 400, 404), (sent[:60], answer)


def test_half_requests_and_broken_bodies_end_quietly(simulator: Simulator) -> None:
    authorized = "".join(f"{name}: {value}\r\n" for name, value in keys(simulator).items())
    head = f"POST /v2/orders HTTP/1.1\r\nHost: x\r\n{authorized}".encode()
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    for sent in (
        b"",
        b"POST /v2/ord",
        head,
        head + b"Content-Length: 100\r\n\r\n{",
        chunked,
        chunked + b"5\r\n{",
        chunked + b"zz\r\n{}\r\n0\r\n\r\n",
        chunked + b"-1\r\n",
        chunked + b"ffffffffffffffffff\r\n{",
        chunked + b"2\r\n{}xx\r\n0\r\n\r\n",
    ):
        for says_so in (True, False):
            with RawConnection(simulator.trading_url) as wire:
                wire.send(sent)
                if says_so:
                    wire.end()
                    came = wire.rest()
                    assert not came or is_refusal_bytes(came), (sent[-60:], came)


def is_refusal_bytes(came: bytes) -> bool:
    body = json.loads(came.partition(b"\r\n\r\n")[2])
    return re.match(rb"HTTP/1\.[01] 4\d\d ", came) is not None and bool(body["message"])


def test_bodies_of_many_megabytes_are_refused_and_forgotten(simulator: Simulator) -> None:
    before = memory_mib(simulator)
    zeros = b"\0" * MIB
    bombs = [b'"' + b"a" * (20 * MIB) + b'"', b"[" * (20 * MIB)]
    for body in bombs:
        with RawConnection(simulator.trading_url) as wire:
            try:
                answer = wire.request("POST", "/v2/orders", keys(simulator), body)
            except (BrokenPipeError, ConnectionResetError):
                continue  # refused before all of it was sent
            assert is_refusal(answer, 413)
    packed = gzip.compress(zeros * 200)
    answer = ask(simulator, "POST", "/v2/orders", keys(simulator) | {"Content-Encoding": "gzip"}, packed)
    assert is_refusal(answer, 400, 413)
    assert memory_mib(simulator) < before + 60


def test_who_sends_a_byte_now_and_then_keeps_nobody_waiting(simulator: Simulator) -> None:
    slow = [RawConnection(simulator.trading_url) for _ in range(200)]
    for number, wire in enumerate(slow):
        wire.send(b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nX-Slow: "[: 1 + number % 40])
    for _ in range(3):
        assert ask(simulator, "GET", "/v2/account", keys(simulator)).status == 200
        for wire in slow[39::40]:
            wire.send(b"x")
    for wire in slow:
        wire.__exit__()


def test_repeated_headers_and_names_in_queries_choose_one(simulator: Simulator) -> None:
    head = f"GET /v2/account HTTP/1.1\r\nHost: x\r\nAPCA-API-SECRET-KEY: {simulator.secret}\r\n"
    with RawConnection(simulator.trading_url) as wire:
        wire.send(f"{head}APCA-API-KEY-ID: {simulator.key}\r\nAPCA-API-KEY-ID: other\r\n\r\n".encode())
        assert wire.answer().status in (200, 400, 401)
        wire.send(f"{head}APCA-API-KEY-ID: other\r\nAPCA-API-KEY-ID: {simulator.key}\r\n\r\n".encode())
        assert wire.answer().status in (400, 401)
    answer = ask(simulator, "GET", "/v2/orders?limit=1&limit=x&status=all&status=", keys(simulator))
    assert answer.status in (200, 422)


def test_pipelined_requests_are_answered_in_turn(simulator: Simulator) -> None:
    authorized = "".join(f"{name}: {value}\r\n" for name, value in keys(simulator).items())
    one = f"GET /v2/orders/no-order-%d HTTP/1.1\r\nHost: x\r\n{authorized}\r\n"
    with RawConnection(simulator.trading_url) as wire:
        wire.send("".join(one % number for number in range(50)).encode())
        assert all(is_refusal(wire.answer(), 404, 422) for _ in range(50))


CONTROL = sorted(
    route.resource.canonical
    for route in wiring.Simulator(arguments.read([])).control().router.routes()
    if route.method == "POST" and route.resource is not None
)


@pytest.mark.parametrize("path", [*CONTROL, "/nowhere"])
def test_the_control_endpoint_says_what_is_wrong_too(simulator: Simulator, path: str) -> None:
    bodies = [
        *raw_body_list,
        b'{"fault":"latency","ms":1e999}',
        b'{"fault":"latency","ms":1e308}',
        b'{"fault":"disconnect","stream":"stocks","seconds":1e300}',
        b'{"fault":["latency"]}',
        b'{"symbol":"AAPL","side":"buy","qty":"1e-9999999"}',
        b'{"symbol":"AAPL","side":"buy","qty":"NaN"}',
        b'{"symbol":"AAPL","side":"buy","qty":"sNaN"}',
        b'{"symbol":"AAPL","side":"buy","qty":"1","price":"1e999999999"}',
        b'{"seconds":"NaN"}',
        b'{"seconds":"1e999999999"}',
    ]
    for body in bodies:
        with RawConnection(simulator.control_url) as wire:
            answer = wire.request("POST", path, {}, body)
        assert 400 <= answer.status < 500, (body[:100], answer)
        assert answer.json()["message"]


odd_fields = st.dictionaries(st.sampled_from(FIELDS), values, max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(CONTROL),
    body=st.one_of(
        odd_fields,
        st.tuples(st.sampled_from([kind.example for kind in KINDS.values()]), odd_fields).map(
            lambda both: both[0] | both[1]
        ),
    ),
)
def test_any_body_at_the_control_endpoint(simulator: Simulator, path: str, body: dict[str, Any]) -> None:
    with RawConnection(simulator.control_url) as wire:
        answer = wire.request("POST", path, {}, json.dumps(body).encode())
        assert answer.status in (200, 400), (path, body, answer)
        assert answer.status == 200 or answer.json()["message"]
        assert wire.request("GET", "/faults", {}).status == 200


def test_the_ledger_says_what_it_cannot_look_up(simulator: Simulator) -> None:
    for query in (
        "since=-1",
        "since=x",
        "since=" + "9" * 5000,
        "since=%ff",
        "account=%00",
    ):
        with RawConnection(simulator.control_url) as wire:
            answer = wire.request("GET", f"/ledger?{query}", {})
        assert answer.status == 400, query
        assert answer.json()["message"]


def test_answers_that_nobody_reads_do_not_pile_up(simulator: Simulator) -> None:
    authorized = "".join(f"{name}: {value}\r\n" for name, value in keys(simulator).items())
    asked = f"GET /v2/assets HTTP/1.1\r\nHost: x\r\n{authorized}\r\n".encode() * 100
    before = memory_mib(simulator)
    with RawConnection(simulator.trading_url) as wire:
        for _ in range(200):
            try:
                wire.send(asked, timeout_s=0.2)
            except TimeoutError:
                break  # no more is taken until what was answered is read
        assert memory_mib(simulator) < before + 60


def test_huge_answers_are_not_made_of_small_questions(simulator: Simulator) -> None:
    for path in (
        "/v2/calendar?start=0001-01-01&end=9999-12-31",
        "/v2/calendar?start=9999-12-31&end=0001-01-01",
        "/v2/stocks/bars?symbols=AAPL&start=0001-01-01&end=9999-12-31&timeframe=1Min",
        "/v2/account/portfolio/history?period=9999A&timeframe=1Min",
    ):
        answer = ask(simulator, "GET", path, keys(simulator))
        assert answer.status < 500, (path, answer)
        assert len(answer.body) < 4 * MIB, path
