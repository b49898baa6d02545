"""News, the screener, codes, and the refusal of invalid requests."""

from collections.abc import Iterator

import pytest
from alpaca.data.enums import MarketType, MostActivesBy
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.screener import ScreenerClient
from alpaca.data.models import NewsSet
from alpaca.data.models.corporate_actions import CorporateActionsSet
from alpaca.data.models.screener import MostActives, Movers
from alpaca.data.requests import (
    CorporateActionsRequest,
    MarketMoversRequest,
    MostActivesRequest,
    NewsRequest,
    StockSnapshotRequest,
)
from past_market import START, SYMBOLS, ask, past_market
from simulator import Simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with past_market("--symbols", "AAPL,MSFT,BTC/USD", "--news-per-minute", "1") as started:
        yield started


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


def test_the_screener_counts_the_day(simulator: Simulator) -> None:
    client = ScreenerClient(simulator.key, simulator.secret, url_override=simulator.data_url)
    active = client.get_most_actives(MostActivesRequest(top=5, by=MostActivesBy.TRADES))
    movers = client.get_market_movers(MarketMoversRequest(top=5, market_type=MarketType.STOCKS))
    coins = client.get_market_movers(MarketMoversRequest(top=5, market_type=MarketType.CRYPTO))
    client._session.close()
    stocks = simulator.stock_data_client()
    snapshots = stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=SYMBOLS))
    stocks._session.close()
    assert isinstance(active, MostActives)
    days = {symbol: snapshot.daily_bar for symbol, snapshot in snapshots.items()}
    assert {stock.symbol: (stock.volume, stock.trade_count) for stock in active.most_actives} == {
        symbol: (day.volume, day.trade_count) for symbol, day in days.items()
    }
    assert active.most_actives[0].trade_count >= active.most_actives[1].trade_count
    assert isinstance(movers, Movers)
    assert isinstance(coins, Movers)
    for mover in movers.gainers + movers.losers:
        day = days[mover.symbol]
        assert mover.change == pytest.approx(day.close - day.open)
        assert mover.percent_change == pytest.approx(100 * mover.change / day.open, abs=0.005)
    assert all(mover.change > 0 for mover in movers.gainers)
    assert {mover.symbol for mover in coins.gainers + coins.losers} <= {"BTC/USD"}
    said = {"message": "invalid top, top must be between 1 and 50"}
    assert ask(simulator, "/v1beta1/screener/stocks/movers", 400, top=51) == said


def test_there_are_no_corporate_actions(simulator: Simulator) -> None:
    client = CorporateActionsClient(simulator.key, simulator.secret, url_override=simulator.data_url)
    found = client.get_corporate_actions(CorporateActionsRequest(symbols=SYMBOLS, limit=20))
    client._session.close()
    assert isinstance(found, CorporateActionsSet)
    assert found.data == {}


def test_codes_have_names(simulator: Simulator) -> None:
    assert ask(simulator, "/v2/stocks/meta/exchanges")["V"] == "IEX"
    for tick_type, channel in (("trade", "trades"), ("quote", "quotes")):
        names = ask(simulator, f"/v2/stocks/meta/conditions/{tick_type}", tape="C")
        told = ask(simulator, f"/v2/stocks/{channel}", symbols="AAPL", limit=100)[channel]["AAPL"]
        assert all(code in names for message in told for code in message["c"])
    assert ask(simulator, "/v2/stocks/meta/conditions/trade", 400, tape="D") == {"message": "invalid tape: D"}
