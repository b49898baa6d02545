"""Market frames that leave in one script: once and in order whatever is lost, each with its own time."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from proxy import Proxy

from bus.errors import Fenced, ServerRefused
from bus.lease import Lease
from bus.market_batch import MarketBatch
from bus.market_writer import ENTRIES_TOGETHER, FRAMES_TOGETHER, WINDOW, MarketWriter

pytestmark = pytest.mark.integration

KEY = "lease:market:iex"
STREAMS = ("md:AAPL:trades", "md:MSFT:trades")


@pytest.fixture
async def lease(market_client: Any) -> Lease:
    lease = Lease(market_client, KEY, "writer", ttl_ms=60_000)
    assert await lease.acquire()
    return lease


@pytest.fixture
async def proxy(md_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(md_url) as proxy:
        yield proxy


def frame(number: int, entries: int = 1, streams: tuple[str, ...] = STREAMS, marker: str = "") -> MarketBatch:
    """A frame with so many entries in each stream."""
    values: list[int | bytes] = [1000 + number, b"%d" % number]
    count = entries * len(streams)
    return MarketBatch(list(streams) * entries, values * count, number + 1, feed="iex", marker=marker)


async def held(client: Any, stream: str = STREAMS[0]) -> list[tuple[int, int]]:
    """Number and time of receipt of what a stream holds, in its order."""
    return [(int(fields[b"d"]), int(fields[b"r"])) for _, fields in await client.xrange(stream)]


async def scripts(client: Any) -> int:
    """How often the server was asked to run a script."""
    return int((await client.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))


async def test_what_waits_together_is_one_script(md_url: str, market_client: Any, lease: Lease) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.write(frame(0))
    await writer.drain()
    before = await scripts(market_client)
    for number in range(1, 5):
        await (writer.gather if number < 4 else writer.write)(frame(number))
        assert len(writer.under_way) == number
    await writer.drain()
    assert await scripts(market_client) == before + 1
    assert await held(market_client) == [(number, number + 1) for number in range(5)]
    # So many frames, or entries, and no more; a marker is by itself.
    for number in range(5, 6 + FRAMES_TOGETHER):
        await writer.gather(frame(number))
    await writer.gather(frame(30, entries=ENTRIES_TOGETHER // 2))
    await writer.gather(frame(31))
    await writer.gather(frame(32, marker="GapOpened"))
    assert [one.received_ns for one in writer.under_way][-2:] == [32, 33]
    await writer.drain()
    assert await scripts(market_client) == before + 5
    assert await held(market_client, STREAMS[1]) == await held(market_client)
    assert writer.written == 2 * (5 + 1 + FRAMES_TOGETHER + ENTRIES_TOGETHER // 2 + 1 + 1)
    await writer.close()


async def test_a_frame_without_entries_takes_the_others_along(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.gather(frame(0))
    await writer.write(MarketBatch([], [], 2, feed="iex"))
    assert len(writer.under_way) == 1
    await writer._confirm_oldest()
    assert await held(market_client) == [(0, 1)]
    await writer.close()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_lost_each_is_there_once_in_order_with_its_own_time(
    proxy: Proxy, market_client: Any, lease: Lease, seed: int
) -> None:
    chance = random.Random(seed)
    writer = MarketWriter(proxy.url, lease)
    expected: list[tuple[int, int]] = []
    for number in range(300):
        entries = chance.choice((1, 1, 2, 9))
        expected += [(number, number + 1)] * entries
        await (writer.gather if chance.random() < 0.8 else writer.write)(frame(number, entries))
        fault = chance.random()
        if fault < 0.02:
            proxy.cut()
        elif fault < 0.06:
            proxy.lose_reply(b"EVALSHA")
        elif fault < 0.10:
            proxy.lose_request(b"EVALSHA")
    await writer.drain()
    assert await held(market_client) == expected
    assert await held(market_client, STREAMS[1]) == expected
    await writer.close()


async def test_what_was_gathered_is_not_lost_with_the_lease(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    await writer.write(frame(0))
    await writer.drain()
    await market_client.set(KEY, "99:thief")
    await writer.write(frame(1))
    for number in range(2, 4):
        await writer.gather(frame(number))
    with pytest.raises(Fenced):
        await writer.drain()
    assert [one.received_ns for one in writer.under_way] == [2, 3, 4]
    await market_client.delete(KEY)
    await lease.acquire()
    await writer.resume()
    await writer.drain()
    assert await held(market_client) == [(number, number + 1) for number in range(4)]
    await writer.close()


async def test_what_stands_before_a_frame_that_is_refused_for_good_is_there_once(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    """A key that is no stream: the script ends in its middle, and what it wrote stays."""
    writer = MarketWriter(md_url, lease)
    await writer.write(frame(0))
    await writer.drain()
    await market_client.set("md:BAD:trades", "no stream")
    for number in range(1, 3):
        await writer.gather(frame(number))
    await writer.gather(frame(3, streams=("md:BAD:trades",)))
    await writer.write(frame(4))
    for _ in range(2):
        with pytest.raises(ServerRefused, match="WRONGTYPE"):
            await writer.drain()
    await market_client.delete("md:BAD:trades")
    await writer.drain()
    assert await held(market_client) == [(number, number + 1) for number in (0, 1, 2, 4)]
    assert await held(market_client, "md:BAD:trades") == [(3, 4)]
    await writer.close()


async def test_no_more_are_under_way_than_the_window_holds(
    md_url: str, market_client: Any, lease: Lease
) -> None:
    writer = MarketWriter(md_url, lease)
    most = 0
    for number in range(300):
        await writer.gather(frame(number))
        most = max(most, len(writer.under_way))
    await writer.drain()
    assert most <= WINDOW + FRAMES_TOGETHER
    assert len(await held(market_client)) == 300
    await writer.close()
