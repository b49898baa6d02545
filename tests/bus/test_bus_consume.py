"""The group reader: pending first, acknowledged with the next read, order, changing streams, breaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from own_server import own_server
from proxy import Proxy
from taking import take
from waiting import until

import bus.consume
from bus.connection import connect
from bus.consume import GroupReader
from bus.delivery import Delivery
from bus.errors import InvalidInput

pytestmark = pytest.mark.integration

GROUP = "algo:test"
Open = Callable[..., Awaitable[GroupReader]]


@pytest.fixture
async def proxy(md_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(md_url) as proxy:
        yield proxy


@pytest.fixture
async def opened(md_url: str) -> AsyncIterator[Open]:
    """Opens readers that are closed after the test."""
    readers = []

    async def open_one(*streams: str, url: str = md_url, **options: Any) -> GroupReader:
        options.setdefault("block_ms", 20)
        options.setdefault("start", "0")
        reader = GroupReader(url, streams, GROUP, **options)
        await reader.open()
        readers.append(reader)
        return reader

    yield open_one
    for reader in readers:
        await reader.close()


async def add(market_client: Any, stream: str, *numbers: int) -> None:
    for number in numbers:
        await market_client.xadd(stream, {"n": number}, id=f"{number}-0")


def seen(deliveries: list[Delivery]) -> list[tuple[str, int]]:
    return [(one.stream, int(one.fields[b"n"])) for one in deliveries]


async def nothing_more(reader: GroupReader) -> None:
    """Every read that is due, pending ones and a blocking one, brings nothing."""
    for _ in range(3):
        assert await reader.deliveries() == []


async def pending(market_client: Any, stream: str) -> int:
    return int((await market_client.xpending(stream, GROUP))["pending"])


async def test_entries_come_in_order_with_their_fields(market_client: Any, opened: Open) -> None:
    await market_client.xadd("s", {"a": b"\x00\xff", "b": "2"}, id="1-1")
    reader = await opened("s")
    (one,) = await take(reader, 1)
    assert one == Delivery("s", "1-1", {b"a": b"\x00\xff", b"b": b"2"})
    assert repr(one) == "s 1-1"


async def test_a_reader_from_now_on_gets_nothing_older(market_client: Any, opened: Open) -> None:
    await add(market_client, "s", 1, 2)
    reader = await opened("s", start="$")
    await nothing_more(reader)
    await add(market_client, "s", 3)
    assert seen(await take(reader, 1)) == [("s", 3)]


async def test_a_group_that_exists_goes_on_where_it_stood(market_client: Any, opened: Open) -> None:
    await add(market_client, "s", 1, 2)
    first = await opened("s")
    for one in await take(first, 2):
        first.acknowledge(one)
    await first.close()
    await add(market_client, "s", 3)
    second = await opened("s", start="$")
    assert seen(await take(second, 1)) == [("s", 3)]


async def test_an_acknowledgement_goes_out_with_the_next_read(market_client: Any, opened: Open) -> None:
    await add(market_client, "s", 1, 2)
    reader = await opened("s")
    one, two = await take(reader, 2)
    reader.acknowledge(one)
    assert await pending(market_client, "s") == 2
    await reader.deliveries()
    assert await pending(market_client, "s") == 1
    reader.acknowledge(two)
    await reader.flush()
    assert await pending(market_client, "s") == 0


async def test_acknowledgement_and_read_travel_in_one_write(
    proxy: Proxy, market_client: Any, opened: Open
) -> None:
    await add(market_client, "s", 1)
    reader = await opened("s", url=proxy.url)
    (one,) = await take(reader, 1)
    reader.acknowledge(one)
    await reader.deliveries()
    (write,) = [data for data in proxy.requests if b"XACK" in data]
    assert b"XREADGROUP" in write


async def test_what_was_not_acknowledged_comes_first_to_the_next_reader(
    market_client: Any, opened: Open
) -> None:
    await add(market_client, "s", 1, 2, 3)
    first = await opened("s")
    one, _, three = await take(first, 3)
    first.acknowledge(one)
    first.acknowledge(three)
    await first.close()
    await add(market_client, "s", 4)
    second = await opened("s")
    two, four = await take(second, 2)
    assert (two.fields[b"n"], two.redelivered) == (b"2", True)
    assert repr(two) == "s 2-0 (again)"
    assert (four.fields[b"n"], four.redelivered) == (b"4", False)


async def test_what_a_former_reader_took_after_us_and_nobody_else_comes_again(
    market_client: Any, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was paused before it asked, and woke up once its successor read."""
    monkeypatch.setattr(bus.consume, "UNSEEN_MS", 0)
    paused, successor = await opened("s"), await opened("s")
    await nothing_more(paused)
    await add(market_client, "s", 1)
    await take(successor, 1)
    await add(market_client, "s", 2, 3)
    await take(paused, 2)
    await nothing_more(successor)
    await successor.redeliver_unseen()
    again = await take(successor, 3)
    assert seen(again) == [("s", 1), ("s", 2), ("s", 3)]
    for one in again:
        successor.acknowledge(one)
    await nothing_more(successor)
    await successor.redeliver_unseen()
    await nothing_more(successor)


async def test_more_pending_than_one_read_takes_come_page_by_page(market_client: Any, opened: Open) -> None:
    await add(market_client, "s", *range(1, 26))
    first = await opened("s")
    await take(first, 25)
    await first.close()
    second = await opened("s", count=10)
    assert [n for _, n in seen(await take(second, 25))] == list(range(1, 26))
    await nothing_more(second)


async def test_several_streams_come_in_the_order_of_their_ids(market_client: Any, opened: Open) -> None:
    await add(market_client, "b", 2, 3, 20)
    await add(market_client, "a", 1, 4, 100)
    await add(market_client, "c", 10)
    reader = await opened("b", "a", "c")
    expected = [("a", 1), ("b", 2), ("b", 3), ("a", 4), ("c", 10), ("b", 20), ("a", 100)]
    assert seen(await take(reader, 7)) == expected
    await reader.close()
    again = await opened("c", "b", "a")
    assert seen(await take(again, 7)) == expected


async def test_streams_are_added_while_it_reads(market_client: Any, opened: Open) -> None:
    reader = await opened("a")
    reading = asyncio.create_task(take(reader, 2))
    await reader.add(["b", "a"])
    await add(market_client, "b", 1)
    await add(market_client, "a", 2)
    assert sorted(seen(await reading)) == [("a", 2), ("b", 1)]
    assert reader.recreated == 0
    await nothing_more(reader)


async def test_an_added_streams_own_pending_entries_come_though_a_read_was_under_way(
    market_client: Any, opened: Open
) -> None:
    await add(market_client, "b", 1)
    earlier = await opened("b")
    await take(earlier, 1)
    await earlier.close()
    reader = await opened("a", block_ms=300)
    await reader.deliveries()
    blocked = asyncio.create_task(reader.deliveries())
    await asyncio.sleep(0)
    await reader.add(["b"])
    await add(market_client, "a", 5)
    assert [(d.stream, d.redelivered) for d in await blocked] == [("a", False)]
    assert [(d.stream, d.redelivered) for d in await take(reader, 1)] == [("b", True)]


async def test_a_reader_without_streams_waits_for_some(market_client: Any, opened: Open) -> None:
    reader = await opened()
    assert await reader.deliveries() == []
    await add(market_client, "s", 1)
    await reader.add(["s"])
    assert seen(await take(reader, 1)) == [("s", 1)]
    assert await reader.lag() == 1


async def test_lag_counts_what_is_not_delivered_and_what_is_not_acknowledged(
    market_client: Any, opened: Open
) -> None:
    await add(market_client, "a", *range(1, 11))
    await add(market_client, "b", *range(1, 4))
    reader = await opened("a", "b", count=4)
    assert await reader.lag() == 13
    found = await take(reader, 7)
    assert await reader.lag() == 13
    for one in found:
        reader.acknowledge(one)
    await reader.flush()
    assert await reader.lag() == 6


@pytest.mark.parametrize("unread", ["trimmed", "deleted", "deleted to the end"])
async def test_lag_counts_no_entries_that_are_gone_unread(
    market_client: Any, opened: Open, unread: str
) -> None:
    """The server counts some of them for ever; whoever waits for none to be left would never go on."""
    await add(market_client, "s", *range(1, 6))
    reader = await opened("s", count=1)
    await take(reader, 1)
    left = [5]
    if unread == "trimmed":
        await market_client.xtrim("s", maxlen=1, approximate=False)
    elif unread == "deleted":
        await market_client.xdel("s", "2-0", "3-0", "4-0")
    else:
        left = []
        await market_client.xdel("s", "2-0", "3-0", "4-0", "5-0")
    assert (await reader.lag() > 1) == bool(left)
    await take(reader, len(left))
    assert await reader.lag() == 1 + len(left)


async def test_lag_of_a_stream_that_was_deleted_is_none_at_all(market_client: Any, opened: Open) -> None:
    reader = await opened("s")
    await market_client.delete("s")
    assert await reader.lag() == 0


async def test_acknowledging_while_a_flush_is_under_way_is_not_forgotten(
    proxy: Proxy, market_client: Any, opened: Open
) -> None:
    await add(market_client, "s", 1, 2)
    reader = await opened("s", url=proxy.url)
    one, two = await take(reader, 2)
    await reader.lag()  # The second connection is open.
    reader.acknowledge(one)
    proxy.stall()
    flushing = asyncio.create_task(reader.flush())
    await until(lambda: any(b"XACK" in data for data in proxy.requests))
    reader.acknowledge(two)
    proxy.flow()
    await flushing
    assert await pending(market_client, "s") == 0


async def test_a_cancelled_flush_forgets_nothing(proxy: Proxy, market_client: Any, opened: Open) -> None:
    await add(market_client, "s", 1)
    reader = await opened("s", url=proxy.url)
    (one,) = await take(reader, 1)
    reader.acknowledge(one)
    proxy.refuse()
    flushing = asyncio.create_task(reader.flush())
    await asyncio.sleep(0.02)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    proxy.refuse(False)
    await reader.flush()
    assert await pending(market_client, "s") == 0


@pytest.mark.parametrize("lost", ["reply", "request"])
async def test_a_read_that_is_lost_comes_again(
    proxy: Proxy, market_client: Any, opened: Open, lost: str
) -> None:
    reader = await opened("s", url=proxy.url)
    await reader.deliveries()
    await add(market_client, "s", 1, 2)
    (proxy.lose_reply if lost == "reply" else proxy.lose_request)(b"XREADGROUP")
    found = await take(reader, 2)
    assert seen(found) == [("s", 1), ("s", 2)]


async def test_what_came_after_a_lost_reply_comes_no_more_once_acknowledged_though_the_group_is_lost(
    proxy: Proxy, market_client: Any, opened: Open
) -> None:
    reader = await opened("s", url=proxy.url)
    await nothing_more(reader)
    await add(market_client, "s", 1, 2)
    proxy.lose_reply(b"XREADGROUP")
    for one in await take(reader, 2):
        assert one.redelivered
        reader.acknowledge(one)
    await reader.flush()
    await nothing_more(reader)
    await market_client.xgroup_destroy("s", GROUP)
    await add(market_client, "s", 3)
    assert seen(await take(reader, 1)) == [("s", 3)]
    assert reader.recreated == 1


@pytest.mark.parametrize("lost", ["reply", "request"])
async def test_an_acknowledgement_that_is_lost_is_sent_again(
    proxy: Proxy, market_client: Any, opened: Open, lost: str
) -> None:
    await add(market_client, "s", 1, 2, 3)
    reader = await opened("s", url=proxy.url)
    one, _, three = await take(reader, 3)
    reader.acknowledge(one)
    reader.acknowledge(three)
    (proxy.lose_reply if lost == "reply" else proxy.lose_request)(b"XACK")
    assert seen(await take(reader, 1)) == [("s", 2)]
    assert await pending(market_client, "s") == 1


async def test_a_break_that_the_server_does_not_notice_strands_nothing(
    proxy: Proxy, market_client: Any, opened: Open
) -> None:
    """The server still blocks for the dead connection: an entry given to it would reach nobody."""
    reader = await opened("s", url=proxy.url, block_ms=2000)
    await reader.deliveries()
    blocked = asyncio.create_task(reader.deliveries())
    await until(lambda: any(b"BLOCK" in data for data in proxy.requests))
    proxy.cut_unnoticed()
    assert await blocked == []
    reading = asyncio.create_task(take(reader, 1))
    await until(lambda: proxy.accepted == 2)
    await until(lambda: sum(b"BLOCK" in data for data in proxy.requests) == 2)
    await add(market_client, "s", 1)
    assert seen(await asyncio.wait_for(reading, 1)) == [("s", 1)]


async def test_it_waits_for_a_server_that_restarts_and_goes_on(opened: Open) -> None:
    with own_server() as server:
        client = connect(server.url, name="test")
        await add(client, "s", 1, 2)
        reader = await opened("s", url=server.url)
        one, _ = await take(reader, 2)
        reader.acknowledge(one)
        await reader.flush()
        server.kill()
        reading = asyncio.create_task(take(reader, 2))
        await asyncio.sleep(0.05)
        assert not reading.done()
        server.start_again()
        await client.aclose()
        client = connect(server.url, name="test")
        await add(client, "s", 3)
        assert seen(await reading) == [("s", 2), ("s", 3)]
        assert reader.recreated == 0
        await reader.close()
        await client.aclose()


async def test_closing_does_not_wait_for_a_server_that_is_away(
    proxy: Proxy, market_client: Any, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.consume, "CLOSE_TIMEOUT_S", 0.05)
    await add(market_client, "s", 1)
    reader = await opened("s", url=proxy.url)
    reader.acknowledge((await take(reader, 1))[0])
    proxy.refuse()
    await asyncio.wait_for(reader.close(), 2)
    assert await pending(market_client, "s") == 1
    proxy.refuse(False)
    await reader.flush()


async def test_a_wrong_password_ends_the_wait(md_url: str) -> None:
    with own_server() as server:
        server.configure(requirepass="secret")
        reader = GroupReader(server.url, ["s"], GROUP)
        with pytest.raises(InvalidInput, match="refused the connection"):
            await reader.open()
        await reader.close()
