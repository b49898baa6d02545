"""Fenced writes: ids, order, exactly once whatever is lost, refusals, scripts that are gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from own_server import own_server
from proxy import Proxy
from waiting import until

import bus.market_writer
from bus.connection import connect
from bus.errors import Fenced
from bus.lease import Lease
from bus.market_batch import BACKFILLED, MarketBatch
from bus.market_writer import MARKET_SCRIPT, WINDOW, MarketWriter
from bus.publish import Publisher

pytestmark = pytest.mark.integration

KEY = "lease:market:iex"
STREAM = "md:AAPL:trades"


@pytest.fixture
async def lease(market_client: Any) -> Lease:
    lease = Lease(market_client, KEY, "writer", ttl_ms=60_000)
    assert await lease.acquire()
    return lease


@pytest.fixture
async def proxy(md_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(md_url) as proxy:
        yield proxy


def batch(number: int, *, ms: int = 1000, streams: tuple[str, ...] = (STREAM,)) -> MarketBatch:
    """A frame with one entry a stream, all saying `number`."""
    values: list[int | bytes] = []
    for _ in streams:
        values += [ms, b'{"n":%d}' % number]
    return MarketBatch(list(streams), values, received_ns=number + 1)


async def numbers(market_client: Any, stream: str = STREAM) -> list[int]:
    """What the stream holds, in its order."""
    return [int(fields[b"d"][5:-1]) for _, fields in await market_client.xrange(stream)]


async def test_an_id_is_the_entrys_millisecond_or_the_last_ids_where_that_is_later(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    for number, ms in enumerate((5000, 5000, 4000, 1, 5001, 5000)):
        await writer.write(batch(number, ms=ms))
    await writer.drain()
    entries = await market_client.xrange(STREAM)
    assert [id_.decode() for id_, _ in entries] == [
        "5000-0",
        "5000-1",
        "5000-2",
        "5000-3",
        "5001-0",
        "5001-1",
    ]
    assert await numbers(market_client) == [0, 1, 2, 3, 4, 5]
    assert writer.written == 6
    await writer.close()


async def test_older_entries_go_on_where_the_stream_stood_after_it_was_trimmed_empty(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.write(batch(0, ms=5000))
    await writer.drain()
    await market_client.xtrim(STREAM, maxlen=0)
    await writer.write(batch(1, ms=10))
    await writer.close()
    assert [id_.decode() for id_, _ in await market_client.xrange(STREAM)] == ["5000-1"]


async def test_fields_are_message_receive_time_feed_and_marker(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.write(MarketBatch([STREAM], [1, b"{}"], 7))
    await writer.write(MarketBatch([STREAM], [2, b"{}"], 8, feed="iex"))
    await writer.write(MarketBatch([STREAM], [3, b"{}"], 9, feed="iex", marker="GapOpened"))
    await writer.write(MarketBatch([STREAM], [4, b"{}"], 10, marker="GapClosed"))
    await writer.close()
    assert [fields for _, fields in await market_client.xrange(STREAM)] == [
        {b"d": b"{}", b"r": b"7"},
        {b"d": b"{}", b"r": b"8", b"feed": b"iex"},
        {b"d": b"{}", b"r": b"9", b"feed": b"iex", b"type": b"GapOpened"},
        {b"d": b"{}", b"r": b"10", b"type": b"GapClosed"},
    ]


async def test_a_frame_without_entries_writes_nothing(md_url: str, market_client: Any, lease: Lease) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.write(MarketBatch([], [], 1))
    await writer.close()
    assert await market_client.dbsize() == 2  # The lease and its counter.


@pytest.mark.parametrize("lost", ["reply", "request"])
async def test_a_market_frame_whose_reply_or_request_is_lost_is_there_once(
    proxy: Proxy, market_client: Any, lease: Lease, lost: str
) -> None:
    writer = MarketWriter(proxy.url, lease)
    await writer.write(batch(0))
    await writer.drain()
    lose = proxy.lose_reply if lost == "reply" else proxy.lose_request
    for number in range(1, 6):
        lose(b'"n":%d}' % number)
        await writer.write(batch(number, streams=(STREAM, "md-all:trades:00")))
        await writer.drain()
    assert await numbers(market_client) == [0, 1, 2, 3, 4, 5]
    assert await numbers(market_client, "md-all:trades:00") == [1, 2, 3, 4, 5]
    assert writer.written == 11
    await writer.close()


async def test_a_clock_set_back_is_in_the_next_frames_and_what_is_lost_then_is_there_once(
    proxy: Proxy, market_client: Any, lease: Lease
) -> None:
    """Prices are judged by `r`: one that only grew would be an hour ahead for an hour."""
    hour_ns, now_ns = 3_600_000_000_000, 1_700_000_000_000_000_000
    writer = MarketWriter(proxy.url, lease)
    for number in range(8):
        set_back_ns = hour_ns if number >= 3 else 0
        if number in (2, 3, 5):
            proxy.lose_reply(b"EVALSHA")
        if number == 6:
            proxy.lose_request(b"EVALSHA")
        frame = batch(number)
        frame.received_ns = now_ns + number - set_back_ns
        await writer.write(frame)
        if number % 2:
            await writer.drain()
    await writer.drain()
    assert await numbers(market_client) == list(range(8))
    stamps = [int(fields[b"r"]) for _, fields in await market_client.xrange(STREAM)]
    assert stamps == [now_ns + number - (hour_ns if number >= 3 else 0) for number in range(8)]
    await writer.close()


async def test_large_frames_that_are_lost_are_found_however_far_back(
    proxy: Proxy, market_client: Any, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.market_writer, "READ_BACK", 7)
    writer = MarketWriter(proxy.url, lease)
    await writer.write(batch(0))
    await writer.drain()
    for round_ in range(3):
        proxy.lose_reply(b"EVALSHA")
        for number in range(1, 5):
            await writer.write(batch(4 * round_ + number, streams=(STREAM,) * 10))
        await writer.drain()
    assert await numbers(market_client) == [0, *(number for number in range(1, 13) for _ in range(10))]
    await writer.close()


async def test_several_frames_in_flight_are_there_once_and_in_order_after_a_cut(
    proxy: Proxy, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(proxy.url, lease)
    for number in range(400):
        await writer.write(batch(number, ms=1000 + number))
        if number % 40 == 39:
            proxy.cut()
        elif number % 40 == 19:
            proxy.lose_reply(b"EVALSHA")
    await writer.drain()
    assert await numbers(market_client) == list(range(400))
    assert proxy.accepted > 10
    await writer.close()


async def test_frames_survive_a_killed_and_restarted_server_in_order() -> None:
    with own_server() as server:
        client = connect(server.url, name="test")
        lease = Lease(client, KEY, "writer", ttl_ms=60_000)
        await lease.acquire()
        writer = MarketWriter(server.url, lease)

        async def write_all() -> None:
            for number in range(600):
                await writer.write(batch(number, ms=1000 + number))
            await writer.drain()

        writing = asyncio.create_task(write_all())
        for stop in (100, 300):
            await until(lambda stop=stop: writer.written > stop)
            server.kill()
            server.start_again()
        await writing
        await client.aclose()
        client = connect(server.url, name="test")
        assert await numbers(client) == list(range(600))
        await writer.close()
        await client.aclose()


async def test_scripts_that_the_server_forgot_are_loaded_again(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer, publisher = MarketWriter(md_url, lease), Publisher(md_url, lease)
    for number in range(8):
        await writer.write(batch(number))
        await market_client.script_flush()
        await publisher.append([("slow", (b"Type", b"1", b"%d" % number))])
        await market_client.script_flush()
    await writer.drain()
    assert await numbers(market_client) == list(range(8))
    assert await market_client.xlen("slow") == 8
    await writer.close()
    await publisher.close()


async def test_frames_of_which_only_the_first_met_a_forgotten_script_are_there_once(
    proxy: Proxy, market_client: Any, lease: Lease
) -> None:
    """Another market_client loads the same script between two frames that are under way."""
    writer = MarketWriter(proxy.url, lease)
    await writer.write(batch(0))
    await writer.drain()
    await market_client.script_flush()
    proxy.stall()
    await writer.write(batch(1))
    await until(lambda: any(b'"n":1}' in data for data in proxy.requests))
    await market_client.script_load(MARKET_SCRIPT.text)
    await writer.write(batch(2))
    await until(lambda: _holds(market_client, 2))
    proxy.flow()
    await writer.drain()
    assert sorted(await numbers(market_client)) == [0, 1, 2]
    await writer.close()


async def _holds(market_client: Any, number: int) -> bool:
    return number in await numbers(market_client)


async def test_a_stale_writer_is_fenced_and_goes_on_with_a_new_lease(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.write(batch(0))
    await writer.drain()
    await market_client.set(KEY, "99:thief")
    for number in range(1, 4):
        await writer.write(batch(number))
    with pytest.raises(Fenced):
        await writer.drain()
    with pytest.raises(Fenced):
        await writer.drain()
    assert await numbers(market_client) == [0]
    await market_client.delete(KEY)
    await lease.acquire()
    await writer.resume()
    await writer.drain()
    assert await numbers(market_client) == [0, 1, 2, 3]
    await writer.close()


async def test_a_frame_the_server_cannot_take_goes_first_once_it_can(
    market_client: Any, md_url: str, lease: Lease
) -> None:
    with own_server("market") as server:
        own = connect(server.url, name="test")
        lease = Lease(own, KEY, "writer", ttl_ms=60_000)
        await lease.acquire()
        writer = MarketWriter(server.url, lease)
        await writer.write(batch(0))
        await writer.drain()
        server.configure(maxmemory=1)
        for number in range(1, 4):
            await writer.write(batch(number))
        draining = asyncio.create_task(writer.drain())
        await until(lambda: writer.away.startswith("OOM"), "the refusal to be told")
        server.configure(maxmemory=0)
        await draining
        await writer.write(batch(4))
        await writer.drain()
        assert await numbers(own) == [0, 1, 2, 3, 4]
        assert writer.away == ""
        await writer.close()
        await own.aclose()


@pytest.mark.parametrize("other_r", [1, 2, 3])
async def test_a_lost_reply_is_looked_for_among_the_entries_of_its_own_feed(
    proxy: Proxy, md_url: str, market_client: Any, lease: Lease, other_r: int
) -> None:
    """Feeds share the streams of all symbols: what one received earlier, or at once, may stand behind."""
    shared, other_lease = (
        "md-all:trades:00",
        Lease(market_client, "lease:market:crypto", "other", ttl_ms=60_000),
    )
    await other_lease.acquire()
    writer, other = MarketWriter(proxy.url, lease), MarketWriter(md_url, other_lease)
    await writer.write(MarketBatch([shared], [1000, b'{"n":0}'], 1, feed="iex"))
    await writer.drain()
    proxy.lose_reply(b'"n":1}')
    await writer.write(MarketBatch([shared], [1000, b'{"n":1}'], 2, feed="iex"))

    async def written() -> bool:
        return len(await numbers(market_client, shared)) == 2

    await until(written, "the frame whose reply is lost")
    await other.write(MarketBatch([shared], [1000, b'{"n":7}'], other_r, feed="crypto"))
    await other.drain()
    await writer.drain()
    assert await numbers(market_client, shared) == [0, 1, 7]
    await writer.close()
    await other.close()


async def test_a_lost_request_is_not_taken_for_another_feeds_entry(
    proxy: Proxy, md_url: str, market_client: Any, lease: Lease
) -> None:
    shared, other_lease = (
        "md-all:trades:00",
        Lease(market_client, "lease:market:crypto", "other", ttl_ms=60_000),
    )
    await other_lease.acquire()
    writer, other = MarketWriter(proxy.url, lease), MarketWriter(md_url, other_lease)
    await other.write(MarketBatch([shared], [1000, b'{"n":7}'], 2, feed="crypto"))
    await other.drain()
    await writer.write(MarketBatch([shared], [1000, b'{"n":0}'], 1, feed="iex"))
    await writer.drain()
    proxy.lose_request(b'"n":1}')
    await writer.write(MarketBatch([shared], [1000, b'{"n":1}'], 2, feed="iex"))
    await writer.drain()
    assert await numbers(market_client, shared) == [7, 0, 1]
    await writer.close()
    await other.close()


async def test_a_cancelled_write_loses_nothing_that_was_under_way(
    proxy: Proxy, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(proxy.url, lease)
    await writer.write(batch(0))
    await writer.drain()
    proxy.stall()
    for number in range(1, WINDOW + 1):
        await writer.write(batch(number))
    waiting = asyncio.create_task(writer.write(batch(WINDOW + 1)))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    proxy.flow()
    await writer.write(batch(WINDOW + 2))
    await writer.close()
    assert await numbers(market_client) == [*range(WINDOW + 1), WINDOW + 2]


async def test_a_writer_whose_lease_is_gone_closes_its_connection_all_the_same(
    proxy: Proxy, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(proxy.url, lease)
    await writer.write(batch(0))
    await writer.drain()
    await market_client.delete(KEY)
    await writer.write(batch(1))
    with pytest.raises(Fenced):
        await writer.close()
    await until(lambda: proxy.connections == 0)


@pytest.mark.parametrize("lost", ["reply", "request"])
async def test_a_message_whose_reply_or_request_is_lost_is_there_once(
    proxy: Proxy, market_client: Any, lease: Lease, lost: str
) -> None:
    publisher = Publisher(proxy.url, lease)
    lose = proxy.lose_reply if lost == "reply" else proxy.lose_request
    ids = []
    for number in range(6):
        if number:
            lose(b"message %d" % number)
        ids += await publisher.append(
            [
                ("requests", (b"Order", b"1", b"message %d" % number)),
                ("other", (b"Order", b"1", b"message %d" % number)),
            ]
        )
    for stream, expected in (("requests", ids[::2]), ("other", ids[1::2])):
        entries = await market_client.xrange(stream)
        assert [fields[b"data"] for _, fields in entries] == [b"message %d" % n for n in range(6)]
        assert [id_.decode() for id_, _ in entries] == expected
    await publisher.close()


async def test_a_reply_and_the_look_after_it_may_both_be_lost(
    proxy: Proxy, market_client: Any, lease: Lease
) -> None:
    publisher = Publisher(proxy.url, lease)
    await publisher.append([("requests", (b"Order", b"1", b"first"))])
    proxy.lose_reply(b"second")
    proxy.lose_reply(b"XREVRANGE", times=3)
    proxy.lose_reply(b"SCRIPT")
    await publisher.append([("requests", (b"Order", b"1", b"second"))])
    assert [fields[b"data"] for _, fields in await market_client.xrange("requests")] == [b"first", b"second"]
    await publisher.close()


async def test_a_message_with_a_receive_time_has_a_field_for_it(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    publisher = Publisher(md_url, lease)
    assert await publisher.append([]) == []
    (id_,) = await publisher.append([("account", (b"TradeUpdate", b"1", b"\x00raw", b"123"))])
    assert await market_client.xrange("account") == [
        (
            id_.encode(),
            {b"type": b"TradeUpdate", b"version": b"1", b"data": b"\x00raw", b"r": b"123"},
        )
    ]
    await publisher.close()


async def test_a_stale_publisher_writes_nothing_of_its_batch(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    publisher = Publisher(md_url, lease)
    await market_client.set(KEY, "99:thief")
    with pytest.raises(Fenced):
        await publisher.append([("requests", (b"Order", b"1", b"a")), ("other", (b"Order", b"1", b"a"))])
    assert await market_client.exists("requests", "other") == 0
    await publisher.close()


async def test_appends_of_several_tasks_keep_each_batch_together(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    publisher = Publisher(md_url, lease)
    await asyncio.gather(
        *(
            publisher.append([("requests", (b"Order", b"1", b"%d.%d" % (task, n))) for n in range(5)])
            for task in range(20)
        )
    )
    found = [fields[b"data"] for _, fields in await market_client.xrange("requests")]
    assert found == [b"%d.%d" % (int(found[5 * k].split(b".")[0]), n) for k in range(20) for n in range(5)]
    assert len(set(found)) == 100
    await publisher.close()


@pytest.mark.parametrize(("gone", "is_lost"), [(STREAM, True), ("hist:AAPL:trades:gap-1", False)])
async def test_a_server_that_lost_what_it_had_confirmed_is_sent_nothing_more(
    md_url: str, market_client: Any, lease: Lease, gone: str, is_lost: bool
) -> None:
    """What was brought in from history is removed whole where room is needed: that is no loss."""
    writer = MarketWriter(md_url, lease, name="losing")
    await writer.write(batch(0))
    await writer.drain()
    past = batch(1, streams=("hist:AAPL:trades:gap-1",))
    past.marker = BACKFILLED
    await writer.write(past)
    await writer.drain()
    await market_client.delete(gone)
    for client in await market_client.client_list():
        if client["name"] == "losing":
            await market_client.client_kill_filter(_id=client["id"])
    await writer.write(batch(2))
    await writer.drain()
    assert writer.lost is is_lost
    assert [one.received_ns for one in writer.taken_back()] == ([3] if is_lost else [])
    assert await numbers(market_client) == ([] if is_lost else [0, 2])
    await writer.close()
