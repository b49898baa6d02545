"""Halts that the OMS gives by itself, with real processes that are cut off, stopped and killed."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from oms_run import ACCOUNT
from waiting import wait_until
from whole_run import WholeRun, whole_run

pytestmark = pytest.mark.e2e

WHOLE, ALPHA = f"account:{ACCOUNT}", "algorithm:alpha"


@pytest.fixture(scope="module")
def run() -> Iterator[WholeRun]:
    """Everything at work; each test leaves it so."""
    lost = dict.fromkeys(("FEED", "UPDATES", "MARKET_DATA"), "2")
    variables = {f"BACKBONE_OMS_{what}_LOST_S": seconds for what, seconds in lost.items()}
    with (
        tempfile.TemporaryDirectory(prefix="bb-") as home,
        whole_run(Path(home), BACKBONE_OMS_SILENT_S="1", **variables) as started,
    ):
        _wait_for_feeds(started)
        yield started


def _wait_for_feeds(run: WholeRun) -> None:
    def connected() -> bool:
        feeds = run.heartbeat("ingest").get("feeds", {})
        return all(feeds.get(kind, {}).get("connected") for kind in ("crypto", "account"))

    wait_until(connected, "the feeds of coins and of trade updates")


def _resume(run: WholeRun) -> None:
    told = run.command("resume", "--reason", "looked at it")
    assert (told.returncode, told.stderr) == (0, "")


def test_a_market_data_server_that_hangs_halts_and_an_oms_starts_without_one(run: WholeRun) -> None:
    # Nothing is held, so no price is read that would fail.
    os.kill(run.servers["market"].process.pid, signal.SIGSTOP)
    wait_until(lambda: WHOLE in run.halts(), "the halt")
    assert b"the market-data server is away" in run.halts()[WHOLE]
    run.kill("market")
    run.kill("oms")
    run.start("oms", *run.oms)
    wait_until(lambda: run.heartbeat("oms").get("ready"), "an OMS without market data")
    told = run.status()
    assert WHOLE in told["halts"]
    assert "no server answers there" in told["market_data_away"]
    assert run.command("cancel-all", "--reason", "no market data").returncode == 0
    run.start_server("market")
    _wait_for_feeds(run)
    _resume(run)
    wait_until(lambda: run.halts() == {}, "nothing to be halted")


def test_a_lost_feed_halts_until_a_resume_whatever_is_killed_and_a_reconnect_halts_nothing(
    run: WholeRun,
) -> None:
    halts = run.log("oms").count('"trading halted"')
    breaks = run.log("ingest").count("market stream broke")
    run.simulator.fault("disconnect", stream="crypto")
    wait_until(lambda: run.log("ingest").count("market stream broke") > breaks, "the feed to break")
    _wait_for_feeds(run)
    run.simulator.fault("disconnect", stream="crypto", seconds=3600)
    wait_until(lambda: WHOLE in run.halts(), "the halt")
    halted = run.status()
    assert not halted["trading"]
    assert "the market data of crypto are away for" in halted["halts"][WHOLE]["reason"]
    # One halt: the break before it was none.
    assert run.log("oms").count('"trading halted"') == halts + 1

    for name in (*run.processes, *run.servers):
        run.kill(name)
    run.simulator.clear_faults()
    for role in ("market", "orders"):
        run.start_server(role)
    run.start_services()
    _wait_for_feeds(run)
    run.order("buy", "0.01")
    wait_until(lambda: "OrderRefused" in run.told("alpha"), "the order to be refused")
    assert run.status()["halts"] == halted["halts"]
    assert run.simulator.ledger()["orders"] == []
    _resume(run)
    run.order("buy", "0.02")
    wait_until(lambda: "OrderFilled" in run.told("alpha"), "the order to be filled")
    assert run.halts() == {}


def test_with_all_data_lost_nothing_is_ordered_before_a_person_looked(run: WholeRun) -> None:
    """What is held is found at the broker, and a halt that was given while nothing ran holds."""
    held = run.simulator.ledger()["positions"]
    orders = len(run.simulator.ledger()["orders"])
    assert held
    for name in (*run.processes, *run.servers):
        run.kill(name)
    for role in ("market", "orders"):
        shutil.rmtree(run.home / role)
    assert run.command("halt", "--algo", "beta", "--reason", "all is lost").returncode == 0
    for role in ("market", "orders"):
        run.start_server(role)
    run.start_services()
    run.order("buy", "0.03")
    wait_until(lambda: "OrderRefused" in run.told("alpha"), "the order to be refused")
    wait_until(lambda: "halt_unknown" in run.heartbeat("oms").get("refused", ""), "the heartbeat to say why")
    told = run.status()
    assert list(told["halts"]) == ["algorithm:beta"]
    assert told["why_not"][0].startswith(
        "the halt state is not known; look at the account, then `backbone resume"
    )
    assert told["oms"]["books"]["alpha"]["positions"] == held
    assert len(run.simulator.ledger()["orders"]) == orders
    _resume(run)
    told_before = run.told("alpha").count("OrderFilled")
    run.order("buy", "0.03")
    wait_until(lambda: run.told("alpha").count("OrderFilled") > told_before, "the order to be filled")


def test_an_algorithm_that_is_killed_while_it_holds_something_is_halted(run: WholeRun) -> None:
    run.kill("alpha")
    wait_until(lambda: ALPHA in run.halts(), "the halt of who is silent")
    assert list(run.halts()) == [ALPHA]
