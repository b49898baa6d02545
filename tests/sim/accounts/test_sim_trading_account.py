"""Updates of a trading account, and their order where requests follow each other closely."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from waiting import until

from sim.accounts.trading_account import TradingAccount
from sim.broker.brokerage import Brokerage
from sim.broker.orders import Ticket
from sim.broker.updates import Update
from sim.clock import Clock, VirtualClock, WallClock
from sim.exchange.assets import Assets
from sim.exchange.generator import Generator
from sim.exchange.hours import MarketHours
from sim.exchange.market import Market
from sim.exchange.venue import Venue
from sim.faults.faults import Faults
from sim.keys import ApiKey, Keyring
from sim.refusals import Refused
from sim.streams.updates_socket import UpdatesStream
from sim.times import SECOND_NS, parse_ns


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
def account(heard: Heard) -> TradingAccount:
    return account_on(WallClock(), heard)


def account_on(clock: Clock, heard: Heard) -> TradingAccount:
    names = itertools.count()
    market, assets = Market(), Assets()

    def new_id() -> str:
        return f"id-{next(names)}"

    broker = Brokerage(
        clock.now_ns(), Decimal(100_000), market, MarketHours(never_closes=True), new_id, draw=lambda: 0.5
    )
    venue = Venue(market, SECOND_NS, Generator([], 1))
    return TradingAccount("key", broker, assets, venue, Faults(), heard, clock, new_id)


def ticket(account: TradingAccount, name: str, limit: str | None = None) -> Ticket:
    asset = account.assets.find("AAPL")
    assert asset is not None
    price = None if limit is None else Decimal(limit)
    kind = "market" if price is None else "limit"
    return Ticket(name, asset, "buy", kind, "day", qty=Decimal(1), limit_price=price)


async def test_an_order_is_told_as_new_before_it_is_canceled(account: TradingAccount, heard: Heard) -> None:
    order = await account.submit(ticket(account, "a", limit="1"))
    await account.cancel(order.id)
    await until(lambda: "canceled" in heard.events, "the cancel is told")
    assert heard.events == ["new", "canceled"]


async def test_an_order_is_told_as_new_before_it_is_replaced(account: TradingAccount, heard: Heard) -> None:
    order = await account.submit(ticket(account, "a", limit="1"))
    await account.replace(order.id, ticket(account, "b", limit="2"))
    await until(lambda: len(heard.events) == 3, "everything is told")
    assert heard.events == ["new", "replaced", "new"]


async def test_pending_new_is_told_first_and_once_where_that_is_wanted(
    account: TradingAccount, heard: Heard
) -> None:
    account.tells_pending_new = True
    order = await account.submit(ticket(account, "a", limit="1"))
    await account.cancel(order.id)
    await until(lambda: "canceled" in heard.events, "the cancel is told")
    assert heard.events == ["pending_new", "new", "canceled"]
    assert account.history[0].order["status"] == "pending_new"


async def test_a_cancel_comes_too_late_for_a_marketable_order(account: TradingAccount, heard: Heard) -> None:
    order = await account.submit(ticket(account, "a"))
    with pytest.raises(Refused, match="filled"):
        await account.cancel(order.id)
    assert heard.events == ["new", "fill"]


async def test_nothing_is_told_before_the_answer_has_left(account: TradingAccount, heard: Heard) -> None:
    await account.submit(ticket(account, "a"))
    assert heard.events == []
    await until(lambda: heard.events == ["new", "fill"], "the fill is told")


async def test_a_halted_symbol_fills_when_it_trades_again(account: TradingAccount, heard: Heard) -> None:
    account.venue.halt("AAPL")
    await account.submit(ticket(account, "a"))
    await until(lambda: heard.events == ["new"], "the order is taken")
    account.venue.resume("AAPL", account.clock.now_ns())
    assert heard.events == ["new", "fill"]


async def test_the_desk_is_there_when_the_day_ends(heard: Heard) -> None:
    clock = VirtualClock(parse_ns("2026-01-05T12:00:00-05:00"))
    account = account_on(clock, heard)

    async def no_readers() -> None: ...

    for day in ("05", "06"):
        order = await account.submit(ticket(account, day, limit="1"))
        await clock.advance(parse_ns(f"2026-01-{day}T15:59:59-05:00"), no_readers)
        assert order.is_open
        await clock.advance(parse_ns(f"2026-01-{day}T16:00:00-05:00"), no_readers)
        assert order.status == "expired"
    assert heard.events == ["new", "expired"] * 2


async def test_a_group_is_told_of_before_one_of_it_is_replaced(account: TradingAccount, heard: Heard) -> None:
    entry = ticket(account, "a", limit="1")
    leg = replace(entry, client_order_id="b", side="sell", limit_price=Decimal(900), order_class="oto")
    order = await account.submit(replace(entry, order_class="oto", legs=(leg,)))
    new = await account.replace(order.legs[0].id, replace(leg, client_order_id="c", limit_price=Decimal(901)))
    await until(lambda: new.status == "held", "the new leg is held")
    await account.cancel(new.id)
    await until(lambda: heard.events.count("canceled") == 2, "all of it is canceled")
    assert heard.events[:4] == ["new", "held", "replaced", "held"]


async def test_the_account_remembers_every_update(account: TradingAccount, heard: Heard) -> None:
    await account.submit(ticket(account, "a"))
    await until(lambda: heard.events == ["new", "fill"], "the fill is told")
    assert [update.event for update in account.history] == heard.events


async def test_what_happened_first_is_told_first_though_it_waits_for_its_answer(heard: Heard) -> None:
    clock = VirtualClock(parse_ns("2026-01-05T12:00:00-05:00"))
    account = account_on(clock, heard)

    async def no_readers() -> None: ...

    resting = await account.submit(ticket(account, "a", limit="1"))
    await clock.advance(clock.now_ns() + SECOND_NS, no_readers)
    marketable = await account.submit(ticket(account, "b"))
    await clock.advance(clock.now_ns() + 2_000_000, no_readers)
    await account.cancel(resting.id)  # told in 3 ms, and the other order fills in one
    await clock.advance(clock.now_ns() + SECOND_NS, no_readers)
    assert marketable.status == "filled"
    assert heard.events == ["new", "canceled", "new", "fill"]
