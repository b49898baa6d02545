"""Faults of the market-data streams: cut, refused and mute."""

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from alpaca.data.live.stock import StockDataStream
from simulator import Simulator, running
from waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

pytestmark = pytest.mark.usefixtures("no_faults")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start() as started:
        yield started


async def test_the_stock_stream_can_be_cut_and_its_place_taken(simulator: Simulator) -> None:
    stream = StockDataStream(simulator.key, simulator.secret, url_override=simulator.stocks_stream_url)
    ids: list[int | None] = []

    async def on(trade: Any) -> None:
        ids.append(trade.id)

    stream.subscribe_trades(on, "AAPL")
    async with running(stream):
        await until(lambda: len(ids) > 5, "trades flow")
        simulator.fault("connection_limit", stream="stocks", seconds=0.5)
        simulator.fault("disconnect", stream="stocks")
        await until(lambda: simulator.state()["clients"]["stocks"] == 0, "the stream is cut")
        before = len(ids)
        await until(lambda: len(ids) > before + 5, "alpaca-py came back")
    jumps = [b - a for a, b in pairwise(ids) if a is not None and b is not None]
    assert max(jumps) > 1  # what was said meanwhile is lost


async def test_a_muted_market_answers_pings(simulator: Simulator) -> None:
    async with connect(simulator.stocks_stream_url) as socket:
        await socket.recv()
        await socket.send(json.dumps({"action": "auth", "key": simulator.key, "secret": simulator.secret}))
        await socket.recv()
        simulator.fault("mute", stream="stocks")
        await socket.send(json.dumps({"action": "subscribe", "quotes": ["*"]}))
        assert json.loads(await socket.recv())[0]["T"] == "subscription"
        await asyncio.wait_for(await socket.ping(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.3)
        simulator.clear_faults()
        assert json.loads(await asyncio.wait_for(socket.recv(), 5))[0]["T"] == "q"
        simulator.fault("disconnect", stream="stocks")
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(_everything(socket), 5)


async def _everything(socket: ClientConnection) -> None:
    while True:
        await socket.recv()
