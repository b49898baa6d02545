"""A lease is waited for, renewed, taken again after an outage that nobody used, lost for good otherwise."""

import asyncio
from typing import Any

import pytest
from own_server import own_server
from proxy import Proxy
from waiting import until

from bus.connection import connect
from bus.errors import Fenced, ReplyLost
from bus.heartbeat import StateReason
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper

pytestmark = pytest.mark.integration

KEY = "lease:test"


async def taken(keeper: LeaseKeeper) -> bool:
    return await keeper.take(stopping=asyncio.Event(), tell=pytest.fail)


async def test_it_waits_for_the_holder_and_says_so_once(orders_client: Any) -> None:
    holder = Lease(orders_client, KEY, "holder")
    assert await holder.acquire()
    told: list[StateReason] = []
    willing = [False]
    keeper = LeaseKeeper(Lease(orders_client, KEY, "follower"), other="another ingest")
    waiting = asyncio.ensure_future(
        keeper.take(stopping=asyncio.Event(), tell=told.append, willing=lambda: willing[0])
    )
    await asyncio.sleep(0)
    assert told == []
    willing[0] = True
    await until(lambda: told == [StateReason("lease_held", f"waiting for {KEY}: another ingest holds it")])
    await holder.release()
    await until(waiting.done)
    assert waiting.result() is True
    assert keeper.lease.held
    assert len(told) == 1
    await keeper.give_back()
    assert await orders_client.get(KEY) is None


async def test_a_stop_ends_the_waiting(orders_client: Any) -> None:
    await Lease(orders_client, KEY, "holder").acquire()
    stopping = asyncio.Event()
    told: list[StateReason] = []
    keeper = LeaseKeeper(Lease(orders_client, KEY, "follower"))
    waiting = asyncio.ensure_future(keeper.take(stopping=stopping, tell=told.append))
    await until(lambda: bool(told))
    stopping.set()
    await until(waiting.done)
    assert waiting.result() is False
    assert not keeper.lease.held


async def test_it_waits_for_a_server_that_is_away_and_tells_why() -> None:
    with own_server() as server:
        server.kill()
        client = connect(server.url, name="test")
        told: list[StateReason] = []
        keeper = LeaseKeeper(Lease(client, KEY, "holder"))
        waiting = asyncio.ensure_future(keeper.take(stopping=asyncio.Event(), tell=told.append))
        await until(lambda: [reason.code for reason in told] == ["server_away"])
        server.start_again()
        await until(waiting.done)
        assert waiting.result() is True
        await client.aclose()


async def test_it_renews_until_it_is_cancelled(orders_client: Any) -> None:
    keeper = LeaseKeeper(Lease(orders_client, KEY, "holder", ttl_ms=300))
    assert await taken(keeper)
    value = keeper.lease.value
    keeping = asyncio.ensure_future(keeper.keep())
    renewed = asyncio.get_running_loop().time() + 1.2
    await until(lambda: asyncio.get_running_loop().time() > renewed)
    assert not keeping.done()
    assert await orders_client.get(KEY) == value.encode()
    keeping.cancel()
    await until(keeping.done)
    assert keeping.cancelled()


async def test_another_has_it_now_and_keeping_ends(orders_client: Any) -> None:
    keeper = LeaseKeeper(Lease(orders_client, KEY, "holder", ttl_ms=300))
    assert await taken(keeper)
    await orders_client.set(KEY, "2:another")
    with pytest.raises(Fenced, match="went to another process"):
        await keeper.keep()


async def test_it_is_not_held_once_it_may_have_run_out_unseen_and_taken_again_when_the_server_is_back() -> (
    None
):
    with own_server() as server:
        client = connect(server.url, name="test")
        keeper = LeaseKeeper(Lease(client, KEY, "holder", ttl_ms=300))
        assert await taken(keeper)
        keeping = asyncio.ensure_future(keeper.keep())
        server.kill()
        await until(lambda: not keeper.lease.held)
        assert not keeping.done()
        server.start_again()
        await until(lambda: keeper.lease.held)
        keeping.cancel()
        await until(keeping.done)
        await client.aclose()


@pytest.mark.parametrize("used", [False, True])
async def test_regained_at_once_only_where_nobody_used_the_outage(orders_client: Any, used: bool) -> None:
    keeper = LeaseKeeper(Lease(orders_client, KEY, "holder", ttl_ms=300), other="another ingest")
    assert await taken(keeper)
    token = keeper.lease.token
    await orders_client.delete(KEY)
    if used:
        between = Lease(orders_client, KEY, "another")
        assert await between.acquire()
        await between.release()
        with pytest.raises(Fenced, match="went to another ingest"):
            await keeper.keep()
        assert await orders_client.get(KEY) is None
        return
    keeping = asyncio.ensure_future(keeper.keep())
    await until(lambda: keeper.lease.token == token + 1)
    assert not keeping.done()
    keeping.cancel()
    await until(keeping.done)


async def test_regained_though_the_reply_that_said_so_was_lost(orders_client: Any, orders_url: str) -> None:
    """An outage that costs a lease costs replies too: our own lease must not be taken for another's."""
    async with Proxy(orders_url) as proxy:
        through = connect(proxy.url, name="through")
        keeper = LeaseKeeper(Lease(through, KEY, "holder"), other="another ingest")
        assert await taken(keeper)
        fenced = keeper.lease.value
        await orders_client.delete(KEY)
        proxy.lose_reply(b"INCR")
        await keeper.regain(fenced)
        assert keeper.lease.token == 2
        assert (await orders_client.get(KEY)).decode() == keeper.lease.value
        await through.aclose()


async def test_two_of_one_name_do_not_share_a_lease_after_a_lost_reply(
    orders_client: Any, orders_url: str
) -> None:
    async with Proxy(orders_url) as proxy:
        through = connect(proxy.url, name="through")
        first, second = Lease(through, KEY, "oms-a"), Lease(orders_client, KEY, "oms-a")
        proxy.lose_reply(b"INCR")
        with pytest.raises(ReplyLost):
            await first.acquire()
        assert not await second.acquire()
        assert await first.acquire()
        assert (first.token, (await orders_client.get(KEY)).decode()) == (1, first.value)
        await through.aclose()


async def test_regained_by_the_writer_alone(orders_client: Any) -> None:
    keeper = LeaseKeeper(Lease(orders_client, KEY, "holder", ttl_ms=300), regain="by_writer")
    assert await taken(keeper)
    fenced = keeper.lease.value
    await orders_client.delete(KEY)
    keeping = asyncio.ensure_future(keeper.keep())
    await until(lambda: keeper.lease.value == "")
    assert await orders_client.get(KEY) is None
    await asyncio.gather(keeper.regain(fenced), keeper.regain(fenced))
    assert keeper.lease.token == 2
    assert await orders_client.get(KEY) == keeper.lease.value.encode()
    keeping.cancel()
    await until(keeping.done)
    assert keeping.cancelled()


async def test_giving_back_is_not_held_up_by_a_server_that_is_away() -> None:
    with own_server() as server:
        client = connect(server.url, name="test")
        keeper = LeaseKeeper(Lease(client, KEY, "holder"))
        assert await taken(keeper)
        server.kill()
        await keeper.give_back()
        assert not keeper.lease.held
        await client.aclose()


async def test_a_lease_that_is_given_back_during_a_renewal_is_not_taken_again(
    orders_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(orders_client, KEY, "holder", ttl_ms=50)
    keeper = LeaseKeeper(lease)
    assert await taken(keeper)
    renew, renewing, given_back = lease.renew, asyncio.Event(), asyncio.Event()
    renewed = 0

    async def late() -> None:
        nonlocal renewed
        renewing.set()
        await given_back.wait()
        lease.value = held
        try:
            await renew()
        finally:
            renewed += 1

    held = lease.value
    monkeypatch.setattr(lease, "renew", late)
    keeping = asyncio.ensure_future(keeper.keep())
    await renewing.wait()
    await keeper.give_back()
    given_back.set()
    await until(lambda: renewed == 1 or keeping.done())
    await asyncio.wait({keeping}, timeout=0.05)
    assert not keeping.done()
    assert not lease.held
    assert await orders_client.get(KEY) is None
    keeping.cancel()
