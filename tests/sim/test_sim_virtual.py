"""In virtual time a seed tells everything: two runs of one session give the same bytes on every wire."""

import json
import re
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from raw_http import BINARY, CLOSE, RawConnection, RawSocket
from simulator import Simulator

KEY, SECRET = "PKVIRTUAL", "the-secret-of-a-virtual-account"
HEADERS = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
SAME_KEY = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
MSGPACK = SAME_KEY | {"Content-Type": "application/msgpack"}
# Kinds that leave every connection open, so that the session goes on.
CHAOS = (
    "duplicate_updates", "out_of_order_updates", "late_updates", "lost_updates", "lost_messages",
    "late_messages", "out_of_order_messages", "clock_skew", "reject_order", "reject_cancel", "hold_order",
    "partial_fills", "price_jump", "bad_quote", "halt", "correct_trade", "cancel_trade", "rate_limit",
    "http_error", "error_500",
)  # fmt: skip
ARGUMENTS = (
    "--virtual-time", "--hours", "exchange", "--rate", "0.05", "--key", KEY, "--secret", SECRET,
    "--partial-chance", "0.5", "--requests-per-minute", "100",
    "--mistakes-per-minute", "0.01", "--news-per-minute", "0.01",
    "--symbols", "AAPL,MSFT,BTC/USD", "--fault", "duplicate_messages:stream=crypto,seconds=9000",
    "--chaos", "5", "--chaos-every", "900", "--chaos-faults", ",".join(CHAOS),
)  # fmt: skip
HOUR_S = 3600
CHANNELS: dict[str, list[str]] = {
    "trades": ["*"], "quotes": ["AAPL", "BTC/USD"], "bars": ["*"], "dailyBars": ["*"], "updatedBars": ["*"],
}  # fmt: skip
OF_SHARES: dict[str, list[str]] = {"statuses": ["*"], "lulds": ["*"]}


class Session:
    """One run: everything that came, by the wire it came on."""

    def __init__(self, simulator: Simulator, stack: ExitStack) -> None:
        self.heard: dict[str, list[bytes]] = {}
        self._simulator = simulator
        self._rest = stack.enter_context(RawConnection(simulator.trading_url))
        self._control = stack.enter_context(RawConnection(simulator.control_url))
        self._stack = stack
        self._sockets: dict[str, tuple[RawSocket, bool]] = {}

    def open(self, name: str, url: str, headers: dict[str, str], channels: dict[str, list[str]]) -> None:
        """Open a market-data stream, log in and subscribe."""
        socket = self._stack.enter_context(RawSocket(url, headers))
        self.heard[name] = [socket.handshake.head]
        self._sockets[name] = socket, "msgpack" in headers.get("Content-Type", "")
        self._hear(name)
        self._say(name, {"action": "auth", "key": KEY, "secret": SECRET})
        self._hear(name)
        self.read_all(name, channels)

    def listen(self) -> None:
        """Open trade_updates."""
        socket = self._stack.enter_context(RawSocket(self._simulator.trading_stream_url, SAME_KEY))
        self.heard["updates"] = [socket.handshake.head]
        self._sockets["updates"] = socket, False
        self._say("updates", {"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}})
        self._hear("updates")
        self.read_all("updates")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One REST request; every byte of the answer counts."""
        answer = self._rest.request(method, path, HEADERS, b"" if body is None else json.dumps(body).encode())
        self.heard.setdefault("rest", []).append(answer.head + answer.body)
        return json.loads(answer.body) if "json" in answer.headers.get("content-type", "") else {}

    def control(self, method: str, path: str, **body: Any) -> None:
        """One request of the control endpoint, of which the body counts."""
        answer = self._control.request(method, path, {}, json.dumps(body).encode())
        assert answer.status == 200, answer
        self.heard.setdefault("control", []).append(answer.body)

    def advance(self, seconds: float) -> None:
        """Let time pass, and read what came of it."""
        self.control("POST", "/clock", seconds=seconds)
        for name in list(self._sockets):
            self.read_all(name)

    def read_all(self, name: str, channels: dict[str, list[str]] | None = None) -> None:
        """Read all that waits: what is acknowledged now comes after it."""
        if name == "updates":
            self._say(name, {"action": "listen", "data": {"streams": ["trade_updates"]}})
            mark = b"listening"
        else:
            channels = {} if channels is None else channels
            self._say(name, {"action": "subscribe", "trades": [], **channels})
            mark = b"subscription"
        while mark not in self._hear(name):
            pass

    def _say(self, name: str, message: dict[str, Any]) -> None:
        socket, is_packed = self._sockets[name]
        socket.frame(msgspec.msgpack.encode(message) if is_packed else json.dumps(message).encode(), BINARY)

    def _hear(self, name: str) -> bytes:
        opcode, payload = self._sockets[name][0].hear()
        assert opcode != CLOSE, (name, payload)
        self.heard[name].append(bytes((opcode,)) + payload)
        return payload


def order(symbol: str, side: str, qty: str, kind: str = "market", **fields: Any) -> dict[str, Any]:
    time_in_force = "gtc" if "/" in symbol else "day"
    return {"symbol": symbol, "side": side, "qty": qty, "type": kind, "time_in_force": time_in_force} | fields


def trade_a_day(session: Session) -> None:
    """Orders of every kind, refusals, looks at everything, faults, a halt; from one morning to the next."""
    session.ask("POST", "/v2/orders", order("AAPL", "buy", "30"))
    session.ask("POST", "/v2/orders", order("BTC/USD", "buy", "0.123456789"))
    session.ask("POST", "/v2/orders", order("AAPL", "buy", "1e9"))
    resting = session.ask("POST", "/v2/orders", order("MSFT", "buy", "5", "limit", limit_price="100"))
    session.ask(
        "POST",
        "/v2/orders",
        order("MSFT", "buy", "3", "market", order_class="bracket", take_profit={"limit_price": "2000"},
              stop_loss={"stop_price": "50"}),
    )  # fmt: skip
    session.advance(1)
    session.control("POST", "/faults", fault="duplicate_updates", count=2)
    session.ask("POST", "/v2/orders", order("AAPL", "sell", "3", "trailing_stop", trail_percent="0.1"))
    session.ask("PATCH", f"/v2/orders/{resting.get('id')}", {"limit_price": "101", "qty": "6"})
    session.advance(HOUR_S)
    session.control("POST", "/halts", symbol="AAPL")
    session.ask("POST", "/v2/orders", order("AAPL", "sell", "2"))
    session.advance(120)
    session.control("POST", "/resumes", symbol="AAPL")
    session.control("POST", "/faults", fault="accept_then_504", count=1)
    session.ask("POST", "/v2/orders", order("AAPL", "sell", "1", "limit", limit_price="1000"))
    session.control("POST", "/faults", fault="mute", stream="stocks", seconds=600)
    session.control("POST", "/faults", fault="rate_limit", count=1)
    session.control("POST", "/trades", symbol="MSFT", side="sell", qty="2")
    session.advance(4 * HOUR_S)
    for path in (
        "/v2/account", "/v2/positions", "/v2/orders?status=all&nested=true", "/v2/account/activities",
        "/v2/clock", "/v2/account/portfolio/history",
        "/v2/stocks/bars?symbols=AAPL,MSFT&timeframe=5Min&limit=9",
        "/v2/stocks/snapshots?symbols=AAPL", "/v1beta3/crypto/us/latest/trades?symbols=BTC/USD",
        "/v2/assets/AAPL",
        "/v2/calendar?start=2026-01-01&end=2026-02-01", "/nowhere",
    ):  # fmt: skip
        session.ask("GET", path)
    canceled = session.ask("POST", "/v2/orders", order("MSFT", "buy", "1", "limit", limit_price="99"))
    session.ask("DELETE", f"/v2/orders/{canceled.get('id')}")
    session.advance(18 * HOUR_S + 3478)


def run(seed: int) -> dict[str, list[bytes]]:
    """Two days of one seed."""
    with Simulator.start(*ARGUMENTS, "--seed", str(seed)) as simulator, ExitStack() as stack:
        session = Session(simulator, stack)
        session.open("stocks as JSON", simulator.stocks_stream_url, SAME_KEY, CHANNELS | OF_SHARES)
        session.open("crypto as msgpack", simulator.crypto_stream_url, MSGPACK, CHANNELS)
        session.listen()
        for _ in range(2):
            trade_a_day(session)
        session.ask("DELETE", "/v2/positions?cancel_orders=true")
        session.advance(60)
        session.control("GET", "/ledger")
        assert simulator.errors[-3000:] == ""
    return session.heard


@pytest.fixture(scope="module")
def first() -> dict[str, list[bytes]]:
    return run(7)


def test_the_same_seed_gives_the_same_bytes(first: dict[str, list[bytes]]) -> None:
    second = run(7)
    assert first.keys() == second.keys()
    for name, came in first.items():
        for number, (one, other) in enumerate(zip(came, second[name], strict=False)):
            assert one == other, f"{name}, number {number}"
        assert len(came) == len(second[name])


def test_another_seed_gives_other_ids_and_another_market(first: dict[str, list[bytes]]) -> None:
    other = run(8)
    assert all(first[name] != other[name] for name in first)
    ids = [set(re.findall(rb'"id":"([0-9a-f-]{36})"', b"".join(one["updates"]))) for one in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_the_session_is_worth_comparing(first: dict[str, list[bytes]]) -> None:
    told = b"".join(first["updates"])
    events = set(re.findall(rb'"event":"(\w+)"', told))
    assert {b"new", b"fill", b"partial_fill", b"replaced", b"canceled", b"expired"} <= events
    statuses = {int(answer.split(b" ", 2)[1]) for answer in first["rest"]}
    assert {200, 403, 404, 429, 504} <= statuses
    stocks, crypto = b"".join(first["stocks as JSON"]), b"".join(first["crypto as msgpack"])
    assert all(mark in stocks for mark in (b'"T":"t"', b'"T":"q"', b'"T":"b"', b'"T":"d"', b'"T":"s"'))
    assert len(crypto) > 10_000
    assert b"2026-01-05" in stocks
    assert b"2026-01-07" in stocks
