"""Market data over REST: latest, snapshots and history in pages, as alpaca-py's data clients ask for them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from agreement import Agreement
from alpaca.common.enums import Sort
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical.crypto import CryptoHistoricalDataClient as Coins
from alpaca.data.historical.stock import StockHistoricalDataClient as Stocks
from alpaca.data.models import BarSet, QuoteSet, TradeSet
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient
from alpaca.trading.models import Clock
from edge import Edge
from market_shapes import COIN, STOCK, latest, page, snapshot
from placing import Placing
from shapes import MapOf
from target import Target

STOCK_LATEST: dict[str, tuple[Callable[..., Any], type[Any]]] = {
    "trades": (Stocks.get_stock_latest_trade, StockLatestTradeRequest),
    "quotes": (Stocks.get_stock_latest_quote, StockLatestQuoteRequest),
    "bars": (Stocks.get_stock_latest_bar, StockLatestBarRequest),
}
COIN_LATEST: dict[str, tuple[Callable[..., Any], type[Any]]] = {
    "trades": (Coins.get_crypto_latest_trade, CryptoLatestTradeRequest),
    "quotes": (Coins.get_crypto_latest_quote, CryptoLatestQuoteRequest),
    "bars": (Coins.get_crypto_latest_bar, CryptoLatestBarRequest),
}
COIN_HISTORY: dict[str, tuple[Callable[..., Any], type[Any], type[Any]]] = {
    "trades": (Coins.get_crypto_trades, CryptoTradesRequest, TradeSet),
    "quotes": (Coins.get_crypto_quotes, CryptoQuoteRequest, QuoteSet),
}
STOCK_HISTORY: dict[str, tuple[Callable[..., Any], type[Any], type[Any]]] = {
    "trades": (Stocks.get_stock_trades, StockTradesRequest, TradeSet),
    "quotes": (Stocks.get_stock_quotes, StockQuotesRequest, QuoteSet),
}

SOME = 24
MOST_PAGES = 10
TRIES = 5


@pytest.fixture(scope="module")
def now(trading: TradingClient, target: Target) -> datetime:
    """The target's own time, a little after its market has begun to move."""
    clock = trading.get_clock()
    assert isinstance(clock, Clock)
    return clock.timestamp.astimezone(UTC)


@pytest.fixture
def moved(target: Target, coins: Coins, placing: Placing, now: datetime) -> None:
    """There is history: of each coin at least two dozen trades."""

    def has_some() -> bool:
        counts = []
        for symbol in (target.coin, target.other_coin):
            request = CryptoTradesRequest(symbol_or_symbols=symbol, start=now - timedelta(hours=2), limit=30)
            found = coins.get_crypto_trades(request)
            assert isinstance(found, TradeSet)
            counts.append(len(found.data.get(symbol, [])))
        return min(counts) > SOME

    if target.kind == "simulator":
        placing.wait(has_some, "some trades")


def until_all(placing: Placing, call: Callable[[], dict[str, Any]], symbols: list[str]) -> None:
    """Ask until there is something of every symbol: a market that has just begun has no bars yet."""
    placing.wait(lambda: set(call()) == set(symbols), f"something of {', '.join(symbols)}")


@pytest.mark.parametrize("channel", ["trades", "quotes", "bars"])
def test_the_latest_of_stocks(
    target: Target, stocks: Stocks, edge: Edge, agrees: Agreement, placing: Placing, channel: str
) -> None:
    call, kind = STOCK_LATEST[channel]
    symbols = [target.stock, target.other_stock]
    request = kind(symbol_or_symbols=symbols, feed=DataFeed.IEX)
    until_all(placing, lambda: call(stocks, request), symbols)
    assert edge.last.path == f"/v2/stocks/{channel}/latest"
    assert (edge.last.asked["feed"], set(edge.last.asked["symbols"].split(","))) == ("iex", set(symbols))
    agrees.answer(latest(channel, STOCK[channel]))


@pytest.mark.parametrize("channel", ["trades", "quotes", "bars"])
def test_the_latest_of_coins(
    target: Target, coins: Coins, edge: Edge, agrees: Agreement, placing: Placing, channel: str
) -> None:
    call, kind = COIN_LATEST[channel]
    symbols = [target.coin, target.other_coin]
    until_all(placing, lambda: call(coins, kind(symbol_or_symbols=symbols)), symbols)
    assert edge.last.path == f"/v1beta3/crypto/us/latest/{channel}"
    agrees.answer(latest(channel, COIN[channel]))


def test_one_symbol_alone_has_the_same_shape(target: Target, stocks: Stocks, agrees: Agreement) -> None:
    found = stocks.get_stock_latest_trade(
        StockLatestTradeRequest(symbol_or_symbols=target.stock, feed=DataFeed.IEX)
    )
    assert set(found) == {target.stock}
    agrees.answer(latest("trades", STOCK["trades"]))


def test_snapshots_of_stocks_are_a_bare_map(target: Target, stocks: Stocks, agrees: Agreement) -> None:
    symbols = [target.stock, target.other_stock]
    found = stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=symbols, feed=DataFeed.IEX))
    assert set(found) == set(symbols)
    assert set(agrees.answer(MapOf(snapshot(STOCK)))) == set(symbols)


def test_snapshots_of_coins_are_under_their_name(target: Target, coins: Coins, agrees: Agreement) -> None:
    found = coins.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols=[target.coin]))
    assert set(found) == {target.coin}
    agrees.answer({"snapshots": MapOf(snapshot(COIN))})


@pytest.mark.parametrize("channel", ["trades", "quotes"])
@pytest.mark.usefixtures("moved")
def test_the_history_of_coins(
    target: Target, coins: Coins, agrees: Agreement, now: datetime, channel: str
) -> None:
    call, kind, model = COIN_HISTORY[channel]
    found = call(coins, kind(symbol_or_symbols=target.coin, start=now - timedelta(hours=2), limit=50))
    assert isinstance(found, model)
    body = agrees.answer(page(channel, COIN[channel]))
    assert len(body[channel][target.coin]) == len(found.data[target.coin]) > 0
    times = [one["t"] for one in body[channel][target.coin]]
    assert times == sorted(times)


@pytest.mark.open_market
@pytest.mark.parametrize("channel", ["trades", "quotes"])
def test_the_history_of_stocks(
    target: Target, stocks: Stocks, edge: Edge, agrees: Agreement, now: datetime, placing: Placing,
    channel: str,
) -> None:  # fmt: skip
    call, kind, model = STOCK_HISTORY[channel]
    request = kind(
        symbol_or_symbols=[target.stock], start=now - timedelta(hours=2), limit=20, feed=DataFeed.IEX
    )

    def some() -> bool:
        found = call(stocks, request)
        assert isinstance(found, model)
        return bool(found.data.get(target.stock))

    placing.wait(some, f"{channel} of {target.stock}")
    assert (edge.last.path, edge.last.asked["limit"]) == (f"/v2/stocks/{channel}", "20")
    agrees.answer(page(channel, STOCK[channel]))


def ids(body: dict[str, Any]) -> list[tuple[str, int]]:
    """The trades of a page, in the order of pages."""
    return [(symbol, trade["i"]) for symbol in sorted(body["trades"]) for trade in body["trades"][symbol]]


def turned(ask: Callable[..., dict[str, Any]], size: int) -> tuple[list[tuple[str, int]], int]:
    """All pages of this size, one after another, and how many they were."""
    found, token, count = [], None, 0
    while count == 0 or token is not None:
        page_of = ask(limit=size, **({} if token is None else {"page_token": token}))
        assert len(ids(page_of)) <= size
        found += ids(page_of)
        token, count = page_of["next_page_token"], count + 1
        assert count <= MOST_PAGES, "the pages have no end"
    return found, count


# Where pages are asked for, how far back, and what a trade looks like there.
PAGED = [
    pytest.param("/v1beta3/crypto/us/trades", timedelta(hours=2), COIN["trades"], id="coins"),
    pytest.param(
        "/v2/stocks/trades", timedelta(minutes=5), STOCK["trades"], marks=pytest.mark.open_market, id="stocks"
    ),
]


@pytest.mark.parametrize(("path", "back", "shape"), PAGED)
def test_pages_follow_each_other_by_their_token(
    target: Target, plain: requests.Session, agrees: Agreement, now: datetime, placing: Placing, path: str,
    back: timedelta, shape: dict[str, Any],
) -> None:  # fmt: skip
    is_stock = "stocks" in path
    symbols = (target.stock, target.other_stock) if is_stock else (target.coin, target.other_coin)
    query = {"symbols": ",".join(symbols), "start": (now - back).isoformat()} | (
        {"feed": "iex"} if is_stock else {}
    )

    def ask(**more: Any) -> dict[str, Any]:
        answer = plain.get(target.data_url + path, params=query | more, timeout=30)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        agrees.of(body, page("trades", shape), "a page")
        return body

    placing.wait(lambda: len(ids(ask(limit=100))) > SOME, "some trades")
    # The market goes on: only what is older than each symbol's newest trade is sure to stay as it is.
    newest = [trades[-1]["t"] for trades in ask(limit=10_000)["trades"].values()]
    query["end"] = min(newest, key=datetime.fromisoformat)
    # Nor that, for good: a trade may be told late.
    for _ in range(TRIES):
        whole = ids(ask(limit=10_000))
        found, count = turned(ask, max(1, len(whole) // 3))
        if whole == ids(ask(limit=10_000)):
            break
    assert found == whole
    assert count >= 3


@pytest.mark.usefixtures("moved")
def test_alpaca_py_follows_the_pages_by_itself(
    target: Target, coins: Coins, edge: Edge, now: datetime
) -> None:
    before = len(edge.exchanges)
    request = CryptoTradesRequest(symbol_or_symbols=target.coin, start=now - timedelta(hours=2), limit=10_005)
    found = coins.get_crypto_trades(request)
    assert isinstance(found, TradeSet)
    asked = [one.asked for one in edge.exchanges[before:]]
    assert asked[0]["limit"] == "10000"
    assert "page_token" not in asked[0]
    if len(found.data[target.coin]) >= 10_000:
        assert (asked[1]["limit"], bool(asked[1]["page_token"])) == ("5", True)


@pytest.mark.usefixtures("moved")
def test_the_newest_come_first_when_asked(target: Target, coins: Coins, edge: Edge, now: datetime) -> None:
    start = now - timedelta(hours=2)
    request = CryptoTradesRequest(symbol_or_symbols=target.coin, start=start, limit=20, sort=Sort.DESC)
    coins.get_crypto_trades(request)
    assert edge.last.asked["sort"] == "desc"
    times = [trade["t"] for trade in edge.last.body["trades"][target.coin]]
    assert times == sorted(times, reverse=True)


MINUTE, HOUR = TimeFrameUnit.Minute, TimeFrameUnit.Hour
TIMEFRAMES = [
    TimeFrame(1, MINUTE), TimeFrame(5, MINUTE), TimeFrame(59, MINUTE), TimeFrame(1, HOUR),
    TimeFrame(23, HOUR), TimeFrame.Day, TimeFrame.Week, TimeFrame.Month,
    TimeFrame(12, TimeFrameUnit.Month),
]  # fmt: skip


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=lambda timeframe: str(timeframe.value))
@pytest.mark.usefixtures("moved")
def test_bars_of_coins_come_in_every_timeframe(
    target: Target, coins: Coins, edge: Edge, agrees: Agreement, now: datetime, timeframe: TimeFrame
) -> None:
    request = CryptoBarsRequest(
        symbol_or_symbols=target.coin, timeframe=timeframe, start=now - timedelta(days=370), limit=1000
    )
    found = coins.get_crypto_bars(request)
    assert isinstance(found, BarSet)
    assert edge.last.asked["timeframe"] == timeframe.value
    body = agrees.answer(page("bars", COIN["bars"]))
    bars = body["bars"][target.coin]
    assert len(bars) == len(found.data[target.coin]) > 0
    for bar in bars:
        assert bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"]
    starts = [datetime.fromisoformat(bar["t"]) for bar in bars]
    assert starts == sorted(set(starts))
    assert all(start.second == 0 for start in starts)


def test_bars_of_stocks(
    target: Target, stocks: Stocks, edge: Edge, agrees: Agreement, now: datetime, placing: Placing
) -> None:
    request = StockBarsRequest(
        symbol_or_symbols=[target.stock, target.other_stock], timeframe=TimeFrame.Day, limit=5,
        start=now - timedelta(days=10), adjustment=Adjustment.SPLIT, feed=DataFeed.IEX, sort=Sort.DESC,
    )  # fmt: skip

    def some() -> bool:
        found = stocks.get_stock_bars(request)
        assert isinstance(found, BarSet)
        return bool(found.data.get(target.stock))

    placing.wait(some, f"a bar of {target.stock}")
    asked = edge.last.asked
    assert (asked["adjustment"], asked["timeframe"], asked["sort"]) == ("split", "1Day", "desc")
    agrees.answer(page("bars", STOCK["bars"]))


@pytest.mark.parametrize(
    "query",
    [
        {"symbols": "BTC/USD", "timeframe": "7Fortnights"},
        {"symbols": "BTC/USD", "timeframe": "60Min"},
        {"symbols": "BTC/USD", "timeframe": "5Month"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "limit": "0"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "limit": "many"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "start": "yesterday"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "page_token": "%%%"},
        {"timeframe": "1Min"},
    ],
    ids=lambda query: " ".join(query.values()),
)
def test_a_question_that_makes_no_sense_is_refused(
    target: Target, plain: requests.Session, query: dict[str, str]
) -> None:
    answer = plain.get(f"{target.data_url}/v1beta3/crypto/us/bars", params=query, timeout=30)
    assert answer.status_code == 400
    assert isinstance(answer.json()["message"], str)


def test_crypto_data_needs_no_keys(target: Target, edge: Edge, agrees: Agreement) -> None:
    client = Coins(url_override=target.data_url)
    edge.mount(client._session)
    client.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols=target.coin))
    client._session.close()
    agrees.answer(latest("quotes", COIN["quotes"]))


def test_stock_data_needs_keys(target: Target, edge: Edge) -> None:
    with requests.Session() as session:
        edge.mount(session)
        answer = session.get(
            f"{target.data_url}/v2/stocks/quotes/latest", params={"symbols": target.stock}, timeout=30
        )
    assert answer.status_code == 401
