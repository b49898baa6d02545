"""The newest of each symbol, snapshots and order books, under alpaca-py's data clients."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.models import Bar, BarSet, Orderbook, Snapshot, TradeSet
from alpaca.data.requests import (
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoSnapshotRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from past_market import HOUR_S, NEW_YEAR, START, ask, past_market, tell
from simulator import Simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with past_market("--symbols", "AAPL,MSFT,BTC/USD") as started:
        yield started


def test_the_newest_are_the_last_of_history(simulator: Simulator, stocks: StockHistoricalDataClient) -> None:
    found = stocks.get_stock_trades(StockTradesRequest(symbol_or_symbols="AAPL"))
    assert isinstance(found, TradeSet)
    trades = found.data["AAPL"]
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


def test_the_free_plan_has_no_part_in_the_tape_of_now() -> None:
    with past_market("--symbols", "AAPL", "--plan", "free", seconds=HOUR_S) as simulator:
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
            tell(simulator, "/clock", seconds=24 * HOUR_S)
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
