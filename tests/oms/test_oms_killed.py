"""The OMS killed at every step between request and answer, compared with what the simulator has."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from oms_processes import journal, price, processes, scene
from oms_run import ACCOUNT, Trader, limit_order, one_by_one
from simulator import Simulator
from waiting import until

from bus import streams
from oms.state.state import State

pytestmark = pytest.mark.e2e

ORDERS = 4


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator with an empty account."""
    with Simulator.start("--symbols", "AAPL", "--requests-per-minute", "100000") as running:
        yield running


def ends(events: list[Any]) -> dict[str, str]:
    """How each approved order ended, by client id; "" where nothing is said."""
    found: dict[str, str] = {}
    for event in events:
        kind = type(event).__name__
        if kind == "OrderApproved":
            found.setdefault(event.client_order_id, "")
        elif kind == "OrderSent":
            found[event.client_order_id] = "found"
        elif kind == "OrderRefused" and event.client_order_id in found:
            found[event.client_order_id] = "refused"
    return found


def at_broker(simulator: Simulator) -> Counter[str]:
    """How many orders the simulator has under each client id of ours."""
    orders = simulator.ledger()["orders"]
    return Counter(order["client_order_id"] for order in orders if order["client_order_id"].startswith("bb-"))


async def ordered_until_dead(
    algo: Trader, md_url: str, name: str, process: "subprocess.Popen[bytes]"
) -> list[str]:
    """Order until the process has killed itself; returns the ids of the orders that risk did not refuse.

    On a machine that stalls, control is not read in time and orders are refused: then more are asked for.
    """
    ids: list[str] = []

    async def dead() -> bool:
        if (
            len(ids)
            <= len([event for event in one_by_one(await algo.events()) if _is_refused(event)]) + ORDERS - 1
        ):
            await price(md_url)
            ids.append(await algo.order(f"{name}-{len(ids)}", limit_order("5", "1")))
        return process.poll() is not None

    await until(dead, "the OMS to die", timeout_s=60)
    assert process.returncode == -signal.SIGKILL
    refused = {event.client_order_id for event in one_by_one(await algo.events()) if _is_refused(event)}
    return [order_id for order_id in ids if order_id not in refused]


async def sent(algo: Trader, md_url: str) -> str:
    """An order that the broker has, asked for again where risk refused it for want of control."""
    while True:
        await price(md_url)
        order_id = await algo.order(f"old-{time.time_ns()}", limit_order("5", "3"))
        await until(lambda order_id=order_id: _answered(algo, order_id), "an answer")  # type: ignore[misc]
        if not any(_is_refused(event) for event in await algo.events(order_id)):
            return order_id


async def _answered(algo: Trader, order_id: str) -> bool:
    kinds = {type(event).__name__ for event in await algo.events(order_id)}
    return bool(kinds & {"OrderSent", "OrderRefused"})


def _is_refused(event: Any) -> bool:
    return type(event).__name__ == "OrderRefused" and event.by == "risk"


@pytest.mark.parametrize("point", ["before_journal", "before_call", "after_call"])
async def test_killed_at_a_named_point(
    simulator: Simulator, md_url: str, orders_url: str, point: str, request: pytest.FixtureRequest
) -> None:
    name = request.node.name
    before = at_broker(simulator)
    with processes(simulator, md_url, orders_url) as start:
        async with scene(md_url, orders_url) as (algo, client):
            first = start(point, count=2)
            await until(lambda: client.exists(streams.events(ACCOUNT, "alpha")), "the registration")
            ids = await ordered_until_dead(algo, md_url, name, first)
            approved, sent = set(ends(await journal(client))), set(at_broker(simulator) - before)
            # The lease of the dead runs out after seconds; taking it away is that, without the wait.
            await client.delete(streams.oms_lease(ACCOUNT))
            second = start("never")
            await price(md_url)

            async def ended() -> bool:
                events = await journal(client)
                found, refused = ends(events), {one.client_order_id for one in events if _is_refused(one)}
                return set(found) | refused >= set(ids) and all(found.values())

            await until(ended, "every order to have an end", timeout_s=60)
            refused = {one.client_order_id for one in await journal(client) if _is_refused(one)}
            ids = [order_id for order_id in ids if order_id not in refused]
            found, now = ends(await journal(client)), at_broker(simulator) - before
            assert all(count == 1 for count in now.values())
            assert {name for name, end in found.items() if end == "found"} == set(now)
            # What was sent stays, what was not yet approved is decided again; between the two nothing is sent
            # a second time, and what was never sent says so.
            assert sent | (set(ids) - approved) <= set(now)
            assert (point == "before_call") <= ("refused" in found.values())
            assert (point == "after_call") <= bool(sent)
            await _never_sent(client, found)
            second.send_signal(signal.SIGTERM)
            await until(lambda: second.poll() is not None, "the OMS to stop")
            assert second.returncode == 0


@pytest.mark.parametrize("point", ["before_journal", "before_call", "after_call"])
async def test_killed_while_it_replaces(
    simulator: Simulator, md_url: str, orders_url: str, point: str
) -> None:
    """Whatever was sent: one order works, for what is left, and book and broker have the same."""
    with processes(simulator, md_url, orders_url) as start:
        async with scene(md_url, orders_url) as (algo, client):
            first = start(point, count=2)
            await until(lambda: client.exists(streams.events(ACCOUNT, "alpha")), "the registration")
            old = await sent(algo, md_url)
            new = old

            async def dead() -> bool:
                nonlocal new
                # On a machine that stalls control is not read in time: then it is asked for again.
                if new == old or any(_is_refused(event) for event in await algo.events(new)):
                    await price(md_url)
                    new = await algo.replace(old, f"new-{time.time_ns()}", limit_order("4.9", "3"))
                return first.poll() is not None

            await until(dead, "the OMS to die", timeout_s=60)
            await client.delete(streams.oms_lease(ACCOUNT))
            second = start("never")

            async def ended() -> bool:
                await price(md_url)
                events = await journal(client)
                refused = {one.client_order_id for one in events if type(one).__name__ == "OrderRefused"}
                return bool(ends(events).get(new)) or new in refused

            await until(ended, "the replace to have an end", timeout_s=60)

            async def agree() -> bool:
                state = State()
                for event in await journal(client):
                    state.apply(event)
                working = simulator.trading_client().get_orders()
                assert [Decimal(str(one.qty)) for one in working] == [3]  # type: ignore[union-attr]
                booked = [order.client_order_id for order in state.book.open_orders()]
                return (booked, state.book.pending("AAPL", "buy"), state.book.open_count()) == (
                    [working[0].client_order_id], 3, 1,  # type: ignore[union-attr]
                )  # fmt: skip

            await until(agree, "book and broker to have the same")
            assert second.poll() is None


async def _never_sent(client: Any, found: dict[str, str]) -> None:
    """What ended as refused was never sent, and says so."""
    for event in await journal(client):
        if type(event).__name__ == "OrderRefused" and event.by != "risk":
            assert found[event.client_order_id] == "refused"
            assert (event.by, event.reasons[0].code) == ("oms", "never_sent")


async def test_killed_again_and_again_at_any_moment(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    before = at_broker(simulator)
    ids: list[str] = []
    with processes(simulator, md_url, orders_url) as start:
        async with scene(md_url, orders_url) as (algo, client):
            for round_number in range(3):
                process = start("never")
                await until(lambda: client.exists(streams.events(ACCOUNT, "alpha")), "the registration")
                await price(md_url)
                # Of different sizes: eighteen equal orders would be taken for a loop.
                sizes = range(1 + 6 * round_number, 7 + 6 * round_number)
                ids += [await algo.order(f"any-{size}", limit_order("5", str(size))) for size in sizes]
                wanted = round_number * 4

                async def some(wanted: int = wanted) -> bool:
                    events = await journal(client)
                    return len(ends(events)) + sum(_is_refused(one) for one in events) > wanted

                await until(some, "some orders to be decided on")
                process.kill()
                process.wait(10)
                await client.delete(streams.oms_lease(ACCOUNT))
            last = start("never")
            await price(md_url)

            async def ended() -> bool:
                events = await journal(client)
                refused = {
                    event.client_order_id for event in events if type(event).__name__ == "OrderRefused"
                }
                found = ends(events)
                return set(found) | refused == set(ids) and all(found.values())

            await until(ended, "every order to have an end", timeout_s=60)
            now = at_broker(simulator) - before
            assert all(count == 1 for count in now.values())
            assert {name for name, end in ends(await journal(client)).items() if end == "found"} == set(now)
            await _positions_agree(simulator, client, last)


async def _positions_agree(simulator: Simulator, client: Any, process: "subprocess.Popen[bytes]") -> None:
    """None of these orders can be filled, so the book holds nothing."""
    assert process.poll() is None
    filled = [Decimal(order["filled_qty"]) for order in simulator.ledger()["orders"]]
    assert sum(filled) == 0
    assert not [event for event in await journal(client) if type(event).__name__ == "OrderFilled"]
