"""A feed that is not to be had is left for the next of a configured order, and returned to."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_run import BROKE_ONCE, consecutive, running, settings_for
from simulator import Simulator
from waiting import until

from bus.errors import InvalidInput
from bus.heartbeat import FeedDetails, State
from bus.lease import Lease
from bus.rfc3339 import time_ns
from bus.settings import load
from bus.streams import market_lease
from ingest.fallback.fallback import AGAIN_NS, MOST_AGAIN_NS, Fallback
from ingest.fallback.polled_messages import PolledState
from ingest.settings import IngestSettings

pytestmark = pytest.mark.slow

AWAY_NS = 5


@pytest.fixture(scope="module")
def free_plan():
    with Simulator.start("--rate", "100", "--symbols", "AAPL,MSFT", "--plan", "free") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def paid_simulator():
    with Simulator.start("--rate", "100", "--symbols", "AAPL,MSFT") as simulator:
        yield simulator


@pytest.fixture
def paid_plan(paid_simulator, left_open_soon):
    yield paid_simulator
    paid_simulator.clear_faults()


async def feeds_of(run, stream):
    """The feeds of a stream's entries in their order, markers in brackets, repetitions left out."""
    named = []
    for _, fields in await run.market.xrange(stream):
        feed = fields[b"feed"].decode()
        named.append(f"({fields[b'type'].decode()} {feed})" if b"type" in fields else feed)
    return [one for one, before in zip(named, [None, *named], strict=False) if one != before]


def _shown(run):
    return run.details.feeds.get("stocks", FeedDetails(feed="", state=State.STARTING))


@contextlib.asynccontextmanager
async def falling_back(simulator, md_url, orders_url, **changes):
    settings = settings_for(simulator, md_url, orders_url, feed="sip", **changes)
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        yield run


def serves(run, name):
    return lambda: run.stocks.name == name and run.stocks.waits is None and run.stocks.feed.live


@pytest.mark.integration
async def test_a_feed_that_the_plan_lacks_is_replaced_at_the_start_and_said(free_plan, md_url, orders_url):
    async with falling_back(free_plan, md_url, orders_url, feed_fallback="iex,rest") as run:
        await until(serves(run, "iex"), "the fallback")

        async def written():
            return "iex" in await feeds_of(run, "md:AAPL:trades")

        await until(written, "trades by another feed")
        await until(lambda: _shown(run).connected and _shown(run).feed == "iex", "the heartbeat")
        details = _shown(run)
        assert details.state == "degraded"
        (reason,) = [one for one in details.reasons if one.code == "feed_fallback"]
        assert reason.sentence.startswith("iex stands in for sip")
        assert "the plan of these keys does not include this feed" in reason.sentence
        # Both leases are held: whoever serves iex alone does not write beside this one.
        for name in ("sip", "iex"):
            assert await run.market.exists(f"lease:market:{name}")
        assert not await run.market.exists("lease:market:rest")
        assert await feeds_of(run, "md:AAPL:trades") == ["iex"]


@pytest.mark.integration
async def test_what_another_ingest_serves_is_waited_for_and_the_better_one_tried_meanwhile(
    paid_plan, md_url, orders_url, market_client, monkeypatch
):
    monkeypatch.setattr("ingest.fallback.fallback.AGAIN_NS", 2_000_000_000)
    assert await Lease(market_client, market_lease("iex"), "another", ttl_ms=60_000).acquire()
    paid_plan.fault("stream_error", stream="stocks", code=409, count=1)
    async with falling_back(paid_plan, md_url, orders_url, feed_fallback="iex") as run:
        await until(lambda: run.stocks.name == "iex", "the fallback")
        await until(lambda: run.stocks.waits and run.stocks.waits.code == "lease_held", "to wait")
        assert await feeds_of(run, "md:AAPL:trades") == []
        await until(serves(run, "sip"), "the return")
        await run.flowing("md:AAPL:trades", 6)


@pytest.mark.integration
async def test_without_a_fallback_it_ends_with_the_sentence_as_before(free_plan, md_url, orders_url):
    with pytest.raises(InvalidInput, match="does not include this feed"):
        async with falling_back(free_plan, md_url, orders_url) as run:
            await run.task


@pytest.mark.integration
async def test_lost_in_the_session_it_falls_back_and_returns_and_no_trade_is_missing(
    paid_plan, md_url, orders_url, monkeypatch
):
    monkeypatch.setattr("ingest.fallback.fallback.AGAIN_NS", 1_500_000_000)
    async with falling_back(paid_plan, md_url, orders_url, feed_fallback="iex") as run:
        await until(lambda: run.stocks.writing.messages_in > 20, "trades")
        paid_plan.fault("stream_error", stream="stocks", code=409, count=1)
        paid_plan.fault("drop_mid_frame", stream="stocks")
        await until(serves(run, "iex"), "the fallback")
        assert run.stocks.reasons[0].code == "feed_fallback"
        await until(serves(run, "sip"), "the return")
        await until(lambda: not run.stocks.reasons, "nothing to tell")
        stream = "md:AAPL:trades"
        await run.marked(stream, BROKE_ONCE * 2)
        await run.flowing(stream, 6)
        order = [one for one in await feeds_of(run, stream) if not one.startswith("(GapClosed")]
        assert order[:2] == ["sip", "(GapOpened sip)"]
        assert "iex" in order
        assert order[-1] == "sip"
        consecutive(await run.messages(stream))


@pytest.mark.integration
async def test_at_the_end_last_trades_are_asked_for_and_the_gap_stays_open_until_a_stream_is_back(
    paid_plan, md_url, orders_url, monkeypatch
):
    monkeypatch.setattr("ingest.fallback.fallback.AGAIN_NS", 3_000_000_000)
    paid_plan.fault("stream_error", stream="stocks", code=409, count=1)
    async with (
        falling_back(paid_plan, md_url, orders_url, feed_fallback="rest") as run,
        run.wanting("other", quotes=["MSFT"], statuses=["MSFT"], bars=["*"]),
    ):
        await until(serves(run, "rest"), "polling")
        for stream in ("md:AAPL:trades", "md:MSFT:quotes"):

            async def polled(stream=stream):
                return "rest" in await feeds_of(run, stream)

            await until(polled, stream)
        ((kind, opened),) = await run.markers("md:AAPL:trades")
        assert kind == "GapOpened"
        assert "only the last trade, quote and bar are asked for" in opened["reason"]
        refused = set(run.stocks.feed.subscription.refused)
        assert refused == {("statuses", "MSFT"), ("bars", "*")}
        told = json.loads(await run.orders.get("refused-wants:paper:other:stocks"))
        assert any("this cannot be asked for over HTTP" in sentence for sentence in told)
        await until(serves(run, "sip"), "the return")
        await run.marked("md:AAPL:trades", BROKE_ONCE)
        # What was not asked for in time is there too, and what was is not there twice.
        messages = await run.messages("md:AAPL:trades")
        consecutive(sorted(messages, key=lambda message: message["i"]))


def told(price, at, **parts):
    return {"latestTrade": {"p": price, "s": 1, "i": 7, "x": "V", "t": f"2026-11-30T{at}Z"}, **parts}


def test_the_last_trade_is_no_news_where_it_was_heard_before_or_is_of_another_month():
    """As people found, the last trade that the API tells may be months old."""
    state, bar_ns = PolledState(60_000_000_000), 60_000_000_000
    noon_ns = time_ns("2026-11-30T12:00:00Z")
    state.want_pairs({("trades", "BSLKW"): noon_ns, ("bars", "BSLKW"): noon_ns})

    def entries(snapshot, now_ns=noon_ns + 2 * bar_ns):
        batch = state.batch({"BSLKW": snapshot, "OTHER": snapshot}, now_ns, "rest")
        assert set(batch.values[::2]) <= {now_ns // 1_000_000}
        return [json.loads(text) for text in batch.values[1::2]]

    assert entries(told(1, "11:59:59.999999999")) == []
    ((trade),) = entries(told(2, "12:00:00.000000001"))
    assert (trade["T"], trade["S"], trade["p"], trade["t"]) == ("t", "BSLKW", 2, noon_ns + 1)
    assert entries(told(2, "12:00:00.000000001")) == []
    bar = {"o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "n": 1, "vw": 1}

    def minute(at):
        return told(2, "12:00:00.000000001", minuteBar={**bar, "t": f"2026-11-30T{at}Z"})

    # The minute before it was wanted, one that is not over, and one that is.
    assert entries(minute("11:59:00")) == []
    assert entries(minute("12:01:00"), noon_ns + 2 * bar_ns - 1) == []
    ((ended),) = entries(minute("12:01:00"))
    assert (ended["T"], ended["n"]) == ("b", 1)
    assert entries({"latestTrade": None}) == entries(None) == []


def test_a_quote_that_stands_is_written_again_and_a_trade_or_bar_is_never_told_twice():
    state, at_ns = PolledState(60_000_000_000), time_ns("2026-11-30T12:00:00Z")
    state.want_pairs({(channel, "AAPL"): at_ns for channel in ("trades", "quotes", "bars")})
    quote = {"bp": 1, "bs": 1, "ap": 2, "as": 1, "t": "2026-11-30T12:00:01Z"}
    bar = {"o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "n": 1, "vw": 1, "t": "2026-11-30T12:01:00Z"}
    answer = {"AAPL": told(1, "12:00:01", latestQuote=quote, minuteBar=bar)}

    def written(seconds):
        return [name.split(":")[2] for name in state.batch(answer, at_ns + seconds * 10**9, "rest").streams]

    assert written(180) == ["trades", "quotes", "bars"]
    assert [written(seconds) for seconds in (239, 240, 299, 300)] == [[], ["quotes"], [], ["quotes"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sip", "not the one that they stand in for"),
        ("iex,iex", "each feed once"),
        ("rest,iex", "rest is always to be had"),
        ("otc", "'otc' is no feed that can stand in: use iex"),
        ("test", "'test' is no feed"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(given, said, monkeypatch):
    monkeypatch.setenv("BACKBONE_FEED", "sip")
    monkeypatch.setenv("BACKBONE_FEED_FALLBACK", given)
    with pytest.raises(InvalidInput, match=said):
        load(IngestSettings)


def test_an_order_is_read_and_a_stream_elsewhere_has_none(monkeypatch):
    monkeypatch.setenv("BACKBONE_FEED", "sip")
    monkeypatch.setenv("BACKBONE_FEED_FALLBACK", " iex , rest ")
    assert load(IngestSettings).feed_names("stocks") == ("sip", "iex", "rest")
    assert load(IngestSettings).feed_names("news") == ("news",)
    monkeypatch.setenv("BACKBONE_STOCKS_STREAM_URL", "ws://here/stream")
    with pytest.raises(InvalidInput, match="use BACKBONE_MARKET_STREAM_URL"):
        load(IngestSettings)


def test_a_feed_is_left_once_it_was_away_for_so_long_and_not_before():
    chosen = Fallback(("sip", "iex"), AWAY_NS)
    assert [chosen.is_lost(False, now) for now in (1, 5)] == [False, False]
    assert not chosen.is_lost(True, 5)
    assert [chosen.is_lost(False, now) for now in (7, 11, 12)] == [False, False, True]
    assert chosen.step_down("it is away", 12)
    # There is nothing behind the last: it stays however long.
    assert [chosen.is_lost(False, now) for now in (13, 10**6)] == [False, False]
    assert not chosen.step_down("it is away too", 10**6)
    assert chosen.served == "iex"


def test_the_better_ones_are_asked_for_now_and_then_and_ever_less_often_if_they_do_not_last():
    chosen, now = Fallback(("sip", "iex", "rest"), AWAY_NS), 0
    chosen.step_down("409", now)
    chosen.step_down("409", now)
    assert chosen.due(now + AGAIN_NS - 1) == ()
    assert chosen.due(now + AGAIN_NS) == ("sip", "iex")
    waits = []
    for _ in range(7):
        while not chosen.due(now):
            now += AGAIN_NS
        chosen.return_to("sip", now)
        assert chosen.reasons == ()
        began = now
        chosen.step_down("it let us in and gave nothing", now + 1)
        while not chosen.due(now):
            now += AGAIN_NS
        waits.append((now - began) // AGAIN_NS)
    assert waits == sorted(waits)
    assert waits[-1] <= MOST_AGAIN_NS // AGAIN_NS + 1
    assert waits[0] < waits[-1]
    chosen.return_to("sip", now)
    chosen.step_down("much later", now + AGAIN_NS)
    assert chosen.due(now + 2 * AGAIN_NS) == ("sip",)


@given(st.lists(st.tuples(st.sampled_from(["refused", "away", "well", "probed"]), st.integers(0, 10**11))))
def test_whatever_happens_one_feed_is_served_and_what_is_better_has_a_reason(steps):
    names, now = ("sip", "iex", "rest"), 0
    chosen = Fallback(names, AWAY_NS)
    for step, passed in steps:
        now += passed
        if step == "refused":
            chosen.step_down("refused", now)
        elif step in ("away", "well") and chosen.is_lost(step == "well", now):
            assert chosen.step_down("away", now)
        elif step == "probed" and (better := chosen.due(now)):
            chosen.return_to(better[passed % len(better)], now)
        assert chosen.served in names
        reasons = chosen.reasons
        assert bool(reasons) == (chosen.served != "sip")
        for name in names[: names.index(chosen.served)]:
            assert f"{name}: " in reasons[0].sentence
