"""A journal belongs to one broker account: keys of another change nothing of it."""

import asyncio
import time
from typing import Any

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, EVENT_CODEC, limit_order, running, starting, trading
from waiting import until

from bus import streams
from bus.account_keys import is_confirmed
from bus.account_messages import AccountPinned
from bus.errors import InvalidInput, Unreadable
from bus.journal_messages import ChainBegun
from oms.broker.alpaca_account import read_account
from oms.broker.protocol import BrokerAccount, OutcomeUnknown
from oms.engine import Engine
from oms.journal.pinning import refusal
from oms.state.inputs import AccountRead

PINNED = AccountPinned(number="PA1", trading="paper", at_ns=1)
MONEY = {"cash": "1", "equity": "2", "buying_power": "4"}


@pytest.mark.parametrize(
    ("pinned", "number", "trading", "refused"),
    [
        (None, "PA1", "paper", False),
        (PINNED, "PA1", "paper", False),
        (PINNED, "PA2", "paper", True),
        (PINNED, "PA1", "live", True),
        (PINNED, "900", "live", True),
        (AccountPinned(number="900", trading="live", at_ns=1), "900", "live", False),
        (AccountPinned(number="900", trading="live", at_ns=1), "901", "live", True),
        (AccountPinned(number="900", trading="live", at_ns=1), "900", "paper", True),
    ],
)
def test_the_number_and_the_kind_of_trading_both_count(
    pinned: AccountPinned | None, number: str, trading: Any, refused: bool
) -> None:
    said = refusal("desk", pinned, AccountRead(number, trading))
    assert bool(said) is refused
    if pinned is not None and refused:
        assert f"account desk belongs to Alpaca's {pinned.trading} account {pinned.number}" in said
        assert f"the keys are of the {trading} account {number}" in said
        assert "BACKBONE_ACCOUNT" in said
        # Nobody resets an account of real money.
        assert ("begin-anew" in said) is (pinned.trading == trading == "paper")


def test_an_account_is_read_with_its_number() -> None:
    assert read_account({"account_number": "PA3JKX1P5QWE", **MONEY}).number == "PA3JKX1P5QWE"
    assert read_account({"account_number": "9" * 64, **MONEY}).number == "9" * 64
    for field in MONEY:
        with pytest.raises(Unreadable, match=f"{field} is NaN"):
            read_account({"account_number": "9", **MONEY, field: "NaN"})


@pytest.mark.parametrize("number", [None, "", " ", "PA 1", "PA1\n", "{x}", "a:b", "9" * 65, 12, ["PA1"]])
def test_an_answer_without_a_number_is_no_account(number: Any) -> None:
    with pytest.raises(Unreadable, match="account_number"):
        read_account({"account_number": number, **MONEY})
    with pytest.raises(Unreadable, match="account_number"):
        read_account(MONEY)


def test_the_account_is_part_of_the_state_and_pinned_once() -> None:
    engine = Engine(ACCOUNT, longest_send_ns=1)
    unpinned = engine.digest()
    (event,) = engine.take(AccountRead("PA1", "paper"), 7).events
    assert event == AccountPinned(number="PA1", trading="paper", at_ns=7)
    assert engine.state.pinned == event
    assert engine.take(AccountRead("PA1", "paper"), 8).events == []
    other = Engine(ACCOUNT, longest_send_ns=1)
    other.take(AccountRead("PA2", "paper"), 7)
    assert len({unpinned, engine.digest(), other.digest()}) == 3
    # An entry that somebody adds by hand moves no journal.
    engine.apply(AccountPinned(number="PA2", trading="live", at_ns=9))
    assert engine.state.pinned == event


async def everything(client: Any) -> dict[bytes, Any]:
    """Every key that a refused start might change, with its content and its groups."""
    found: dict[bytes, Any] = {}
    async for key in client.scan_iter(count=500):
        if b":lease:" in key or key.startswith((b"alive:", b"wants:")):
            continue
        groups = await client.xinfo_groups(key) if await client.type(key) == b"stream" else None
        found[key] = (await client.dump(key) if groups is None else await client.xrange(key), groups)
    return found


async def refused(md_url: str, orders_url: str, broker: FakeBroker, **settings: Any) -> str:
    """The sentence with which a start ends."""
    async with starting(md_url, orders_url, broker, **settings) as oms:
        with pytest.raises(InvalidInput) as told:
            await asyncio.wait_for(asyncio.shield(oms.task), 20)
        return str(told.value)


@pytest.mark.integration
async def test_keys_of_another_account_change_nothing(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    broker, keys = FakeBroker(), {"alpaca_api_key": "PKONE", "alpaca_secret_key": "s"}
    async with running(md_url, orders_url, broker, **keys) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99", "10"))
        await algo.told(order_id, "OrderSent")
        first = (await oms.journal())[0]
        assert (first.wire, first.number, first.trading) == ("AccountPinned", broker.number, "paper")
        assert oms.oms.service.details.account_number == broker.number
        assert oms.oms.service.details.trading == "paper"
        await oms.stop()
        # What the stream kept is for the next start with the right keys.
        await oms.fill(order_id, "10", "98.5", "while-away")
        await algo.order(2, limit_order("99", "5"))
    before = await everything(orders_client)
    other = FakeBroker()
    other.number = "PA999"
    asked: list[str] = []

    async def ask(*_: Any) -> Any:
        asked.append("asked")

    for question in ("find", "orders_page", "positions", "submit", "cancel"):
        setattr(other, question, ask)
    others_keys = {"alpaca_api_key": "PKTWO", "alpaca_secret_key": "s"}
    said = await refused(md_url, orders_url, other, **others_keys)
    assert broker.number in said
    assert "PA999" in said
    assert await everything(orders_client) == before
    assert (other.sent, asked) == ([], [])
    assert await is_confirmed(orders_client, ACCOUNT, "PKONE")
    assert not await is_confirmed(orders_client, ACCOUNT, "PKTWO")
    # Live keys under the paper account's name, whatever their number is.
    assert "keys are of the live account" in await refused(
        md_url, orders_url, broker, trading="live", account=ACCOUNT
    )
    # And the lease was given back: the right keys need not wait for it.
    assert await orders_client.get(streams.oms_lease(ACCOUNT)) is None
    async with running(md_url, orders_url, broker, **keys) as oms:
        assert oms.book.position("AAPL", "alpha") == 10
        assert sum(isinstance(event, AccountPinned) for event in await oms.journal()) == 1


@pytest.mark.integration
async def test_a_journal_of_an_earlier_release_is_pinned_at_its_next_start(
    md_url: str, orders_url: str, orders_client: Any, market_client: Any
) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker):
        pass
    journal = streams.journal(ACCOUNT)
    pinned, *entries = await orders_client.xrange(journal)
    assert isinstance(EVENT_CODEC.decode(pinned[1]), AccountPinned)
    await orders_client.delete(journal)
    for entry_id, fields in entries:
        del fields[b"hash"]
        await orders_client.xadd(journal, fields, id=entry_id)
    await market_client.delete(streams.journal_head(ACCOUNT))
    broker.held["AAPL"] = 7  # type: ignore[assignment]
    async with running(md_url, orders_url, broker) as oms:
        events = await oms.journal()
        assert sum(isinstance(event, AccountPinned) for event in events) == 1
        (begun,) = (event for event in events if isinstance(event, ChainBegun))
        assert begun.after_id == entries[-1][0].decode()
        # It has a past: nothing is taken over again.
        assert oms.book.position("AAPL") == 0
    other = FakeBroker()
    other.number = "PA999"
    assert broker.number in await refused(md_url, orders_url, other)


@pytest.mark.integration
async def test_an_account_that_cannot_be_read_is_asked_for_again(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    account, answers = broker.account, iter([OutcomeUnknown("account_number '' is no account's number")] * 3)

    async def sometimes() -> BrokerAccount:
        for error in answers:
            raise error
        return await account()

    broker.account = sometimes  # type: ignore[method-assign]
    async with starting(md_url, orders_url, broker) as oms:
        await until(lambda: "account_number" in oms.oms.service.why, "the reason to be said")
        await oms.ready()
        assert (await oms.journal())[0].number == broker.number


@pytest.mark.integration
async def test_before_the_account_is_known_nothing_is_written(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()

    async def never() -> BrokerAccount:
        raise OutcomeUnknown("account_number '' is no account's number")

    broker.account = never  # type: ignore[method-assign]
    async with starting(md_url, orders_url, broker) as oms:
        await until(lambda: "account_number" in oms.oms.service.why, "the reason to be said")
        began_ns = time.monotonic_ns()
        await until(lambda: time.monotonic_ns() - began_ns > 300_000_000, "it to be asked again")
        assert await oms.journal() == []


@pytest.mark.integration
async def test_a_standby_with_keys_of_another_account_does_not_wait_for_its_turn(
    md_url: str, orders_url: str
) -> None:
    other = FakeBroker()
    other.number = "PA999"
    async with running(md_url, orders_url, FakeBroker()) as oms, trading(orders_url) as algo:
        assert "PA999" in await refused(md_url, orders_url, other)
        await algo.told(await algo.order(1, limit_order("99", "1")), "OrderSent")
        assert oms.oms.lease.lease.held
