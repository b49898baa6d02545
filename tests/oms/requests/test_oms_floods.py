"""A flood of refused requests: told together, its sender slowed, nobody else held up, all answered."""

from collections import Counter
from typing import Any

import pytest
from engine_run import EngineRun
from hypothesis import given
from hypothesis import strategies as st
from oms_run import Trader, limit_order, running, trading
from risk_day import LEASE, NOW_NS, limit_terms, name, replace_request, request, terms
from waiting import until

from bus import streams
from bus.delivery import Delivery
from bus.order_events import CancelRefused, OrderApproved, OrderRefused, OrdersRefused
from bus.order_messages import CancelRequest
from oms.requests.refusal_throttle import REFUSALS_A_SECOND, REFUSALS_AT_ONCE, RefusalThrottle
from oms.state.effects import Effects
from oms.state.inputs import RequestRead, RequestsRead

SECOND_NS = 1_000_000_000
TOO_MUCH = limit_terms("95", "2000")


@pytest.fixture
def run() -> EngineRun:
    """An engine that takes orders."""
    run = EngineRun()
    run.begin()
    return run


def read_together(run: EngineRun, *messages: Any) -> Effects:
    """Have requests of alpha read as one batch."""
    read = []
    for message in messages:
        run.entries += 1
        read.append(RequestRead(Delivery("requests:alpha", f"{run.entries}-0", {}), "alpha", message))
    return run.take(RequestsRead(read, True, run.prices))


def cancel(number: int) -> CancelRequest:
    """A cancel of an order by its number."""
    return CancelRequest(client_order_id=name(number), lease=LEASE, requested_ns=NOW_NS)


# Told together.


def test_the_first_of_a_kind_is_told_in_full_and_the_others_in_one_event(run: EngineRun) -> None:
    effects = read_together(run, *(request(TOO_MUCH, number) for number in range(300)))
    first, others = effects.events
    assert isinstance(first, OrderRefused)
    assert first.basis is not None
    assert isinstance(others, OrdersRefused)
    assert [order.client_order_id for order in others.orders] == [name(number) for number in range(1, 300)]
    assert {reason.code for reason in others.reasons} == {reason.code for reason in first.reasons}
    assert (others.first_requested_ns, others.last_requested_ns) == (NOW_NS - 1000, NOW_NS - 1000)
    assert len(effects.acknowledge) == 300
    assert run.engine.observed.orders_refused == 300
    assert run.engine.observed.refused["order_quantity"] == 300


def test_other_codes_symbols_and_sides_are_other_kinds(run: EngineRun) -> None:
    kinds = [
        TOO_MUCH,
        limit_terms("95", "2000", "sell"),
        terms("2000", symbol="MSFT"),
        limit_terms("500", "3"),
    ]
    effects = read_together(
        run, *(request(kinds[number % 4], number) for number in range(12)), request(limit_terms("95"), 12)
    )
    assert Counter(type(event) for event in effects.events) == {
        OrderRefused: 4,
        OrdersRefused: 4,
        OrderApproved: 1,
    }


def test_each_is_answered_the_same_when_it_is_read_again_also_after_a_restart(run: EngineRun) -> None:
    asked = [request(TOO_MUCH, number) for number in range(5)]
    read_together(run, *asked)
    assert read_together(run, *asked).events == []
    restarted = run.folded()
    assert restarted.digest() == run.engine.digest()
    run.engine = restarted
    run.tick(0)
    assert read_together(run, *asked).events == []
    # Other terms under an id that was answered are a conflict, and its answer stands.
    (conflict,) = read_together(run, request(limit_terms("95", "1"), 3)).events
    assert isinstance(conflict, OrderRefused)
    assert conflict.reasons[0].code == "id_conflict"


def test_what_depends_on_one_that_is_still_to_be_told_finds_it(run: EngineRun) -> None:
    asked = [request(TOO_MUCH, number) for number in range(3)]
    effects = read_together(run, *asked, asked[2], cancel(1), replace_request(name(2), limit_terms("95"), 9))
    assert run.engine.observed.counts["duplicates"] == 1
    (refused,) = [event for event in effects.events if isinstance(event, CancelRefused)]
    assert refused.reason.code == "not_open"
    told = [event for event in effects.events if isinstance(event, OrderRefused)]
    assert told[-1].client_order_id == name(9)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["95", "500"]), st.sampled_from(["1", "2000"]))))
def test_a_batch_leaves_the_book_as_its_requests_one_by_one_do(asked: list[tuple[int, str, str]]) -> None:
    together, apart = EngineRun(), EngineRun()
    messages = [request(limit_terms(price, quantity), number) for number, price, quantity in asked]
    for one in (together, apart):
        one.begin()
    read_together(together, *messages)
    for message in messages:
        read_together(apart, message)
    assert together.engine.digest() == apart.engine.digest()
    assert together.engine.observed.refused == apart.engine.observed.refused
    assert together.folded().digest() == together.engine.digest()


# Slowed.


class Asking:
    """A throttle, and algorithms that ask; what is let in is refused, but for those of `fine`."""

    def __init__(self) -> None:
        self.throttle = RefusalThrottle(5 * SECOND_NS)
        self.refusals: Counter[str] = Counter()
        self.now_ns = 0
        self.entries = 0
        self.let_in: list[tuple[int, RequestRead]] = []
        self.open: set[str] = set()

    def ask(self, algorithm: str, count: int = 1, message: Any = None) -> list[RequestRead]:
        """Have so many requests read at once."""
        read = []
        for _ in range(count):
            self.entries += 1
            asked = message or request(TOO_MUCH, self.entries)
            delivery = Delivery(f"requests:{algorithm}", f"{self.entries}-0", {})
            read.append(RequestRead(delivery, algorithm, asked))
        return self.read(read)

    def read(self, read: list[RequestRead]) -> list[RequestRead]:
        """Have these read; returns what is let in."""
        let_in = self.throttle.taken(read, self.refusals, self.open.__contains__, self.now_ns)
        self.let_in += [(self.now_ns, one) for one in let_in]
        self.refusals.update(one.algorithm for one in let_in if one.algorithm != "fine")
        return let_in


def test_who_is_not_refused_is_never_held_and_who_is_does_not_hold_up_others() -> None:
    asking = Asking()
    for _ in range(50):
        assert len(asking.ask("fine", 200)) == 200
        asking.ask("flood", 200)
    assert asking.throttle.held() == {"flood": 50 * 200 - 200}
    assert asking.throttle.full() == {"requests:flood"}
    assert len(asking.ask("fine", 500)) == 500


def test_a_flood_is_read_at_a_bounded_rate_and_in_its_order() -> None:
    asking = Asking()
    for tenth in range(600):
        asking.now_ns = tenth * SECOND_NS // 10
        asking.ask("flood", 0 if asking.throttle.full() else 40)
        asking.read([])
    ids = [int(one.delivery.id.split("-")[0]) for _, one in asking.let_in]
    assert ids == sorted(ids)
    assert len(ids) <= REFUSALS_AT_ONCE + 40 + 60 * REFUSALS_A_SECOND
    assert len(ids) >= 59 * REFUSALS_A_SECOND
    # What waited longer than an order may is late, with the numbers.
    late = [one.late for at_ns, one in asking.let_in if at_ns > 20 * SECOND_NS]
    assert all(reason is not None and reason.limit == "5" for reason in late)


def test_once_a_flood_ends_its_sender_is_read_as_ever() -> None:
    asking = Asking()
    asking.ask("flood", 100)
    assert asking.ask("flood", 10) == []
    asking.now_ns += 10 * SECOND_NS
    assert len(asking.read([])) == 10
    asking.now_ns += 10 * SECOND_NS
    assert len(asking.ask("flood", 30)) == 30
    assert asking.throttle.held() == {}


def test_a_cancel_of_an_open_order_passes_what_is_held_and_one_of_a_held_order_does_not() -> None:
    asking = Asking()
    asking.ask("flood", 200)
    asking.open = {name(1)}
    held = asking.ask("flood", 1, request(TOO_MUCH, 2))
    passed = asking.ask("flood", 1, cancel(1))
    behind = asking.ask("flood", 1, cancel(2))
    assert (len(held), len(passed), len(behind)) == (0, 1, 0)
    assert asking.throttle.held() == {"flood": 2}


def test_what_is_delivered_again_while_it_is_held_is_held_once() -> None:
    asking = Asking()
    asking.ask("flood", 200)
    read = [RequestRead(Delivery("requests:flood", "9-9", {}), "flood", request(TOO_MUCH, 7))]
    assert asking.read(read) == asking.read(read) == []
    assert asking.throttle.held() == {"flood": 1}


# In an OMS.


async def flood(algo: Trader, count: int, of: str) -> list[str]:
    """Ask at once for so many orders that are refused; returns their ids."""
    requests = [algo.request(f"{of}-{number}", limit_order("99", "5000")) for number in range(count)]
    await algo.send(*requests)
    return [one.client_order_id for one in requests]


@pytest.mark.integration
async def test_a_flood_is_answered_wholly_in_few_entries_and_its_neighbour_notices_nothing(
    md_url: str, orders_url: str
) -> None:
    async with (
        running(md_url, orders_url, oms_longest_wait_s=0.5) as oms,
        trading(orders_url) as loud,
        trading(orders_url, "beta") as quiet,
    ):
        working = await loud.order("working", limit_order("99", "1"))
        await loud.told(working, "OrderSent")
        before = len(await oms.journal())
        ids = [*await flood(loud, 75, "a"), *await flood(loud, 75, "b")]
        await until(lambda: oms.oms.engine.observed.orders_refused > 0, "the flood to begin")
        await loud.cancel(working)
        order_id = await quiet.order(1, limit_order("99", "1"))
        await quiet.told(order_id, "OrderSent")
        await until(lambda: f"broker-{working}" in oms.broker.canceled, "the cancel, which passes the flood")
        await until(lambda: oms.oms.engine.observed.orders_refused == 150, "every request to be answered")

        async def all_acknowledged() -> bool:
            stream = streams.requests("paper", "alpha")
            return bool((await oms.client.xpending(stream, streams.GROUP_OMS))["pending"] == 0)

        await until(all_acknowledged, "every request to be acknowledged")
        told: Counter[str] = Counter()
        for event in await loud.events():
            if isinstance(event, OrdersRefused):
                told.update(order.client_order_id for order in event.orders)
            elif isinstance(event, OrderRefused):
                told[event.client_order_id] += 1
        assert told == Counter(ids)
        assert len(await oms.journal()) - before < 40
