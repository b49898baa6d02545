"""Feeds other than those of stock and crypto prices: news, options, and channels that speak seldom."""

import json

import pytest
from ingest_run import running, settings_for
from simulator import Simulator
from waiting import until

from bus.codec import market_message
from bus.errors import InvalidInput
from bus.market_messages import CanceledTrade, Correction, Imbalance, News, OrderBook, Quote, Trade
from bus.settings import load
from ingest.settings import IngestSettings

pytestmark = pytest.mark.integration

CONTRACT = "AAPL271217C00200000"


@pytest.fixture(scope="module")
def simulator():
    with Simulator.start("--rate", "200", "--bar-seconds", "1", "--symbols", "AAPL,MSFT,BTC/USD") as started:
        yield started


async def entries(run, symbol, channel):
    found = await run.market.xrange(f"md:{symbol}:{channel}")
    return [(fields[b"feed"].decode(), market_message(channel, fields)) for _, fields in found]


def has(run, symbol, channel):
    async def found():
        return bool(await run.market.exists(f"md:{symbol}:{channel}"))

    return found


async def test_news_of_any_symbol_come_by_a_feed_of_their_own(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", news=["AAPL", "BTC/USD"]),
    ):
        await until(lambda: run.subscribed() == {"news": ["AAPL", "BTC/USD"]}, "the subscription")
        assert simulator.state()["clients"]["stocks"] == 0
        simulator.news("Nobody asked", "MSFT")
        # News services write a pair without its slash.
        simulator.news("Both rise", "MSFT", "BTCUSD")
        await until(has(run, "BTC/USD", "news"), "the article")
        ((feed, article),) = await entries(run, "BTC/USD", "news")
        assert isinstance(article, News)
        assert (feed, article.headline, article.symbols) == ("news", "Both rise", ("MSFT", "BTC/USD"))
        assert [one.headline for _, one in await entries(run, "MSFT", "news")] == ["Both rise"]
        assert run.ingest.feeds["news"].feed.connects == 1


async def test_options_come_by_a_feed_of_their_own_and_look_as_all_others(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=[CONTRACT], quotes=[CONTRACT]),
    ):
        for channel in ("trades", "quotes"):
            await until(has(run, CONTRACT, channel), channel)
        for channel, kind in {"trades": Trade, "quotes": Quote}.items():
            for feed, message in await entries(run, CONTRACT, channel):
                assert feed == "indicative"
                assert isinstance(message, kind)
                assert message.symbol == CONTRACT
                assert message.conditions in {("a",), ("A",)}
        assert run.ingest.feeds["options"].feed.connects == 1
        assert not run.details.refused_wants


async def test_what_speaks_seldom_is_written_as_it_is_heard(simulator, md_url, orders_url):
    wants = {"trades": ["AAPL"], "imbalances": ["AAPL"], "orderbooks": ["BTC/USD"], "bars": ["AAPL"]}
    async with running(settings_for(simulator, md_url, orders_url)) as run, run.wanting("reader", **wants):
        await until(has(run, "AAPL", "trades"), "a trade to correct")
        await until(lambda: run.subscribed().keys() == wants.keys(), "the subscriptions")
        simulator.correct("AAPL", size=77)
        simulator.cancel_trade("AAPL")
        simulator.imbalance("AAPL", price=12.5)
        for symbol, channel in (
            ("AAPL", "corrections"),
            ("AAPL", "cancelErrors"),
            ("AAPL", "imbalances"),
            ("AAPL", "bars"),
            ("BTC/USD", "orderbooks"),
        ):
            await until(has(run, symbol, channel), channel)
        ((_, correction),) = await entries(run, "AAPL", "corrections")
        ((_, canceled),) = await entries(run, "AAPL", "cancelErrors")
        ((_, imbalance),) = await entries(run, "AAPL", "imbalances")
        (_, book), *_ = await entries(run, "BTC/USD", "orderbooks")
        (_, bar), *_ = await entries(run, "AAPL", "bars")
        assert isinstance(correction, Correction)
        assert correction.size == 77
        assert isinstance(canceled, CanceledTrade)
        assert canceled.size is not None
        assert isinstance(imbalance, Imbalance)
        assert str(imbalance.price) == "12.5"
        assert isinstance(book, OrderBook)
        assert book.resets
        assert len(book.bids) > 1
        assert bar.vwap
        assert bar.trade_count


async def test_what_alpaca_has_as_no_stream_is_refused_by_name_with_the_reason(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", auctions=["AAPL"], bars=[CONTRACT, "AAPL"], snapshots=[CONTRACT]),
    ):
        await until(lambda: len(run.details.refused_wants) == 2, "the refusals, one for each reason")
        auctions, others = run.details.refused_wants
        assert "as history alone (GET /v2/stocks/auctions)" in auctions
        both = f"'bars' of {CONTRACT}; 'snapshots' of {CONTRACT}"
        assert f"{both}: no such channel; options have trades, quotes" in others
        await until(lambda: run.subscribed() == {"bars": ["AAPL"]}, "what is left")
        told = json.loads(await run.orders.get("refused-wants:paper:reader:options"))
        assert len(told) == 2


@pytest.mark.parametrize(
    ("name", "kind", "url"),
    [
        ("iex", "stocks", "wss://stream.data.alpaca.markets/v2/iex"),
        ("sip", "stocks", "wss://stream.data.alpaca.markets/v2/sip"),
        ("delayed_sip", "stocks", "wss://stream.data.alpaca.markets/v2/delayed_sip"),
        ("test", "stocks", "wss://stream.data.alpaca.markets/v2/test"),
        ("boats", "stocks", "wss://stream.data.alpaca.markets/v1beta1/boats"),
        ("overnight", "stocks", "wss://stream.data.alpaca.markets/v1beta1/overnight"),
        ("crypto", "crypto", "wss://stream.data.alpaca.markets/v1beta3/crypto/us"),
        ("indicative", "options", "wss://stream.data.alpaca.markets/v1beta1/indicative"),
        ("news", "news", "wss://stream.data.alpaca.markets/v1beta1/news"),
    ],
)
def test_each_feed_has_its_address(name, kind, url, monkeypatch):
    assert load(IngestSettings).stream_url(kind, name) == url
    monkeypatch.setenv("BACKBONE_MARKET_STREAM_URL", "ws://here:9001/")
    assert load(IngestSettings).stream_url(kind, name) == url.replace(
        "wss://stream.data.alpaca.markets", "ws://here:9001"
    )


def test_options_have_a_feed_and_a_stream_may_be_elsewhere(monkeypatch):
    monkeypatch.setenv("BACKBONE_OPTIONS_FEED", "opra")
    monkeypatch.setenv("BACKBONE_CRYPTO_STREAM_URL", "ws://there/coins")
    settings = load(IngestSettings)
    assert settings.feed_names("options") == ("opra",)
    assert settings.stream_url("options", "opra").endswith("/v1beta1/opra")
    assert settings.stream_url("crypto", "crypto") == "ws://there/coins"
    monkeypatch.setenv("BACKBONE_FEED", "otc")
    with pytest.raises(InvalidInput, match="BACKBONE_FEED"):
        load(IngestSettings)
