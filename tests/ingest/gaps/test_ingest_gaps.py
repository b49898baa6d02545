"""Gaps: told on every path, filled from the simulator's history, each message once and in order."""

import json
import os
import subprocess
import sys

import pytest
from dying_ingest import STEPS
from ingest_run import BROKE_ONCE, consecutive, running, settings_for
from own_server import own_server
from simulator import ROOT
from waiting import until

from bus import streams

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("left_open_soon")]

TRADES, QUOTES = "md:AAPL:trades", "md:AAPL:quotes"


def wanting_both(run):
    return run.wanting("reader", trades=["AAPL"], quotes=["AAPL"])


@pytest.mark.parametrize("fault", ["disconnect", "slow_client"])
async def test_what_a_break_lost_comes_from_history_in_order_and_once(simulator, md_url, orders_url, fault):
    async with running(settings_for(simulator, md_url, orders_url)) as run, wanting_both(run):
        await run.flowing(TRADES)
        simulator.fault(fault, stream="stocks", **({"seconds": 1} if fault == "disconnect" else {}))
        marker = await run.closed(TRADES)
        await run.flowing(TRADES)
        await run.stop()
        consecutive(await run.messages(TRADES))
        assert marker["backfilled"] == len(await run.filled(TRADES)) > 0
        quotes = await run.messages(QUOTES)
        assert len({json.dumps(quote, sort_keys=True) for quote in quotes}) == len(quotes)
        assert [quote["t"] for quote in quotes] == sorted(quote["t"] for quote in quotes)
        assert run.details.counters.backfilled >= marker["backfilled"]


async def test_what_history_is_too_slow_for_goes_beside_and_live_goes_on(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url, ingest_hold_seconds=0.3)
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        await run.flowing(TRADES)
        simulator.fault("latency", on="data", ms=1500)
        simulator.fault("disconnect", stream="stocks")
        await run.marked(TRADES, ["GapOpened"])
        await run.flowing(TRADES)
        assert await run.marker_kinds(TRADES) == ["GapOpened"]
        await until(lambda: "gap_open" in run.codes(), "the alert")
        simulator.clear_faults()
        marker = await run.closed(TRADES)
        await until(lambda: "gap_open" not in run.codes(), "the alert to end")
        await run.stop()
        assert await run.filled(TRADES) == []
        beside = await run.filled(marker["history"])
        assert len(beside) == marker["backfilled"] > 0
        consecutive(_by_number(await run.messages(TRADES) + beside))
        assert not await run.market.exists("gaps:iex")


async def test_history_that_is_not_given_leaves_the_gap_open_and_is_asked_again_after_a_restart(
    simulator, md_url, orders_url
):
    settings = settings_for(simulator, md_url, orders_url, ingest_hold_seconds=0.3)
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        await run.flowing(TRADES)
        simulator.fault("http_error", status=422, on="data", count=1000)
        simulator.fault("disconnect", stream="stocks")
        await until(lambda: "gap_open" in run.codes(), "the alert")
        await run.flowing(TRADES)
        assert await run.marker_kinds(TRADES) == ["GapOpened"]
        await run.stop()
    simulator.clear_faults()
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        await run.closed(TRADES, times=2)
        await run.flowing(TRADES)
        await run.stop()
        markers = await run.markers(TRADES)
        beside = [message for name in _beside(markers) for message in await run.filled(name)]
        consecutive(_by_number(await run.messages(TRADES) + beside))


def _by_number(messages):
    return sorted(messages, key=lambda message: message["i"])


def _beside(markers):
    return [marker["history"] for kind, marker in markers if kind == "GapClosed" and "history" in marker]


async def test_a_reader_that_left_and_came_back_gets_what_it_missed(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("other", bars=["SPY"]),
    ):
        async with run.wanting("reader", trades=["AAPL"]):
            await run.flowing(TRADES)
        await until(lambda: "trades" not in run.subscribed(), "nobody wants it")
        async with run.wanting("reader", trades=["AAPL"]):
            await run.closed(TRADES)
            await run.flowing(TRADES)
        assert await run.marker_kinds(TRADES) == BROKE_ONCE
        await run.stop()
        consecutive(await run.messages(TRADES))


async def test_a_stream_that_all_symbols_brought_is_whole_until_they_are_not_wanted_any_more(
    simulator, md_url, orders_url
):
    async with running(settings_for(simulator, md_url, orders_url)) as run:
        async with run.wanting("all", trades=["*"]):
            await run.flowing(TRADES)
            async with run.wanting("reader", trades=["AAPL"]):
                await until(lambda: "AAPL" in run.subscribed()["trades"], "both")
                await run.flowing(TRADES)
                assert await run.markers(TRADES) == []
        await until(lambda: run.subscribed() == {}, "nothing wanted")
        async with run.wanting("reader", trades=["AAPL"]):
            await run.closed(TRADES)
            await run.flowing(TRADES)
        await run.stop()
        consecutive(await run.messages(TRADES))


async def test_what_all_symbols_brought_is_told_and_filled_symbol_by_symbol(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url)
    async with running(settings) as run, run.wanting("all", trades=["*"]):
        await run.flowing(TRADES)
        simulator.fault("disconnect", stream="stocks")
        await run.closed(TRADES)
        await run.flowing(TRADES)
        await run.stop()
    async with running(settings) as run, run.wanting("all", trades=["*"]):
        await run.closed(TRADES, times=2)
        await run.flowing(TRADES)
        await run.stop()
        consecutive(await run.messages(TRADES))
        for stream in streams.market_all_partitions("trades"):
            kinds = await run.marker_kinds(stream)
            assert kinds.count("GapOpened") == kinds.count("GapClosed") >= 1


async def test_a_server_that_lost_everything_has_it_again_from_history(simulator, orders_url):
    with own_server("market") as server:
        async with (
            running(settings_for(simulator, server.url, orders_url)) as run,
            run.wanting("reader", trades=["AAPL"], statuses=["AAPL"]),
        ):
            await run.flowing(TRADES)
            first = (await run.messages(TRADES))[0]["i"]
            await run.market.flushall()
            marker = await run.closed(TRADES)
            assert marker["backfilled"] > 10
            await run.flowing(TRADES)
            await run.stop()
            messages = await run.messages(TRADES)
            consecutive(messages)
            assert messages[0]["i"] <= first + 5
            assert await run.marker_kinds("md:AAPL:statuses") == BROKE_ONCE


async def test_what_a_damaged_spool_held_is_a_gap_in_its_place_and_comes_from_history(
    simulator, orders_url, tmp_path
):
    with own_server("market") as server:
        settings = settings_for(simulator, server.url, orders_url, ingest_spool_dir=tmp_path)
        async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
            await run.flowing(TRADES)
            frames = run.stocks.frames
            server.pause()
            await until(lambda: frames.disk_items > 50, "a spool")
            (segment,) = tmp_path.glob("market-iex-*/*.spool")
            with segment.open("r+b") as file:
                file.seek(1000)
                file.write(bytes(1000))
            server.go_on()
            marker = await run.closed(TRADES)
            assert marker["backfilled"] == len(await run.filled(TRADES)) > 0
            await run.flowing(TRADES)
            await until(lambda: not frames.disk_items, "the end of the spool")
            await run.stop()
            consecutive(await run.messages(TRADES))
            kinds = await run.marker_kinds(TRADES)
            assert kinds == BROKE_ONCE


def dying(settings, step, simulator):
    """A process that ingests, and dies at this step of filling a gap."""
    environment = os.environ | simulator.environment
    environment |= {
        "MD_REDIS_URL": settings.md_redis_url,
        "ORDERS_REDIS_URL": settings.orders_redis_url,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(ROOT / "tests" / "support" / "dying_ingest.py"), step]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)


async def test_one_that_dies_at_any_step_of_filling_leaves_each_message_once_and_in_order(
    simulator, md_url, orders_url
):
    settings = settings_for(simulator, md_url, orders_url)
    async with running(settings) as run:
        async with run.wanting("reader", trades=["AAPL"]):
            await run.flowing(TRADES)
            await run.stop()
            for step in STEPS:
                process = dying(settings, step, simulator)
                try:
                    await until(lambda process=process: process.poll() == -9, f"its death {step}")
                finally:
                    process.kill()
                    process.wait()
                # Nobody gives its lease back.
                await run.market.delete("lease:market:iex", "lease:market:crypto")
                await run.orders.delete("account:{paper}:lease")
            async with running(settings) as last:
                await last.flowing(TRADES)
                # History is asked again after 1, 2, 4, 8, 16 s where it does not answer in time.
                await until(lambda: _none_open(last), "every gap closed", timeout_s=60)
                await last.flowing(TRADES)
                await last.stop()
        # What the dead one had begun to write may stand before or behind what its successor found beside.
        markers = await run.markers(TRADES)
        beside = [message for name in set(_beside(markers)) for message in await run.filled(name)]
        messages = await run.messages(TRADES)
        assert [one["i"] for one in messages] == sorted(one["i"] for one in messages)
        consecutive(_by_number(messages + beside))


async def _none_open(run):
    kinds = await run.marker_kinds(TRADES)
    return kinds[-1:] == ["GapClosed"] and not await run.market.exists("gaps:iex")
