"""Alpaca's API in bad weather: what is a verdict, what is a doubt, and nothing is sent twice."""

import asyncio
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import LimitOrderRequest, StopLossRequest, TakeProfitRequest
from risk_day import approved, terms
from simulator import Simulator
from submitting import submitted

from bus.clock import SystemClock
from bus.errors import InvalidInput
from bus.settings import AlpacaSettings
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.budget import Bucket
from oms.broker.protocol import (
    Accepted,
    BrokerOrder,
    KeysRefused,
    OrdersQuery,
    RateLimited,
    Rejected,
    Unknown,
)
from oms.broker.sender import Sender
from oms.risk.approval import Approved

pytestmark = pytest.mark.contract

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """A simulator for this module."""
    with Simulator.start("--symbols", "AAPL", "--requests-per-minute", "100000") as found:
        yield found


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    """The simulator, with no faults before and after."""
    running.clear_faults()
    yield running
    running.clear_faults()


@pytest.fixture
async def broker(simulator: Simulator) -> AsyncIterator[AlpacaBroker]:
    """A broker for it."""
    broker = broker_of(simulator)
    yield broker
    await broker.close()


def broker_of(simulator: Simulator, **changes: Any) -> AlpacaBroker:
    """A broker for it, to be closed."""
    return AlpacaBroker(simulator.key, simulator.secret, CLOCK, url=simulator.trading_url, **changes)


def resting() -> Approved:
    """Permission for an order that will rest."""
    return approved(terms("3", type="limit", limit_price=Decimal(5)), uuid.uuid4().hex)


def allowed() -> None:
    """Permission granted."""


async def accepted(broker: AlpacaBroker, wanted: Approved) -> BrokerOrder:
    """Send an order that must be accepted."""
    outcome = await broker.submit(wanted, allowed)
    assert isinstance(outcome, Accepted), outcome
    return outcome.order


def at_simulator(simulator: Simulator, wanted: Approved) -> list[dict[str, Any]]:
    """What the ledger has under this client id."""
    orders = simulator.ledger()["orders"]
    return [order for order in orders if order["client_order_id"] == wanted.client_order_id]


async def test_an_order_taken_and_answered_with_504_is_in_doubt_and_can_be_found(
    simulator: Simulator, broker: AlpacaBroker
) -> None:
    wanted = resting()
    simulator.fault("accept_then_504", count=1)
    assert isinstance(await broker.submit(wanted, allowed), Unknown)
    (only,) = at_simulator(simulator, wanted)
    found = await broker.find(wanted.client_order_id)
    assert found is not None
    assert found.id == only["id"]


async def test_an_order_answered_with_500_is_in_doubt_and_not_sent_again(
    simulator: Simulator, broker: AlpacaBroker
) -> None:
    wanted = resting()
    simulator.fault("error_500", count=1)
    assert isinstance(await broker.submit(wanted, allowed), Unknown)
    assert at_simulator(simulator, wanted) == []


async def test_a_rate_limited_order_is_not_sent_again_by_itself(
    simulator: Simulator, broker: AlpacaBroker
) -> None:
    wanted = resting()
    simulator.fault("rate_limit", count=1)
    with pytest.raises(RateLimited) as caught:
        await broker.submit(wanted, allowed)
    assert caught.value.reset_s is not None
    # A minute at most, told in whole seconds on both sides.
    assert 0 <= caught.value.reset_s <= 61
    assert at_simulator(simulator, wanted) == []
    await accepted(broker, wanted)
    assert len(at_simulator(simulator, wanted)) == 1


async def test_an_answer_later_than_the_timeout_is_a_doubt(simulator: Simulator) -> None:
    wanted = resting()
    slow = broker_of(simulator, timeout_s=0.2)
    simulator.fault("latency", ms=600, at="response")
    outcome = await slow.submit(wanted, allowed)
    assert isinstance(outcome, Unknown)
    assert "0.2 s" in outcome.why
    simulator.clear_faults()
    simulator.wait_until(lambda: len(at_simulator(simulator, wanted)) == 1, "the order to arrive")
    found = await slow.find(wanted.client_order_id)
    assert found is not None
    assert found.id == at_simulator(simulator, wanted)[0]["id"]
    await slow.close()


async def test_wrong_keys_are_said_and_never_shown(simulator: Simulator) -> None:
    stranger = AlpacaBroker("PKWRONG", "very-secret", CLOCK, url=simulator.trading_url)
    with pytest.raises(KeysRefused) as caught:
        await stranger.account()
    outcome = await stranger.submit(resting(), allowed)
    assert isinstance(outcome, Rejected)
    assert (outcome.by, outcome.reason.code) == ("broker", "broker_401")
    for shown in (str(caught.value), repr(stranger), repr(caught.value.__cause__), repr(outcome)):
        assert "PKWRONG" not in shown
        assert "very-secret" not in shown
    await stranger.close()


@pytest.mark.parametrize(
    ("key", "secret"), [("a\nb", "secret"), ("key", "sécret"), ("", "secret"), ("key ", "s")]
)
def test_keys_that_no_header_can_carry_are_refused_and_not_shown(key: str, secret: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        AlpacaBroker(key, secret, CLOCK, url="https://paper-api.alpaca.markets")
    assert repr(secret) not in str(caught.value)


def test_alpacas_own_addresses_are_used_unless_another_is_given() -> None:
    assert AlpacaSettings().trading_api_url == "https://paper-api.alpaca.markets"
    assert AlpacaSettings(trading="live").trading_api_url == "https://api.alpaca.markets"
    assert AlpacaSettings(trading_url="http://localhost:80").trading_api_url == "http://localhost:80"
    with pytest.raises(InvalidInput, match="trading_url"):
        AlpacaBroker("key", "secret", CLOCK, url="localhost:80")


async def test_a_broker_that_cannot_be_connected_to_was_sent_nothing() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = AlpacaBroker("key", "secret", CLOCK, url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        asked: list[None] = []
        outcome = await away.submit(resting(), lambda: asked.append(None))
        assert isinstance(outcome, Rejected)
        assert (outcome.by, outcome.reason.code) == ("oms", "broker_unreachable")
        assert asked == []
        await away.close()


async def test_a_refusal_carries_the_brokers_code_and_words(broker: AlpacaBroker) -> None:
    wanted = approved(terms("3", type="limit", limit_price=Decimal("5.001")), 7)
    outcome = await broker.submit(wanted, allowed)
    assert isinstance(outcome, Rejected)
    assert (outcome.by, outcome.reason.code) == ("broker", "broker_42210000")
    assert "sub-penny" in outcome.reason.message


async def test_quantities_and_prices_arrive_exactly(broker: AlpacaBroker) -> None:
    wanted = approved(terms(None, notional=Decimal("12.34")), uuid.uuid4().hex)
    assert (await accepted(broker, wanted)).notional == Decimal("12.34")


def sender_of(broker: AlpacaBroker) -> Sender:
    """A sender with a budget that does not matter."""
    return Sender(broker, Bucket(CLOCK.monotonic_ns(), 100_000), CLOCK)


async def test_after_two_seconds_of_429_orders_go_at_the_reset_and_none_twice(
    simulator: Simulator, broker: AlpacaBroker
) -> None:
    sender = Sender(broker, Bucket(CLOCK.monotonic_ns()), CLOCK)
    simulator.fault("rate_limit", seconds=2)
    ended_s = CLOCK.monotonic_ns() / 1e9 + 2
    orders = [resting() for _ in range(5)]
    outcomes = await asyncio.gather(*(submitted(sender, order, allowed) for order in orders))
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 5
    # The reset is told in whole seconds, on both sides.
    assert CLOCK.monotonic_ns() / 1e9 - ended_s < 3
    assert [len(at_simulator(simulator, order)) for order in orders] == [1] * 5
    await sender.close()


async def test_more_orders_than_a_page_are_all_listed(simulator: Simulator) -> None:
    broker = broker_of(simulator, page=2)
    sender = sender_of(broker)
    sent = [(await accepted(broker, resting())).id for _ in range(5)]
    for query in (OrdersQuery("all", 0), OrdersQuery("open")):
        listed = [order.id for order in await sender.orders(query)]
        assert [order_id for order_id in listed if order_id in sent] == sent
        assert len(listed) == len(set(listed))
    await broker.close()


async def test_a_page_that_ends_between_an_order_and_its_legs_loses_none(
    simulator: Simulator, broker: AlpacaBroker
) -> None:
    since_ns = CLOCK.now_ns()
    await accepted(broker, resting())
    client = simulator.trading_client()
    bracket = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL",
            qty=1,
            limit_price=5,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.GTC,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=9),
            stop_loss=StopLossRequest(stop_price=3),
        )
    )
    client._session.close()
    assert isinstance(bracket, Order)
    assert bracket.legs is not None
    # Pages of three end between the bracket's order and its legs; a page has to hold one moment's orders.
    for size in (3, 4, 5):
        paged = broker_of(simulator, page=size)
        listed = {order.id for order in await sender_of(paged).orders(OrdersQuery("all", since_ns))}
        await paged.close()
        assert len(listed) == 4
        assert {str(leg.id) for leg in bracket.legs} <= listed


def test_sending_loads_none_of_alpacas_own_client() -> None:
    script = (
        "import sys, oms.broker.alpaca_broker\n"
        "print(*sorted({'alpaca', 'requests', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == ""
