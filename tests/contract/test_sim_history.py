"""The market's history under alpaca-py's data clients and the single-symbol paths of other clients."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.models import Bar, BarSet, NewsSet, Orderbook, QuoteSet, Snapshot, TradeSet
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    NewsRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from simulator import Simulator

HOUR_S = 3600
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)  # a Monday, as New York opens
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS = ["AAPL", "MSFT"]


def ask(simulator: Simulator, path: str, status: int = 200, **query: Any) -> Any:
    headers = {"APCA-API-KEY-ID": simulator.key, "APCA-API-SECRET-KEY": simulator.secret}
    answer = requests.get(simulator.data_url + path, params=query, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def advance(simulator: Simulator, seconds: float) -> None:
    answer = requests.post(simulator.control_url + "/clock", json={"seconds": seconds}, timeout=60)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Two hours of a Monday; a message every second or so."""
    with Simulator.start(
        "--symbols", "AAPL,MSFT,BTC/USD", "--rate", "3", "--virtual-time", "--news-per-minute", "1"
    ) as started:
        advance(started, 2 * HOUR_S)
        yield started


@pytest.fixture
def stocks(simulator: Simulator) -> Iterator[StockHistoricalDataClient]:
    client = simulator.stock_data_client()
    yield client
    client._session.close()


@pytest.fixture
def coins(simulator: Simulator) -> Iterator[CryptoHistoricalDataClient]:
    client = simulator.crypto_data_client()
    yield client
    client._session.close()


def all_trades(stocks: StockHistoricalDataClient, symbol: str = "AAPL") -> list[Any]:
    found = stocks.get_stock_trades(StockTradesRequest(symbol_or_symbols=symbol))
    assert isinstance(found, TradeSet)
    return found.data[symbol]


@pytest.mark.parametrize(
    ("timeframe", "periods"),
    [
        (TimeFrame(1, TimeFrameUnit.Minute), 120),
        (TimeFrame(15, TimeFrameUnit.Minute), 8),
        (TimeFrame(1, TimeFrameUnit.Hour), 3),
        (TimeFrame(1, TimeFrameUnit.Day), 1),
        (TimeFrame(1, TimeFrameUnit.Week), 1),
        (TimeFrame(3, TimeFrameUnit.Month), 1),
    ],
    ids=lambda value: str(getattr(value, "value", value)),
)
def test_bars_of_every_timeframe_hold_the_trades(
    stocks: StockHistoricalDataClient, timeframe: TimeFrame, periods: int
) -> None:
    request = StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=timeframe, start=NEW_YEAR, adjustment=Adjustment.ALL
    )
    found = stocks.get_stock_bars(request)
    assert isinstance(found, BarSet)
    bars, trades = found.data["AAPL"], all_trades(stocks)
    assert periods - 2 <= len(bars) <= periods + 1
    for number, bar in enumerate(bars):
        end = bars[number + 1].timestamp if number + 1 < len(bars) else datetime.max.replace(tzinfo=UTC)
        held = [trade for trade in trades if bar.timestamp <= trade.timestamp < end]
        assert (bar.trade_count, bar.volume) == (len(held), sum(trade.size for trade in held))
        assert (bar.open, bar.close) == (held[0].price, held[-1].price)
        assert (bar.high, bar.low) == (max(t.price for t in held), min(t.price for t in held))
        vwap = sum(trade.price * trade.size for trade in held) / bar.volume
        assert bar.vwap == pytest.approx(vwap, abs=1e-5)
    assert sum(bar.trade_count for bar in bars) == len(trades)


def test_days_of_shares_are_new_yorks_and_those_of_coins_chicagos(
    simulator: Simulator, stocks: StockHistoricalDataClient, coins: CryptoHistoricalDataClient
) -> None:
    since = NEW_YEAR
    day = stocks.get_stock_bars(
        StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=since)
    )
    coin_day = coins.get_crypto_bars(
        CryptoBarsRequest(symbol_or_symbols="BTC/USD", timeframe=TimeFrame.Day, start=since)
    )
    assert isinstance(day, BarSet)
    assert isinstance(coin_day, BarSet)
    assert day.data["AAPL"][0].timestamp == datetime(2026, 1, 5, 5, tzinfo=UTC)
    assert coin_day.data["BTC/USD"][0].timestamp == datetime(2026, 1, 5, 6, tzinfo=UTC)
    shown = ask(simulator, "/v2/stocks/bars", symbols="AAPL", timeframe="1D", start="2026-01-05")
    assert shown["bars"]["AAPL"][0]["t"] == "2026-01-05T05:00:00Z"


@pytest.mark.parametrize("sort", [Sort.ASC, Sort.DESC])
def test_pages_hold_the_whole_across_symbols(simulator: Simulator, sort: Sort) -> None:
    query = {"symbols": ",".join(SYMBOLS), "sort": sort.value, "start": "2026-01-05", "end": "2026-01-05"}
    whole = ask(simulator, "/v2/stocks/trades", limit=10_000, **query)
    assert whole["next_page_token"] is None
    found: dict[str, list[Any]] = {}
    token, count = None, 0
    while True:
        more = {} if token is None else {"page_token": token}
        page = ask(simulator, "/v2/stocks/trades", limit=500, **query, **more)
        for symbol, trades in page["trades"].items():
            found.setdefault(symbol, []).extend(trades)
        count += sum(map(len, page["trades"].values()))
        token = page["next_page_token"]
        if token is None:
            break
        assert count % 500 == 0
    assert found == whole["trades"]
    times = [trade["t"] for trade in found["AAPL"]]
    assert len(set(times)) > 1_000
    assert [parsed(time) for time in times] == sorted(map(parsed, times), reverse=sort is Sort.DESC)


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_alpaca_py_gets_quotes_of_both_kinds(
    stocks: StockHistoricalDataClient, coins: CryptoHistoricalDataClient
) -> None:
    until = START + timedelta(minutes=1)
    found = stocks.get_stock_quotes(
        StockQuotesRequest(symbol_or_symbols=SYMBOLS, start=START, end=until, feed=DataFeed.SIP)
    )
    assert isinstance(found, QuoteSet)
    assert set(found.data) == set(SYMBOLS)
    assert all(START <= quote.timestamp <= until for quote in found.data["AAPL"])
    coin = coins.get_crypto_quotes(CryptoQuoteRequest(symbol_or_symbols="BTC/USD", start=START, limit=7))
    assert isinstance(coin, QuoteSet)
    assert len(coin.data["BTC/USD"]) == 7
    trades = coins.get_crypto_trades(CryptoTradesRequest(symbol_or_symbols="BTC/USD", start=START, limit=3))
    assert isinstance(trades, TradeSet)
    assert [trade.timestamp >= START for trade in trades.data["BTC/USD"]] == [True] * 3


def test_the_newest_are_the_last_of_history(simulator: Simulator, stocks: StockHistoricalDataClient) -> None:
    trades = all_trades(stocks)
    latest = stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))
    assert latest["AAPL"] == trades[-1]
    quote = stocks.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL"]))["AAPL"]
    bar = stocks.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=["AAPL"]))["AAPL"]
    snapshot = stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["AAPL"]))["AAPL"]
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.latest_trade, snapshot.latest_quote, snapshot.minute_bar) == (trades[-1], quote, bar)
    assert snapshot.daily_bar is not None
    assert snapshot.daily_bar.trade_count == len(trades)
    assert snapshot.previous_daily_bar is None


def test_the_newest_of_coins(coins: CryptoHistoricalDataClient) -> None:
    symbol = "BTC/USD"
    trade = coins.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols=symbol))[symbol]
    quote = coins.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols=symbol))[symbol]
    bar = coins.get_crypto_latest_bar(CryptoLatestBarRequest(symbol_or_symbols=symbol))[symbol]
    book = coins.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols=symbol))[symbol]
    snapshot = coins.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols=symbol))[symbol]
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.latest_trade, snapshot.latest_quote, snapshot.minute_bar) == (trade, quote, bar)
    assert isinstance(book, Orderbook)
    assert (book.bids[0].price, book.asks[0].price) == (quote.bid_price, quote.ask_price)
    assert [level.price for level in book.bids] == sorted((b.price for b in book.bids), reverse=True)
    assert [level.price for level in book.asks] == sorted(level.price for level in book.asks)


def test_one_share_alone_has_its_own_paths(simulator: Simulator) -> None:
    day = {"start": "2026-01-05"}
    many = ask(simulator, "/v2/stocks/bars", symbols="AAPL", timeframe="1Hour", **day)
    one = ask(simulator, "/v2/stocks/AAPL/bars", timeframe="1Hour", **day)
    assert one == {"symbol": "AAPL", "bars": many["bars"]["AAPL"], "next_page_token": None}
    for channel in ("trades", "quotes"):
        many = ask(simulator, f"/v2/stocks/{channel}", symbols="AAPL", limit=5, **day)
        one = ask(simulator, f"/v2/stocks/AAPL/{channel}", limit=5, **day)
        assert (one[channel], one["symbol"]) == (many[channel]["AAPL"], "AAPL")
        assert one["next_page_token"] == many["next_page_token"]
    for channel in ("trades", "quotes", "bars"):
        many = ask(simulator, f"/v2/stocks/{channel}/latest", symbols="AAPL")
        one = ask(simulator, f"/v2/stocks/AAPL/{channel}/latest")
        assert one == {"symbol": "AAPL", channel[:-1]: many[channel]["AAPL"]}
    snapshots = ask(simulator, "/v2/stocks/snapshots", symbols="AAPL")
    assert ask(simulator, "/v2/stocks/AAPL/snapshot") == {"symbol": "AAPL"} | snapshots["AAPL"]


def test_nothing_is_an_empty_map_or_null(simulator: Simulator, stocks: StockHistoricalDataClient) -> None:
    long_ago = {"start": "1990-01-01", "end": "1990-01-02"}
    empty = {"bars": {}, "next_page_token": None}
    assert ask(simulator, "/v2/stocks/bars", symbols="AAPL", timeframe="1Day", **long_ago) == empty
    assert ask(simulator, "/v2/stocks/bars", symbols="ZZZZQ", timeframe="1Day") == empty
    alone = {"bars": None, "symbol": "ZZZZQ", "next_page_token": None}
    assert ask(simulator, "/v2/stocks/ZZZZQ/bars", timeframe="1Day") == alone
    assert ask(simulator, "/v2/stocks/trades/latest", symbols="ZZZZQ") == {"trades": {}}
    assert ask(simulator, "/v2/stocks/ZZZZQ/trades/latest", 404) == {"message": "no trade found for ZZZZQ"}
    assert ask(simulator, "/v2/stocks/snapshots", symbols="ZZZZQ") == {"ZZZZQ": None}
    assert ask(simulator, "/v1beta3/crypto/us/snapshots", symbols="ZZZ/USD") == {"snapshots": {}}
    assert stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="ZZZZQ")) == {}


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("/v2/stocks/bars", {"symbols": "AAPL", "timeframe": "banana"}, "invalid timeframe: banana"),
        (
            "/v2/stocks/bars",
            {"symbols": "AAPL"},
            "Invalid format for parameter timeframe: query parameter 'timeframe' is required",
        ),
        (
            "/v2/stocks/trades",
            {},
            "Invalid format for parameter symbols: query parameter 'symbols' is required",
        ),
        (
            "/v2/stocks/trades",
            {"symbols": "AAPL", "limit": "10001"},
            "invalid limit, limit must be between 1 and 10000",
        ),
        ("/v2/stocks/snapshots", {"symbols": "AAPL,GME1"}, "code=400, message=invalid symbol: GME1"),
        (
            "/v2/stocks/trades/latest",
            {"symbols": "AAPL", "limit": "1"},
            "unexpected query parameter(s): limit",
        ),
        ("/v2/stocks/trades", {"symbols": "AAPL", "page_token": "%"}, "invalid page token"),
        (
            "/v2/stocks/quotes",
            {"symbols": "AAPL", "start": "2026-01-05", "end": "2026-01-04"},
            "end should not be before start",
        ),
        (
            "/v1beta3/crypto/us/latest/trades",
            {"symbols": "BTCUSD"},
            "invalid symbol: BTCUSD does not match ^[A-Z]+/[A-Z]+$",
        ),
        ("/v1beta3/crypto/mars/trades", {"symbols": "BTC/USD"}, "invalid location: mars"),
        ("/v1beta1/news", {"limit": "51"}, "invalid limit, limit must be between 1 and 50"),
    ],
)
def test_a_mistake_is_refused_in_alpacas_words(
    simulator: Simulator, path: str, query: dict[str, str], message: str
) -> None:
    assert ask(simulator, path, 400, **query) == {"message": message}


def test_numbers_are_numbers_and_times_have_no_needless_zeros(simulator: Simulator) -> None:
    trades = ask(simulator, "/v2/stocks/trades", symbols="AAPL", limit=50)["trades"]["AAPL"]
    assert all(isinstance(trade["p"], float | int) and isinstance(trade["s"], int) for trade in trades)
    assert trades[0]["t"] == "2026-01-05T14:30:00Z"
    assert all(not trade["t"].removesuffix("Z").endswith("0") for trade in trades if "." in trade["t"])
    bars = ask(simulator, "/v2/stocks/bars", symbols="AAPL", timeframe="1Min", currency="USD")
    assert bars["currency"] == "USD"
    assert isinstance(bars["bars"]["AAPL"][0]["v"], int)


def test_news_come_in_pages_newest_first(simulator: Simulator) -> None:
    client = NewsClient(simulator.key, simulator.secret, url_override=simulator.data_url)
    found = client.get_news(NewsRequest(limit=60, include_content=True))
    whole = client.get_news(NewsRequest(start=START, limit=1000, exclude_contentless=True))
    client._session.close()
    assert isinstance(found, NewsSet)
    assert isinstance(whole, NewsSet)
    articles = found.data["news"]
    assert len(articles) == 60
    assert len({article.id for article in articles}) == 60
    assert articles == sorted(articles, key=lambda article: article.id, reverse=True)
    assert [article.id for article in whole.data["news"][:60]] == [article.id for article in articles]
    assert all(article.content for article in articles)
    assert not any(article.content for article in whole.data["news"])
    named = ask(simulator, "/v1beta1/news", symbols="BTC/USD", sort="asc", limit=50)["news"]
    assert named
    assert all("BTCUSD" in article["symbols"] for article in named)
    assert [article["id"] for article in named] == sorted(article["id"] for article in named)


def test_the_free_plan_has_no_part_in_the_tape_of_now() -> None:
    with Simulator.start("--symbols", "AAPL", "--rate", "3", "--virtual-time", "--plan", "free") as simulator:
        advance(simulator, HOUR_S)
        client = simulator.stock_data_client()
        # Without an end it is a quarter of an hour ago, and with a newer one nothing is told at all.
        bars = client.get_stock_bars(StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute))
        assert isinstance(bars, BarSet)
        assert bars.data["AAPL"][-1].timestamp <= START + timedelta(minutes=45)
        recent = {"symbols": "AAPL", "start": "2026-01-05", "end": "2026-01-05T15:16:00Z"}
        refusal = {"message": "subscription does not permit querying recent SIP data"}
        assert ask(simulator, "/v2/stocks/trades", 403, **recent) == refusal
        assert ask(simulator, "/v2/stocks/snapshots", 403, symbols="AAPL", feed="sip") == refusal
        assert ask(simulator, "/v2/stocks/trades", feed="iex", limit=1, **recent)["trades"]["AAPL"]
        assert client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))
        with pytest.raises(APIError, match="recent SIP data") as refused:
            client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL", feed=DataFeed.SIP))
        client._session.close()
        assert refused.value.status_code == 403


def test_a_snapshot_knows_the_day_before() -> None:
    with Simulator.start(
        "--symbols", "AAPL,BTC/USD", "--rate", "0.2", "--virtual-time", "--hours", "exchange"
    ) as simulator:
        for _ in range(3):
            advance(simulator, 24 * HOUR_S)
        client = simulator.stock_data_client()
        snapshot = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
        found = client.get_stock_bars(
            StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=NEW_YEAR)
        )
        minutes = client.get_stock_bars(
            StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=NEW_YEAR)
        )
        client._session.close()
    assert isinstance(found, BarSet)
    assert isinstance(minutes, BarSet)
    days: list[Bar] = found.data["AAPL"]
    assert [day.timestamp for day in days] == [datetime(2026, 1, day, 5, tzinfo=UTC) for day in (5, 6, 7, 8)]
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.daily_bar, snapshot.previous_daily_bar) == (days[-1], days[-2])
    assert sum(day.trade_count or 0 for day in days) == sum(m.trade_count or 0 for m in minutes.data["AAPL"])


def test_cancelled_and_corrected_trades_say_so_and_count_no_more() -> None:
    with Simulator.start("--symbols", "AAPL", "--rate", "1", "--virtual-time") as simulator:
        advance(simulator, 600)
        day = {"symbols": "AAPL", "start": "2026-01-05"}
        before = ask(simulator, "/v2/stocks/trades", **day)["trades"]["AAPL"]
        assert not any("u" in trade for trade in before)
        volume = ask(simulator, "/v2/stocks/bars", timeframe="1Day", **day)["bars"]["AAPL"][0]["v"]
        wrong, gone = before[len(before) // 2], before[len(before) // 3]
        for path, body in (
            ("/corrections", {"symbol": "AAPL", "id": wrong["i"], "size": wrong["s"] + 1_000}),
            ("/cancels", {"symbol": "AAPL", "id": gone["i"]}),
        ):
            answer = requests.post(simulator.control_url + path, json=body, timeout=10)
            assert answer.status_code == 200, answer.text
        after = ask(simulator, "/v2/stocks/trades", **day)["trades"]["AAPL"]
        days = ask(simulator, "/v2/stocks/bars", timeframe="1Day", **day)["bars"]["AAPL"]
        client = simulator.stock_data_client()
        parsed_too = client.get_stock_trades(StockTradesRequest(symbol_or_symbols="AAPL", start=NEW_YEAR))
        client._session.close()
    assert isinstance(parsed_too, TradeSet)
    assert len(parsed_too.data["AAPL"]) == len(after) == len(before) + 1
    changed = {trade["u"]: trade for trade in after if "u" in trade}
    right = changed.pop("corrected")
    assert changed == {"incorrect": wrong | {"u": "incorrect"}, "canceled": gone | {"u": "canceled"}}
    assert (right["s"], right["p"], right["t"]) == (wrong["s"] + 1_000, wrong["p"], wrong["t"])
    assert [bar["v"] for bar in days] == [volume + 1_000 - gone["s"]]
