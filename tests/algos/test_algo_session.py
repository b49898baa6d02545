"""Sessions under any inputs: what leaves was allowed, once, and the same inputs make the same requests."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos import Algorithm, Fill, Gap, Order, State, Timer, Trade
from algos.algorithm import session_of
from algos.connections import Connections
from algos.driver import Driver
from algos.inputs import (
    ControlEntry,
    Input,
    ShutdownRequested,
    StateChanged,
    StreamEntry,
    TimerDue,
    event_input,
    market_input,
)
from algos.lifecycle import TRANSITIONS
from algos.session import Request, Session
from bus.clock import ManualClock
from bus.codec import MessageCodec
from bus.control_messages import Halt
from bus.delivery import Delivery
from bus.events import EVENTS
from bus.lease_keeper import LeaseKeeper
from bus.order_events import OrderUpdated
from bus.order_messages import OrderRequest

pytestmark = pytest.mark.property

EVENT_CODEC = MessageCodec(EVENTS)
FOREVER_NS = 10**18


class Restless(Algorithm):
    """Answers whatever happens with orders, cancels, or a failure, by what it is given alone."""

    symbols = ("AAPL",)

    def prepare(self) -> None:
        self.every(1, "tick")
        self.mine: list[str] = []

    def act(self, number: int) -> None:
        for _ in range(number % 3):
            self.mine.append(self.buy("AAPL", number % 5 + 1, limit_price=number % 7 + 1))
        if number % 2 and self.mine:
            self.cancel(self.mine[number % len(self.mine)])
        if number == 13:
            raise RuntimeError("thirteen")

    def on_trade(self, trade: Trade) -> None:
        self.act(int(trade.price))

    def on_gap(self, gap: Gap) -> None:
        self.act(5)

    def on_order(self, order: Order) -> None:
        self.act(len(self.mine))

    def on_fill(self, fill: Fill) -> None:
        self.act(4)

    def on_timer(self, timer: Timer) -> None:
        self.act(timer.scheduled_ns // 1_000_000_000)

    def on_kill_switch(self, message: object) -> None:
        self.act(3)

    def on_status_change(self, previous: State, current: State) -> None:
        self.act(7)

    def on_shutdown(self) -> None:
        self.act(11)
        self.acknowledge_shutdown()


def session() -> Session:
    return session_of(Restless(), "a", "life")


def trade(number: int, price: int) -> Delivery:
    data = b'{"S":"AAPL","p":"%d","s":"1","t":1}' % price
    return Delivery("md:AAPL:trades", f"{number}-0", {b"d": data, b"r": b"%d" % number})


def gap(number: int, trimmed: bool) -> Delivery:
    data = b'{"feed":"iex","since_ns":1,"reason":"gone"}'
    fields = {} if trimmed else {b"d": data, b"r": b"%d" % number, b"type": b"GapOpened"}
    return Delivery("md:AAPL:trades", f"{number}-0", fields, trimmed=trimmed)


def update(number: int, order_id: str, status: str) -> Delivery:
    told = OrderUpdated(
        algorithm="a",
        client_order_id=order_id,
        broker_order_id="b",
        symbol="AAPL",
        event=status,
        status=status,
        filled_quantity=Decimal(0),
        at_ns=1,
    )
    kind, version, data = EVENT_CODEC.encode(told)
    return Delivery("events", f"{number}-0", {b"type": kind, b"version": version, b"data": data})


HALT = Halt(scope="all", reason="test", by="ann", at_ns=3)
# A delivery of market data, one of an event, or an input that comes from no stream, each by its number.
KINDS = st.sampled_from(["trade", "gap", "trimmed", "update", "timer", "control", "state", "shutdown"])
STEPS = st.lists(st.tuples(KINDS, st.integers(0, 20)), max_size=30)
LEADS = StateChanged(State.LEADER, "7:me", 0)


def deliveries_and_inputs(steps: list[tuple[str, int]]) -> list[Delivery | Input]:
    """What happens, in order, each named for its place: `update` is told of an order that may exist."""
    made: list[Delivery | Input] = [LEADS]
    rehearsal = session()
    rehearsal.take(LEADS)
    for place, (kind, number) in enumerate(steps, start=1):
        if kind == "trade":
            one: Delivery | Input = trade(place, number + 1)
        elif kind in ("gap", "trimmed"):
            one = gap(place, kind == "trimmed")
        elif kind == "update":
            known = [order.client_order_id for order in rehearsal.portfolio.open_orders] or ["elsewhere"]
            one = update(place, known[number % len(known)], ["new", "canceled"][number % 2])
        elif kind == "timer":
            one = TimerDue(Timer(name="tick", scheduled_ns=number * 1_000_000_000), number * 1_000_000_000)
        elif kind == "control":
            one = ControlEntry(f"{place}-0", place, HALT)
        elif kind == "state":
            following = list(State)[number % len(State)]
            if following not in TRANSITIONS[rehearsal.state]:
                continue
            one = StateChanged(following, f"{place}:me", place)
        else:
            one = ShutdownRequested(place, rehearsal.lease, "" if number % 2 else f"{place}-0")
        made.append(one)
        rehearsal.take(input_of(one))
    return made


def input_of(one: Delivery | Input, now_ns: int = 99) -> Input:
    if not isinstance(one, Delivery):
        return one
    read = event_input if one.stream == "events" else market_input
    input = read(one, now_ns)
    assert input is not None
    return input


def requests_of(session: Session, inputs: list[Input]) -> list[Request]:
    """The session's requests, taken out after each input by a manual clock."""
    clock, left = ManualClock(), []
    for input in inputs:
        session.take(input)
        clock.advance(1)
        left += session.empty_outbox(clock.now_ns(), FOREVER_NS)
    return left


def encoded(requests: list[Any]) -> list[bytes]:
    return [msgspec.json.encode(request) for request in requests]


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_the_same_inputs_make_the_same_requests_byte_for_byte(steps: list[tuple[str, int]]) -> None:
    inputs = [input_of(one) for one in deliveries_and_inputs(steps)]
    first, second = session(), session()
    assert encoded(requests_of(first, inputs)) == encoded(requests_of(second, inputs))
    assert first.failure == second.failure
    assert first.state is second.state
    assert first.portfolio.open_orders == second.portfolio.open_orders


@settings(max_examples=100, deadline=None)
@given(STEPS, st.data())
def test_what_was_taken_and_comes_again_asks_for_nothing(
    steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    one, taken = session(), []
    for input in [input_of(step) for step in deliveries_and_inputs(steps)]:
        # A follower takes no entry: what it was given is new to the leader that it becomes.
        if isinstance(input, StreamEntry) and one.state is State.LEADER:
            taken.append(input)
        requests_of(one, [input])
    again = data.draw(st.lists(st.sampled_from(taken), max_size=5)) if taken else []
    redelivered = [msgspec.structs.replace(input, redelivered=True) for input in again]
    handled = one.handled
    assert requests_of(one, redelivered) == []
    assert one.handled == handled


@settings(max_examples=100, deadline=None)
@given(STEPS, st.data())
def test_a_new_process_that_is_given_inputs_again_names_its_orders_the_same(
    steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    inputs = [input_of(one) for one in deliveries_and_inputs(steps)]
    end = data.draw(st.integers(1, len(inputs)))
    before = requests_of(session(), inputs[:end])
    after = requests_of(session(), inputs)
    names = [(type(one), one.client_order_id) for one in before]
    assert [(type(one), one.client_order_id) for one in after][: len(names)] == names
    orders = [one.client_order_id for one in after if isinstance(one, OrderRequest)]
    assert len(set(orders)) == len(orders)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_only_a_leaders_orders_leave_and_nothing_after_the_acknowledgement(
    steps: list[tuple[str, int]],
) -> None:
    one = session()
    for input in [input_of(step) for step in deliveries_and_inputs(steps)]:
        acknowledged, before = one.acknowledged, one.state
        one.take(input)
        left = one.empty_outbox(1, FOREVER_NS)
        states = {before, one.state}
        assert not (acknowledged and left)
        if any(isinstance(request, OrderRequest) for request in left):
            assert State.LEADER in states
        if left:
            assert states & {State.LEADER, State.ABORTED}
            assert all(request.lease.endswith(":me") for request in left)
        if one.state is State.ABORTED and one.failures:
            # What the failed handler asked for in that call is forgotten.
            trigger = one.failures[0].trigger
            assert not [request for request in left if getattr(request, "trigger", "") == trigger]


class Kept:
    """Takes requests as a publisher does."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def opened(self) -> None:
        """It is always there."""

    async def append_now(self, entries: list[tuple[str, tuple[bytes, ...]]]) -> list[str]:
        self.written += [values[-1] for _, values in entries]
        return ["1-0"] * len(entries)


class Quiet:
    """A reader that only takes acknowledgements."""

    def acknowledge(self, delivery: Delivery) -> None:
        """Nothing is left to do."""


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_live_and_from_a_list_the_requests_are_the_same_byte_for_byte(steps: list[tuple[str, int]]) -> None:
    happened = deliveries_and_inputs(steps)
    live, kept, clock = session(), Kept(), ManualClock()
    lease: Any = type("Held", (), {"held": True, "value": "7:me", "key": "k"})()
    nothing: Any = None
    publisher: Any = kept
    reader: Any = Quiet()
    connections = Connections(nothing, LeaseKeeper(lease), publisher, nothing, [], nothing)
    driver = Driver(live, connections, clock, account="paper", trigger_max_age_ns=FOREVER_NS)

    async def drive() -> None:
        for one in happened:
            clock.advance(1)
            if isinstance(one, Delivery):
                read = event_input if one.stream == "events" else market_input
                await driver.handle(reader, [one], read, "dead")
            else:
                driver.take(one)
                # It leads, where it does, under the lease that its process holds.
                lease.value = live.lease
                await driver.send()

    asyncio.run(drive())
    listed, clock, left = session(), ManualClock(), []
    for one in happened:
        clock.advance(1)
        listed.take(input_of(one, clock.now_ns()))
        left += listed.empty_outbox(clock.now_ns(), FOREVER_NS)
    assert kept.written == encoded(left)
