"""The simulator's market data under alpaca-py's streams and history clients, and under a plain websocket."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import pytest
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.models import Bar, Quote, Trade
from alpaca.data.requests import (
    CryptoLatestTradeRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from simulator import Simulator, running
from waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

EMPTY_STOCKS = {
    "T": "subscription", "trades": [], "quotes": [], "bars": [], "updatedBars": [], "dailyBars": [],
    "statuses": [], "lulds": [], "corrections": [], "cancelErrors": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start(
        "--symbols", "AAPL,MSFT,BTC/USD", "--rate", "600", "--bar-seconds", "1", "--symbol-limit", "5"
    ) as started:
        yield started


async def hear(socket: ClientConnection) -> Any:
    """The next frame, decoded: binary is msgpack, text is JSON."""
    frame = await asyncio.wait_for(socket.recv(), 10)
    return json.loads(frame) if isinstance(frame, str) else msgpack.unpackb(frame)


async def ask(socket: ClientConnection, **message: Any) -> Any:
    """Send one message and return the next control answer."""
    await socket.send(json.dumps(message))
    while True:
        heard = await hear(socket)
        if heard[0]["T"] in ("success", "error", "subscription"):
            assert len(heard) == 1
            return heard[0]


@pytest.fixture
async def socket(simulator: Simulator) -> AsyncIterator[ClientConnection]:
    """A JSON connection that was greeted and is not authenticated."""
    async with connect(simulator.stocks_stream_url) as opened:
        assert await hear(opened) == [{"T": "success", "msg": "connected"}]
        yield opened


async def log_in(simulator: Simulator, opened: ClientConnection) -> None:
    answer = await ask(opened, action="auth", key=simulator.key, secret=simulator.secret)
    assert answer == {"T": "success", "msg": "authenticated"}


async def test_alpacas_stock_stream_gets_trades_quotes_and_bars(simulator: Simulator) -> None:
    stream = StockDataStream(simulator.key, simulator.secret, url_override=simulator.stocks_stream_url)
    heard: dict[type, list[Any]] = {Trade: [], Quote: [], Bar: []}

    async def on(message: Any) -> None:
        heard[type(message)].append(message)

    stream.subscribe_trades(on, "AAPL")
    stream.subscribe_quotes(on, "AAPL")
    stream.subscribe_bars(on, "*")
    async with running(stream):
        await until(lambda: len(heard[Trade]) > 100 and len(heard[Bar]) >= 4, "trades and bars came")
    trades, bars = heard[Trade], heard[Bar]
    assert [trade.id for trade in trades] == list(range(trades[0].id, trades[0].id + len(trades)))
    assert {quote.symbol for quote in heard[Quote]} == {"AAPL"}
    assert {bar.symbol for bar in bars} == {"AAPL", "MSFT"}
    assert all(quote.ask_price > quote.bid_price for quote in heard[Quote])
    for bar in bars[2:]:
        inside = [t for t in trades if bar.timestamp <= t.timestamp < bar.timestamp + timedelta(seconds=1)]
        if bar.symbol == "AAPL" and inside[0].id > trades[0].id:
            assert bar.trade_count == len(inside)
            assert math.isclose(bar.volume, sum(trade.size for trade in inside))
            assert (bar.open, bar.close) == (inside[0].price, inside[-1].price)
            assert bar.high == max(trade.price for trade in inside)


async def test_alpacas_crypto_stream_gets_coins_only(simulator: Simulator) -> None:
    stream = CryptoDataStream(simulator.key, simulator.secret, url_override=simulator.crypto_stream_url)
    heard: list[Any] = []

    async def on(message: Any) -> None:
        heard.append(message)

    stream.subscribe_trades(on, "*")
    stream.subscribe_quotes(on, "*")
    async with running(stream):
        await until(lambda: len(heard) > 50, "coins traded")
    assert {message.symbol for message in heard} == {"BTC/USD"}


async def test_a_subscription_is_answered_with_the_full_set(
    simulator: Simulator, socket: ClientConnection
) -> None:
    await log_in(simulator, socket)
    subscribed = await ask(socket, action="subscribe", trades=["AAPL"], quotes=["MSFT"], bars=["*"])
    assert subscribed == EMPTY_STOCKS | {
        "trades": ["AAPL"], "quotes": ["MSFT"], "bars": ["*"], "corrections": ["AAPL"],
        "cancelErrors": ["AAPL"],
    }  # fmt: skip
    assert (await ask(socket, action="subscribe", trades=["MSFT"]))["trades"] == ["AAPL", "MSFT"]
    left = await ask(socket, action="unsubscribe", trades=["AAPL", "MSFT"], quotes=["MSFT"], bars=["*"])
    assert left == EMPTY_STOCKS


async def test_only_what_was_asked_for_comes(simulator: Simulator, socket: ClientConnection) -> None:
    await log_in(simulator, socket)
    await ask(socket, action="subscribe", trades=["MSFT"])
    heard = [message for _ in range(20) for message in await hear(socket)]
    assert {(message["T"], message["S"]) for message in heard} == {("t", "MSFT")}
    assert all(datetime.fromisoformat(message["t"]).tzinfo == UTC for message in heard)


async def test_msgpack_times_are_timestamps_of_nanoseconds(simulator: Simulator) -> None:
    headers = {"Content-Type": "application/msgpack"}
    async with connect(simulator.stocks_stream_url, additional_headers=headers) as opened:
        assert await hear(opened) == [{"T": "success", "msg": "connected"}]
        auth = {"action": "auth", "key": simulator.key, "secret": simulator.secret}
        await opened.send(msgpack.packb(auth))
        assert await hear(opened) == [{"T": "success", "msg": "authenticated"}]
        subscribe = msgpack.packb({"action": "subscribe", "trades": ["AAPL"]})
        await opened.send(iter([subscribe[:7], subscribe[7:]]))  # alpaca-py sends it in fragments
        assert (await hear(opened))[0]["trades"] == ["AAPL"]
        (trade, *_) = await hear(opened)
    assert next(iter(trade)) == "T"
    assert isinstance(trade["t"], msgpack.Timestamp)
    assert abs(trade["t"].to_unix() - datetime.now(UTC).timestamp()) < 30


async def test_errors_have_alpacas_numbers(simulator: Simulator, socket: ClientConnection) -> None:
    assert await ask(socket, action="subscribe", trades=["AAPL"]) == {
        "T": "error", "code": 401, "msg": "not authenticated",
    }  # fmt: skip
    assert (await ask(socket, action="auth", key=simulator.key, secret="no"))["code"] == 402
    assert (await ask(socket, action="dance"))["code"] == 400
    await socket.send("{not json")
    assert (await hear(socket))[0]["code"] == 400
    await log_in(simulator, socket)
    assert (await ask(socket, action="auth", key=simulator.key, secret=simulator.secret))["code"] == 403
    assert (await ask(socket, action="subscribe", trades="AAPL"))["code"] == 400
    assert (await ask(socket, action="subscribe", trades=[5]))["code"] == 400
    assert (await ask(socket, action="subscribe", quotes=list("ABCDEF")))["code"] == 405
    assert await ask(socket, action="subscribe", bars=["AAPL"]) == EMPTY_STOCKS | {"bars": ["AAPL"]}


async def test_a_second_connection_is_refused_and_gets_in_on_the_same_socket_later(
    simulator: Simulator, socket: ClientConnection
) -> None:
    await log_in(simulator, socket)
    keys = {"key": simulator.key, "secret": simulator.secret}
    async with connect(simulator.stocks_stream_url) as second:
        await hear(second)
        assert (await ask(second, action="auth", **keys))["code"] == 406
        await socket.close()
        await until(lambda: simulator.state()["clients"]["stocks"] == 1, "the first is gone")
        await log_in(simulator, second)


async def test_other_feeds_and_keys_in_the_handshake(simulator: Simulator) -> None:
    headers = {"APCA-API-KEY-ID": simulator.key, "APCA-API-SECRET-KEY": simulator.secret}
    for feed in ("sip", "delayed_sip", "test"):
        url = simulator.stocks_stream_url.replace("/iex", f"/{feed}")
        async with connect(url, additional_headers=headers) as opened:
            assert (await hear(opened))[0]["msg"] == "connected"
            assert (await hear(opened))[0]["msg"] == "authenticated"


async def test_an_unknown_symbol_is_accepted_in_silence(
    simulator: Simulator, socket: ClientConnection
) -> None:
    await log_in(simulator, socket)
    assert (await ask(socket, action="subscribe", trades=["ZZZZQX"]))["trades"] == ["ZZZZQX"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), 0.3)


async def test_a_known_symbol_that_nobody_played_begins_to_trade(
    simulator: Simulator, socket: ClientConnection
) -> None:
    await log_in(simulator, socket)
    await ask(socket, action="subscribe", trades=["NFLX"])
    assert (await hear(socket))[0]["S"] == "NFLX"


async def test_frames_have_as_many_messages_as_asked() -> None:
    with Simulator.start("--rate", "2000", "--frame-messages", "20") as fixed:
        async with connect(fixed.stocks_stream_url) as opened:
            await hear(opened)
            await log_in(fixed, opened)
            await ask(opened, action="subscribe", trades=["*"], quotes=["*"])
            assert {len(await hear(opened)) for _ in range(30)} == {20}


async def test_a_client_that_does_not_authenticate_in_time_is_told_and_closed() -> None:
    with Simulator.start("--auth-seconds", "0.2") as hasty:
        async with connect(hasty.stocks_stream_url) as opened:
            await hear(opened)
            assert (await hear(opened))[0]["code"] == 404
            with pytest.raises(ConnectionClosed):
                await opened.recv()


async def test_history_is_what_was_played(simulator: Simulator, socket: ClientConnection) -> None:
    await log_in(simulator, socket)
    await ask(socket, action="subscribe", trades=["AAPL"])
    heard: list[dict[str, Any]] = []
    while len(heard) < 60:
        heard += await hear(socket)
    first, last = (datetime.fromisoformat(heard[n]["t"]) for n in (0, -1))
    client = simulator.stock_data_client()
    asked = {"symbol_or_symbols": ["AAPL", "MSFT"], "start": first, "end": last + timedelta(microseconds=1)}
    found = await asyncio.to_thread(client.get_stock_trades, StockTradesRequest(**asked))
    ids = [trade.id for trade in found.data["AAPL"]]
    assert ids[: len(heard)] == [message["i"] for message in heard]
    assert "MSFT" in found.data
    limited = await asyncio.to_thread(client.get_stock_trades, StockTradesRequest(**asked, limit=7))
    assert [trade.id for trade in limited.data["AAPL"]] == ids[:7]
    quotes = await asyncio.to_thread(client.get_stock_quotes, StockQuotesRequest(**asked))
    assert quotes.data["AAPL"]
    newest = await asyncio.to_thread(
        client.get_stock_latest_bar, StockLatestBarRequest(symbol_or_symbols="AAPL")
    )
    assert newest["AAPL"].trade_count > 0
    client._session.close()


async def test_every_symbol_quotes_and_trades_from_the_start_though_nobody_listens() -> None:
    with Simulator.start("--symbols", "AAPL", "--rate", "400", "--data-requests-per-minute", "9000") as fresh:
        client = fresh.stock_data_client()

        def latest(symbol: str) -> tuple[float, float]:
            trades = client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=symbol))
            quotes = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=symbol))
            return trades[symbol].price, quotes[symbol].bid_price

        opened = {symbol: latest(symbol) for symbol in ("AAPL", "GOOG")}
        await until(lambda: all(latest(symbol) != before for symbol, before in opened.items()), "new prices")
        asked = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute)
        # A quote may have moved before the first trade of the minute.
        await until(lambda: "AAPL" in client.get_stock_bars(asked).data, "the minute that is being made")
        minutes = client.get_stock_bars(asked)
        client._session.close()
    assert minutes["AAPL"][-1].trade_count > 0


async def test_latest_quotes_are_there_before_anything_is_played() -> None:
    with Simulator.start("--rate", "0") as fresh:
        client = fresh.stock_data_client()
        quote = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"]
        snapshot = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
        coins = fresh.crypto_data_client()
        asked = CryptoLatestTradeRequest(symbol_or_symbols="BTC/USD")
        assert coins.get_crypto_latest_trade(asked)["BTC/USD"].price > 0
        bars = client.get_stock_bars(
            StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Hour, start=datetime.now(UTC))
        )
        for made in (client, coins):
            made._session.close()
    assert 0 < quote.bid_price < quote.ask_price
    assert snapshot.latest_quote is not None
    assert bars.data == {}
