"""What the writer of a feed has in hand, and when it says that something is written."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest
from waiting import until

from bus.market_batch import MarketBatch
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed, Turn
from ingest.gaps.held_back import HeldBack
from ingest.writing import FrameWriter

RESUMED = Resumed({"md:AAPL:trades": 1}, 2)


class Server:
    """In the places of the writer, its lease and the filler: what is sent, answered only while `answers`."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.held: HeldBack[Any] = HeldBack("iex")
        self.lease = self
        self.value = "1"
        self.lost = False
        self.under_way: list[MarketBatch] = []
        self.sent: list[MarketBatch] = []
        self.kept: list[Resumed] = []

    async def write(self, batch: MarketBatch) -> None:
        self.sent.append(batch)
        self.under_way.append(batch)

    gather = write

    async def leave(self) -> None:
        """Each has left by itself."""

    async def drain(self) -> None:
        if self.under_way:
            await self.answers.wait()
        self.under_way.clear()

    async def resume(self, resumed: Resumed) -> list[MarketBatch]:
        await self.answers.wait()
        self.kept.append(resumed)
        return []


class Scene:
    def __init__(self) -> None:
        self.server: Any = Server()
        self.buffer: Buffer[Item] = Buffer(1000)
        self.writing = FrameWriter(1)

    def in_flight(self) -> list[MarketBatch | Resumed]:
        return self.writing.in_flight(self.server, self.server)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    server = scene.server
    task = asyncio.create_task(scene.writing.run(scene.buffer, server, server, server, list))
    yield scene
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_gaps_to_be_filled_are_in_hand_until_they_are_kept(scene: Scene) -> None:
    """They are spooled with the rest: a crash while the server is away must not forget them."""
    batch = MarketBatch(["md:AAPL:trades"], [1, b"{}"], 3)
    scene.server.answers.clear()
    scene.buffer.add(batch, 0)
    scene.buffer.add(RESUMED, 0)
    await until(lambda: not len(scene.buffer), "both to be taken")
    sent, resumed = scene.in_flight()
    assert (sent, resumed) == (scene.server.under_way[0], RESUMED)
    scene.server.answers.set()
    await until(lambda: scene.server.kept == [RESUMED], "them to be kept")
    await until(lambda: scene.in_flight() == [], "nothing in hand")


async def test_what_fills_a_gap_goes_one_by_one_so_that_none_is_refused_and_the_next_is_taken(
    scene: Scene,
) -> None:
    batches = [MarketBatch(["md:AAPL:trades"], [1, b"{}"], number, "iex", "b") for number in range(3)]
    scene.server.answers.clear()
    scene.buffer.add(Turn(lambda: batches, lambda: None), 0)
    await until(lambda: scene.server.sent == batches[:1], "the first to be sent")
    for _ in range(10):
        await asyncio.sleep(0)
    assert scene.server.sent == batches[:1]
    scene.server.answers.set()
    await until(lambda: scene.server.sent == batches, "the others")


async def test_a_turn_is_written_when_the_server_has_it_and_not_when_it_was_sent(scene: Scene) -> None:
    """What was asked for in it is forgotten then, by another connection."""
    batch, written = MarketBatch(["md:AAPL:trades"], [1, b"{}"], 3, "iex", "b"), deque[bool]()
    scene.server.answers.clear()
    scene.buffer.add(Turn(lambda: [batch], lambda: written.append(True)), 0)
    await until(lambda: scene.server.sent == [batch], "it to be sent")
    await asyncio.sleep(0)
    assert not written
    scene.server.answers.set()
    await until(lambda: bool(written), "it to be said")


async def test_a_turn_goes_by_what_the_streams_have_when_all_before_it_is_written(scene: Scene) -> None:
    before, under_way = MarketBatch(["md:AAPL:trades"], [1, b"{}"], 3), deque[int]()

    def nothing() -> list[MarketBatch]:
        under_way.append(len(scene.server.under_way))
        return []

    scene.buffer.add(before, 0)
    scene.buffer.add(Turn(nothing, lambda: None), 0)
    await until(lambda: bool(under_way), "the turn")
    assert (len(scene.server.sent), list(under_way)) == (1, [0])
