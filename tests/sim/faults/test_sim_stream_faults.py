"""Faults of the websockets, as unmodified alpaca-py streams and plain websocket clients see them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.stream import TradingStream
from simulator import Simulator, running
from waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

BOTH = pytest.mark.parametrize("name", ["stocks", "trade_updates"])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    arguments = (
        "--requests-per-minute",
        "100000",
        "--partial-chance",
        "0",
        "--rate",
        "400",
        "--symbols",
        "AAPL",
    )
    with Simulator.start(*arguments) as started:
        yield started
        assert started.errors == ""


@pytest.fixture(autouse=True)
async def no_faults(simulator: Simulator) -> AsyncIterator[None]:
    yield
    simulator.clear_faults()
    await until(lambda: not any(simulator.state()["clients"].values()), "everybody is gone")


def url(simulator: Simulator, name: str) -> str:
    return simulator.trading_stream_url if name == "trade_updates" else simulator.stocks_stream_url


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 5))


async def log_in(socket: ClientConnection, simulator: Simulator, name: str) -> Any:
    if name == "trade_updates":
        keys = {"key_id": simulator.key, "secret_key": simulator.secret}
        await socket.send(json.dumps({"action": "authenticate", "data": keys}))
        return await receive(socket)
    await receive(socket)
    await socket.send(json.dumps({"action": "auth", "key": simulator.key, "secret": simulator.secret}))
    return (await receive(socket))[0]


@contextlib.asynccontextmanager
async def listening(simulator: Simulator, name: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A plain client that is logged in and listens to all updates, or to all quotes and trades."""
    async with connect(url(simulator, name), **options) as socket:
        await log_in(socket, simulator, name)
        wanted: dict[str, Any] = {"action": "subscribe", "quotes": ["*"], "trades": ["*"]}
        if name == "trade_updates":
            wanted = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        await socket.send(json.dumps(wanted))
        await receive(socket)
        yield socket


def buy(simulator: Simulator) -> dict[str, Any]:
    return simulator.trade("AAPL", "buy", "1")


async def everything(socket: ClientConnection, heard: list[Any] | None = None) -> None:
    heard = [] if heard is None else heard
    while True:
        heard.append(await asyncio.wait_for(socket.recv(), 5))


@BOTH
async def test_who_returns_too_soon_after_a_cut_is_one_too_many(simulator: Simulator, name: str) -> None:
    async with listening(simulator, name) as socket:
        simulator.fault("stale_session", stream=name, seconds=0.6)
        with pytest.raises(ConnectionClosedError) as closed:
            await everything(socket)
        assert closed.value.rcvd is None
    if name == "trade_updates":
        with pytest.raises(InvalidStatus) as refused:
            await connect(url(simulator, name))
        assert refused.value.response.status_code == 429
        await until(lambda: not simulator_has(simulator, "stale_session"), "the session is reaped")
        async with listening(simulator, name):
            return
    async with connect(url(simulator, name)) as again:
        assert (await log_in(again, simulator, name))["code"] == 406
        # The socket stays open, and the login is tried again on it.
        await until(lambda: not simulator_has(simulator, "stale_session"), "the session is reaped")
        await again.send(json.dumps({"action": "auth", "key": simulator.key, "secret": simulator.secret}))
        assert await receive(again) == [{"T": "success", "msg": "authenticated"}]


def simulator_has(simulator: Simulator, name: str) -> bool:
    return name in simulator._ask("GET", "/faults")["active"]


@BOTH
async def test_a_handshake_is_answered_with_429(simulator: Simulator, name: str) -> None:
    simulator.fault("handshake_429", stream=name)
    with pytest.raises(InvalidStatus) as refused:
        await connect(url(simulator, name))
    assert refused.value.response.status_code == 429
    async with listening(simulator, name):
        pass


async def test_one_account_alone_may_have_too_many_connections(simulator: Simulator) -> None:
    simulator.fault("connection_limit", stream="trade_updates", account=1, count=1)
    async with connect(simulator.trading_stream_url) as socket:
        refused = await log_in(socket, simulator, "trade_updates")
        assert refused["data"] == {"status": "unauthorized", "action": "authenticate"}
        welcomed = await log_in(socket, simulator, "trade_updates")
        assert welcomed["data"]["status"] == "authorized"


@BOTH
async def test_a_connection_may_be_silent_for_good(simulator: Simulator, name: str) -> None:
    simulator.fault("silent_handshake", stream=name)
    async with connect(url(simulator, name)) as socket:
        keys = {"key_id": simulator.key, "secret_key": simulator.secret}
        await socket.send(json.dumps({"action": "authenticate", "data": keys}))
        await socket.send("{this is no message")
        await asyncio.wait_for(await socket.ping(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)


@BOTH
@pytest.mark.parametrize("step", ["auth", "subscription"])
async def test_a_connection_may_fall_silent_at_a_step(simulator: Simulator, name: str, step: str) -> None:
    simulator.fault("silent_handshake", stream=name, step=step)
    async with connect(url(simulator, name)) as socket:
        login = log_in if step == "subscription" else ask_in_vain
        await login(socket, simulator, name)
        wanted: dict[str, Any] = {"action": "subscribe", "trades": ["AAPL"]}
        if name == "trade_updates":
            wanted = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        await socket.send(json.dumps(wanted))
        await asyncio.wait_for(await socket.ping(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)


async def ask_in_vain(socket: Any, simulator: Simulator, name: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(log_in(socket, simulator, name), 0.2)


@BOTH
async def test_pings_are_not_answered(simulator: Simulator, name: str) -> None:
    async with connect(url(simulator, name), ping_interval=None) as socket:
        await asyncio.wait_for(await socket.ping(), 5)
        simulator.fault("no_pong", stream=name)
        pong = await socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.2)
        simulator.clear_faults()
        await asyncio.wait_for(await socket.ping(), 5)


@BOTH
async def test_a_slow_client_is_told_and_closed_with_1008(simulator: Simulator, name: str) -> None:
    async with listening(simulator, name) as socket:
        simulator.fault("slow_client", stream=name)
        heard: list[Any] = []
        with pytest.raises(ConnectionClosedError) as closed:
            await everything(socket, heard)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        if name == "stocks":
            assert json.loads(heard[-1]) == [{"T": "error", "code": 407, "msg": "slow client"}]


@BOTH
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_connection_ends_in_the_middle_of_a_frame(
    simulator: Simulator, name: str, compression: str | None
) -> None:
    async with listening(simulator, name, compression=compression) as socket:
        simulator.fault("drop_mid_frame", stream=name)
        with pytest.raises(ConnectionClosedError) as closed:
            await everything(socket)
        assert closed.value.rcvd is None


@BOTH
async def test_a_huge_frame_is_too_much_for_most(simulator: Simulator, name: str) -> None:
    async with listening(simulator, name) as socket:
        simulator.fault("huge_frame", stream=name)
        with pytest.raises(ConnectionClosedError) as closed:
            await everything(socket)
        assert closed.value.sent is not None
        assert closed.value.sent.code == 1009
    async with listening(simulator, name, max_size=None) as socket:
        simulator.fault("huge_frame", stream=name, mib=2)
        frame: str | bytes = ""
        while len(frame) < 2 * 1024 * 1024:
            frame = await asyncio.wait_for(socket.recv(), 5)


@BOTH
async def test_a_message_of_an_unknown_kind_arrives(simulator: Simulator, name: str) -> None:
    async with listening(simulator, name) as socket:
        simulator.fault("unknown_type", stream=name)
        while True:
            message = await receive(socket)
            kind = message["stream"] if name == "trade_updates" else message[0]["T"]
            if kind in ("order_insights", "zz"):
                return


@BOTH
async def test_messages_trickle_in_fragments(simulator: Simulator, name: str) -> None:
    async with listening(simulator, name, ping_interval=None) as socket:
        simulator.fault("trickle", stream=name, bytes=20, ms=1)
        buy(simulator)
        pieces: list[str | bytes] = []
        while len(pieces) < 2:  # a message may have been on its way already
            pieces = []
            async for piece in socket.recv_streaming(decode=False):
                pieces.append(piece)
                if len(pieces) == 2:
                    await asyncio.wait_for(await socket.ping(), 5)  # between the fragments of a message
        assert len(pieces) > 3
        assert max(map(len, pieces)) == 20
        json.loads(b"".join(piece for piece in pieces if isinstance(piece, bytes)))


@BOTH
async def test_deflate_is_on_and_can_be_off(simulator: Simulator, name: str) -> None:
    async with listening(simulator, name) as socket:
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
    await until(lambda: not any(simulator.state()["clients"].values()), "the client is gone")
    simulator.fault("no_deflate", stream=name)
    async with listening(simulator, name) as socket:
        assert socket.protocol.extensions == []
        buy(simulator)
        await receive(socket)


async def trades(socket: ClientConnection, count: int, symbol: str = "AAPL") -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    while len(heard) < count:
        heard += [one for one in await receive(socket) if one["T"] == "t" and one["S"] == symbol]
    return heard


async def test_market_messages_arrive_twice_or_not_at_all(simulator: Simulator) -> None:
    async with listening(simulator, "stocks") as socket:
        simulator.fault("duplicate_messages", stream="stocks", count=200)
        ids = [trade["i"] for trade in await trades(socket, 30)]
        assert len(set(ids)) < len(ids)
        assert ids == sorted(ids)
        simulator.clear_faults()
        simulator.fault("lost_messages", stream="stocks", count=300)
        await until(lambda: not simulator_has(simulator, "lost_messages"), "they are lost")
        after = [trade["i"] for trade in await trades(socket, 60)]
        assert any(b - a > 1 for a, b in pairwise([ids[-1], *after]))


async def test_market_messages_change_places_though_they_come_one_by_one(simulator: Simulator) -> None:
    async with listening(simulator, "stocks") as socket:
        await trades(socket, 1)
        simulator.fault("out_of_order_messages", stream="stocks")
        heard: list[dict[str, Any]] = []
        while len(heard) < 100:
            heard += await receive(socket)
        assert any(one["t"] > other["t"] for one, other in pairwise(heard))
        simulator.clear_faults()
        heard += await trades(socket, 20)
        ids = [one["i"] for one in heard if (one["T"], one["S"]) == ("t", "AAPL")]
        assert len(set(ids)) == len(ids)
        assert max(ids) - min(ids) == len(ids) - 1


async def test_market_messages_arrive_late_and_with_a_skewed_clock(simulator: Simulator) -> None:
    def age_s(trade: dict[str, Any]) -> float:
        now = datetime.fromisoformat(simulator._ask("GET", "/clock")["now"])
        return (now - datetime.fromisoformat(trade["t"])).total_seconds()

    async with listening(simulator, "stocks") as socket:
        simulator.fault("late_messages", stream="stocks", ms=700)
        await trades(socket, 20)
        assert 0.6 < age_s((await trades(socket, 1))[0]) < 60
        simulator.clear_faults()
        simulator.fault("clock_skew", skew_ms=3_600_000)
        async with asyncio.timeout(5):
            while not -3_700 < age_s((await trades(socket, 1))[-1]) < -3_500:
                pass  # told before
        client = simulator.trading_client()
        clock: Any = client.get_clock()
        client._session.close()
        real = datetime.fromisoformat(simulator._ask("GET", "/clock")["now"])
        assert 3_500 < (clock.timestamp - real).total_seconds() < 3_700


@BOTH
async def test_alpacas_own_streams_come_back_whatever_happens(simulator: Simulator, name: str) -> None:
    heard: list[Any] = []

    async def on(message: Any) -> None:
        heard.append(message)

    stream: Any
    if name == "stocks":
        stream = StockDataStream(simulator.key, simulator.secret, url_override=url(simulator, name))
        stream.subscribe_trades(on, "AAPL")
    else:
        stream = TradingStream(simulator.key, simulator.secret, url_override=url(simulator, name))
        stream.subscribe_trade_updates(on)

    async def hear() -> None:
        before = len(heard)

        def is_told() -> bool:
            buy(simulator)
            return len(heard) > before

        await until(is_told, "it hears something")

    async with running(stream):
        await hear()
        for fault in ("unknown_type", "trickle", "drop_mid_frame", "huge_frame"):
            simulator.fault(fault, stream=name)
            if fault in ("drop_mid_frame", "huge_frame"):
                await until(lambda: simulator.state()["clients"][name] == 0, "it is cut off")
            await hear()
            simulator.clear_faults()
