"""Connections that are up and say nothing: found within their bounds, made anew, told; and idle ones kept."""

import pytest
from ingest_run import running, settings_for
from waiting import until

from ingest import service
from ingest.silence import silence_watch
from ingest.streams import alpaca_account
from ingest.streams.tapped_stream import WEBSOCKET_PARAMS

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of a twentieth, and states looked at as often."""
    monkeypatch.setattr(silence_watch, "SLICE_S", 0.05)
    monkeypatch.setattr(service, "WANTS_S", 0.05)


def open_at_all_hours(simulator, md_url, orders_url):
    return settings_for(simulator, md_url, orders_url, ingest_hours="always")


SYMBOLS = {"stocks": "AAPL", "crypto": "BTC/USD"}


async def test_mute_sockets_are_found_made_anew_and_told_until_they_speak(
    simulator, md_url, orders_url, fast
):
    settings, symbols = open_at_all_hours(simulator, md_url, orders_url), list(SYMBOLS.values())
    async with running(settings) as run, run.wanting("me", trades=symbols, quotes=symbols):
        feeds = run.ingest.feeds

        def each(holds):
            return lambda: all(holds(kind, feeds[kind]) for kind in SYMBOLS)

        def heard(kind, leased):
            # The whole, and each stream by its name.
            flows = leased.watch._silence._flows
            streams = [f"md:{SYMBOLS[kind]}:trades", f"md:{SYMBOLS[kind]}:quotes"]
            return set(streams) <= flows.keys() and all(flows[one].last > 20 for one in ("", *streams))

        await until(each(heard), "a flow")
        for kind in SYMBOLS:
            simulator.fault("mute", stream=kind)
        await until(each(lambda _, leased: leased.feed.connects >= 2), "the next connections")
        # It is up again, and answers, and is not well.
        await until(each(lambda kind, _: run.details.feeds[kind].connected), "both connections")
        assert {run.details.feeds[kind].state for kind in SYMBOLS} == {"degraded"}
        assert all("silent" in run.codes(kind) for kind in SYMBOLS)
        assert "something came in" in run.ingest.service.why
        # The next wait is twice as long, so that there is no storm.
        assert all(feeds[kind].watch._silence._wait >= 18 for kind in SYMBOLS)
        simulator.clear_faults()
        await until(each(lambda kind, _: "silent" not in run.codes(kind)), "the end of it")
        await until(lambda: run.ingest.service.state == "ready", "no more trouble")

        async def told():
            return all([len(await run.markers(f"md:{symbol}:trades")) >= 2 for symbol in symbols])

        await until(told, "the gaps, filled")
        for symbol in symbols:
            (opened, gap), (closed, _), *_ = await run.markers(f"md:{symbol}:trades")
            assert (opened, closed) == ("GapOpened", "GapClosed")
            assert gap["reason"].startswith("silent: nothing for ")


async def test_halted_symbols_have_a_right_to_be_quiet(simulator, md_url, orders_url, fast, monkeypatch):
    asked = []
    real = silence_watch.halted

    async def counting(client, symbols):
        asked.append(symbols)
        return await real(client, symbols)

    monkeypatch.setattr(silence_watch, "halted", counting)
    settings = open_at_all_hours(simulator, md_url, orders_url)
    async with running(settings) as run, run.wanting("me", trades=["AAPL"], statuses=["AAPL"]):
        watch = run.stocks.watch
        await until(lambda: watch._silence._came >= 20, "a flow")
        simulator.halt("AAPL")
        await until(lambda: bool(asked), "the question whether it is halted")
        await until(lambda: bool(watch._silence._excused), "the excuse")
        simulator.resume("AAPL")
        await until(lambda: not watch._silence._excused, "the first trade after it")
        assert run.stocks.feed.connects == 1
        assert asked == [["AAPL"]]


async def test_idle_connections_of_the_account_stay_up_and_dead_ones_are_found(
    simulator, md_url, orders_url, monkeypatch
):
    # A minute at most, as it is set; here a hundred times as fast.
    assert WEBSOCKET_PARAMS["ping_interval"] + WEBSOCKET_PARAMS["ping_timeout"] < 60
    params = {**WEBSOCKET_PARAMS, "ping_interval": 0.1, "ping_timeout": 0.3}
    monkeypatch.setattr(alpaca_account, "WEBSOCKET_PARAMS", params)
    async with running(settings_for(simulator, md_url, orders_url)) as run:
        updates = run.ingest.updates
        await until(lambda: updates.live, "the account's connection")
        pongs = updates._stream._ws._socket.latency
        await until(lambda: updates._stream._ws._socket.latency != pongs, "pings and pongs")
        assert updates.connects == 1
        simulator.fault("no_pong", stream="trade_updates")
        await until(lambda: updates.trouble is not None, "the dead peer")
        simulator.clear_faults()
        await until(lambda: updates.live and updates.connects == 2, "the next connection")
