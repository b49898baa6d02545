"""Trade updates: raw, in order, with every connection and every break told."""

import asyncio
import json
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from ingest_run import BROKE_ONCE, consecutive, running, settings_for
from waiting import until

from bus import embedded
from bus.account_keys import confirm
from bus.errors import Fenced
from bus.streams import account_keys, account_lease, market_lease

pytestmark = pytest.mark.integration


async def test_trade_updates_are_kept_as_they_came(simulator, md_url, orders_url):
    async with running(settings_for(simulator, md_url, orders_url)) as run:
        await until(lambda: run.ingest.updates.live)
        order = simulator.trade("AAPL", "buy", "3", "230.50")

        async def filled():
            return any(
                data.get("data", {}).get("event") == "fill" for _, data in await run.account_messages()
            )

        await until(filled, "the fill")
        kinds = [kind for kind, _ in await run.account_messages()]
        assert kinds[0] == "Connected"
        assert set(kinds[1:]) == {"TradeUpdate"}
        entries = await run.orders.xrange("account:{paper}")
        for _, fields in entries:
            assert fields[b"version"] == b"1"
            assert int(fields[b"r"]) > 0
        fill = json.loads(entries[-1][1][b"data"])
        assert fill["stream"] == "trade_updates"
        assert fill["data"]["order"]["id"] == order["id"]
        assert fill["data"]["qty"] == "3"


async def test_trade_updates_wait_until_an_oms_has_confirmed_the_keys(simulator, md_url, orders_url):
    """Keys of another account would put its fills into this account's stream."""
    settings = settings_for(simulator, md_url, orders_url)
    async with running(settings, confirmed=False) as run, run.wanting("reader", trades=["AAPL"]):
        await confirm(run.orders, "paper", "PKANOTHER")
        await confirm(run.orders, "second", simulator.key)
        await until(lambda: run.stocks.writing.messages_in > 0, "market data, which need no account")
        await until(lambda: "account_unconfirmed" in [one.code for one in run.ingest.service.reasons])
        simulator.trade("AAPL", "buy", "1")
        assert await run.account_messages() == []
        # Somebody with the right keys need not wait for the lease.
        assert await run.orders.get(account_lease("paper")) is None
        await confirm(run.orders, "paper", simulator.key)
        await until(lambda: run.ingest.updates.live, "the connection")
        await until(lambda: not run.ingest.service.reasons, "no more trouble")
        kept = await run.orders.smembers(account_keys("paper"))
        assert all(simulator.key.encode() not in one for one in kept)


async def test_an_ingest_that_waits_for_confirmation_can_be_stopped(simulator, md_url, orders_url):
    async with running(settings_for(simulator, md_url, orders_url), confirmed=False) as run:
        await until(lambda: "trade updates wait" in run.ingest.service.why, "it to wait")
        await run.stop()
        assert await run.account_messages() == []


async def test_a_break_is_told_and_market_data_goes_on(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url)
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
        await until(lambda: run.ingest.updates.live and run.stocks.writing.messages_in > 0)
        simulator.fault("disconnect", stream="trade_updates")
        await until(lambda: run.ingest.updates.connects == 2, "the second connection")
        simulator.trade("AAPL", "buy", "1")

        async def told():
            return [kind for kind, _ in await run.account_messages()][:4] == [
                "Connected",
                "Disconnected",
                "Connected",
                "TradeUpdate",
            ]

        await until(told, "the break and the update after it")
        first, _, second = (data for _, data in (await run.account_messages())[:3])
        assert second["epoch"] > first["epoch"]
        assert run.stocks.feed.connects == 1
        assert run.stocks.feed.gaps == 0
    async with running(settings) as run:
        await until(lambda: run.ingest.updates.live)

        async def third():
            return [data["epoch"] for kind, data in await run.account_messages() if kind == "Connected"][2:]

        await until(lambda: _truth(third()))
        assert (await third())[0] > second["epoch"], "epochs grow across restarts"


async def _truth(value):
    return bool(await value)


async def test_a_second_ingest_waits_and_takes_over(simulator, md_url, orders_url):
    settings = settings_for(simulator, md_url, orders_url)
    async with (
        running(settings) as first,
        running(settings) as second,
        first.wanting("reader", trades=["AAPL"]),
    ):
        leader, waiter = first, second
        await until(lambda: first.stocks.writing.messages_in + second.stocks.writing.messages_in > 0)
        if second.stocks.writing.messages_in:
            leader, waiter = second, first
        await until(lambda: "another ingest holds it" in waiter.ingest.service.why)
        clients = simulator.state()["clients"]
        assert (clients["stocks"], clients["crypto"], clients["trade_updates"]) == (1, 0, 1)
        await leader.stop()
        await until(lambda: waiter.stocks.writing.messages_in > 0, "the other one's turn")


async def test_a_feed_that_another_takes_over_stops_alone_and_waits_for_its_turn(
    simulator, md_url, orders_url
):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL", "BTC/USD"]),
    ):
        await until(lambda: run.stocks.writing.messages_in > 0 and run.crypto.writing.messages_in > 0)
        await run.market.set(market_lease("iex"), "99:usurper", px=3000)
        await until(lambda: run.stocks.waits is not None, "the loss to be seen")
        last = await run.market.xrevrange("md:AAPL:trades", count=1)
        await until(lambda: not simulator.state()["clients"]["stocks"], "the stock stream to be left")
        coins, messages = run.crypto.writing.messages_in, len(await run.account_messages())
        assert await run.market.get(market_lease("iex")) == b"99:usurper"
        assert await run.market.xrevrange("md:AAPL:trades", count=1) == last, "nothing is written without it"
        simulator.trade("AAPL", "buy", "1")
        await until(lambda: run.crypto.writing.messages_in > coins + 5, "coins to go on")
        await until(lambda: _more_messages(run, messages), "trade updates to go on")
        assert run.crypto.feed.connects == run.ingest.updates.connects == 1
        # The other one is gone: its lease runs out.
        await until(lambda: run.stocks.waits is None and run.stocks.feed.live, "its turn again")
        await until(lambda: _goes_on(run, last), "writing to go on")
        assert await run.marker_kinds("md:AAPL:trades") == BROKE_ONCE
        assert await run.markers("md:BTC/USD:trades") == []


def _state(run, kind):
    """The state of a feed in the heartbeat; None where it is not mentioned yet."""
    return run.details.feeds[kind].state if kind in run.details.feeds else None


async def _more_messages(run, before):
    return len(await run.account_messages()) > before


async def _goes_on(run, last):
    """Whether messages follow the last one of the turn before."""
    later = await run.market.xrange("md:AAPL:trades", min=f"({last[0][0].decode()}")
    return any(b"type" not in fields for _, fields in later)


async def test_a_feed_that_is_lost_is_said_with_its_reason(simulator, md_url, orders_url):
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL"]),
    ):
        await until(lambda: run.stocks.writing.messages_in > 0)
        await run.market.set(market_lease("iex"), "99:usurper")
        await until(lambda: _state(run, "stocks") == "waiting", "the state to be told")
        await until(lambda: "another ingest holds it" in run.ingest.service.why, "the reason")
        assert run.codes() == {"lease_held"}
        assert run.ingest.service.state == "ready", "trade updates go on"


async def test_another_accounts_ingest_takes_its_account_while_the_feeds_are_served(
    simulator, md_url, orders_url
):
    settings = settings_for(simulator, md_url, orders_url)
    async with running(settings) as first, first.wanting("reader", trades=["AAPL"]):
        await until(lambda: first.stocks.writing.messages_in > 0)
        async with running(settings_for(simulator, md_url, orders_url, account="second")) as second:
            # Its keys are those of the first, whose connection is the only one that Alpaca grants.
            await until(lambda: second.ingest.updates.trouble is not None, "an attempt at trade updates")
            assert await second.orders.get(account_lease("second")) is not None
            assert second.stocks.waits is not None
            assert second.stocks.waits.code == "lease_held"


async def test_an_account_that_another_takes_over_ends_the_process(simulator, md_url, orders_url):
    async with running(settings_for(simulator, md_url, orders_url)) as run:
        await until(lambda: run.ingest.updates.live)
        await run.orders.set(account_lease("paper"), "99:usurper")
        with pytest.raises(Fenced, match="stops writing"):
            await asyncio.wait_for(run.task, 15)
        assert await run.orders.get(account_lease("paper")) == b"99:usurper"


@pytest.mark.parametrize("outage_s", [0.5, 6.0])
async def test_an_outage_of_the_market_server_loses_and_duplicates_nothing(
    simulator, md_url, orders_url, servers, outage_s
):
    """The longer one outlasts the lease: nobody else took it, so it is taken again and writing goes on."""
    async with (
        running(settings_for(simulator, md_url, orders_url)) as run,
        run.wanting("reader", trades=["AAPL"]),
    ):
        await until(lambda: run.stocks.writing.messages_in > 20)
        server = servers[0].process
        server.send_signal(signal.SIGSTOP)
        try:
            stopped_ns = run.ingest.service.clock.monotonic_ns()
            await until(
                lambda: run.ingest.service.clock.monotonic_ns() - stopped_ns > outage_s * 1e9,
                "the outage's end",
            )
            assert len(run.stocks.frames) > 0, "frames wait"
        finally:
            server.send_signal(signal.SIGCONT)
        seen = run.stocks.writing.messages_in
        await until(lambda: run.stocks.writing.messages_in > seen + 50, "what came afterwards")
        await run.stop()
        assert consecutive(await run.messages("md:AAPL:trades")) == run.stocks.writing.messages_in
        assert await run.markers("md:AAPL:trades") == []


async def test_a_killed_market_server_that_comes_back_gets_what_waited(simulator, orders_url):
    directory = Path(tempfile.mkdtemp(prefix="bb-"))
    server = embedded.start("market", directory)
    try:
        settings = settings_for(simulator, server.tcp_url, orders_url)
        async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):
            await until(lambda: run.stocks.writing.messages_in > 20)
            server.process.kill()
            server.process.wait()
            await until(lambda: len(run.stocks.frames) > 10, "frames wait")
            server = embedded.start("market", directory, server.port)
            seen = run.stocks.writing.messages_in
            await until(lambda: run.stocks.writing.messages_in > seen + 50, "what came afterwards")
            await run.stop()
            # Only what the server had not yet on disk when it was killed may be missing.
            ids = [message["i"] for message in await run.messages("md:AAPL:trades")]
            assert ids == sorted(set(ids))
            assert ids[-30:] == list(range(ids[-30], ids[-30] + 30))
    finally:
        server.stop()
        shutil.rmtree(directory)
