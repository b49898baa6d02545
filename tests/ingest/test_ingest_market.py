"""Market data through the real simulator, unmodified alpaca-py and real servers."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import pytest
from ingest_run import BROKE_ONCE, consecutive, running, settings_for
from simulator import ROOT, Simulator
from waiting import until

from bus import streams
from bus.account_keys import confirm
from bus.errors import InvalidInput
from ingest.streams.tapped_stream import WEBSOCKET_PARAMS

pytestmark = pytest.mark.integration


async def test_any_number_of_readers_share_one_connection_and_get_the_union(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        contextlib.AsyncExitStack() as readers,
    ):
        for number in range(10):
            symbols = ["AAPL"] if number % 2 else ["AAPL", "MSFT"]
            await readers.enter_async_context(run.wanting(f"reader-{number}", trades=symbols))
        await readers.enter_async_context(run.wanting("quotes", quotes=["SPY"]))
        await until(lambda: run.subscribed() == {"trades": ["AAPL", "MSFT"], "quotes": ["SPY"]}, "the union")
        assert simulator.state()["clients"]["stocks"] == 1
        assert simulator.state()["clients"]["crypto"] == 0
        for stream in ("md:AAPL:trades", "md:MSFT:trades", "md:SPY:quotes"):
            await until(lambda stream=stream: _has(run, stream), stream)
        assert not await run.market.exists("md:SPY:trades", "md:AAPL:quotes", "md-all:trades:03")
        assert run.details.last_prices.keys() <= {"AAPL", "MSFT"}


async def test_two_accounts_want_different_symbols_and_both_get_them(simulator, md_url, orders_url):
    """Readers of one name on two accounts, such as each account's OMS."""
    async with running(settings_for(simulator, md_url, orders_url)) as run:
        wants = {"paper": b'{"trades": ["AAPL"]}', "second": b'{"trades": ["MSFT"]}'}
        for account, channels in wants.items():
            await run.orders.set(streams.wants(account, "oms"), channels, px=30_000)
        await until(lambda: run.subscribed() == {"trades": ["AAPL", "MSFT"]}, "the union")
        for stream in ("md:AAPL:trades", "md:MSFT:trades"):
            await until(lambda stream=stream: _has(run, stream), stream)


async def _has(run, stream):
    return bool(await run.market.exists(stream))


async def test_the_union_follows_a_join_a_leave_and_a_crash_and_others_miss_nothing(
    simulator, md_url, orders_url
):
    async with running(settings_for(simulator, md_url, orders_url)) as run:
        async with run.wanting("steady", trades=["AAPL"]):
            await until(lambda: run.subscribed() == {"trades": ["AAPL"]})
            async with run.wanting("joins", trades=["MSFT"], quotes=["MSFT"]):
                await until(lambda: run.subscribed() == {"trades": ["AAPL", "MSFT"], "quotes": ["MSFT"]})
            await until(lambda: run.subscribed() == {"trades": ["AAPL"]}, "the leave")
            await run.orders.set("wants:paper:crashes", b'{"trades": ["SPY"]}', px=1500)
            await until(lambda: run.subscribed() == {"trades": ["AAPL", "SPY"]}, "the join")
            await until(lambda: run.subscribed() == {"trades": ["AAPL"]}, "the crash")
            assert run.details.feeds["stocks"].connects == 1
        await until(lambda: run.subscribed() == {}, "nothing wanted")
        assert run.stocks.feed.live
        await run.stop()
        assert consecutive(await run.messages("md:AAPL:trades")) > 30
        assert await run.markers("md:AAPL:trades") == []


async def test_a_star_fills_the_partitions_of_all_symbols(simulator, md_url, orders_url):
    async with running(settings_for(simulator, md_url, orders_url)) as run, run.wanting("all", trades=["*"]):

        async def keys():
            return len(await run.market.keys("md:*:trades")) == 3

        await until(keys, "every stock")
        await run.stop()
        single = [
            message
            for symbol in ("AAPL", "MSFT", "SPY")
            for message in await run.messages(f"md:{symbol}:trades")
        ]
        partitions = [
            message for key in await run.market.keys("md-all:trades:*") for message in await run.messages(key)
        ]
        order = lambda message: (message["S"], message["i"])  # noqa: E731
        assert sorted(single, key=order) == sorted(partitions, key=order)


async def test_a_break_is_a_gap_in_the_streams_concerned_and_the_other_sockets_go_on(
    simulator, md_url, orders_url
):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL", "BTC/USD"], quotes=["MSFT"]),
    ):
        for stream in ("md:AAPL:trades", "md:MSFT:quotes", "md:BTC/USD:trades"):
            await until(lambda stream=stream: _has(run, stream), stream)
        await until(lambda: run.ingest.updates.live)
        simulator.fault("disconnect", stream="stocks")
        for stream in ("md:AAPL:trades", "md:MSFT:quotes"):
            await run.marked(stream, BROKE_ONCE)
        (_, opened), (_, shut) = await run.markers("md:AAPL:trades")
        assert opened["feed"] == "iex"
        assert opened["since_ns"] == shut["since_ns"] < shut["until_ns"]
        await run.flowing("md:AAPL:trades", 1)
        assert run.stocks.feed.connects == 2
        assert run.stocks.feed.gaps == 1
        await run.stop()
        assert run.crypto.feed.connects == run.ingest.updates.connects == 1
        assert await run.markers("md:BTC/USD:trades") == []
        assert consecutive(await run.messages("md:BTC/USD:trades")) > 5
        # What was missed lies between the markers, and nowhere else.
        entries = [fields for _, fields in await run.market.xrange("md:AAPL:trades")]
        kinds = [fields.get(b"type") for fields in entries]
        before, after = kinds.index(b"GapOpened"), kinds.index(b"GapClosed")
        filled = [number for number, fields in enumerate(entries) if b"b" in fields]
        assert filled == list(range(before + 1, after))
        consecutive(await run.messages("md:AAPL:trades"))


async def test_a_restart_is_a_gap_too(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url)
    for _ in range(2):
        async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
            await until(lambda run=run: run.stocks.writing.messages_in > 5)
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        await until(lambda: run.stocks.writing.messages_in > 5)

        async def closed():
            kinds = await run.marker_kinds("md:AAPL:trades")
            return kinds.count("GapOpened") == kinds.count("GapClosed") == 2

        await until(closed, "both gaps closed")
        await until(lambda: run.details.counters.gaps == 2, "the counts of all three runs")
        await run.stop()
        markers = await run.markers("md:AAPL:trades")
        assert markers[0][1]["reason"] == "ingest was not running"
        # However soon it was stopped, while it filled too: what it did not get stands beside.
        beside = {marker.get("history", "") for _, marker in markers} - {""}
        messages = await run.messages("md:AAPL:trades")
        for stream in beside:
            messages += await run.messages(stream)
        consecutive(sorted(messages, key=lambda message: message["i"]))


async def test_symbols_beyond_the_limit_are_named_and_the_rest_stay_live(md_url, orders_url):
    symbols = "AAPL,MSFT,SPY,TSLA,NVDA"
    with Simulator.start("--rate", "400", "--symbols", symbols, "--symbol-limit", "3") as simulator:
        async with running(settings_for(simulator, md_url, orders_url)) as run:
            async with run.wanting("reader", trades=symbols.split(",")):
                await until(lambda: len(run.stocks.feed.subscription.refused) == 2)
                await until(lambda: len(run.subscribed().get("trades", [])) == 3)
                await until(lambda: "symbol limit" in run.ingest.service.why)
                refused = {symbol for _, symbol in run.stocks.feed.subscription.refused}
                assert all(symbol in run.ingest.service.why for symbol in refused)
            async with run.wanting("reader", trades=sorted(refused)):
                await until(
                    lambda: run.subscribed().get("trades") == sorted(refused), "the refused, given room"
                )
                assert run.stocks.feed.connects == 1


@pytest.mark.parametrize("frame_messages", ["1", "20"])
async def test_a_burst_of_thousands_a_second_loses_none(md_url, orders_url, frame_messages):
    arguments = ("--rate", "6000", "--symbols", "AAPL,MSFT", "--frame-messages", frame_messages)
    with Simulator.start(*arguments) as simulator:
        async with (
            running(settings_for(simulator, md_url, orders_url)) as run,
            run.wanting("reader", trades=["AAPL", "MSFT"], quotes=["AAPL", "MSFT"]),
        ):
            await until(lambda: run.stocks.writing.messages_in > 12_000, "12,000 messages")
            await run.stop()
            written = 0
            for symbol in ("AAPL", "MSFT"):
                trades = await run.messages(f"md:{symbol}:trades")
                quotes = await run.messages(f"md:{symbol}:quotes")
                consecutive(trades)
                assert [quote["t"] for quote in quotes] == sorted(quote["t"] for quote in quotes)
                written += len(trades) + len(quotes)
            assert written == run.stocks.writing.messages_in
            assert run.stocks.frames.stalls == 0


def ingest_process(simulator, md_url, orders_url, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ingest"],
        cwd=ROOT,
        env={
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ALPACA", "BACKBONE"))
            },
            "MD_REDIS_URL": md_url,
            "ORDERS_REDIS_URL": orders_url,
            **{name: url for name, url in simulator.environment.items() if name.startswith("BACKBONE_")},
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=30,
    )


async def test_wrong_and_missing_keys_end_it_with_a_sentence(simulator, md_url, orders_url, orders_client):
    # Known to be of the account, and withdrawn since.
    await confirm(orders_client, "paper", "wrong")
    wrong = {"ALPACA_API_KEY": "wrong", "ALPACA_SECRET_KEY": "hush-hush"}
    ended = await asyncio.to_thread(ingest_process, simulator, md_url, orders_url, **wrong)
    assert ended.returncode == 2
    assert "refused the keys" in ended.stderr
    assert "hush-hush" not in ended.stderr
    ended = await asyncio.to_thread(ingest_process, simulator, md_url, orders_url)
    assert ended.returncode == 2
    assert "ALPACA_API_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_wrong_keys_of_the_market_stream_alone_end_it(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url, trading_stream_url="ws://127.0.0.1:9/stream")
    wrong = settings.model_copy(update={"alpaca_secret_key": type(settings.alpaca_secret_key)("wrong")})
    async with running(wrong) as run:
        await run.want("reader", trades=["AAPL"])
        with pytest.raises(InvalidInput, match="refused the keys"):
            await asyncio.wait_for(run.task, 15)


async def test_a_connection_held_by_another_is_said_and_taken_when_it_is_free(simulator, md_url, orders_url):
    simulator.fault("connection_limit", stream="stocks", seconds=2)
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL"]),
    ):
        await until(lambda: "somebody holds it" in run.ingest.service.why, "the sentence")
        await until(lambda: _has(run, "md:AAPL:trades"), "data")
        await until(lambda: run.ingest.service.state == "ready", "no more trouble")


async def test_pings_find_a_peer_that_is_gone_without_a_word(simulator, md_url, orders_url, monkeypatch):
    monkeypatch.setitem(WEBSOCKET_PARAMS, "ping_interval", 0.1)
    monkeypatch.setitem(WEBSOCKET_PARAMS, "ping_timeout", 0.5)
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL"]),
    ):
        await until(lambda: run.stocks.writing.messages_in > 5 and run.ingest.updates.live)
        simulator.process.send_signal(signal.SIGSTOP)
        try:
            await until(lambda: run.stocks.feed.gaps == 1, "the market stream's break")
            await until(lambda: not run.ingest.updates.live, "the trade updates' break")
        finally:
            simulator.process.send_signal(signal.SIGCONT)
        await until(lambda: run.stocks.feed.live and run.ingest.updates.live, "both back")

        async def told():
            return (await run.marker_kinds("md:AAPL:trades"))[:2] == BROKE_ONCE

        await until(told, "the gap")


async def test_what_cannot_be_understood_is_kept_in_dead(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL"]),
    ):
        await until(lambda: run.stocks.writing.messages_in > 5)
        run.stocks.feed.data(b"\x91\xc1 garbage")
        before = run.stocks.writing.messages_in
        await until(lambda: run.stocks.writing.messages_in > before, "what came after it")

        async def kept():
            return bool(await run.orders.xlen("dead"))

        await until(kept, "the entry in dead")
        [(_, fields)] = await run.orders.xrange("dead")
        assert fields[b"stream"] == b"feed:iex"
        assert fields[b"by"] == b"ingest"
        assert b"never was an entry" in fields[b"why_not_put_back"]
        assert b"not msgpack" in fields[b"error"]
        assert b"garbage" in fields[b"payload"]
        assert run.stocks.feed.connects == 1
