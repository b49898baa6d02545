"""Runs ingest inside a test, between a simulator and the test's own servers."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import redis.asyncio
from simulator import Simulator
from waiting import until

from bus.account_keys import confirm
from bus.connection import connect
from bus.feed_kinds import CRYPTO, STOCKS
from bus.heartbeat import IngestDetails
from bus.service import Service
from bus.settings import load
from ingest.leased_feed import LeasedFeed
from ingest.service import Ingest
from ingest.settings import IngestSettings

WANTS_TTL_MS = 5000

# The gap markers of a stream that broke once and is whole again.
BROKE_ONCE = ["GapOpened", "GapClosed"]


def consecutive(messages: Sequence[dict[str, Any]]) -> int:
    """Hold that each message is there once and in order, by the simulator's numbers; how many they are."""
    numbers = [message["i"] for message in messages]
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    again = [number for number, times in Counter(numbers).items() if times > 1]
    unordered = [pair for pair in pairwise(numbers) if pair[0] > pair[1]]
    found = f"missing {missing}, more than once {again}, out of their order {unordered}"
    assert not missing + again + unordered, found
    return len(numbers)


def settings_for(simulator: Simulator, md_url: str, orders_url: str, **changes: Any) -> IngestSettings:
    """Settings that point ingest at this simulator and these servers."""
    return load(
        IngestSettings,
        **{
            "md_redis_url": md_url,
            "orders_redis_url": orders_url,
            "alpaca_api_key": simulator.key,
            "alpaca_secret_key": simulator.secret,
            "market_stream_url": simulator.stocks_stream_url.rpartition("/v2/")[0],
            "trading_stream_url": simulator.trading_stream_url,
            "data_url": simulator.data_url,
            **changes,
        },
    )


class Running:
    """An ingest at work, with a client for each of its servers."""

    def __init__(self, ingest: Ingest, market: Any, orders: Any, task: "asyncio.Task[None]") -> None:
        self.ingest = ingest
        self.market = market
        self.orders = orders
        self.task = task

    @property
    def details(self) -> IngestDetails:
        """What the heartbeat would say."""
        details = self.ingest.service.details
        return details if isinstance(details, IngestDetails) else IngestDetails()

    @property
    def stocks(self) -> LeasedFeed:
        """The stock feed, with its lease, buffer and counts."""
        return self.ingest.feeds[STOCKS]

    @property
    def crypto(self) -> LeasedFeed:
        """The feed of coins."""
        return self.ingest.feeds[CRYPTO]

    def subscribed(self) -> dict[str, list[str]]:
        """Channel to symbols, as acknowledged upstream."""
        return self.details.subscribed

    async def want(self, reader: str, **channels: list[str]) -> None:
        """A reader's wants, as if it had just refreshed them."""
        await self.orders.set(f"wants:paper:{reader}", json.dumps(channels), px=WANTS_TTL_MS)

    @contextlib.asynccontextmanager
    async def wanting(self, reader: str, **channels: list[str]) -> AsyncIterator[None]:
        """A reader that lives: it refreshes its wants, and takes them away when it leaves."""

        left = asyncio.Event()

        async def refresh() -> None:
            # Not cancelled: a redis-py call may swallow that, and the reader would live on.
            while not left.is_set():
                await self.want(reader, **channels)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(left.wait(), 0.5)

        task = asyncio.create_task(refresh())
        try:
            yield
        finally:
            left.set()
            await task
            await self.orders.delete(f"wants:paper:{reader}")

    async def messages(self, stream: str) -> list[dict[str, Any]]:
        """Every message in a market stream, gap markers left out."""
        return [
            json.loads(fields[b"d"])
            for _, fields in await self.market.xrange(stream)
            if b"type" not in fields
        ]

    async def markers(self, stream: str) -> list[tuple[str, dict[str, Any]]]:
        """The gap markers in a market stream."""
        return [
            (fields[b"type"].decode(), json.loads(fields[b"d"]))
            for _, fields in await self.market.xrange(stream)
            if b"type" in fields
        ]

    async def marker_kinds(self, stream: str) -> list[str]:
        """GapOpened or GapClosed, for each gap marker in a market stream."""
        return [kind for kind, _ in await self.markers(stream)]

    async def filled(self, stream: str) -> list[dict[str, Any]]:
        """The messages in a stream that came from history."""
        return [json.loads(fields[b"d"]) for _, fields in await self.market.xrange(stream) if b"b" in fields]

    async def flowing(self, stream: str, count: int = 20) -> None:
        """Wait until so many more messages are in a market stream."""
        before = len(await self.messages(stream))

        async def grown() -> bool:
            return len(await self.messages(stream)) >= before + count

        await until(grown, f"{count} more of {stream}")

    async def closed(self, stream: str, times: int = 1) -> dict[str, Any]:
        """Wait until so many gaps of a stream were closed; its last marker."""

        async def all_closed() -> bool:
            return (await self.marker_kinds(stream)).count("GapClosed") >= times

        await until(all_closed, f"{times} gaps of {stream} closed")
        return (await self.markers(stream))[-1][1]

    async def marked(self, stream: str, kinds: list[str]) -> None:
        """Wait until the gap markers in a market stream are these."""

        async def same() -> bool:
            return await self.marker_kinds(stream) == kinds

        await until(same, f"{', '.join(kinds)} in {stream}")

    def codes(self, kind: str = STOCKS) -> set[str]:
        """What is wrong with a feed, by its reasons in the heartbeat."""
        return {reason.code for reason in self.details.feeds[kind].reasons}

    async def account_messages(self, account: str = "paper") -> list[tuple[str, dict[str, Any]]]:
        """Type and data of every entry in the account's stream."""
        return [
            (fields[b"type"].decode(), json.loads(fields[b"data"]))
            for _, fields in await self.orders.xrange(f"account:{{{account}}}")
        ]

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.ingest.service.stop("the test is over")
        await asyncio.wait_for(self.task, 15)


@contextlib.asynccontextmanager
async def running(settings: IngestSettings, *, confirmed: bool = True) -> AsyncIterator[Running]:
    """An ingest, stopped at the end; its keys are `confirmed` as by an OMS."""
    market: redis.asyncio.Redis = connect(settings.md_redis_url, name="test")
    orders: redis.asyncio.Redis = connect(settings.orders_redis_url, name="test")
    own_market = connect(settings.md_redis_url, name="ingest")
    own_orders = connect(settings.orders_redis_url, name="ingest")
    if confirmed:
        await confirm(orders, settings.account, settings.keys()[0])
    ingest = Ingest(Service("ingest", settings.account), settings, own_market, own_orders)
    task = asyncio.create_task(ingest.run())
    try:
        run = Running(ingest, market, orders, task)
        yield run
        if not task.done():
            await run.stop()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for client in (market, orders, own_market, own_orders):
            await client.aclose()
