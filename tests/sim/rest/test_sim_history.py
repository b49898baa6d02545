"""The market's history under alpaca-py's data clients and the single-symbol paths of other clients."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alpaca.common.enums import Sort
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.models import BarSet, QuoteSet, TradeSet
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoQuoteRequest,
    CryptoTradesRequest,
    StockBarsRequest,
    StockQuotesRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from past_market import NEW_YEAR, START, SYMBOLS, ask, past_market, tell
from simulator import Simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with past_market("--symbols", "AAPL,MSFT,BTC/USD") as started:
        yield started


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


def test_numbers_are_numbers_and_times_have_no_needless_zeros(simulator: Simulator) -> None:
    trades = ask(simulator, "/v2/stocks/trades", symbols="AAPL", limit=50)["trades"]["AAPL"]
    assert all(isinstance(trade["p"], float | int) and isinstance(trade["s"], int) for trade in trades)
    assert trades[0]["t"] == "2026-01-05T14:30:00Z"
    assert all(not trade["t"].removesuffix("Z").endswith("0") for trade in trades if "." in trade["t"])
    bars = ask(simulator, "/v2/stocks/bars", symbols="AAPL", timeframe="1Min", currency="USD")
    assert bars["currency"] == "USD"
    assert isinstance(bars["bars"]["AAPL"][0]["v"], int)


def test_canceled_and_corrected_trades_say_so_and_count_no_more() -> None:
    with past_market("--symbols", "AAPL", seconds=600) as simulator:
        day = {"symbols": "AAPL", "start": "2026-01-05"}
        before = ask(simulator, "/v2/stocks/trades", **day)["trades"]["AAPL"]
        assert not any("u" in trade for trade in before)
        volume = ask(simulator, "/v2/stocks/bars", timeframe="1Day", **day)["bars"]["AAPL"][0]["v"]
        wrong, gone = before[len(before) // 2], before[len(before) // 3]
        tell(simulator, "/corrections", symbol="AAPL", id=wrong["i"], size=wrong["s"] + 1_000)
        tell(simulator, "/cancels", symbol="AAPL", id=gone["i"])
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
