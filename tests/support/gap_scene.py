"""A filler of gaps beside a real server, a history and a writer of the test's own, in seconds of a day."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from bus.clock import ManualClock
from bus.market_batch import MarketBatch
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed, Turn
from ingest.gaps.gap_fill import Hole
from ingest.gaps.gap_filler import GapFiller
from ingest.gaps.open_gaps import OpenGaps

FEEDS = ("sip", "iex", "rest")
S, START = 1_000_000_000, 1_700_000_000_000_000_000
STREAM = "md:AAPL:trades"
BAR = 60 * S


def trade(at_s: float, symbol: str = "AAPL") -> dict[str, Any]:
    """A trade of that second."""
    return {
        "T": "t",
        "i": round(at_s * 1000),
        "S": symbol,
        "x": "V",
        "p": 1.5,
        "s": 1,
        "t": START + round(at_s * S),
    }


def bar(at_s: float) -> dict[str, Any]:
    """The bar that begins at that second."""
    return {"T": "b", "S": "AAPL", "o": 1.0, "c": 1.0, "t": START + round(at_s * S)}


class Past:
    """A history that has these messages; `before` is awaited before each answer."""

    def __init__(self, known: list[dict[str, Any]]) -> None:
        self.known = known
        self.asked = 0
        self.before: Callable[[], Any] | None = None

    async def pages(self, channel: str, symbols: Any, since_ns: int, until_ns: int) -> Any:
        self.asked += 1
        if self.before is not None:
            await self.before()
        yield [one for one in self.known if since_ns <= one["t"] <= until_ns]


class Scene:
    """A filler, and its writer: what was written, oldest first."""

    def __init__(
        self, client: Any, past: Any, *, hold_s: float, feed: str = "iex", now_s: float = 100
    ) -> None:
        self.client = client
        self.buffer: Buffer[Item] = Buffer(1_000_000)
        self.clock = ManualClock(START + round(now_s * S))
        self.written: list[MarketBatch] = []
        kept = OpenGaps(client, FEEDS, BAR)
        self.filler = GapFiller(
            feed, past, kept, self.buffer, self.clock, hold_s=hold_s, longest_ns=10**15, bar_ns=BAR
        )
        self.tasks: list[Any] = []

    def start(self) -> None:
        """Fill and write, until stopped."""
        self.tasks = [asyncio.create_task(self.filler.run()), asyncio.create_task(self.write())]

    async def write(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            item = await self.buffer.take()
            if isinstance(item, Turn):
                await self.put_batches(list(item.write()))
                item.written()
            elif isinstance(item, Resumed):
                await self.put_batches(await self.filler.resume(item))
            elif isinstance(item, MarketBatch):
                await self.put_batches([*self.filler.held.released(item.streams), item])

    async def put_batches(self, some: list[MarketBatch]) -> None:
        """Write these into their streams."""
        for batch in some:
            self.written.append(batch)
            for n, stream in enumerate(batch.streams):
                fields = {"d": batch.values[2 * n + 1], "r": batch.received_ns, "feed": batch.feed or "iex"}
                if batch.marker == "b":
                    fields["b"] = "1"
                elif batch.marker:
                    fields["type"] = batch.marker
                await self.client.xadd(stream, fields)

    def closed(self) -> int:
        """How many gaps were told closed."""
        return [batch.marker for batch in self.written].count("GapClosed")

    async def stop(self) -> None:
        """End both."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def all(self, channel: str = "trades") -> list[float]:
        """Every message in the stream and beside it, by its second."""
        found = []
        for key in [
            f"md:AAPL:{channel}",
            *sorted([k.decode() async for k in self.client.scan_iter("hist:AAPL:*")]),
        ]:
            for _, fields in await self.client.xrange(key):
                if b"type" not in fields:
                    found.append((orjson.loads(fields[b"d"])["t"] - START) / S)
        return found


def live(one: dict[str, Any], at_s: float) -> MarketBatch:
    """A frame of one message that came then."""
    values = [one["t"] // 10**6, orjson.dumps(one)]
    return MarketBatch([STREAM], values, START + round(at_s * S), "iex", "")


async def put(client: Any, *messages: dict[str, Any], stream: str = STREAM, now: bool = False) -> None:
    """Write these into a stream, with ids of their times, or of now."""
    pipe = client.pipeline(transaction=False)
    for one in messages:
        id_ = "*" if now else f"{one['t'] // 10**6}-*"
        pipe.xadd(stream, {"d": orjson.dumps(one), "r": one["t"], "feed": "iex"}, id_)
    await pipe.execute()


def hole(since_s: float, until_s: float, channel: str = "trades") -> Hole:
    """A gap between these seconds."""
    return Hole(
        stream=f"md:AAPL:{channel}",
        symbol="AAPL",
        channel=channel,
        since_ns=START + round(since_s * S),
        until_ns=START + round(until_s * S),
        after_ns=START + round(since_s * S),
    )


async def keep(client: Any, one: Hole) -> None:
    """Keep a gap as an earlier run did."""
    await OpenGaps(client, FEEDS, BAR).add([one])


async def gone(client: Any) -> bool:
    """Whether no gap is kept any more."""
    return not await client.exists("gaps:sip")
