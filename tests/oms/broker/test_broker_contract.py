"""What every broker must do, tried on the one in memory and on Alpaca's client against the simulator."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from fake_broker import FakeBroker
from risk_day import approved, approved_replace, terms
from simulator import Simulator

from bus.clock import SystemClock
from bus.order_messages import OrderTerms, Reason
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.protocol import (
    Accepted,
    Broker,
    BrokerOrder,
    BrokerRefused,
    OrdersQuery,
    Rejected,
    Unknown,
    same_order,
)
from oms.risk.approval import Approved
from oms.risk.assets import UNKNOWN

pytestmark = pytest.mark.contract

CLOCK = SystemClock()


@dataclass
class Tried:
    """A broker under test and a price at which a purchase rests."""

    broker: Broker
    resting: Decimal

    def rest(self, quantity: str = "3") -> OrderTerms:
        """A limit order that will not be filled for now."""
        return terms(quantity, type="limit", limit_price=self.resting)

    async def accepted(self, wanted: Approved) -> BrokerOrder:
        """Send an order that must be accepted."""
        outcome = await self.broker.submit(wanted, allowed)
        assert isinstance(outcome, Accepted), outcome
        return outcome.order

    async def open_ids(self) -> list[str]:
        """The ids of open orders; they fit on a page."""
        page = await self.broker.orders_page(OrdersQuery("open"))
        assert page.next is None
        return [order.id for order in page.orders]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulator for this module."""
    with Simulator.start("--symbols", "AAPL", "--requests-per-minute", "100000") as running:
        yield running


@pytest.fixture(params=["memory", "alpaca"])
async def tried(request: pytest.FixtureRequest) -> AsyncIterator[Tried]:
    """Each broker in turn."""
    if request.param == "memory":
        yield Tried(FakeBroker(), Decimal(50))
        return
    simulator: Simulator = request.getfixturevalue("simulator")
    broker = AlpacaBroker(simulator.key, simulator.secret, CLOCK, url=simulator.trading_url)
    yield Tried(broker, Decimal(5))
    await broker.close()


def allowed() -> None:
    """Permission granted."""


def halted() -> Reason:
    """Permission withdrawn."""
    return Reason(code="halted", message="everything is halted")


def _new() -> str:
    return uuid.uuid4().hex


async def test_a_submitted_order_is_found_by_its_client_id(tried: Tried) -> None:
    wanted = approved(tried.rest(), _new())
    sent = await tried.accepted(wanted)
    assert (sent.client_order_id, sent.symbol, sent.side) == (wanted.client_order_id, "AAPL", "buy")
    assert (sent.quantity, sent.limit_price) == (Decimal(3), tried.resting)
    found = await tried.broker.find(wanted.client_order_id)
    assert found is not None
    assert found.id == sent.id
    assert sent.id in await tried.open_ids()
    everything = await tried.broker.orders_page(OrdersQuery("all", 0))
    assert sent.id in {order.id for order in everything.orders}


async def test_an_accepted_order_tells_when_it_left_and_when_the_answer_came(tried: Tried) -> None:
    before_ns = CLOCK.now_ns()
    outcome = await tried.broker.submit(approved(tried.rest(), _new()), allowed)
    assert isinstance(outcome, Accepted)
    assert before_ns <= outcome.sent_ns <= outcome.acknowledged_ns <= CLOCK.now_ns()


async def test_an_unknown_client_id_is_not_found(tried: Tried) -> None:
    assert await tried.broker.find(f"bb-alpha-{_new()}") is None


async def test_an_order_sent_again_is_in_doubt_and_there_once(tried: Tried) -> None:
    wanted = approved(tried.rest(), _new())
    first = await tried.accepted(wanted)
    again = await tried.broker.submit(wanted, allowed)
    assert isinstance(again, Unknown)
    assert "client_order_id must be unique" in again.why
    assert (await tried.open_ids()).count(first.id) == 1


async def test_another_order_under_the_same_client_id_is_told_from_ours(tried: Tried) -> None:
    number = _new()
    ours, other = tried.rest("3"), tried.rest("4")
    await tried.accepted(approved(ours, number))
    wanted = approved(other, number)
    assert isinstance(await tried.broker.submit(wanted, allowed), Unknown)
    found = await tried.broker.find(wanted.client_order_id)
    assert found is not None
    assert same_order(ours, found)
    assert not same_order(other, found)


async def test_without_permission_nothing_is_sent(tried: Tried) -> None:
    wanted = approved(tried.rest(), _new())
    assert await tried.broker.submit(wanted, halted) == Rejected("oms", halted())
    assert await tried.broker.find(wanted.client_order_id) is None
    # And the broker takes the next one.
    await tried.accepted(approved(tried.rest(), _new()))


async def test_a_canceled_order_is_not_open_any_more(tried: Tried) -> None:
    sent = await tried.accepted(approved(tried.rest(), _new()))
    await tried.broker.cancel(sent.id)
    found = await tried.broker.find(sent.client_order_id)
    assert found is not None
    assert found.status == "canceled"
    assert sent.id not in await tried.open_ids()


async def test_what_cannot_be_canceled_is_refused(tried: Tried) -> None:
    sent = await tried.accepted(approved(tried.rest(), _new()))
    await tried.broker.cancel(sent.id)
    with pytest.raises(BrokerRefused):
        await tried.broker.cancel(sent.id)
    with pytest.raises(BrokerRefused):
        await tried.broker.cancel(str(uuid.uuid4()))


async def test_a_replaced_order_gives_way_to_the_new_one(tried: Tried) -> None:
    old_terms, number = tried.rest("3"), _new()
    old = await tried.accepted(approved(old_terms, number))
    wanted = approved_replace(old, old_terms, tried.rest("2"), int(number[:12], 16))
    outcome = await tried.broker.replace(wanted, allowed)
    assert isinstance(outcome, Accepted)
    new = outcome.order
    assert new.client_order_id == wanted.client_order_id
    assert new.quantity == Decimal(2)
    gone = await tried.broker.find(old.client_order_id)
    assert gone is not None
    assert (gone.status, gone.replaced_by) == ("replaced", new.id)


async def test_a_replace_without_permission_changes_nothing(tried: Tried) -> None:
    old_terms, number = tried.rest("3"), _new()
    old = await tried.accepted(approved(old_terms, number))
    wanted = approved_replace(old, old_terms, tried.rest("2"), int(number[:12], 16))
    assert await tried.broker.replace(wanted, halted) == Rejected("oms", halted())
    assert old.id in await tried.open_ids()


async def test_it_is_known_which_symbols_there_are(tried: Tried) -> None:
    shares, coins = await tried.broker.asset("AAPL"), await tried.broker.asset("BTC/USD")
    assert (shares.status, shares.tradable, shares.can_be_shorted) == ("active", True, True)
    assert coins.tradable
    assert await tried.broker.asset("NOSUCH") == UNKNOWN


async def test_it_is_known_whether_the_market_is_open(tried: Tried) -> None:
    assert await tried.broker.is_market_open()


async def test_the_account_and_its_positions_can_be_read(tried: Tried) -> None:
    assert (await tried.broker.account()).equity > 0
    assert isinstance(await tried.broker.positions(), list)
