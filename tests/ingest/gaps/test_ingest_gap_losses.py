"""Sequences of breaks, stalls and losses after which a gap was told whole and messages were missing."""

import asyncio
from typing import Any

import orjson
import pytest
from gap_scene import BAR, FEEDS, START, STREAM, Past, S, Scene, gone, live, put, trade
from waiting import until

from bus.clock import ManualClock, SystemClock
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.market_batch import MarketBatch
from bus.market_writer import MarketWriter
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed
from ingest.gaps import gap_fill
from ingest.gaps.gap_filler import GapFiller
from ingest.gaps.open_gaps import OpenGaps
from ingest.streams.alpaca_market import MarketFeed
from ingest.writing import FrameWriter


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.gaps.gap_filler.LEFT_OPEN_AFTER_S", 0.0)
    monkeypatch.setattr("ingest.gaps.gap_filler.FIRST_AGAIN_S", 0.05)


async def test_a_late_trade_that_comes_live_first_does_not_cut_the_fill(market_client: Any) -> None:
    await put(market_client, trade(1))
    scene = Scene(market_client, Past([trade(n) for n in range(1, 12)]), hold_s=2)
    filling = asyncio.create_task(scene.filler.run())
    await scene.filler.resume(Resumed({STREAM: START + 1 * S}, START + 10 * S))
    scene.filler.held.hold(live(trade(4), 10))
    scene.filler.held.hold(live(trade(11), 11))
    scene.tasks = [filling, asyncio.create_task(scene.write())]
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(await scene.all()) == [float(n) for n in range(1, 12)]


async def test_a_late_trade_that_comes_live_first_does_not_prove_that_history_is_whole(
    market_client: Any,
) -> None:
    await put(market_client, trade(1))
    past = Past([trade(n) for n in range(1, 5)])
    scene = Scene(market_client, past, hold_s=2, now_s=10.5)

    async def more_the_second_time() -> None:
        if past.asked == 2:
            past.known += [trade(n) for n in range(5, 12)]

    past.before = more_the_second_time
    filling = asyncio.create_task(scene.filler.run())
    await scene.filler.resume(Resumed({STREAM: START + 1 * S}, START + 10 * S))
    scene.filler.held.hold(live(trade(4), 10))
    scene.filler.held.hold(live(trade(11), 11))
    scene.tasks = [filling, asyncio.create_task(scene.write())]
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(await scene.all()) == [float(n) for n in range(1, 12)]


async def test_frames_of_one_fill_are_told_apart_when_a_reply_is_lost(
    md_url: str, market_client: Any
) -> None:
    lease = Lease(market_client, "lease:market:iex", "writer", ttl_ms=60_000)
    assert await lease.acquire()
    writer = MarketWriter(md_url, lease, name="killed")
    found = [(STREAM, trade(n)) for n in range(400)]
    first, second = gap_fill.batches(found, START + 500 * S, "iex", BAR)
    await writer.write(first)
    await writer.drain()  # FrameWriter._write_all(one_by_one=True) does so
    await market_client.execute_command("CLIENT", "PAUSE", "20000", "WRITE")
    await writer.write(second)
    for one in await market_client.client_list():
        if one["name"] == "killed":
            await market_client.client_kill_filter(_id=one["id"])
    await market_client.execute_command("CLIENT", "UNPAUSE")
    await writer.drain()
    await writer.close()
    assert await market_client.xlen(STREAM) == 400


async def test_a_second_gap_behind_a_fill_whose_time_ran_out_in_the_buffer(market_client: Any) -> None:
    await put(market_client, trade(1))
    scene = Scene(market_client, Past([trade(1), trade(2), trade(3.15)]), hold_s=0.5)
    filling = asyncio.create_task(scene.filler.run())
    await scene.filler.resume(Resumed({STREAM: START + 1 * S}, START + 3 * S))
    await until(lambda: len(scene.buffer) == 1, "the turn that fills it")
    # The writer waits for its server; meanwhile the feed breaks and is back.
    scene.buffer.add(Resumed({STREAM: START + round(3.1 * S)}, START + round(3.4 * S)), 0)
    await until(lambda: len(scene.buffer) == 3, "the time ran out")
    scene.tasks = [filling, asyncio.create_task(scene.write())]
    await until(lambda: scene.closed() == 2, "both closed")
    await scene.stop()
    assert sorted(await scene.all()) == [1, 2, 3.15]


async def test_what_was_missed_last_is_filled_where_the_clock_is_slow(market_client: Any) -> None:
    """By half a second, which LEAD_MS believes; nothing comes live since."""
    await put(market_client, trade(1))
    scene = Scene(market_client, Past([trade(1), trade(2), trade(3.3)]), hold_s=2)
    scene.start()
    scene.buffer.add(Resumed({STREAM: START + S}, START + 3 * S), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(await scene.all()) == [1, 2, 3.3]


async def test_a_server_that_loses_all_before_a_fill_does_not_end_the_writer(
    md_url: str, market_client: Any
) -> None:
    lease = Lease(market_client, "lease:market:iex", "writer", ttl_ms=60_000)
    assert await lease.acquire()
    keeper = LeaseKeeper(lease, regain="by_writer")
    keeper._token = lease.token
    writer = MarketWriter(md_url, lease, name="losing")
    buffer: Buffer[Item] = Buffer(1_000_000)
    clock = SystemClock()
    now = clock.now_ns()
    past = Past([])
    going = asyncio.Event()
    past.before = going.wait
    filler = GapFiller(
        "iex",
        past,
        OpenGaps(market_client, FEEDS, BAR),
        buffer,
        clock,
        hold_s=2,
        longest_ns=10**15,
        bar_ns=BAR,
    )
    writing = FrameWriter(BAR)
    task = asyncio.create_task(writing.run(buffer, writer, keeper, filler, lambda: [STREAM]))
    filling = asyncio.create_task(filler.run())
    first = {**trade(1), "t": now - 10 * S}
    buffer.add(MarketBatch([STREAM], [first["t"] // 10**6, orjson.dumps(first)], now - 10 * S, "iex", ""), 0)
    buffer.add(Resumed({STREAM: now - 10 * S}, now - 2 * S), 0)
    await until(lambda: past.asked == 1, "history asked")
    await market_client.flushall()
    going.set()

    async def is_over() -> bool:
        kinds = [fields.get(b"type") for _, fields in await market_client.xrange(STREAM)]
        return task.done() or filling.done() or (b"GapClosed" in kinds and await gone(market_client))

    await until(is_over, "the gap closed again, or an end")
    errors = [repr(one.exception()) for one in (task, filling) if one.done()]
    for t in (task, filling):
        t.cancel()
    await asyncio.gather(task, filling, return_exceptions=True)
    await writer.close()
    assert not errors


async def test_what_was_polled_for_long_does_not_move_the_beginning_of_the_gap(
    market_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was polled longest ago may be told again; nothing is missing."""
    monkeypatch.setattr("ingest.gaps.open_gaps._MOST", 20)
    await put(market_client, trade(1))
    for n in range(10, 50):
        one = trade(n)
        fields = {"d": orjson.dumps(one), "r": one["t"], "feed": "rest"}
        await market_client.xadd(STREAM, fields, f"{one['t'] // 10**6}-*")
    scene = Scene(market_client, Past([trade(n / 2) for n in range(2, 101)]), hold_s=2)
    scene.start()
    scene.buffer.add(Resumed({STREAM: START + S}, START + 50 * S), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(set(await scene.all())) == [n / 2 for n in range(2, 101)]


async def test_what_is_released_before_it_is_subscribed_is_not_whole() -> None:
    buffer: Buffer[Item] = Buffer(1000)
    feed = MarketFeed("stocks", "iex", "ws://localhost:1", "k", "s", buffer, ManualClock(START), answer_s=10)
    feed.want({"quotes": frozenset({"AAPL"})})
    feed.subscribing()
    feed.control({"T": "subscription", "quotes": ["AAPL"]})
    feed.hold_gap({"md:AAPL:quotes": START}, "dropped: the spool is full")
    feed.broke("cut")
    feed.subscribing()
    feed.release_gap(["md:AAPL:quotes"])
    assert list(feed.marks.open) == ["md:AAPL:quotes"]
    feed.control({"T": "subscription", "quotes": ["AAPL"]})
    assert not feed.marks.open
