"""Any message on a websocket gets an error in the stream's words, or a close frame, and no more."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import psutil
import pytest
from bad_input import raw_body_list, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import BINARY, CLOSE, PING, PONG, TEXT, RawConnection, RawSocket
from simulator import Simulator

from sim.streams.feeds import FEEDS

MIB = 1024 * 1024
CONTINUATION = 0
MSGPACK = {"Content-Type": "application/msgpack"}
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}
# Close codes of RFC 6455: gone, protocol error, no such data, bad data, policy, too big.
CLOSES = {None, 1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009}
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--rate", "100", "--accounts", "2", "--auth-seconds", "5") as started:
        yield started
        assert started.process.poll() is None
        assert started.errors[-3000:] == ""


@pytest.fixture(autouse=True)
def the_next_good_client_is_served(simulator: Simulator) -> Iterator[None]:
    yield
    with market(simulator) as socket:
        log_in(simulator, socket)
    with RawSocket(simulator.trading_stream_url) as updates:
        updates.say(greeting(simulator))
        assert updates.messages()["data"]["status"] == "authorized"


def market(simulator: Simulator, headers: dict[str, str] | None = None) -> RawSocket:
    socket = RawSocket(simulator.stocks_stream_url, headers)
    assert socket.handshake.status == 101
    return socket


def log_in(simulator: Simulator, socket: RawSocket) -> None:
    """Log in; where the connection before is not forgotten yet, once more."""
    assert socket.messages() == [{"T": "success", "msg": "connected"}]
    for _ in range(200):
        socket.say({"action": "auth", "key": simulator.key, "secret": simulator.secret})
        (answer,) = socket.messages()
        if answer != {"T": "error", "code": 406, "msg": "connection limit exceeded"}:
            break
    assert answer == {"T": "success", "msg": "authenticated"}


def greeting(simulator: Simulator) -> dict[str, Any]:
    keys = {"key_id": simulator.key, "secret_key": simulator.secret}
    return {"action": "authenticate", "data": keys}


def is_control(message: Any) -> bool:
    """An error of the stream, or the acknowledgement of what was right after all."""
    if message["T"] == "error":
        return isinstance(message["code"], int) and 400 <= message["code"] <= 500 and bool(message["msg"])
    return message["T"] in ("success", "subscription")


SAID = [
    *raw_body_list, b'"auth"', b'{"action":null}', b'{"action":["auth"]}', b'{"action":"dance"}',
    b'{"action":"auth"}', b'{"action":"auth","key":1,"secret":{}}',
    b'{"action":"auth","key":"\\ud800","secret":"\\udfff"}', b'{"action":"auth","key":null,"secret":null}',
    b'[{"action":"auth"}]', b'{"action":"AUTH","key":"","secret":""}', b'{"action":"subscribe"}',
    b'{"action":"subscribe","trades":"AAPL"}', b'{"action":"subscribe","trades":[1]}',
    b'{"action":"subscribe","trades":[null]}', b'{"action":"subscribe","trades":[["*"]]}',
    b'{"action":"subscribe","trades":{"AAPL":1}}', b'{"action":"subscribe","nonsense":["AAPL"]}',
    b'{"action":"subscribe","trades":["\\ud800"]}', b'{"action":"subscribe","trades":["\\u0000",""," "]}',
    b'{"action":"subscribe","trades":["AAPL","AAPL"],"trades":["MSFT"]}',
    b'{"action":"unsubscribe","quotes":["*"]}',
    b'{"action":"unsubscribe","trades":["never","subscribed"]}', b'{"action":"subscribe","T":["x"]}',
    b'{"action":"subscribe","trades":["' + b"A" * 100_000 + b'"]}', b'{"action":"authenticate","data":[]}',
    b'{"action":"authenticate","data":{"key_id":[],"secret_key":1}}',
    b'{"action":"listen","data":{"streams":"trade_updates"}}',
    b'{"action":"listen","data":{"streams":[1,null]}}', b'{"action":"listen","data":null}',
    b'{"action":"listen"}', b'{"data":{}}', b'{"action":{}}',
]  # fmt: skip
PACKED = [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01", b"\xc1", b"\x91" * 10_000, b"\x81\xa1a" * 10_000,
    b"\xdd\x00\xff\xff\xff" * 1_000, b"\x82\xa6action\xa9subscribe\xa6trades\xdd\xff\xff\xff\xff",
    b"\x81\xa6action\xc0", b"\x81\xc0\xc0", b"\x82\xa6action\xa9subscribe\xa6trades\x91\xc4\x01A",
    b"\x82\xa6action\xa9subscribe\xa6trades\x91\xd6\xff\0\0\0\0",
    b"\x82\xa6action\xa9subscribe\xa6trades\x91\xa2\xff\xfe", b"\xcb\x7f\xf8\0\0\0\0\0\0",
    b"\xc7\x0c\xff" + b"\xff" * 12, b"\x80\x80", b"", b"\x90", b'{"action":"auth"}', b"\xd9",
    b"\x81\xa6action\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
]  # fmt: skip


@pytest.mark.parametrize("is_logged_in", [False, True])
def test_every_message_on_a_market_stream_gets_an_answer(simulator: Simulator, is_logged_in: bool) -> None:
    with market(simulator) as socket:
        if is_logged_in:
            log_in(simulator, socket)
        else:
            assert socket.messages()[0]["msg"] == "connected"
        for said in SAID:
            socket.frame(said, BINARY)
            (answer,) = next_control(socket)
            assert is_control(answer), said[:100]
            if not is_logged_in:
                assert answer["T"] == "error", said[:100]
                assert answer["code"] in (400, 401, 402)


def next_control(socket: RawSocket) -> list[dict[str, Any]]:
    """The next frame that is no market data."""
    while True:
        came: list[dict[str, Any]] = socket.messages()
        if came[0]["T"] in ("success", "error", "subscription"):
            return came


def test_msgpack_that_promises_too_much_is_a_syntax_error(simulator: Simulator) -> None:
    with market(simulator, MSGPACK) as socket:
        assert msgspec.msgpack.decode(socket.hear()[1]) == [{"T": "success", "msg": "connected"}]
        for packed in PACKED:
            for opcode in (BINARY, TEXT) if packed.isascii() else (BINARY,):
                socket.frame(packed, opcode)
                (answer,) = msgspec.msgpack.decode(socket.hear()[1])
                assert answer["T"] == "error", packed[:40]
                assert answer["code"] in (400, 401, 402), packed[:40]


@pytest.mark.parametrize("path", [path for feed in FEEDS for path in feed.paths])
def test_every_feed_says_what_is_wrong(simulator: Simulator, path: str) -> None:
    url = simulator.stocks_stream_url.replace("/v2/iex", path)
    keys = {"key": simulator.key, "secret": simulator.secret}
    odd: list[Any] = [
        {"action": "subscribe", name: symbols}
        for name in ("trades", "quotes", "bars", "news", "orderbooks", "lulds", "nothing")
        for symbols in (
            "AAPL",
            [1],
            ["*"],
            ["\0"],
            ["A" * 100],
            {"a": 1},
            [None],
            None,
            [],
            ["AAPL", "BTC/USD"],
        )
    ]
    with RawSocket(url, MSGPACK) as socket:
        assert socket.handshake.status == 101
        assert msgspec.msgpack.decode(socket.hear()[1]) == [{"T": "success", "msg": "connected"}]
        for is_logged_in in (False, True):
            if is_logged_in:
                socket.frame(msgspec.msgpack.encode({"action": "auth", **keys}), BINARY)
                assert next_packed(socket)["T"] == "success"
            for said in [*PACKED, *map(msgspec.msgpack.encode, odd)]:
                socket.frame(said, BINARY)
                answer = next_packed(socket)
                assert is_control(answer), said[:60]
                assert is_logged_in or answer["T"] == "error", said[:60]


def next_packed(socket: RawSocket) -> dict[str, Any]:
    """The next message that is no market data, of a stream in msgpack."""
    while True:
        opcode, payload = socket.hear()
        assert opcode == BINARY, payload
        (first, *_) = msgspec.msgpack.decode(payload)
        if first["T"] in ("success", "error", "subscription"):
            found: dict[str, Any] = first
            return found


def test_every_message_on_the_updates_stream_gets_an_answer(simulator: Simulator) -> None:
    with RawSocket(simulator.trading_stream_url) as socket:
        for said in [*SAID, *PACKED]:
            socket.frame(said, BINARY)
            answer = socket.messages()
            assert answer["stream"] in ("authorization", "error", "listening"), said[:100]
            if answer["stream"] == "authorization":
                assert answer["data"]["status"] == "unauthorized", said[:100]
        socket.say(greeting(simulator))
        assert socket.messages()["data"]["status"] == "authorized"


@EXAMPLES
@given(
    st.dictionaries(st.sampled_from(["action", "key", "secret", "trades", "quotes", "bars", "data"]), values)
)
def test_anything_at_all_on_either_stream(simulator: Simulator, message: dict[str, Any]) -> None:
    for action in ("subscribe", "auth", "listen"):
        said = json.dumps({"action": action} | message).encode()
        with market(simulator) as socket:
            socket.messages()
            socket.frame(said)
            assert is_control(next_control(socket)[0])
        with RawSocket(simulator.trading_stream_url) as updates:
            updates.frame(said)
            assert updates.messages()["stream"] in ("authorization", "error", "listening")


Frames = list[tuple[bytes, dict[str, Any]]]
BROKEN: dict[str, Frames] = {
    **{f"reserved bits {bits}": [(b"{}", {"reserved": bits})] for bits in range(1, 8)},
    **{f"opcode {code}": [(b"{}", {"opcode": code})] for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "not masked": [(b"{}", {"masked": False})],
    "a ping in pieces": [(b"x", {"opcode": PING, "final": False})],
    "a long ping": [(b"x" * 126, {"opcode": PING})],
    "no beginning": [(b"x", {"opcode": CONTINUATION})],
    "a new message inside another": [(b"{", {"final": False}), (b"{", {"final": False})],
    "a length of 2^63": [(b"", {"length": 1 << 63})],
    "a length of 2^40": [(b"", {"length": 1 << 40})],
    "text that is no text": [(b"\xff\xfe", {"opcode": TEXT})],
    "a close of one byte": [(b"x", {"opcode": CLOSE})],
    "a close with no code": [(b"\x00\x01", {"opcode": CLOSE})],
    "a close that is no text": [(b"\x03\xe8\xff\xfe", {"opcode": CLOSE})],
    "a close, and more": [(b"\x03\xe8", {"opcode": CLOSE}), (b"{}", {})],
    "half a frame": [(b"{", {"length": 100})],
    "pongs nobody asked for": [(b"x", {"opcode": PONG})] * 100,
    "pings without end": [(b"x" * 125, {"opcode": PING})] * 1000,
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("which", ["stocks_stream_url", "trading_stream_url"])
@pytest.mark.parametrize("headers", [{}, DEFLATE], ids=["plain", "deflate"])
def test_broken_frames_end_the_connection_by_the_book(
    simulator: Simulator, which: str, name: str, headers: dict[str, str]
) -> None:
    with RawSocket(getattr(simulator, which), headers) as socket:
        try:
            for payload, how in BROKEN[name]:
                socket.frame(payload, **how)
            socket.end()
        except (BrokenPipeError, ConnectionResetError, OSError):
            return  # ended while more was being said
        assert socket.closed() in CLOSES


def test_fragments_of_one_byte_make_one_message(simulator: Simulator) -> None:
    said = json.dumps({"action": "auth", "key": simulator.key, "secret": "wrong"}).encode()
    with market(simulator) as socket:
        socket.messages()
        socket.frame(said[:1], TEXT, final=False)
        for index in range(1, len(said) - 1):
            socket.frame(said[index : index + 1], CONTINUATION, final=False)
            socket.frame(b"", PONG)
        socket.frame(said[-1:], CONTINUATION)
        assert socket.messages() == [{"T": "error", "code": 402, "msg": "auth failed"}]


@pytest.mark.parametrize("which", ["stocks_stream_url", "trading_stream_url"])
def test_messages_of_many_megabytes_are_too_big(simulator: Simulator, which: str) -> None:
    process = psutil.Process(simulator.process.pid)
    before = process.memory_info().rss
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(b"\0" * (64 * MIB)) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    for headers, payload, how in (
        ({}, b"[" * (17 * MIB), {}),
        (DEFLATE, bomb[:-4], {"reserved": 4}),
        (DEFLATE, b"\xff" * 1000, {"reserved": 4}),
    ):
        with RawSocket(getattr(simulator, which), headers) as socket:
            try:
                socket.frame(payload, BINARY, **how)
            except (BrokenPipeError, ConnectionResetError):
                continue
            assert socket.closed() in CLOSES
    assert process.memory_info().rss < before + 100 * MIB


def test_symbols_without_end_are_kept_within_bounds(simulator: Simulator) -> None:
    process = psutil.Process(simulator.process.pid)
    before = process.memory_info().rss
    with market(simulator) as socket:
        log_in(simulator, socket)
        for number in range(20):
            symbols = [f"X{number}Y{index}" for index in range(20_000)]
            socket.say({"action": "subscribe", "trades": symbols})
            (answer,) = next_control(socket)
            if answer["T"] == "error":
                break
        assert answer == {"T": "error", "code": 405, "msg": "symbol limit exceeded"}
        socket.say({"action": "subscribe", "trades": ["A" * 1000]})
        assert next_control(socket) == [{"T": "error", "code": 400, "msg": "invalid syntax"}]
    assert process.memory_info().rss < before + 100 * MIB


def test_handshakes_that_are_none_are_refused_in_alpacas_shape(simulator: Simulator) -> None:
    good = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    odd: list[dict[str, str]] = [
        {},
        {"Upgrade": "websocket"},
        good | {"Sec-WebSocket-Version": "99"},
        good | {"Sec-WebSocket-Key": ""},
        good | {"Sec-WebSocket-Key": "short"},
        good | {"Sec-WebSocket-Key": "é" * 24},
        good | {"Connection": "close"},
        good | {"Upgrade": "h2c"},
    ]
    for path in ("/stream", "/v2/iex", "/v1beta3/crypto/us"):
        for headers in odd:
            with RawConnection(simulator.trading_url) as wire:
                answer = wire.request("GET", path, headers)
            assert 400 <= answer.status < 500, (path, headers, answer)
            assert answer.json()["message"]
        with RawConnection(simulator.trading_url) as wire:
            assert wire.request("POST", path, good).status in (401, 405)


def test_asking_to_become_a_websocket_opens_no_other_door(simulator: Simulator) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    for method, path in [
        ("GET", "/v2/account"), ("GET", "/v2/orders"), ("GET", "/v2/assets"),
        ("GET", "/v2/stocks/trades/latest"),
        ("POST", "/v2/orders"), ("GET", "/v2/clock"), ("GET", "/nowhere"),
    ]:  # fmt: skip
        with RawConnection(simulator.trading_url) as wire:
            answer = wire.request(method, path, headers)
        assert (answer.status, answer.json()) == (401, {"message": "unauthorized"}), path
