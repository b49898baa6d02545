"""Entries become requests before they are acknowledged, and nothing is handled past a failure."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from waiting import until

from algos import Algorithm, Bar, Order, State, Timer, Trade
from algos import driver as driving
from algos.algorithm import session_of
from algos.connections import Connections, market_readers
from algos.driver import SLICE, Driver
from algos.inputs import StateChanged, TimerDue, event_input, market_input
from algos.subscription import streams_of, subscriptions_of
from bus.clock import ManualClock
from bus.codec import MessageCodec
from bus.delivery import Delivery
from bus.errors import Fenced, RefusedForNow, ReplyLost, ServerUnreachable, Unreadable
from bus.events import EVENTS
from bus.lease_keeper import LeaseKeeper
from bus.order_events import OrderUncertain
from bus.order_messages import (
    REQUESTS,
    CancelRequest,
    Message,
    OrderRequest,
    ShutdownAcknowledged,
)

STREAM = "md:AAPL:trades"
EVENT_CODEC, REQUEST_CODEC = MessageCodec(EVENTS), MessageCodec(REQUESTS)


class Buyer(Algorithm):
    symbols = ("AAPL",)

    def prepare(self) -> None:
        self.seen: list[str] = []

    def on_trade(self, trade: Trade) -> None:
        self.seen.append(str(trade.price))
        if trade.price == 13:
            raise RuntimeError("thirteen")
        self.buy("AAPL", 1)

    def on_order(self, order: Order) -> None:
        self.seen.append(order.status)
        self.cancel("other")

    def on_timer(self, timer: Timer) -> None:
        self.buy("AAPL", 1)


class SlowDisk:
    """Takes requests, and says that they are durable when the test says so."""

    def __init__(self) -> None:
        self.durable = asyncio.Event()
        self.appended: list[int] = []
        self.requests: list[Message] = []
        self.errors: list[Exception] = []
        self.held: list[Exception] = []

    async def opened(self) -> None:
        pass

    async def wait_out(self, error: Exception) -> None:
        self.held.append(error)
        await asyncio.sleep(0)

    async def append_now(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str]:
        if self.errors:
            raise self.errors.pop(0)
        self.appended.append(len(entries))
        await self.durable.wait()
        names = (b"type", b"version", b"data")
        self.requests += [
            REQUEST_CODEC.decode(dict(zip(names, values, strict=True))) for _, values in entries
        ]
        return ["1-0"] * len(entries)


class Reader:
    """Delivers what the test says, read after read, and keeps what is acknowledged."""

    def __init__(self, *reads: list[Delivery]) -> None:
        self.to_come = list(reads)
        self.ids: list[str] = []
        self.flushed = False
        self.reads = 0

    async def deliveries(self) -> list[Delivery]:
        self.reads += 1
        return self.to_come.pop(0)

    def acknowledge(self, delivery: Delivery) -> None:
        self.ids.append(delivery.id)

    async def flush(self) -> None:
        self.flushed = True


class Held:
    """A lease, held for as long as the test says."""

    value, key, held = "1:a", "lease:a", True


class Scene:
    """One led session with its driver; disk, lease and dead letters are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.algorithm = Buyer()
        self.session = session_of(self.algorithm, "a", "life")
        self.session.take(StateChanged(State.LEADER, "1:a", 0))
        self.disk, self.reader, self.lease = SlowDisk(), Reader(), Held()
        self.clock = ManualClock(1)
        anything: Any = None
        self.connections = Connections(
            client=anything,
            lease=LeaseKeeper(self.lease),  # type: ignore[arg-type]
            publisher=self.disk,  # type: ignore[arg-type]
            halts=anything,
            market=[],
            events=anything,
        )
        self.driver = Driver(
            self.session, self.connections, self.clock, account="paper", trigger_max_age_ns=10**15
        )
        self.dead: list[tuple[str, str]] = []
        self.looked_first: list[bool] = []
        self.lose_replies: list[Exception] = []

        async def write(
            client: object, delivery: Delivery, error: Unreadable, *, by: str, into: str, unless_kept: bool
        ) -> None:
            self.looked_first.append(unless_kept)
            if self.lose_replies:
                raise self.lose_replies.pop()
            self.dead.append((delivery.id, into))

        monkeypatch.setattr(driving, "write_dead_letter", write)

    async def handle(self, *deliveries: Delivery) -> None:
        await self.driver.handle(self.reader, deliveries, market_input, "dead")  # type: ignore[arg-type]

    async def handle_events(self, *deliveries: Delivery) -> None:
        await self.driver.handle(self.reader, deliveries, event_input, "dead")  # type: ignore[arg-type]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def delivery(number: int, price: int = 100, *, redelivered: bool = False) -> Delivery:
    data = b'{"S":"AAPL","p":"%d","s":"1","t":1}' % price
    return Delivery(STREAM, f"{number}-0", {b"d": data, b"r": b"1"}, redelivered)


def event(number: int, order_id: str, *, redelivered: bool = False) -> Delivery:
    kind, version, data = EVENT_CODEC.encode(
        OrderUncertain(algorithm="a", client_order_id=order_id, why="504", at_ns=1)
    )
    fields = {b"type": kind, b"version": version, b"data": data}
    return Delivery("orders:{paper}:events:a", f"{number}-0", fields, redelivered)


async def test_nothing_is_acknowledged_before_its_orders_are_durable(scene: Scene) -> None:
    handling = asyncio.ensure_future(scene.handle(delivery(1), delivery(2)))
    await until(lambda: bool(scene.disk.appended), "the append")
    assert scene.disk.appended == [2]
    assert scene.reader.ids == []
    scene.disk.durable.set()
    await handling
    assert scene.reader.ids == ["1-0", "2-0"]


async def test_a_leader_whose_lease_may_have_run_out_reads_nothing_until_it_is_held(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "LEASE_LOOK_S", 0)
    scene.lease.held = False
    scene.disk.durable.set()
    reading = [
        asyncio.create_task(read(scene.reader))  # type: ignore[arg-type]
        for read in (scene.driver.read_market, scene.driver.read_events)
    ]
    for _ in range(50):
        await asyncio.sleep(0)
    assert scene.reader.reads == 0
    assert not any(task.done() for task in reading)
    scene.reader.to_come = [[delivery(1)]]
    scene.lease.held = True
    await until(lambda: scene.reader.ids == ["1-0"], "the entry to be handled")
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


async def test_what_a_server_refuses_for_a_while_leaves_in_order_and_what_became_too_old_does_not(
    scene: Scene,
) -> None:
    scene.driver = Driver(
        scene.session, scene.connections, scene.clock, account="paper", trigger_max_age_ns=1_000
    )
    scene.disk.durable.set()
    scene.disk.errors = [RefusedForNow("OOM"), ServerUnreachable("gone")]
    await scene.handle(delivery(1), delivery(2))
    first, second = (one.trigger for one in scene.disk.requests if isinstance(one, OrderRequest))
    assert (first, second) == ("md:AAPL:trades 1-0", "md:AAPL:trades 2-0")
    assert scene.session.requested == 2
    assert [type(error) for error in scene.disk.held] == [RefusedForNow, ServerUnreachable]

    async def passes(error: Exception) -> None:
        scene.clock.advance(2_000)

    scene.disk.wait_out = passes  # type: ignore[method-assign]
    scene.disk.errors = [RefusedForNow("READONLY")]
    await scene.handle(delivery(3))
    assert len(scene.disk.requests) == 2
    assert (scene.session.dropped_stale, scene.session.requested) == (1, 2)
    assert len(scene.session.portfolio.open_orders) == 2
    # Nothing waits to leave, so the tick is done with.
    assert scene.reader.ids == ["1-0", "2-0", "3-0"]


async def test_after_its_lease_ran_out_it_asks_under_the_one_that_it_took_again(scene: Scene) -> None:
    scene.disk.durable.set()
    scene.disk.errors = [Fenced("not the holder")]

    async def regain(fenced: str) -> None:
        assert fenced == "1:a"
        scene.lease.value = "2:a"

    scene.connections.lease.regain = regain  # type: ignore[method-assign]
    await scene.handle(delivery(1))
    assert [one.lease for one in scene.disk.requests if isinstance(one, OrderRequest)] == ["2:a"]
    assert scene.session.lease == "2:a"


async def test_a_leader_whose_lease_went_to_another_ends(scene: Scene) -> None:
    scene.disk.errors = [Fenced("not the holder")]

    async def regain(fenced: str) -> None:
        raise Fenced("it went to another instance")

    scene.connections.lease.regain = regain  # type: ignore[method-assign]
    with pytest.raises(Fenced, match="another instance"):
        await scene.handle(delivery(1))
    assert scene.reader.ids == []


async def test_orders_of_a_large_batch_do_not_wait_for_its_end(scene: Scene) -> None:
    handling = asyncio.ensure_future(scene.handle(*[delivery(number) for number in range(1, 200)]))
    await until(lambda: bool(scene.disk.appended), "the append")
    assert scene.disk.appended == [SLICE]
    assert len(scene.algorithm.seen) == SLICE
    scene.disk.durable.set()
    await handling
    assert sum(scene.disk.appended) == len(scene.reader.ids) == 199


async def test_past_a_failure_nothing_is_handled_or_acknowledged(scene: Scene) -> None:
    scene.disk.durable.set()
    scene.reader.to_come = [[delivery(1), delivery(2, 13), delivery(3)], [delivery(4)]]
    reading = asyncio.ensure_future(scene.driver.read_market(scene.reader))  # type: ignore[arg-type]
    await until(lambda: scene.reader.flushed, "the end of the reading")
    reading.cancel()
    assert scene.algorithm.seen == ["100", "13"]
    assert scene.reader.ids == ["1-0"]
    assert scene.reader.reads == 1
    assert scene.session.state is State.ABORTED
    assert [type(request) for request in scene.disk.requests] == [OrderRequest, CancelRequest]


async def test_an_entry_that_this_process_has_handled_is_not_handled_again(scene: Scene) -> None:
    scene.disk.durable.set()
    await scene.handle(delivery(1), delivery(2))
    again = [delivery(1, redelivered=True), delivery(2, redelivered=True), delivery(3, redelivered=True)]
    await scene.handle(*again)
    assert len(scene.algorithm.seen) == 3
    assert scene.reader.ids == ["1-0", "2-0", "1-0", "2-0", "3-0"]


async def test_an_event_that_comes_again_is_acknowledged_and_asks_for_nothing_twice(scene: Scene) -> None:
    scene.disk.durable.set()
    await scene.handle(delivery(1))
    (order,) = scene.algorithm.open_orders
    await scene.handle_events(event(1, order.client_order_id))
    await scene.handle_events(event(1, order.client_order_id, redelivered=True))
    assert scene.algorithm.seen == ["100", "uncertain"]
    assert [type(request) for request in scene.disk.requests] == [OrderRequest, CancelRequest]
    assert scene.reader.ids == ["1-0", "1-0", "1-0"]


async def test_an_aborted_algorithms_events_are_not_acknowledged_for_nobody_heard_of_them(
    scene: Scene,
) -> None:
    scene.disk.durable.set()
    await scene.handle(delivery(1), delivery(2, 13))
    (order,) = scene.algorithm.open_orders
    await scene.handle_events(event(1, order.client_order_id))
    assert [one.status for one in scene.algorithm.open_orders] == ["uncertain"]
    assert scene.reader.ids == ["1-0"]


async def test_what_cannot_be_read_is_kept_once_before_it_is_acknowledged(scene: Scene) -> None:
    scene.disk.durable.set()
    for redelivered in (False, True):
        await scene.handle(
            Delivery(STREAM, "1-0", {b"d": b"{broken", b"r": b"1"}, redelivered),
            Delivery(STREAM, "2-0", {b"d": delivery(2).fields[b"d"]}, redelivered),
        )
    await scene.handle_events(Delivery("orders:{paper}:events:a", "1-0", {b"type": b"Unheard"}))
    assert scene.dead == [("1-0", "dead"), ("2-0", "dead"), ("1-0", "dead")]
    assert scene.session.unreadable == 3
    assert scene.reader.ids == ["1-0", "2-0", "1-0", "2-0", "1-0"]
    assert scene.looked_first == [False] * 3


async def test_what_may_be_kept_already_is_looked_for_first(scene: Scene) -> None:
    scene.disk.durable.set()
    scene.lose_replies = [ReplyLost("cut off")]
    for number, redelivered in enumerate((False, True), start=1):
        await scene.handle(Delivery(STREAM, f"{number}-0", {b"d": b"{broken"}, redelivered))
    assert scene.looked_first == [False, True, True]
    assert scene.reader.ids == ["1-0", "2-0"]


async def test_what_is_asked_for_outside_the_streams_leaves_by_itself(scene: Scene) -> None:
    scene.disk.durable.set()
    sending = asyncio.ensure_future(scene.driver.send_when_waiting())
    scene.driver.take(TimerDue(Timer(name="tick", scheduled_ns=50), 50))
    await until(lambda: bool(scene.disk.requests), "the request")
    sending.cancel()
    (request,) = scene.disk.requests
    assert isinstance(request, OrderRequest)
    assert request.trigger == "timer tick 50"


async def test_the_acknowledgement_of_a_shutdown_is_the_last_that_leaves(scene: Scene) -> None:
    scene.driver.take(TimerDue(Timer(name="tick", scheduled_ns=50), 50))
    acknowledging = asyncio.ensure_future(scene.driver.acknowledge_shutdown())
    await until(lambda: bool(scene.disk.appended), "the append")
    # While that is written another input comes.
    scene.driver.take(TimerDue(Timer(name="tick", scheduled_ns=100), 100))
    scene.disk.durable.set()
    await acknowledging
    scene.driver.take(TimerDue(Timer(name="tick", scheduled_ns=150), 150))
    await scene.driver.send()
    kinds = [type(request) for request in scene.disk.requests]
    assert kinds == [OrderRequest, OrderRequest, ShutdownAcknowledged]


class Both(Algorithm):
    """Hears trades and bars."""

    def on_trade(self, trade: Trade) -> None:
        """Hears it."""

    def on_bar(self, bar: Bar) -> None:
        """Hears it."""


@pytest.mark.parametrize(
    ("symbols", "count"), [(("AAPL",), 2), (("AAPL", "MSFT", "AAPL"), 4), (("*",), 16), (("AAPL", "*"), 16)]
)
def test_streams_are_those_of_the_symbols_or_the_partitions_of_all(
    symbols: tuple[str, ...], count: int
) -> None:
    streams = streams_of(subscriptions_of(Both, symbols))
    assert len(streams) == len(set(streams)) == count


async def test_no_connection_waits_on_more_streams_than_it_should() -> None:
    streams = streams_of(subscriptions_of(Both, [f"S{number}" for number in range(60)]))
    assert len(market_readers("redis://127.0.0.1:1/0", "paper", "a", streams)) == 3
