"""`backbone flatten --without-oms` and `--suspend`: at the broker itself, with keys of the environment."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from backbone import backbone, environment
from oms_run import running
from risk_day import approved_closing
from simulator import Simulator

from bus.clock import SystemClock
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.protocol import ClosedAtBroker, Rejected
from ops.flatten.at_broker import AtBroker, Left
from ops.flatten.without_oms import lines

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulator of two symbols and a pair."""
    with Simulator.start("--symbols", "AAPL,MSFT,BTC/USD", "--requests-per-minute", "100000") as started:
        yield started


@pytest.fixture
def within(simulator: Simulator, home: Path, md_url: str, orders_url: str) -> Mapping[str, str]:
    """The surroundings of somebody with keys, whose servers are empty, and who holds something."""
    simulator.trade("AAPL", "buy", "7")
    simulator.trade("MSFT", "sell", "2")
    order = LimitOrderRequest(
        symbol="AAPL", qty=7, side=OrderSide.SELL, time_in_force=TimeInForce.DAY, limit_price=9000
    )
    simulator.trading_client().submit_order(order)
    return environment(home, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url, **simulator.environment)


def broker_of(simulator: Simulator) -> AlpacaBroker:
    """The broker, as the OMS has it."""
    return AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)


async def test_the_broker_closes_all_is_suspended_and_the_next_start_books_it(
    simulator: Simulator, within: Mapping[str, str], md_url: str, orders_url: str
) -> None:
    async with running(md_url, orders_url, broker_of(simulator)) as oms:
        assert oms.book.positions()["external"]["AAPL"] == 7
        command = ("flatten", "--without-oms", "--yes", "--reason", "drill")
        # In a thread: the OMS has a lease to keep meanwhile.
        refused = await asyncio.to_thread(backbone, *command, within=within)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "an OMS of account paper is alive" in refused.stderr
    unconfirmed = backbone("flatten", "--without-oms", "--reason", "drill", within=within)
    assert (unconfirmed.returncode, "say --yes" in unconfirmed.stderr) == (2, True)
    assert simulator.trading_client().get_all_positions()

    told = backbone(*command, "--suspend", "--json", within=within)
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout)
    assert (said["flat"], said["left"], said["refused"], said["suspended"]) == (True, {}, {}, True)
    assert not simulator.trading_client().get_all_positions()
    assert not simulator.trading_client().get_orders()

    broker = broker_of(simulator)
    outcome = await broker.submit(approved_closing("AAPL"), lambda: None)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "trade_suspended"
    assert "--lift-suspension" in outcome.reason.message

    async with running(md_url, orders_url, broker_of(simulator)) as oms:
        assert oms.book.positions() == {}

    resumed = backbone("resume", "--reason", "back", "--json", within=within)
    assert "is suspended (suspend_trade)" in json.loads(resumed.stdout)["warnings"][-1]
    assert await broker.suspended()
    lifted = backbone("resume", "--lift-suspension", "--reason", "back", "--json", within=within)
    assert not [one for one in json.loads(lifted.stdout)["warnings"] if "suspended" in one]
    assert not await broker.suspended()
    await broker.close()


def test_keys_are_asked_for_before_anything_is_done(within: Mapping[str, str]) -> None:
    without = {name: value for name, value in within.items() if not name.startswith("ALPACA_")}
    for command in (
        ("flatten", "--without-oms", "--yes", "--reason", "x"),
        ("flatten", "--suspend", "--reason", "x"),
        ("resume", "--lift-suspension", "--reason", "x"),
    ):
        told = backbone(*command, within=without)
        assert (told.returncode, told.stdout) == (2, ""), command
        assert "Alpaca's keys are missing" in told.stderr
    narrow = backbone("flatten", "--without-oms", "--symbol", "AAPL", "--reason", "x", within=within)
    assert (narrow.returncode, "about the whole account" in narrow.stderr) == (2, True)


def test_with_the_orders_server_down_it_says_so_and_closes(
    simulator: Simulator, within: Mapping[str, str]
) -> None:
    down = dict(within) | {"ORDERS_REDIS_URL": "redis://127.0.0.1:1/0"}
    told = backbone("flatten", "--without-oms", "--yes", "--reason", "drill", within=down)
    assert told.returncode == 0, told.stderr
    assert "whether an OMS is alive could not be found out" in told.stderr
    assert "is flat." in told.stdout
    assert not simulator.trading_client().get_all_positions()


def test_what_the_broker_did_not_close_is_said_in_its_words() -> None:
    account = AtBroker(None, "paper", "paper", "PA1")  # type: ignore[arg-type]
    left = Left({"AAPL": Decimal(7), "X": Decimal(1)}, {"X": "asset is not tradable"})
    said = lines(account, left, suspended=False, suspend=True)
    assert said[0] == "AAPL: 7 left, its order is at the broker and not filled: is the market open?"
    assert said[1] == "X: 1 left, asset is not tradable"
    assert said[2:4] == [
        "Alpaca's paper account PA1 is NOT flat.",
        "It is not suspended: that would refuse the orders which close the rest.",
    ]
    assert ClosedAtBroker("X", "no").refused
