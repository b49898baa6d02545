"""The traps of Redis Streams and its client that this project must not fall into, each with its test."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from own_server import own_server
from proxy import Proxy
from taking import take
from waiting import until

import bus.connection
import bus.consume
from bus.connection import connect
from bus.consume import GroupReader
from bus.delivery import Delivery
from bus.errors import ReplyLost
from bus.lease import Lease
from bus.publish import Publisher

pytestmark = pytest.mark.integration

GROUP = "algo:test"


@pytest.fixture
async def proxy(md_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(md_url) as proxy:
        yield proxy


def numbers(deliveries: list[Delivery]) -> list[int]:
    return [int(one.fields[b"n"]) for one in deliveries]


async def add(market_client: Any, *numbers: int, stream: str = "s") -> None:
    for number in numbers:
        await market_client.xadd(stream, {"n": number}, id=f"{number}-0")


# The market_client repeats a command whose reply was lost, also one that must not be.


async def test_trap_the_librarys_own_default_duplicates_a_write(proxy: Proxy, market_client: Any) -> None:
    """Should this fail one day, `connect` has a setting fewer to care for."""
    parts = urlsplit(proxy.url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with redis.asyncio.Redis(host=parts.hostname, port=parts.port) as careless:
        proxy.lose_reply(b"XADD", times=2)
        await careless.xadd("s", {"n": 1})
    assert await market_client.xlen("s") == 3


async def test_trap_retries_our_client_sends_each_command_once(proxy: Proxy, market_client: Any) -> None:
    ours = connect(proxy.url, name="test")
    proxy.lose_reply(b"XADD")
    with pytest.raises(ReplyLost):
        await ours.xadd("s", {"n": 1})
    assert await market_client.xlen("s") == 1
    proxy.lose_reply(b"XADD")
    pipeline = ours.pipeline(transaction=False)
    for number in range(10):
        pipeline.xadd("p", {"n": number})
    with pytest.raises(ReplyLost):
        await pipeline.execute()
    assert await market_client.xlen("p") == 10
    await ours.aclose()


async def test_trap_retries_the_publisher_writes_once_whatever_is_lost(
    proxy: Proxy, market_client: Any
) -> None:
    lease = Lease(market_client, "lease:test", "writer", ttl_ms=60_000)
    await lease.acquire()
    publisher = Publisher(proxy.url, lease)
    proxy.lose_reply(b"EVALSHA", times=3)
    for number in range(5):
        await publisher.append([("s", (b"T", b"1", b"%d" % number))])
    assert [fields[b"data"] for _, fields in await market_client.xrange("s")] == [b"%d" % n for n in range(5)]
    await publisher.close()


# A socket timeout shorter than BLOCK takes an idle stream for a dead server.


async def test_trap_an_idle_stream_is_no_error_to_the_group_reader(proxy: Proxy, market_client: Any) -> None:
    reader = GroupReader(proxy.url, ["s"], GROUP, block_ms=30)
    await reader.open()
    for _ in range(10):
        assert await reader.deliveries() == []
    assert proxy.accepted == 1
    await add(market_client, 1)
    assert numbers(await take(reader, 1)) == [1]
    await reader.close()


def test_trap_no_block_of_ours_outlasts_a_timeout() -> None:
    assert bus.consume.BLOCK_MS <= 2000
    assert bus.connection.SOCKET_TIMEOUT_S * 1000 > 2 * 2000
    assert bus.wire.REPLY_TIMEOUT_S * 1000 > 2 * 2000


async def test_trap_a_short_socket_timeout_would_break_a_blocking_read(
    md_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap itself, made small: it is why the test above holds the numbers apart."""
    monkeypatch.setattr(bus.connection, "SOCKET_TIMEOUT_S", 0.05)
    client = connect(md_url, name="test")
    with pytest.raises(ReplyLost, match="Timeout"):
        await client.xread({"s": "$"}, block=500)
    await client.aclose()


# A read that is cancelled leaves what it was given in nobody's hands.


async def test_trap_cancelled_reads_strand_nothing(md_url: str, market_client: Any) -> None:
    reader = GroupReader(md_url, ["s"], GROUP, start="0", block_ms=50)
    await reader.open()
    found: list[Delivery] = []
    for number in range(1, 101):
        reading = asyncio.create_task(reader.deliveries())
        await asyncio.sleep(0)
        await add(market_client, number)
        if number % 3:
            reading.cancel()
        (outcome,) = await asyncio.gather(reading, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            found += outcome
    if len(found) < 100:
        found += await take(reader, 100 - len(found))
    assert numbers(found) == list(range(1, 101))
    assert not any(one.redelivered for one in found)
    await reader.close()


# The group or its stream is deleted under a blocked reader.


@pytest.mark.parametrize("loss", ["FLUSHDB", "DEL", "XGROUP DESTROY"])
async def test_trap_nogroup_a_lost_group_goes_on_where_it_stood(
    md_url: str, market_client: Any, loss: str
) -> None:
    reader = GroupReader(md_url, ["s"], GROUP, start="0", block_ms=2000)
    await reader.open()
    await add(market_client, 1, 2, 3)
    for one in await take(reader, 3):
        reader.acknowledge(one)
    reading = asyncio.create_task(take(reader, 2))
    await until(lambda: _blocked(market_client))
    await {
        "FLUSHDB": market_client.flushdb,
        "DEL": lambda: market_client.delete("s"),
        "XGROUP DESTROY": lambda: market_client.xgroup_destroy("s", GROUP),
    }[loss]()
    await add(market_client, 4, 5)
    assert numbers(await asyncio.wait_for(reading, 1.5)) == [4, 5]
    assert reader.recreated == 1
    await reader.close()


async def _blocked(market_client: Any) -> bool:
    return int((await market_client.info("clients"))["blocked_clients"]) >= 1


async def test_trap_nogroup_what_was_delivered_and_not_acknowledged_comes_again(
    md_url: str, market_client: Any
) -> None:
    """Acknowledged out of order: neither is an open entry skipped, nor a closed one repeated."""
    reader = GroupReader(md_url, ["s"], GROUP, start="0", block_ms=20)
    await reader.open()
    await add(market_client, *range(1, 7))
    for one in await take(reader, 6):
        if one.id in ("1-0", "4-0", "6-0"):
            reader.acknowledge(one)
    await reader.flush()
    await market_client.xgroup_destroy("s", GROUP)
    await add(market_client, 7)
    found = await take(reader, 4)
    assert numbers(found) == [2, 3, 5, 7]
    assert [one.redelivered for one in found] == [True, True, True, False]
    await reader.close()


async def test_trap_nogroup_what_came_before_anything_was_handled_is_not_skipped(
    md_url: str, market_client: Any
) -> None:
    reader = GroupReader(md_url, ["s"], GROUP, start="$", block_ms=20)
    await add(market_client, 1)
    await reader.open()
    await market_client.xgroup_destroy("s", GROUP)
    await add(market_client, 2)
    assert numbers(await take(reader, 1)) == [2]
    await reader.close()


async def test_trap_nogroup_a_new_stream_with_lower_ids_is_read_from_its_beginning(
    md_url: str, market_client: Any
) -> None:
    reader = GroupReader(md_url, ["s"], GROUP, start="0", block_ms=20)
    await reader.open()
    await add(market_client, 1000, 2000)
    for one in await take(reader, 2):
        reader.acknowledge(one)
    await reader.flush()
    await market_client.delete("s")
    await add(market_client, 1, 2)
    assert numbers(await take(reader, 2)) == [1, 2]
    await reader.close()


async def test_trap_nogroup_a_break_in_the_middle_of_mending_strands_nothing(
    proxy: Proxy, market_client: Any
) -> None:
    reader = GroupReader(proxy.url, ["s"], GROUP, start="0", block_ms=20)
    await reader.open()
    await add(market_client, 1, 2)
    await take(reader, 2)
    await market_client.xgroup_destroy("s", GROUP)
    proxy.lose_reply(b"CREATE")
    proxy.lose_request(b"XCLAIM", times=2)
    assert numbers(await take(reader, 2)) == [1, 2]
    await reader.close()


async def test_trap_nogroup_one_lost_group_of_several_disturbs_no_other(
    md_url: str, market_client: Any
) -> None:
    reader = GroupReader(md_url, ["a", "b"], GROUP, start="0", block_ms=20)
    await reader.open()
    await add(market_client, 1, stream="a")
    await add(market_client, 2, stream="b")
    for one in await take(reader, 2):
        reader.acknowledge(one)
    await reader.flush()
    await market_client.delete("a")
    await add(market_client, 3, stream="a")
    await add(market_client, 4, stream="b")
    assert sorted(numbers(await take(reader, 2))) == [3, 4]
    assert reader.recreated == 1
    await reader.close()


async def test_trap_busygroup_is_no_error(md_url: str, market_client: Any) -> None:
    await market_client.xgroup_create("s", GROUP, id="0", mkstream=True)
    reader = GroupReader(md_url, ["s"], GROUP)
    await reader.open()
    await reader.close()


# A pending entry whose content was trimmed comes back empty.


@pytest.mark.parametrize("how", ["XTRIM", "XDEL"])
async def test_trap_trimmed_entries_are_found_and_said(md_url: str, market_client: Any, how: str) -> None:
    await add(market_client, 1, 2, 3)
    earlier = GroupReader(md_url, ["s"], GROUP, start="0", block_ms=20)
    await earlier.open()
    await take(earlier, 3)
    await earlier.close()
    if how == "XTRIM":
        await market_client.xtrim("s", minid="3-0", approximate=False)
    else:
        await market_client.xdel("s", "1-0", "2-0")
    reader = GroupReader(md_url, ["s"], GROUP, block_ms=20)
    await reader.open()
    found = await take(reader, 3)
    assert [(one.id, one.trimmed) for one in found] == [("1-0", True), ("2-0", True), ("3-0", False)]
    assert found[0].fields == {}
    assert repr(found[0]) == "s 1-0 (again, trimmed)"
    assert reader.trimmed == 2
    for one in found:
        reader.acknowledge(one)
    await reader.flush()
    assert (await market_client.xpending("s", GROUP))["pending"] == 0
    await reader.close()


# A pool that blocking reads have used up refuses everybody else.


async def test_trap_blocked_readers_have_connections_of_their_own(md_url: str, market_client: Any) -> None:
    readers = [GroupReader(md_url, [f"s{n}"], GROUP, block_ms=500) for n in range(5)]
    for reader in readers:
        await reader.open()
        await reader.deliveries()
    blocked = [asyncio.create_task(reader.deliveries()) for reader in readers]
    await until(lambda: _blocked(market_client))
    async with asyncio.timeout(0.4):
        assert await asyncio.gather(*(reader.lag() for reader in readers)) == [0] * 5
        for reader in readers:
            reader.acknowledge(Delivery("s", "1-0", {}))
            await reader.flush()
    assert not any(task.done() for task in blocked)
    await asyncio.gather(*blocked)
    for reader in readers:
        await reader.close()


# Deleting a consumer throws away what it still had to handle.


async def test_trap_delconsumer_what_a_reader_leaves_stays_pending(market_client: Any) -> None:
    with own_server() as server:
        own = connect(server.url, name="test")
        await own.config_resetstat()
        reader = GroupReader(server.url, ["a", "b"], GROUP, start="0", block_ms=20)
        await reader.open()
        await add(own, 1, stream="a")
        await take(reader, 1)
        await own.delete("b")
        await reader.deliveries()
        await reader.close()
        assert (await own.xpending("a", GROUP))["pending"] == 1
        used = await own.info("commandstats")
        assert not any("delconsumer" in name or "destroy" in name for name in used)
        await own.aclose()
