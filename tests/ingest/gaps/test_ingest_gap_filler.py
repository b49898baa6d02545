"""What the filler of gaps leaves for later, against a real server and a history of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import orjson
import pytest
from waiting import until

from bus.clock import ManualClock
from bus.market_batch import MarketBatch
from bus.market_messages import GapClosed
from bus.streams import open_gaps
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed, Turn
from ingest.data_api.alpaca_data import NotGiven
from ingest.gaps.gap_fill import Hole
from ingest.gaps.gap_filler import GapFiller
from ingest.gaps.gap_group import Group
from ingest.gaps.open_gaps import OpenGaps

# Those that write into the streams; the second stands in for the first.
FEEDS = ("sip", "iex", "rest")

STREAM, S_NS, START_NS = "md:AAPL:trades", 1_000_000_000, 1_700_000_000_000_000_000

HOLE = Hole(
    stream=STREAM,
    symbol="AAPL",
    channel="trades",
    since_ns=START_NS + S_NS,
    until_ns=START_NS + 3 * S_NS,
    after_ns=START_NS + S_NS,
)


@pytest.fixture(autouse=True)
def left_open_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run before this one was in the middle of a gap that goes on."""
    monkeypatch.setattr("ingest.gaps.gap_filler.LEFT_OPEN_AFTER_S", 0.0)


def trade(number: int) -> dict[str, Any]:
    """The trade of that second."""
    return {"T": "t", "i": number, "S": "AAPL", "x": "V", "p": 1.5, "s": 1, "t": START_NS + number * S_NS}


class Past:
    """A history that has these trades, or refuses."""

    def __init__(self, trades: Sequence[dict[str, Any]]) -> None:
        self.trades = trades
        self.asked = 0
        self.is_refused = False

    async def pages(
        self, channel: str, symbols: Sequence[str], since_ns: int, until_ns: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        self.asked += 1
        if self.is_refused:
            raise NotGiven("not in this plan", 403, "")
        yield [one for one in self.trades if since_ns <= one["t"] <= until_ns]


class Scene:
    """A filler, and its writer: what was written, oldest first."""

    def __init__(self, client: Any, past: Past, *, hold_s: float, feed: str = "iex") -> None:
        self.buffer: Buffer[Item] = Buffer(1_000_000)
        self.clock = ManualClock(START_NS + 100 * S_NS)
        self.written: list[MarketBatch] = []
        kept = OpenGaps(client, FEEDS, 60 * S_NS)
        self.filler = GapFiller(
            feed, past, kept, self.buffer, self.clock, hold_s=hold_s, longest_ns=10**15, bar_ns=60 * S_NS
        )

    async def write(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            item = await self.buffer.take()
            assert isinstance(item, Turn)
            self.written += item.write()
            item.written()

    def numbers(self) -> list[int]:
        """The trades written from history."""
        return [
            orjson.loads(text)["i"]  # type: ignore[arg-type]
            for batch in self.written
            if batch.marker == "b"
            for text in batch.values[1::2]
        ]

    def closed(self) -> bool:
        return any(batch.marker == "GapClosed" for batch in self.written)


async def put(client: Any, *numbers: int, id_ms: int | None = None) -> None:
    for number in numbers:
        one = trade(number)
        ms = one["t"] // 10**6 if id_ms is None else id_ms
        await client.xadd(STREAM, {"d": orjson.dumps(one), "r": one["t"], "feed": "iex"}, f"{ms}-*")


@pytest.mark.parametrize("hold_s", [0, 2, 10])
async def test_what_came_live_while_a_gap_was_open_is_not_written_beside_it_too(
    market_client: Any, hold_s: float
) -> None:
    """However long live messages may wait: after a restart history is asked for all that time."""
    await put(market_client, 1, 4, 5, 11)
    scene = Scene(market_client, Past([trade(number) for number in range(12)]), hold_s=hold_s)
    await OpenGaps(market_client, FEEDS, 60 * S_NS).add([HOLE])
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await until(scene.closed, "the gap closed")
    await until(lambda: _gone(market_client), "it is forgotten")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    asked_to = 3 + hold_s
    assert scene.numbers() == [one for one in range(2, 12) if one <= asked_to and one not in (4, 5, 11)]


async def test_what_was_held_back_is_found_by_its_own_time_and_not_by_its_entry_s(market_client: Any) -> None:
    """It stands behind the marker that it waited for, and has an id of that time."""
    await put(market_client, 1)
    for number in (4, 5):
        await put(market_client, number, id_ms=trade(50)["t"] // 10**6)
    await put(market_client, *range(51, 55))
    scene = Scene(market_client, Past([trade(number) for number in range(12)]), hold_s=2)
    await OpenGaps(market_client, FEEDS, 60 * S_NS).add([HOLE])
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await until(lambda: _gone(market_client), "it is forgotten")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert scene.numbers() == [2, 3]


async def test_what_is_held_back_for_a_later_gap_is_not_written_beside_an_earlier_one_too(
    market_client: Any,
) -> None:
    await put(market_client, 1)
    scene = Scene(market_client, Past([trade(number) for number in range(12)]), hold_s=2)
    await OpenGaps(market_client, FEEDS, 60 * S_NS).add([HOLE])
    scene.filler.held.begin([STREAM], Group("trades", {}, 0))
    live = orjson.dumps(trade(4))
    scene.filler.held.hold(MarketBatch([STREAM], [trade(4)["t"] // 10**6, live], START_NS, "iex", ""))
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await until(lambda: _gone(market_client), "it is forgotten")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert scene.numbers() == [2, 3, 5]


async def _gone(client: Any) -> bool:
    return not await client.exists(open_gaps("sip"))


async def test_a_gap_that_its_last_turn_fills_after_all_is_not_left_to_the_next_run(
    market_client: Any,
) -> None:
    """The writer comes to it only when live messages have waited long enough."""
    await put(market_client, 1)
    past = Past([trade(1), trade(2)])
    scene = Scene(market_client, past, hold_s=0.2)
    filling = asyncio.create_task(scene.filler.run())
    await scene.filler.resume(Resumed({STREAM: START_NS + S_NS}, START_NS + 2 * S_NS))
    # The turn that fills it stands in the buffer while the time runs out and the gap is kept for later.
    await until(lambda: len(scene.buffer) == 2, "that turn, and the one that gives up waiting")
    writing = asyncio.create_task(scene.write())
    await until(scene.closed, "the gap closed")
    await until(lambda: _gone(market_client), "it is forgotten")
    assert scene.numbers() == [2]
    for task in (filling, writing):
        task.cancel()
    await asyncio.gather(filling, writing, return_exceptions=True)
    assert [batch.marker for batch in scene.written].count("GapClosed") == 1


@pytest.mark.parametrize(
    "text", [b"no JSON", b"[]", b"{}", b'{"S":"AAPL","p":1,"t":5}', b'{"T":"t","t":"now"}']
)
async def test_what_somebody_else_wrote_into_a_stream_keeps_no_gap_open(
    market_client: Any, text: bytes
) -> None:
    await put(market_client, 1)
    await market_client.xadd(STREAM, {"d": text, "r": START_NS, "feed": "iex"}, f"{trade(1)['t'] // 10**6}-*")
    await market_client.xadd(STREAM, {"r": START_NS})
    await market_client.xadd(STREAM, {"r": START_NS, "type": "GapClosed", "d": text, "feed": "iex"})
    scene = Scene(market_client, Past([trade(1), trade(2)]), hold_s=2)
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await scene.filler.resume(Resumed({STREAM: START_NS + S_NS}, START_NS + 3 * S_NS))
    await until(scene.closed, "the gap closed")
    for task in tasks:
        assert not task.done()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert scene.numbers() == [2]


async def test_where_no_stream_is_served_nothing_is_filled_and_history_is_not_asked(
    market_client: Any,
) -> None:
    """It knows no such feed, and what is asked for misses more all the time: the next stream fills it."""
    await put(market_client, 1)
    await OpenGaps(market_client, FEEDS, 60 * S_NS).add([HOLE])
    past = Past([trade(number) for number in range(5)])
    polling = Scene(market_client, past, hold_s=0, feed="rest")
    tasks = [asyncio.create_task(polling.filler.run()), asyncio.create_task(polling.write())]
    opened, resumed = await polling.filler.lost([STREAM], "a disk forgot it")
    assert opened.marker == "GapOpened"
    assert await polling.filler.resume(resumed) == []
    for _ in range(50):
        await market_client.ping()  # Time enough for questions of its own.
    assert (past.asked, await market_client.hlen(open_gaps("sip"))) == (0, 1)
    # The same gap is filled by the stream that is served after that, and by no other.
    back = Scene(market_client, past, hold_s=0, feed="sip")
    tasks += [asyncio.create_task(back.filler.run()), asyncio.create_task(back.write())]
    await until(back.closed, "the gap closed")
    await until(lambda: _gone(market_client), "it is forgotten")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (back.numbers(), polling.written, past.asked) == ([2, 3], [], 1)


async def test_what_was_found_before_the_feed_broke_again_is_written_beside(market_client: Any) -> None:
    """Nothing more is to be found for the first gap then, and what came live since is not told twice."""
    await put(market_client, 1)
    scene = Scene(market_client, Past([trade(1), trade(2), trade(50)]), hold_s=0.2)
    filling = asyncio.create_task(scene.filler.run())
    await scene.filler.resume(Resumed({STREAM: START_NS + S_NS}, START_NS + 3 * S_NS))
    await until(lambda: len(scene.buffer) == 1, "history asked, and found")
    assert scene.filler.held.released([STREAM]) == []
    writing = asyncio.create_task(scene.write())
    await until(scene.closed, "the gap closed")
    assert scene.numbers() == [2]
    for task in (filling, writing):
        task.cancel()
    await asyncio.gather(filling, writing, return_exceptions=True)


async def test_two_gaps_of_a_stream_are_filled_each_with_its_own(market_client: Any) -> None:
    """What the first missed came shortly before the second, and is beside: it is not told twice."""
    await put(market_client, 1, 4)
    await OpenGaps(market_client, FEEDS, 60 * S_NS).add([HOLE])
    scene = Scene(market_client, Past([trade(number) for number in range(1, 7)]), hold_s=0)
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await scene.filler.resume(Resumed({STREAM: START_NS + 4 * S_NS}, START_NS + 6 * S_NS))
    await until(lambda: _gone(market_client), "both are closed")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(scene.numbers()) == [2, 3, 5, 6]
    assert [batch.marker for batch in scene.written].count("GapClosed") == 2


async def test_a_gap_that_was_told_closed_before_a_kill_is_no_open_one(market_client: Any) -> None:
    """What is missing behind it is of the next gap, and stands in the stream before what comes live."""
    await put(market_client, 1)
    closed = GapClosed(feed="iex", since_ns=HOLE.since_ns, until_ns=HOLE.until_ns, backfilled=0)
    marker = {"d": msgspec.json.encode(closed), "r": START_NS, "type": "GapClosed", "feed": "iex"}
    await market_client.xadd(STREAM, marker, f"{HOLE.until_ns // 10**6}-*")
    await put(market_client, 4)
    kept = OpenGaps(market_client, FEEDS, 60 * S_NS)
    await kept.add([HOLE, msgspec.structs.replace(HOLE, until_ns=HOLE.until_ns - 1)])
    assert [hole.until_ns for hole in await kept.read()] == [HOLE.until_ns - 1]
    await kept.remove(await kept.read())
    assert await _gone(market_client)


async def test_what_a_gap_that_was_closed_did_not_reach_is_filled_before_live(
    market_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.gaps.gap_filler.LEFT_OPEN_AFTER_S", 60.0)
    await put(market_client, 1, 2, 3)
    closed = GapClosed(feed="iex", since_ns=HOLE.since_ns, until_ns=HOLE.until_ns, backfilled=2)
    marker = {"d": msgspec.json.encode(closed), "r": START_NS, "type": "GapClosed", "feed": "iex"}
    await market_client.xadd(STREAM, marker, f"{HOLE.until_ns // 10**6}-*")
    await OpenGaps(market_client, FEEDS, 60 * S_NS).add([HOLE])
    scene = Scene(market_client, Past([trade(number) for number in range(1, 6)]), hold_s=10)
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await scene.filler.resume(Resumed({STREAM: START_NS + 3 * S_NS}, START_NS + 5 * S_NS))
    await until(scene.closed, "the gap closed")
    assert scene.numbers() == [4, 5]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_trade_of_the_same_nanosecond_as_the_last_before_the_gap_is_filled_too(
    market_client: Any,
) -> None:
    """Asked from just behind the last one's time, history would leave it out."""
    await put(market_client, 0, 1)
    scene = Scene(market_client, Past([trade(0), trade(1), trade(1) | {"i": 100}, trade(2)]), hold_s=2)
    tasks = [asyncio.create_task(scene.filler.run()), asyncio.create_task(scene.write())]
    await scene.filler.resume(Resumed({STREAM: START_NS + S_NS}, START_NS + 3 * S_NS))
    await until(scene.closed, "the gap closed")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert scene.numbers() == [100, 2]
