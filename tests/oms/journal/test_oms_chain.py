"""The journal's chain under a real OMS: what it writes, what it refuses, and a tail that is lost."""

import asyncio
import contextlib
from typing import Any

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limits_with, market_order, running, starting, trading
from waiting import until

from bus import streams
from bus.chain import Chain
from bus.errors import Unreadable
from bus.journal_messages import JournalForked

pytestmark = pytest.mark.integration

JOURNAL = streams.journal(ACCOUNT)


async def chain_of(client: Any) -> Chain:
    """The journal as it is, followed from its first entry."""
    chain = Chain()
    for id_, fields in await client.xrange(JOURNAL):
        chain.take(id_, [part for item in fields.items() for part in item])
    return chain


async def ordered(md_url: str, orders_url: str, broker: FakeBroker, number: int) -> None:
    """Run an OMS for as long as it takes to buy ten shares."""
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order = await algo.order(number, market_order("10"))
        await algo.told(order, "OrderSent")
        await oms.fill(order, "10", "100", f"execution-{number}")
        await algo.told(order, "OrderFilled")


async def test_every_entry_is_covered_over_restarts_and_the_heartbeat_shows_the_head(
    md_url: str, orders_url: str, orders_client: Any, market_client: Any
) -> None:
    broker = FakeBroker()
    await ordered(md_url, orders_url, broker, 1)
    async with running(md_url, orders_url, broker) as oms:
        chain = await chain_of(orders_client)
        assert (chain.wrong_id, chain.uncovered, chain.begun_anew) == ("", 0, [])
        details = oms.oms.service.details
        await until(lambda: oms.oms.service.details.head_at == chain.head_id, "the heartbeat's head")
        details = oms.oms.service.details
        assert details.head == chain.head.decode()
    kept = await market_client.get(streams.journal_head(ACCOUNT))
    chain = await chain_of(orders_client)
    assert kept.decode() == f"{chain.head_id} {chain.head.decode()}"


@pytest.mark.parametrize("damage", ["flipped", "taken out"])
async def test_an_oms_does_not_start_on_a_journal_that_is_not_what_was_written(
    md_url: str, orders_url: str, orders_client: Any, damage: str
) -> None:
    broker = FakeBroker()
    await ordered(md_url, orders_url, broker, 1)
    entries = await orders_client.xrange(JOURNAL)
    at = next(n for n, (_, fields) in enumerate(entries) if fields[b"type"] == b"OrderApproved")
    named = entries[at][0].decode()
    if damage == "flipped":
        entries[at][1][b"data"] = entries[at][1][b"data"].replace(b'"10"', b'"11"')
    else:
        del entries[at]
        named = entries[at][0].decode()
    # A start from a snapshot reads what is behind it, and no more.
    await orders_client.delete(JOURNAL, streams.snapshot(ACCOUNT))
    for id_, fields in entries:
        await orders_client.xadd(JOURNAL, fields, id=id_)
    async with starting(md_url, orders_url, broker) as oms:
        with pytest.raises(Unreadable, match=f"{named} is not what was written"):
            await asyncio.wait_for(oms.task, 20)
    assert len(broker.sent) == 1


@pytest.mark.parametrize("lost", ["tail", "all"])
async def test_a_tail_that_is_lost_with_its_server_is_journalled_and_halts(
    md_url: str, orders_url: str, orders_client: Any, lost: str
) -> None:
    """Orders come back from the broker; halts and limits that were set since cannot."""
    broker = FakeBroker()
    await ordered(md_url, orders_url, broker, 1)
    kept = 0 if lost == "all" else len(await orders_client.xrange(JOURNAL))
    copy = [(key, await orders_client.dump(key)) for key in await orders_client.keys("*")] if kept else []
    await ordered(md_url, orders_url, broker, 2)
    before = await chain_of(orders_client)
    await orders_client.flushall()
    for key, value in copy:
        await orders_client.restore(key, 0, value)
    async with running(md_url, orders_url, broker) as oms:
        (forked,) = (event for event in await oms.journal() if isinstance(event, JournalForked))
        assert (forked.until_id, forked.until_hash) == (before.head_id, before.head.decode())
        assert oms.oms.halts.state.scopes[f"account:{ACCOUNT}"].reason.startswith("the journal lost")
        # What was bought is at the broker, and known here again.
        assert oms.book.position("AAPL") == 20
        async with trading(orders_url) as algo:
            refused = await algo.told(await algo.order(3, market_order("10")), "OrderRefused")
            assert refused.reasons[0].code == "halted"
    assert (await chain_of(orders_client)).wrong_id == ""
    # It is told once.
    async with running(md_url, orders_url, broker) as oms:
        assert sum(isinstance(event, JournalForked) for event in await oms.journal()) == 1


async def test_where_the_other_server_is_away_orders_are_taken_and_the_loss_is_found_later(
    md_url: str, orders_url: str, orders_client: Any, market_client: Any
) -> None:
    broker = FakeBroker()
    await ordered(md_url, orders_url, broker, 1)
    kept = await market_client.get(streams.journal_head(ACCOUNT))
    async with contextlib.AsyncExitStack() as stack:
        oms = await stack.enter_async_context(
            running(md_url, orders_url, broker, limits=limits_with(price_age_seconds=3600))
        )
        oms.oms.head.compared = False
        await market_client.set(streams.journal_head(ACCOUNT), b"9" + kept[1:])
        await until(lambda: f"account:{ACCOUNT}" in oms.oms.halts.state.scopes, "the halt")
