"""A peer that goes mute in a handshake, or refuses a part of what is asked, costs a bounded time."""

import asyncio
import json

import pytest
from ingest_run import BROKE_ONCE, running, settings_for
from simulator import Simulator
from waiting import until

from bus.clock import ManualClock
from bus.feed_kinds import STOCKS
from bus.settings import load
from ingest.buffer import Buffer
from ingest.data_api.request_budget import RequestBudget
from ingest.leased_feed import LeasedFeed
from ingest.settings import IngestSettings
from ingest.streams.alpaca_account import AccountFeed
from ingest.streams.answering import Unanswered, limited
from ingest.streams.tapped_stream import WEBSOCKET_PARAMS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ANSWER_S = 0.4
STEPS = {
    "connected": "open the websocket and say connected",
    "auth": "answer the keys",
    "subscription": "answer a subscription",
}


def impatient(simulator, md_url, orders_url):
    return settings_for(simulator, md_url, orders_url, ingest_answer_seconds=ANSWER_S)


@pytest.mark.parametrize("step", STEPS)
async def test_a_handshake_that_goes_mute_is_said_and_made_anew_on_every_stream(
    simulator, md_url, orders_url, step, monkeypatch
):
    # Said until the next try: looked at often enough to be seen.
    monkeypatch.setattr("ingest.service.WANTS_S", 0.05)
    for stream in ("stocks", "crypto", "trade_updates"):
        simulator.fault("silent_handshake", stream=stream, step=step)
    async with (
        running(impatient(simulator, md_url, orders_url)) as run,
        run.wanting("me", trades=["AAPL", "BTC/USD"]),
    ):

        def said(kind, what):
            reasons = run.details.feeds[kind].reasons if kind in run.details.feeds else ()
            return any(f"Alpaca did not {what}" in reason.sentence for reason in reasons)

        for kind in ("stocks", "crypto"):
            await until(lambda kind=kind: said(kind, STEPS[step]), f"the sentence of {kind}")
        # It has no greeting: it is silent to the keys.
        await until(lambda: run.ingest.updates.live, "the account's connection")
        await until(lambda: run.stocks.writing.messages_in > 0 < run.crypto.writing.messages_in, "data")
        await until(lambda: run.ingest.service.state == "ready", "no more trouble")
        simulator.trade("AAPL", "buy", "1")

        async def heard():
            return "TradeUpdate" in [kind for kind, _ in await run.account_messages()]

        await until(heard, "the update")


async def test_a_subscription_that_goes_mute_later_costs_a_connection_and_no_message_is_passed_over(
    simulator, md_url, orders_url
):
    async with running(impatient(simulator, md_url, orders_url)) as run, run.wanting("me", trades=["AAPL"]):
        await until(lambda: run.stocks.writing.messages_in > 5)
        run.stocks.feed.subscription.want({"trades": frozenset({"AAPL", "MSFT"})})
        # Sent, and lost on the way.
        assert run.stocks.feed.subscription.next_request(run.ingest.service.clock.monotonic_ns())
        await until(lambda: run.stocks.feed.connects == 2, "the next connection")
        await run.marked("md:AAPL:trades", BROKE_ONCE)
        assert "answer a subscription" in (await run.markers("md:AAPL:trades"))[0][1]["reason"]


BAD = {"AAAA": 400, "BBBB": 409, "CCCC": 410, "DDDD": 412, "EEEE": 413, "FFFF": 500}


async def test_what_alpaca_refuses_or_forgets_is_named_to_who_wants_it_and_everyone_else_is_served(
    simulator, md_url, orders_url
):
    for symbol, code in BAD.items():
        simulator.fault("refused_symbol", stream="stocks", symbol=symbol, code=code)
    simulator.fault("forgotten_symbol", stream="stocks", symbol="SPY")
    async with (
        running(impatient(simulator, md_url, orders_url)) as run,
        run.wanting("good", trades=["AAPL", "MSFT"], quotes=["AAPL"]),
        run.wanting("bad", trades=[*BAD, "SPY", "MSFT", "A..B"], bars=["AAPL"]),
    ):
        all_of_it = {"trades": ["AAPL", "MSFT"], "quotes": ["AAPL"], "bars": ["AAPL"]}
        await until(lambda: run.subscribed() == all_of_it, "everything else")
        await until(lambda: len(run.stocks.feed.subscription.refused) == len(BAD) + 1, "all refused ones")
        refused = run.stocks.feed.subscription.refused
        assert {symbol: refused["trades", symbol].code for symbol in BAD} == BAD

        async def told():
            text = await run.orders.get("refused-wants:paper:bad:stocks")
            return text is not None and len(json.loads(text)) == len(BAD) + 2

        await until(told, "the reader's own words")
        sentences = " ".join(json.loads(await run.orders.get("refused-wants:paper:bad:stocks")))
        for symbol, code in BAD.items():
            assert f"'trades' of {symbol}: Alpaca refused it ({code}:" in sentences
        assert "'trades' of SPY: Alpaca's acknowledgement leaves it out" in sentences
        assert "A..B" in sentences
        assert not await run.orders.exists("refused-wants:paper:good:stocks")

        def shown():
            return all(f"trades of {symbol}" in run.ingest.service.why for symbol in (*BAD, "SPY"))

        await until(shown, "the sentences of the status")
        assert await run.marker_kinds("md:AAAA:trades") == ["GapOpened"]
        # Not asked again and again.
        struck = simulator.struck("refused_symbol")
        simulator.fault("disconnect", stream="stocks")
        await until(lambda: run.stocks.feed.connects == 2, "the next connection")
        await until(lambda: run.subscribed() == all_of_it, "everything else, again")
        assert simulator.struck("refused_symbol") == struck
        assert len(run.stocks.feed.subscription.refused) == len(BAD) + 1


async def test_a_symbol_that_is_given_after_all_closes_the_gap(simulator, md_url, orders_url, monkeypatch):
    monkeypatch.setattr("ingest.streams.subscription.AGAIN_NS", 200_000_000)
    simulator.fault("refused_symbol", stream="stocks", symbol="MSFT", code=500)
    async with (
        running(impatient(simulator, md_url, orders_url)) as run,
        run.wanting("me", trades=["AAPL", "MSFT"]),
    ):
        await until(lambda: ("trades", "MSFT") in run.stocks.feed.subscription.refused, "the refusal")
        simulator.clear_faults()
        await until(lambda: run.subscribed() == {"trades": ["AAPL", "MSFT"]}, "both")
        await run.marked("md:MSFT:trades", BROKE_ONCE)
        await until(lambda: run.ingest.service.state == "ready", "no more trouble")
        assert run.stocks.feed.connects == 1
        assert run.stocks.feed.gaps == 0
        assert await run.markers("md:AAPL:trades") == []


async def test_a_plans_limit_refuses_the_newest_want(md_url, orders_url):
    symbols = "AAPL,MSFT,SPY,TSLA"
    with Simulator.start("--rate", "400", "--symbols", symbols, "--symbol-limit", "2") as simulator:
        async with (
            running(settings_for(simulator, md_url, orders_url)) as run,
            run.wanting("first", trades=["SPY", "TSLA"]),
        ):
            await until(lambda: run.subscribed() == {"trades": ["SPY", "TSLA"]}, "the first")
            async with run.wanting("second", trades=["AAPL", "SPY"], bars=["AAPL"]):
                await until(lambda: bool(run.stocks.feed.subscription.refused), "the refusal")
                both = {"bars": ["AAPL"], "trades": ["SPY", "TSLA"]}
                await until(lambda: run.subscribed() == both, "what has room")
                simulator.fault("disconnect", stream="stocks")
                await until(lambda: run.stocks.feed.connects == 2, "the next connection")
                await until(lambda: bool(run.stocks.feed.subscription.refused), "the same refusal")
                await until(lambda: run.subscribed() == both, "the same as before")
                refused = run.stocks.feed.subscription.refused
                assert {pair: refusal.code for pair, refusal in refused.items()} == {("trades", "AAPL"): 405}


async def test_thousands_of_symbols_are_asked_for_a_bounded_number_at_a_time(md_url, orders_url):
    """As one message, people found that only some of them were subscribed to."""
    symbols = [f"{letter}{number}" for letter in "ABCD" for number in range(1000)]
    with Simulator.start("--rate", "1", "--symbols", "AAPL") as simulator:
        async with (
            running(settings_for(simulator, md_url, orders_url)) as run,
            run.wanting("many", trades=symbols, quotes=symbols),
        ):
            state = run.stocks.feed.subscription
            asked = []
            send = run.stocks.feed._send

            async def sent(socket, request):
                asked.append(len(request.pairs))
                await send(socket, request)

            run.stocks.feed._send = sent
            await until(lambda: len(run.subscribed().get("quotes", [])) == len(symbols), "all of them")
            assert not state.refused
            assert max(asked) <= 1000
            assert len(symbols) <= sum(asked) <= 2 * len(symbols)


async def test_a_frame_that_is_too_long_is_kept_and_costs_no_connection(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url)
    async with running(settings) as run, run.wanting("me", trades=["AAPL"]):
        await until(lambda: run.stocks.writing.messages_in > 5)
        simulator.fault("huge_frame", stream="stocks", mib=16)
        await until(lambda: run.stocks.writing.unreadable == 1, "the frame")
        seen = run.stocks.writing.messages_in
        await until(lambda: run.stocks.writing.messages_in > seen, "what comes after it")

        async def kept():
            return bool(await run.orders.xlen("dead"))

        await until(kept, "the entry in dead")
        [(_, fields)] = await run.orders.xrange("dead")
        assert b"a frame of 16,77" in fields[b"error"]
        assert len(fields[b"payload"]) < 100_000
        await run.marked("md:AAPL:trades", BROKE_ONCE)
        assert run.stocks.feed.connects == 1


async def test_a_time_limit_of_what_is_inside_is_not_told_as_our_own():
    with pytest.raises(TimeoutError, match="of its own"):
        async with limited("answer", 60):
            raise TimeoutError("of its own")
    with pytest.raises(Unanswered, match="Alpaca did not answer within 0 s"):
        async with limited("answer", 0):
            await asyncio.Event().wait()
    # Opening has one limit: the setting, which may be longer than the client's own.
    assert WEBSOCKET_PARAMS["open_timeout"] is None


HOUR_NS = 3600 * 1_000_000_000


@pytest.mark.parametrize(("lives_s", "clock_steps_ns"), [(1, HOUR_NS), (61, -HOUR_NS)])
@pytest.mark.parametrize("kind", ["stocks", "account"])
async def test_how_long_a_connection_lived_is_not_measured_with_the_wall_clock(kind, lives_s, clock_steps_ns):
    clock = ManualClock(2 * HOUR_NS)
    if kind == "account":
        feed = AccountFeed("wss://x", "k", "s", Buffer(1000), clock, answer_s=1)
        feed.listening(b'{"streams": ["trade_updates"]}')
    else:
        settings = load(IngestSettings, alpaca_api_key="k", alpaca_secret_key="s")
        feed = LeasedFeed(STOCKS, settings, None, clock, RequestBudget(200), holder="me").feed
        feed.subscribing()
    feed._stream._data_received = False
    clock.advance(lives_s * 1_000_000_000)
    clock.set_back(-clock_steps_ns)
    feed.broke("closed")
    # So the next one is tried at once, or waits longer.
    assert feed._stream._data_received == (lives_s > 60)
