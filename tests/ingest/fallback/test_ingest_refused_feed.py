"""A feed that Alpaca refuses, where nothing stands in for it, ends none of the others."""

import pytest
from ingest_run import running, settings_for
from simulator import Simulator
from waiting import until

from bus.streams import market_lease
from ingest.fallback.fallback import AGAIN_NS, MOST_AGAIN_NS
from ingest.fallback.refused_feed import RefusedFeed
from ingest.streams.stream_reasons import error_reason

CONTRACT = "AAPL271217C00200000"

SOON_NS = 600_000_000


@pytest.fixture(scope="module")
def free_plan():
    with Simulator.start("--rate", "100", "--symbols", "AAPL,BTC/USD", "--plan", "free") as simulator:
        yield simulator
        simulator.clear_faults()


def told(run, kind, state):
    """The reasons that the heartbeat has for a feed in this state."""
    feed = run.details.feeds.get(kind)
    return feed.reasons if feed is not None and feed.state == state else ()


def why(feed):
    """Why a feed is not served; "" while it is."""
    return "" if feed.waits is None else feed.waits.sentence


@pytest.mark.integration
async def test_a_feed_that_the_plan_lacks_is_left_alone_and_said_and_stocks_go_on(
    free_plan, md_url, orders_url, monkeypatch
):
    monkeypatch.setattr("ingest.fallback.refused_feed.AGAIN_NS", SOON_NS)
    settings = settings_for(free_plan, md_url, orders_url, feed="iex", options_feed="opra")
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        options = run.ingest.feeds["options"]
        await until(lambda: run.stocks.feed.live, "stocks")
        async with run.wanting("other", trades=[CONTRACT]):
            await until(lambda: options.waits is not None, "the refusal")
            reason = options.waits
            assert reason.code == "not_entitled"
            assert reason.sentence.endswith("it is asked for again 0.6 s after this answer")
            # Whose keys have it may serve it meanwhile.
            assert not await run.market.exists(market_lease("opra"))
            await until(lambda: reason in told(run, "options", "degraded"), "the heartbeat")
            await run.flowing("md:AAPL:trades", 1)
            await until(lambda: "again 1.2 s" in why(options), "another refusal")
            await run.flowing("md:AAPL:trades", 1)
        assert run.stocks.feed.connects == 1


@pytest.mark.integration
async def test_one_connection_too_many_for_news_ends_news_alone_until_it_is_free(
    free_plan, md_url, orders_url, monkeypatch
):
    monkeypatch.setattr("ingest.fallback.refused_feed.AGAIN_NS", SOON_NS)
    monkeypatch.setattr("ingest.streams.alpaca_market.CLAIM_NS", 0)
    free_plan.fault("connection_limit", stream="news")
    async with (
        running(settings_for(free_plan, md_url, orders_url)) as run,
        run.wanting("reader", news=["AAPL"], trades=["BTC/USD"]),
    ):
        news = run.ingest.feeds["news"]
        await until(lambda: "somebody holds it" in why(news), "the refusal")
        await run.flowing("md:BTC/USD:trades", 1)
        # No stocks were ever connected, and they are refused late: that ends nothing either.
        free_plan.fault("stream_error", stream="stocks", code=409, count=1)
        async with run.wanting("late", trades=["AAPL"]):
            await until(lambda: "does not include" in why(run.stocks), "the refusal")
            free_plan.clear_faults()
            await until(lambda: news.feed.live and news.waits is None, "news")
            await until(lambda: run.stocks.feed.live, "stocks")
            await until(lambda: run.ingest.service.state == "ready", "no more trouble")


def test_it_is_asked_for_after_a_minute_and_ever_less_often_until_it_was_had():
    refused, waits = RefusedFeed(), []
    for connects in (0, 0, 0, 0, 0, 0, 1, 1, 2):
        reason = refused.refused("not_entitled", "no", connects)
        assert reason.code == "not_entitled"
        waits.append(refused.wait_ns // 1_000_000_000)
    assert waits == [60, 120, 240, 480, 960, 960, 60, 120, 60]
    assert (waits[0], max(waits)) == (AGAIN_NS // 1_000_000_000, MOST_AGAIN_NS // 1_000_000_000)


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("stocks", "(no): set BACKBONE_FEED=iex"),
        ("options", "(no): set BACKBONE_OPTIONS_FEED=indicative"),
        ("crypto", "(no)"),
        ("news", "(no)"),
    ],
)
def test_what_to_set_instead_is_of_the_feed_that_is_refused(kind, advice):
    assert error_reason(kind, 409, "no", "wss://x").sentence.endswith(f"this feed {advice}")
