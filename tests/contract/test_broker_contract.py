"""What every broker must do, tried on the one in memory and on Alpaca's client against the simulator."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from fakes import FakeBroker
from judging import approved, approved_replace, terms
from simulator import Simulator

from bus.order_messages import OrderTerms, Reason
from oms.alpaca_broker import AlpacaBroker
from oms.broker import Broker, BrokerRefused, IdConflict, NotPermitted


@dataclass
class Tried:
    """A broker under test and a price at which a purchase rests."""

    broker: Broker
    resting: Decimal

    def rest(self, quantity: str = "3") -> OrderTerms:
        """A limit order that will not be filled for now."""
        return terms(quantity, type="limit", limit_price=self.resting)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulator for this module."""
    with Simulator.start("--symbols", "AAPL", "--requests-per-minute", "100000") as running:
        yield running


@pytest.fixture(params=["memory", "alpaca"])
def tried(request: pytest.FixtureRequest) -> Tried:
    """Each broker in turn."""
    if request.param == "memory":
        return Tried(FakeBroker(), Decimal(50))
    simulator: Simulator = request.getfixturevalue("simulator")
    return Tried(AlpacaBroker(simulator.key, simulator.secret, url=simulator.trading_url), Decimal(5))


def allowed() -> None:
    """Permission granted."""


def _new() -> str:
    return uuid.uuid4().hex


def test_a_submitted_order_is_found_by_its_client_id(tried: Tried) -> None:
    wanted = approved(tried.rest(), _new())
    sent = tried.broker.submit(wanted, allowed)
    assert (sent.client_order_id, sent.symbol, sent.side) == (wanted.client_order_id, "AAPL", "buy")
    assert (sent.quantity, sent.limit_price) == (Decimal(3), tried.resting)
    found = tried.broker.find(wanted.client_order_id)
    assert found is not None
    assert found.id == sent.id
    assert sent.id in {order.id for order in tried.broker.open_orders()}
    assert sent.id in {order.id for order in tried.broker.recent_orders(0)}


def test_an_unknown_client_id_is_not_found(tried: Tried) -> None:
    assert tried.broker.find(f"bb-alpha-{_new()}") is None


def test_the_same_order_again_is_the_same_order(tried: Tried) -> None:
    wanted = approved(tried.rest(), _new())
    first = tried.broker.submit(wanted, allowed)
    assert tried.broker.submit(wanted, allowed).id == first.id
    same = [order for order in tried.broker.open_orders() if order.client_order_id == wanted.client_order_id]
    assert len(same) == 1


def test_another_order_under_the_same_client_id_is_a_conflict(tried: Tried) -> None:
    number = _new()
    tried.broker.submit(approved(tried.rest("3"), number), allowed)
    with pytest.raises(IdConflict):
        tried.broker.submit(approved(tried.rest("4"), number), allowed)


def test_without_permission_nothing_is_sent(tried: Tried) -> None:
    wanted = approved(tried.rest(), _new())

    def halted() -> None:
        raise NotPermitted(Reason(code="halted", message="everything is halted"))

    with pytest.raises(NotPermitted):
        tried.broker.submit(wanted, halted)
    assert tried.broker.find(wanted.client_order_id) is None


def test_a_cancelled_order_is_not_open_any_more(tried: Tried) -> None:
    sent = tried.broker.submit(approved(tried.rest(), _new()), allowed)
    tried.broker.cancel(sent.id)
    found = tried.broker.find(sent.client_order_id)
    assert found is not None
    assert found.status == "canceled"
    assert sent.id not in {order.id for order in tried.broker.open_orders()}


def test_what_cannot_be_cancelled_is_refused(tried: Tried) -> None:
    sent = tried.broker.submit(approved(tried.rest(), _new()), allowed)
    tried.broker.cancel(sent.id)
    with pytest.raises(BrokerRefused):
        tried.broker.cancel(sent.id)
    with pytest.raises(BrokerRefused):
        tried.broker.cancel(str(uuid.uuid4()))


def test_a_replaced_order_gives_way_to_the_new_one(tried: Tried) -> None:
    old_terms, number = tried.rest("3"), _new()
    old = tried.broker.submit(approved(old_terms, number), allowed)
    wanted = approved_replace(old, old_terms, tried.rest("2"), int(number[:12], 16))
    new = tried.broker.replace(wanted, allowed)
    assert new.client_order_id == wanted.client_order_id
    assert new.quantity == Decimal(2)
    gone = tried.broker.find(old.client_order_id)
    assert gone is not None
    assert (gone.status, gone.replaced_by) == ("replaced", new.id)


def test_the_account_and_its_positions_can_be_read(tried: Tried) -> None:
    assert tried.broker.account().equity > 0
    assert isinstance(tried.broker.positions(), list)
