"""News are quiet by nature: a mute stream is found by what the archive has and it did not tell."""

import pytest
from ingest_run import running, settings_for
from waiting import until

from bus.clock import SystemClock
from ingest.data_api.alpaca_news import NewsArchive
from ingest.data_api.request_budget import RequestBudget
from ingest.silence import history_watch

pytestmark = pytest.mark.integration


async def test_a_mute_stream_of_news_is_found_by_the_archive(simulator, md_url, orders_url, monkeypatch):
    """Seconds are hundredths here: it is asked after 0.6 s."""
    monkeypatch.setattr(history_watch, "LOOK_S", 0.05)
    monkeypatch.setattr(history_watch, "NEWS_GRACE_S", 0)
    monkeypatch.setattr(history_watch, "_S", 10_000_000)
    settings = settings_for(simulator, md_url, orders_url, ingest_news_seconds=60)
    stream = "md:AAPL:news"
    async with running(settings) as run, run.wanting("me", news=["AAPL"]):
        feed = run.ingest.feeds["news"].feed

        def codes():
            return {reason.code for reason in run.details.feeds["news"].reasons}

        async def heard(headline):
            return headline in [message["headline"] for message in await run.messages(stream)]

        await until(lambda: run.subscribed() == {"news": ["AAPL"]}, "the subscription")
        simulator.news("Heard", "AAPL")
        await until(lambda: heard("Heard"), "the first article")
        simulator.fault("mute", stream="news")
        simulator.news("Of another", "MSFT")
        simulator.news("Unheard", "AAPL")
        await until(
            lambda: feed.connects == 2 and "silent" in codes(), "the mute stream to be found and told"
        )
        assert "an article of" in feed.doubt
        assert [kind for kind, _ in await run.markers(stream)] == ["GapOpened"]
        simulator.clear_faults()
        await until(lambda: feed.subscription.settled, "the next connection")
        simulator.news("Heard again", "AAPL")
        await until(lambda: "silent" not in codes(), "the end of it")
        await until(lambda: heard("Heard again"), "the article")
        assert [kind for kind, _ in await run.markers(stream)] == ["GapOpened", "GapClosed"]


async def test_the_archive_names_an_article_on_what_is_wanted_that_was_written_in_that_time(simulator):
    clock = SystemClock()
    archive = NewsArchive(simulator.data_url, simulator.key, simulator.secret, RequestBudget(200), clock)
    began_ns = clock.now_ns()

    async def found(*symbols, since_ns=began_ns):
        return await archive.any_of({"news": frozenset(symbols)}, since_ns, clock.now_ns())

    many = [f"A{number}" for number in range(200)]
    assert await found("*") == ""
    simulator.news("A pair", "BTCUSD")
    for symbols in (["BTC/USD"], ["*"], ["AAPL", "BTC/USD"], ["BTC/USD", *many]):
        assert "on BTCUSD" in await found(*symbols)
    assert [await found(*symbols) for symbols in (["AAPL"], many)] == ["", ""]
    assert await found("BTC/USD", since_ns=clock.now_ns()) == ""
    assert await found() is None
