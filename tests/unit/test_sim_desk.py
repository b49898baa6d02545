"""The desk: what is published, and in which order, when requests follow each other closely."""

import itertools
from decimal import Decimal

import pytest
from waiting import until

from sim.broker.brokerage import Brokerage
from sim.broker.orders import Ticket
from sim.broker.updates import Update
from sim.clock import WallClock
from sim.desk import Desk
from sim.exchange.assets import Assets
from sim.exchange.generator import Generator
from sim.exchange.hours import MarketHours
from sim.exchange.market import Market
from sim.faults.faults import Faults
from sim.keys import ApiKey, Keyring
from sim.refusals import Refused
from sim.streams.updates_socket import UpdatesStream
from sim.times import SECOND_NS
from sim.venue import Venue


class Heard(UpdatesStream):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__(Keyring([ApiKey("key", "secret")]), Faults(), WallClock())
        self.events: list[str] = []

    def publish(self, owner: str, updates: list[Update]) -> None:
        """Keep the names of the events."""
        self.events += [update.event for update in updates]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def desk(heard: Heard) -> Desk:
    names = itertools.count()
    market, assets = Market(), Assets()

    def new_id() -> str:
        return f"id-{next(names)}"

    clock = WallClock()
    broker = Brokerage(
        clock.now_ns(), Decimal(100_000), market, MarketHours(never_closes=True), new_id, draw=lambda: 0.5
    )
    venue = Venue(market, SECOND_NS, Generator([], 1))
    return Desk("key", broker, assets, venue, Faults(), heard, clock, new_id)


def ticket(desk: Desk, name: str, limit: str | None = None) -> Ticket:
    asset = desk.assets.find("AAPL")
    assert asset is not None
    price = None if limit is None else Decimal(limit)
    kind = "market" if price is None else "limit"
    return Ticket(name, asset, "buy", kind, "day", qty=Decimal(1), limit_price=price)


async def test_an_order_is_told_as_new_before_it_is_cancelled(desk: Desk, heard: Heard) -> None:
    order = await desk.submit(ticket(desk, "a", limit="1"))
    await desk.cancel(order.id)
    await until(lambda: "canceled" in heard.events, "the cancel is told")
    assert heard.events == ["new", "canceled"]


async def test_an_order_is_told_as_new_before_it_is_replaced(desk: Desk, heard: Heard) -> None:
    order = await desk.submit(ticket(desk, "a", limit="1"))
    await desk.replace(order.id, ticket(desk, "b", limit="2"))
    await until(lambda: len(heard.events) == 3, "everything is told")
    assert heard.events == ["new", "replaced", "new"]


async def test_a_cancel_comes_too_late_for_a_marketable_order(desk: Desk, heard: Heard) -> None:
    order = await desk.submit(ticket(desk, "a"))
    with pytest.raises(Refused, match="filled"):
        await desk.cancel(order.id)
    assert heard.events == ["new", "fill"]


async def test_nothing_is_told_before_the_answer_has_left(desk: Desk, heard: Heard) -> None:
    await desk.submit(ticket(desk, "a"))
    assert heard.events == []
    await until(lambda: heard.events == ["new", "fill"], "the fill is told")


async def test_the_desk_remembers_every_update(desk: Desk, heard: Heard) -> None:
    await desk.submit(ticket(desk, "a"))
    await until(lambda: heard.events == ["new", "fill"], "the fill is told")
    assert [update.event for update in desk.history] == heard.events
