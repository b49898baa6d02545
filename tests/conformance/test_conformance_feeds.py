"""The rarer channels and feeds: order books, daily bars, statuses, the test feed, options."""

from collections.abc import Callable
from typing import Any

import pytest
from agreement import Agreement
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.models.orderbooks import Orderbook
from alpaca.data.models.trades import TradeCancel, TradeCorrection
from alpaca.data.requests import CryptoLatestOrderbookRequest
from edge import Edge
from frames import Frame, Wire
from market_shapes import (
    CANCEL,
    COIN_BAR,
    COIN_BOOK,
    CORRECTION,
    STOCK_QUOTE,
    STOCK_TRADE,
    latest,
    on_the_wire,
)
from plain_socket import opened
from shapes import BOOLEAN, MayLack
from streaming import listening
from target import Target

Tell = Callable[[Wire, Frame], None]
FAKE = "FAKEPACA"
SECONDS_OF_A_MINUTE = 60


async def ignore(message: object) -> None:
    """A handler for what is not looked at."""


def test_the_latest_order_books(
    target: Target, coins: CryptoHistoricalDataClient, edge: Edge, agrees: Agreement
) -> None:
    found = coins.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols=target.coin))
    assert isinstance(found[target.coin], Orderbook)
    assert edge.last.path == "/v1beta3/crypto/us/latest/orderbooks"
    body = agrees.answer(latest("orderbooks", COIN_BOOK))
    book = body["orderbooks"][target.coin]
    bids, asks = [level["p"] for level in book["b"]], [level["p"] for level in book["a"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


async def test_order_books_begin_whole_and_go_on_by_changes(
    target: Target, tell: Tell, agrees: Agreement
) -> None:
    def subscribe(stream: Any, handler: Any) -> None:
        stream.subscribe_orderbooks(handler, target.coin)

    async with listening(target, CryptoDataStream, tell, subscribe) as heard:
        books = await heard.some(3)
    shape = on_the_wire("o", COIN_BOOK, True) | {"r": MayLack(BOOLEAN)}
    for book in books:
        agrees.of(book, shape, "order book")
    assert books[0]["r"] is True
    assert books[0]["b"]
    assert books[0]["a"]
    assert not any(book.get("r") for book in books[1:])


async def test_alpaca_py_makes_an_order_book(target: Target, tell: Tell) -> None:
    def subscribe(stream: Any, handler: Any) -> None:
        stream.subscribe_orderbooks(handler, target.coin)

    async with listening(target, CryptoDataStream, tell, subscribe, raw_data=False) as heard:
        assert isinstance((await heard.some())[0], Orderbook)


@pytest.mark.open_market
@pytest.mark.parametrize(
    ("channel", "letter", "shape", "model"),
    [("corrections", "c", CORRECTION, TradeCorrection), ("cancelErrors", "x", CANCEL, TradeCancel)],
)
async def test_mistakes_come_with_the_trades_unasked(
    target: Target, tell: Tell, agrees: Agreement, channel: str, letter: str, shape: dict[str, Any],
    model: type[Any],
) -> None:  # fmt: skip
    if target.kind == "paper":
        pytest.skip("nobody makes a mistake when it is wanted")

    def subscribe(stream: Any, handler: Any) -> None:
        stream.subscribe_trades(ignore, "*")
        register = {"c": stream.register_trade_corrections, "x": stream.register_trade_cancels}[letter]
        register(handler)

    for raw_data in (True, False):
        async with listening(target, StockDataStream, tell, subscribe, raw_data=raw_data) as heard:
            (message, *_) = await heard.some()
        if raw_data:
            agrees.of(message, on_the_wire(letter, shape, True), channel)
        else:
            assert isinstance(message, model)


async def test_daily_bars_of_coins(target: Target, tell: Tell, agrees: Agreement) -> None:
    if target.patience_s < SECONDS_OF_A_MINUTE:
        pytest.skip("daily bars come each minute, which is longer than a run on the simulator takes")

    def subscribe(stream: Any, handler: Any) -> None:
        stream.subscribe_daily_bars(handler, target.coin)

    async with listening(target, CryptoDataStream, tell, subscribe) as heard:
        (bar, *_) = await heard.some()
    agrees.of(bar, on_the_wire("d", COIN_BAR, True), "daily bar")


@pytest.mark.parametrize(("channel", "shape"), [("trades", STOCK_TRADE), ("quotes", STOCK_QUOTE)])
async def test_the_test_feed_plays_day_and_night(
    target: Target, tell: Tell, agrees: Agreement, channel: str, shape: dict[str, Any]
) -> None:
    def subscribe(stream: Any, handler: Any) -> None:
        getattr(stream, f"subscribe_{channel}")(handler, FAKE)

    async with listening(target, StockDataStream, tell, subscribe, path="/v2/test") as heard:
        messages = await heard.some(2)
    for message in messages:
        agrees.of(message, on_the_wire(channel[0], shape, True), channel)
        assert message["S"] == FAKE


async def test_quotes_of_every_option_cannot_be_asked_for(target: Target, tell: Tell) -> None:
    async with opened(target, target.stream("/v1beta1/indicative"), tell, is_msgpack=True) as socket:
        assert await socket.hear() == [{"T": "success", "msg": "connected"}]
        await socket.authenticate()
        found = await socket.ask({"action": "subscribe", "quotes": ["*"]})
        assert (found["T"], found["code"]) == ("error", 410)
        found = await socket.ask({"action": "subscribe", "trades": ["AAPL261218C00200000"]})
        assert found["T"] == "subscription"
        assert found["trades"] == ["AAPL261218C00200000"]
