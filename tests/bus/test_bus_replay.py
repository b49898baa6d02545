"""B1 and B2: ranges of streams read by market time, in order, and legible to a person."""

import asyncio
import shlex
from typing import Any

import hiredis
import pytest

from bus import replay
from bus.lease import Lease
from bus.market_batch import MarketBatch
from bus.market_writer import MarketWriter
from bus.streams import market

pytestmark = pytest.mark.integration


async def ids(market_client: Any, streams: list[str], **bounds: str) -> list[tuple[str, str]]:
    return [(one.stream, one.id) async for one in replay.read(market_client, streams, **bounds)]


async def test_b2_a_range_by_time_includes_both_its_ends(market_client: Any) -> None:
    for id_ in ("999-5", "1000-0", "1000-7", "1500-0", "2000-0", "2000-9", "2001-0"):
        await market_client.xadd("a", {"n": id_}, id=id_)
    found = [one.id async for one in replay.read(market_client, ["a"], start="1000", end="2000")]
    assert found == ["1000-0", "1000-7", "1500-0", "2000-0", "2000-9"]
    assert [one async for one in replay.read(market_client, ["a"], start="5000")] == []
    assert len(await ids(market_client, ["a"])) == 7


async def test_b2_several_streams_are_merged_by_time_and_ties_go_by_the_order_asked_for(
    market_client: Any,
) -> None:
    for id_ in ("1-0", "3-0", "10-0"):
        await market_client.xadd("a", {"x": 1}, id=id_)
    for id_ in ("2-0", "3-0", "9-0"):
        await market_client.xadd("b", {"x": 1}, id=id_)
    expected = [("a", "1-0"), ("b", "2-0"), ("b", "3-0"), ("a", "3-0"), ("b", "9-0"), ("a", "10-0")]
    assert await ids(market_client, ["b", "missing", "a"]) == expected
    assert await ids(market_client, []) == []


async def test_b2_a_range_larger_than_a_page_comes_whole_and_once(
    market_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PAGE", 7)
    for number in range(50):
        await market_client.xadd("ab"[number % 2], {"n": number}, id=f"{1 + number // 4}-{number}")
    found = [int(one.fields[b"n"]) async for one in replay.read(market_client, ["a", "b"])]
    assert found == list(range(50))


async def test_b2_what_arrives_while_reading_does_not_disturb_what_was_asked_for(
    market_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PAGE", 2)
    for number in range(1, 6):
        await market_client.xadd("a", {"n": number}, id=f"{number}-0")
    found = []
    async for one in replay.read(market_client, ["a"], end="5"):
        found.append(one.id)
        await market_client.xadd("a", {"n": 0}, id=f"{100 + len(found)}-0")
    assert found == [f"{number}-0" for number in range(1, 6)]


async def session(url: str, *lines: str) -> list[Any]:
    """What `redis-cli` would get for these lines, by a client that knows nothing of ours."""
    reader, writer = await asyncio.open_unix_connection(url.removeprefix("unix://"))
    parser = hiredis.Reader(encoding="utf-8")
    replies = []
    for line in lines:
        writer.write(hiredis.pack_command(tuple(shlex.split(line))))
        while (reply := parser.gets()) is False:
            parser.feed(await reader.read(65536))
        replies.append(reply)
    writer.close()
    await writer.wait_closed()
    return replies


async def test_b1_a_documented_session_shows_a_minute_of_trades(market_client: Any, md_url: str) -> None:
    lease = Lease(market_client, "lease:market:iex", "ingest", ttl_ms=60_000)
    await lease.acquire()
    writer = MarketWriter(md_url, lease)
    stream = market("AAPL", "trades")
    for ms, price in ((1699999999999, "187.10"), (1700000000000, "187.12"), (1700000059999, "187.15")):
        entry = b'{"S":"AAPL","p":%s,"s":100,"t":%d,"x":"V"}' % (price.encode(), ms * 1_000_000)
        await writer.write(MarketBatch([stream], [ms, entry], ms * 1_000_000 + 350_000, feed="iex"))
    gap = b'{"feed":"iex","since_ns":1700000060000000000,"reason":"the connection broke"}'
    await writer.write(
        MarketBatch([stream], [1700000060000, gap], 1700000060000000001, feed="iex", marker="GapOpened")
    )
    await writer.close()

    keys, minute, last = await session(
        md_url,
        "KEYS md:*",
        "XRANGE md:AAPL:trades 1700000000000 1700000060000",
        "XREVRANGE md:AAPL:trades + - COUNT 1",
    )
    assert keys == ["md:AAPL:trades"]
    assert minute == [
        [
            "1700000000000-0",
            [
                "d",
                '{"S":"AAPL","p":187.12,"s":100,"t":1700000000000000000,"x":"V"}',
                "r",
                "1700000000000350000",
                "feed",
                "iex",
            ],
        ],
        [
            "1700000059999-0",
            [
                "d",
                '{"S":"AAPL","p":187.15,"s":100,"t":1700000059999000000,"x":"V"}',
                "r",
                "1700000059999350000",
                "feed",
                "iex",
            ],
        ],
        [
            "1700000060000-0",
            ["d", gap.decode(), "r", "1700000060000000001", "type", "GapOpened", "feed", "iex"],
        ],
    ]
    assert last == minute[-1:]
