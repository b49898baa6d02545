"""The OMS killed at each step of one flatten; and a flatten whose symbol is halted at the exchange."""

import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from oms_processes import journal, processes
from oms_run import ACCOUNT, Running, running
from simulator import Simulator
from waiting import until

from bus import control, streams
from bus.clock import SystemClock
from bus.connection import connect
from bus.control_messages import Flatten
from bus.flatten_messages import FlattenEnded
from bus.limit_messages import LimitsChanged
from bus.order_events import OrderApproved
from oms.broker.alpaca_broker import AlpacaBroker
from oms.state.state import State

pytestmark = pytest.mark.e2e

# Each is reached once the ones before it are behind.
STEPS = (
    ("before_call", "cancel_all"),
    ("after_call", "cancel_all"),
    ("before_journal", "approval"),
    ("before_call", "approval"),
    ("after_call", "approval"),
    ("before_journal", "flatten_end"),
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator that holds 7 AAPL and what the fee left of 0.5 coins, bought by hand."""
    with Simulator.start("--symbols", "AAPL,MSFT,BTC/USD", "--requests-per-minute", "100000") as started:
        started.trade("AAPL", "buy", "7")
        started.trade("BTC/USD", "buy", "0.5")
        yield started


def rest(simulator: Simulator) -> None:
    """An order far below the market, made by hand."""
    order = LimitOrderRequest(
        symbol="MSFT", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=5
    )
    simulator.trading_client().submit_order(order)


async def say(client: Any, scope: str = "all") -> str:
    """An operator's word; returns the entry's id."""
    return await control.tell(client, Flatten(scope=scope, reason="a test", by="ann", at_ns=time.time_ns()))


def sold(simulator: Simulator) -> list[tuple[str, str, Decimal]]:
    """What was sent under ids of ours: symbol, side, how much was filled."""
    return sorted(
        (order["symbol"], order["side"], Decimal(order["filled_qty"]))
        for order in simulator.ledger()["orders"]
        if order["client_order_id"].startswith("bb-")
    )


async def test_killed_at_each_step_of_one_flatten_it_goes_on_and_sells_nothing_twice(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    rest(simulator)
    client = connect(orders_url, name="test")
    reached = []
    with processes(simulator, md_url, orders_url) as start:
        process = start(*STEPS[0])
        await until(lambda: _started(client), "the first start")
        await say(client)
        for step, following in zip(STEPS, (*STEPS[1:], ("never",)), strict=True):
            await until(lambda: _dead_or_ended(process, client), f"{step} to be reached")  # noqa: B023
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL, step
                reached.append(step)
                await client.delete(streams.oms_lease(ACCOUNT))
                process = start(*following)
        await until(lambda: _ended(client), "the end")
        events = await journal(client)
        (ended,) = (event for event in events if isinstance(event, FlattenEnded))
        assert {one.symbol: one.why for one in ended.outcomes} == {"AAPL": "", "BTC/USD": "", "MSFT": ""}
        never_sent = sum(getattr(event, "by", "") == "oms" and hasattr(event, "reasons") for event in events)
        approved = [event for event in events if isinstance(event, OrderApproved)]
        assert len(approved) == 2 + never_sent
        assert sold(simulator) == [("AAPL", "sell", Decimal(7)), ("BTC/USD", "sell", Decimal("0.49875"))]
        assert not simulator.trading_client().get_all_positions()
        assert not simulator.trading_client().get_orders()
        state = State()
        for event in events:
            state.apply(event)
        assert state.book.positions() == {}
        process.send_signal(signal.SIGTERM)
        await until(lambda: process.poll() is not None, "the OMS to stop")
    await client.aclose()
    assert reached == list(STEPS)


async def _started(client: Any) -> bool:
    return any(isinstance(event, LimitsChanged) for event in await journal(client))


async def _ended(client: Any) -> bool:
    return any(isinstance(event, FlattenEnded) for event in await journal(client))


async def _dead_or_ended(process: Any, client: Any) -> bool:
    return process.poll() is not None or await _ended(client)


@asynccontextmanager
async def oms_of(simulator: Simulator, md_url: str, orders_url: str) -> AsyncIterator[Running]:
    """An OMS of this simulator in this process."""
    broker = AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)
    async with running(md_url, orders_url, broker) as run:
        yield run


async def test_what_is_halted_at_the_exchange_is_sold_once_it_trades_again(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    async with oms_of(simulator, md_url, orders_url) as oms:
        simulator.fault("halt", symbol="AAPL", seconds=2)
        await say(oms.client)
        await until(lambda: len(sold(simulator)) == 2, "both to be sold")
        assert oms.book.open_count() >= 1
        await until(lambda: _ended(oms.client), "the end")
        assert not simulator.trading_client().get_all_positions()
        assert oms.book.positions() == {}
        assert sold(simulator) == [("AAPL", "sell", Decimal(7)), ("BTC/USD", "sell", Decimal("0.49875"))]
