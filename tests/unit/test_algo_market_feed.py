"""Deliveries become requests before they are acknowledged, and nothing is handled past a failure."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from waiting import until

from algos import Algorithm, State, Trade
from algos.algorithm import seat
from algos.dispatch import Dispatcher
from algos.leader import Leader
from algos.market_feed import SLICE, MarketFeed, readers_of, streams_of
from bus.clock import ManualClock
from bus.consume import Delivery, GroupReader
from bus.errors import Fenced
from bus.lease import Lease
from bus.publish import Publisher

STREAM = "md:AAPL:trades"


class Buyer(Algorithm):
    symbols = ("AAPL",)

    def prepare(self) -> None:
        self.seen: list[str] = []

    def on_trade(self, trade: Trade) -> None:
        self.seen.append(str(trade.price))
        if trade.price == 13:
            raise RuntimeError("thirteen")
        self.buy("AAPL", 1)


class SlowDisk:
    """Takes requests, and says that they are durable when the test says so."""

    def __init__(self) -> None:
        self.durable = asyncio.Event()
        self.appended: list[int] = []

    async def append(self, entries: Sequence[object]) -> list[str]:
        self.appended.append(len(entries))
        await self.durable.wait()
        return ["1-0"] * len(entries)


class Acknowledgements:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.flushed = False
        self.reads = 0

    async def deliveries(self) -> list[Delivery]:
        self.reads += 1
        return []

    def acknowledge(self, delivery: Delivery) -> None:
        self.ids.append(delivery.id)

    async def flush(self) -> None:
        self.flushed = True


class Scene:
    def __init__(self) -> None:
        self.algorithm = Buyer()
        self.disk = SlowDisk()
        self.reader = Acknowledgements()
        dispatcher = Dispatcher(self.algorithm, seat(self.algorithm, "a", "life"))
        dispatcher.status(State.LEADER, 0)
        self.lease = type("Held", (), {"value": "1:a", "key": "lease:a", "held": True})()
        lease = cast(Lease, self.lease)
        clock = ManualClock(1)
        self.leader = Leader(dispatcher, cast(Publisher, self.disk), lease, "requests", clock, 1000)
        self.feed = MarketFeed(cast(GroupReader, self.reader), self.leader, None, clock)


def delivery(number: int, price: int = 100, *, redelivered: bool = False) -> Delivery:
    data = b'{"S":"AAPL","p":"%d","s":"1","t":1}' % price
    return Delivery(STREAM, f"{number}-0", {b"d": data, b"r": b"1"}, redelivered)


async def test_nothing_is_acknowledged_before_its_orders_are_durable() -> None:
    scene = Scene()
    handling = asyncio.ensure_future(scene.feed.handle([delivery(1), delivery(2)]))
    await until(lambda: bool(scene.disk.appended), "the append")
    assert scene.disk.appended == [2]
    assert scene.reader.ids == []
    scene.disk.durable.set()
    await handling
    assert scene.reader.ids == ["1-0", "2-0"]


async def test_a_leader_whose_lease_may_have_run_out_reads_nothing() -> None:
    scene = Scene()
    scene.lease.held = False
    with pytest.raises(Fenced):
        await scene.feed.run()
    assert scene.reader.reads == 0


async def test_orders_of_a_large_batch_do_not_wait_for_its_end() -> None:
    scene = Scene()
    handling = asyncio.ensure_future(scene.feed.handle([delivery(number) for number in range(1, 200)]))
    await until(lambda: bool(scene.disk.appended), "the append")
    assert scene.disk.appended == [SLICE]
    assert len(scene.algorithm.seen) == SLICE
    scene.disk.durable.set()
    await handling
    assert sum(scene.disk.appended) == len(scene.reader.ids) == 199


async def test_past_a_failure_nothing_is_handled_or_acknowledged() -> None:
    scene = Scene()
    scene.disk.durable.set()
    await scene.feed.handle([delivery(1), delivery(2, 13), delivery(3)])
    assert scene.algorithm.seen == ["100", "13"]
    assert scene.reader.ids == ["1-0"]
    assert scene.reader.flushed
    assert scene.leader.aborted
    # The order of the first tick, and its cancel.
    assert sum(scene.disk.appended) == 2


async def test_an_entry_that_this_process_has_handled_is_not_handled_again() -> None:
    scene = Scene()
    scene.disk.durable.set()
    await scene.feed.handle([delivery(1), delivery(2)])
    again = [delivery(1, redelivered=True), delivery(2, redelivered=True), delivery(3, redelivered=True)]
    await scene.feed.handle(again)
    assert len(scene.algorithm.seen) == 3
    assert scene.reader.ids == ["1-0", "2-0", "1-0", "2-0", "3-0"]


@pytest.mark.parametrize(
    ("symbols", "count"), [(("AAPL",), 2), (("AAPL", "MSFT", "AAPL"), 4), (("*",), 16), (("AAPL", "*"), 16)]
)
def test_streams_are_those_of_the_symbols_or_the_partitions_of_all(
    symbols: tuple[str, ...], count: int
) -> None:
    assert len(set(streams_of(symbols, ("trades", "bars")))) == count


async def test_no_connection_waits_on_more_streams_than_it_should() -> None:
    streams = streams_of([f"S{number}" for number in range(60)], ("trades", "quotes"))
    assert len(readers_of("redis://127.0.0.1:1/0", "a", streams)) == 3
