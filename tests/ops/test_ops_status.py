"""Snapshots, halts and the reading of one run, against real servers."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from heartbeat_of import heartbeat_of

from bus import halt, streams
from bus.codec import Message, MessageCodec
from bus.connection import Client, connect
from bus.control_messages import Halt
from bus.events import EVENTS
from bus.heartbeat import (
    AlgorithmDetails,
    ChildDetails,
    Details,
    FeedDetails,
    IngestCounters,
    IngestDetails,
    OmsDetails,
    State,
    StateReason,
    SupervisorDetails,
    encode,
)
from bus.order_events import OrderApproved, OrderFilled
from bus.order_messages import REQUESTS, OrderRequest, OrderTerms
from ops.run.reader import RunReader
from ops.status.model import OmsStatus
from ops.status.snapshot import snapshot

pytestmark = pytest.mark.integration

_EVENTS, _REQUESTS = MessageCodec(EVENTS), MessageCodec(REQUESTS)
TERMS = OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(10))
ACCOUNT = "paper"


@pytest.fixture
async def market(md_url: str) -> AsyncIterator[Client]:
    client = connect(md_url, name="test")
    yield client
    await client.aclose()


async def beat(orders_client: Client, process: str, details: Details | None = None, **changes: Any) -> None:
    written = heartbeat_of(process, details=details, **changes)
    await orders_client.set(streams.alive(written.account, process, written.instance), encode(written))


READY = OmsDetails(ready=True, leads=True)


def fields(codec: MessageCodec, message: Message) -> dict[str, bytes]:
    return dict(zip(("type", "version", "data"), codec.encode(message), strict=True))


async def one_order(orders_client: Client, client_id: str) -> None:
    """An order from request to fill."""
    request = OrderRequest(
        client_order_id=client_id, terms=TERMS, lease="1:a", trigger="1-0", received_ns=1, requested_ns=2
    )
    approved = OrderApproved(
        algorithm="a",
        client_order_id=client_id,
        terms=TERMS,
        reserve_price=Decimal(5),
        trigger="1-0",
        received_ns=1_000,
        requested_ns=2_000,
        approved_ns=3_000,
    )
    filled = OrderFilled(
        algorithm="a",
        client_order_id=client_id,
        broker_order_id=f"b-{client_id}",
        execution_id=f"e-{client_id}",
        symbol="AAPL",
        side="buy",
        quantity=Decimal(10),
        price=Decimal(5),
        filled_quantity=Decimal(10),
        status="filled",
        at_ns=4,
    )
    await orders_client.xadd(streams.requests(ACCOUNT, "a"), fields(_REQUESTS, request))
    for event in (approved, filled):
        await orders_client.xadd(streams.journal(ACCOUNT), fields(_EVENTS, event))
        await orders_client.xadd(streams.events(ACCOUNT, "a"), fields(_EVENTS, event))


async def test_a_snapshot_of_empty_servers_says_that_nothing_runs(
    market: Client, orders_client: Client
) -> None:
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert not status.trading
    assert status.why_not == ["the OMS is not running", "the halt state is not known"]
    assert json.loads(status.as_json())["processes"] == {}


async def test_a_snapshot_brings_heartbeats_and_supervisor_together(
    market: Client, orders_client: Client
) -> None:
    children = (
        ChildDetails("sim", 7, "running", 2),
        ChildDetails("oms", 8, "running", 0),
        ChildDetails("algo-a", 9, "failed", 5),
    )
    await beat(orders_client, "supervisor", SupervisorDetails(children=children), pid=6)
    await beat(
        orders_client,
        "oms",
        OmsDetails(
            ready=True,
            leads=True,
            open_orders=3,
            reserved="50",
            digest="1f",
            digest_at="7-0",
            account_number="PA1",
            trading="paper",
        ),
        pid=8,
    )
    await beat(
        orders_client, "ingest", IngestDetails(last_prices={"AAPL": "5.10"}, ticks_per_second=12.5), pid=10
    )
    held = AlgorithmDetails(algorithm="a", lag=4, positions={"AAPL": "10"}, profit="1")
    await beat(orders_client, "algo-a", held, pid=9, state=State.LEADER)
    await halt.initialise(orders_client, 1)
    await one_order(orders_client, "x")
    await market.xadd("md:AAPL:trades", {"d": "{}"})
    status = await snapshot(market, orders_client, ACCOUNT, 1_500_000_000)
    assert status.trading
    assert {name: (process.pid, process.restarts) for name, process in status.processes.items()} == {
        "sim": (7, 2), "oms": (8, 0), "algo-a": (9, 5), "ingest": (10, 0), "supervisor": (6, 0),
    }  # fmt: skip
    assert status.processes["oms"].age_ms == 500
    assert status.processes["algo-a"].state == "failed"
    assert status.failed == {"algo-a": "algo-a failed"}
    assert status.stands == "not all is trading: algo-a failed"
    assert status.algorithms["a"].positions == {"AAPL": "10"}
    assert status.symbols == {"AAPL": "5.10"}
    assert status.open_orders == 3
    assert status.oms == OmsStatus("0", "50", 0, 0, "1f", "7-0", "PA1", "paper")
    assert status.latency_us["tick_to_approved"]["p50"] == 2.0
    assert status.streams["md:AAPL:trades"] == 1
    assert status.streams[streams.journal(ACCOUNT)] == 2


async def test_a_halt_shows_at_once(market: Client, orders_client: Client) -> None:
    await beat(orders_client, "oms", READY)
    await halt.change(orders_client, Halt(scope="all", reason="lunch", by="ann@desk", at_ns=5))
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert not status.trading
    assert status.why_not == ["halted: lunch"]
    assert (status.halts["all"].mode, status.halts["all"].by) == ("halted", "ann@desk")


async def test_a_halted_account_is_not_trading_but_a_halted_symbol_leaves_the_rest(
    market: Client, orders_client: Client
) -> None:
    await beat(orders_client, "oms", READY)
    await halt.initialise(orders_client, 1)
    await halt.change(orders_client, Halt(scope="symbol:AAPL", reason="odd", by="ann@desk", at_ns=5))
    assert (await snapshot(market, orders_client, ACCOUNT, 0)).trading
    await halt.change(orders_client, Halt(scope=f"account:{ACCOUNT}", reason="a bad fact", by="oms", at_ns=6))
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert not status.trading
    assert status.why_not == ["halted: a bad fact"]


async def test_servers_that_take_no_writes_are_told_with_what_they_say(
    market: Client, orders_client: Client
) -> None:
    await beat(orders_client, "oms", READY)
    await halt.initialise(orders_client, 1)
    await market.config_set("maxmemory", 1)
    try:
        status = await snapshot(market, orders_client, ACCOUNT, 0)
    finally:
        await market.config_set("maxmemory", 0)
    assert status.trading
    assert status.stands.startswith("not all is trading: the market-data server takes nothing now: OOM")
    # Heartbeats run out while they cannot be renewed: that is no sign of anything.
    await orders_client.delete(*[key async for key in orders_client.scan_iter(streams.heartbeats())])
    await orders_client.config_set("min-replicas-to-write", 1)
    try:
        status = await snapshot(market, orders_client, ACCOUNT, 0)
    finally:
        await orders_client.config_set("min-replicas-to-write", 0)
    assert not status.trading
    assert status.why_not == [
        "the orders server takes nothing now: NOREPLICAS Not enough good replicas to write."
    ]
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert (status.refusing, status.why_not) == ({}, ["the OMS is not running"])


async def test_a_run_counts_only_what_it_added(market: Client, orders_client: Client) -> None:
    await one_order(orders_client, "before")
    await market.xadd("md:AAPL:trades", {"d": "{}", "type": "GapOpened"})
    reader = RunReader(market, orders_client, ACCOUNT)
    await reader.begin()
    await one_order(orders_client, "during")
    await market.xadd("md:AAPL:trades", {"d": "{}"})
    await market.xadd("md:AAPL:trades", {"d": "{}", "type": "GapOpened"})
    await market.xadd("md:AAPL:trades", {"d": "{}", "type": "GapClosed"})
    await market.xadd("md:MSFT:trades", {"d": "{}"})
    await orders_client.xadd(streams.DEAD, {"stream": "s"})
    totals = await reader.advance()
    assert (totals.requests, totals.approved, totals.fills) == (1, 1, 1)
    assert totals.book.position("AAPL") == totals.portfolios["a"].quantities["AAPL"] == 10
    gained = await reader.gained()
    assert gained["md:AAPL:trades"] == 3
    assert gained[streams.journal(ACCOUNT)] == 2
    assert await reader.gaps(gained) == (1, 2)
    assert reader.dead(gained) == 1


async def test_a_run_is_read_on_from_where_it_was_left(market: Client, orders_client: Client) -> None:
    reader = RunReader(market, orders_client, ACCOUNT)
    await reader.begin()
    for name in ("one", "two"):
        await one_order(orders_client, name)
        totals = await reader.advance()
    assert (totals.requests, totals.approved, totals.fills) == (2, 2, 2)
    assert totals.unanswered == set()


async def test_trimmed_entries_count_as_added(market: Client, orders_client: Client) -> None:
    reader = RunReader(market, orders_client, ACCOUNT)
    await reader.begin()
    for _ in range(5):
        await market.xadd("md:AAPL:trades", {"d": "{}"}, maxlen=2, approximate=False)
    assert (await reader.gained())["md:AAPL:trades"] == 5


async def test_a_dead_process_is_not_taken_for_its_successor(market: Client, orders_client: Client) -> None:
    """Its heartbeat lasts three seconds longer, and is shown beside the child's, by its instance."""
    children = (ChildDetails("oms", 9, "running", 1),)
    await beat(orders_client, "supervisor", SupervisorDetails(children=children), pid=6)
    await beat(orders_client, "oms", READY, pid=8, instance="dead")
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert (status.processes["oms"].pid, status.processes["oms"].restarts) == (9, 1)
    assert status.processes["oms:dead"].pid == 8
    await beat(orders_client, "oms", READY, pid=9, instance="next")
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert (status.processes["oms"].instance, status.processes["oms"].state) == ("next", "ready")


async def test_every_instance_is_shown_by_name_and_the_leader_speaks(
    market: Client, orders_client: Client
) -> None:
    await halt.initialise(orders_client, 1)
    held = StateReason("lease_held", "another OMS holds the lease")
    waits = OmsDetails(ready=False, leads=False)
    late = {"instance": "b", "state": State.WAITING, "reasons": (held,), "at_ns": 9_000_000_000}
    await beat(orders_client, "oms", waits, **late)
    await beat(orders_client, "oms", OmsDetails(ready=True, leads=True, open_orders=2), instance="a")
    for instance, state, lag in (("a", State.LEADER, 1), ("b", State.FOLLOWER, None)):
        details = AlgorithmDetails(algorithm="cross", lag=lag)
        await beat(orders_client, "algo-cross", details, instance=instance, state=state)
    await beat(orders_client, "oms", READY, instance="z", account="second")
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert set(status.processes) == {"oms:a", "oms:b", "algo-cross:a", "algo-cross:b"}
    assert [reason.sentence for reason in status.processes["oms:b"].reasons] == [held.sentence]
    assert (status.trading, status.why_not, status.open_orders) == (True, [], 2)
    assert (status.algorithms["cross"].state, status.algorithms["cross"].lag) == ("leader", 1)


async def test_an_oms_that_is_not_ready_says_why(market: Client, orders_client: Client) -> None:
    await halt.initialise(orders_client, 1)
    behind = StateReason("not_ready", "catching up with the broker")
    await beat(orders_client, "oms", READY, state=State.WAITING, reasons=(behind,))
    status = await snapshot(market, orders_client, ACCOUNT, 0)
    assert (status.trading, status.why_not) == (False, ["catching up with the broker"])


async def test_heartbeats_that_cannot_be_read_are_shown_as_such(
    market: Client, orders_client: Client
) -> None:
    await orders_client.set("alive:ingest", '{"process": "ingest", "version": "0.0.9", "state": "running"}')
    await orders_client.set(streams.alive(ACCOUNT, "oms", "1f3a"), "not json")
    processes = (await snapshot(market, orders_client, ACCOUNT, 0)).processes
    assert {name: process.state for name, process in processes.items()} == {
        "ingest": "unreadable", "oms": "unreadable",
    }  # fmt: skip
    assert "version 0.0.9" in processes["ingest"].reasons[0].sentence
    assert "cannot be read" in processes["oms"].reasons[0].sentence


async def test_several_ingests_are_one_feed(market: Client, orders_client: Client) -> None:
    for instance, stocks, crypto in (("a", True, False), ("b", False, True)):
        feeds = {
            kind: FeedDetails(feed=kind, state=State.READY if on else State.WAITING, connected=on)
            for kind, on in (("stocks", stocks), ("crypto", crypto))
        }
        counters = IngestCounters(messages_in=5)
        details = IngestDetails(feeds=feeds, ticks_per_second=2.0, counters=counters)
        await beat(orders_client, "ingest", details, instance=instance)
    feed = (await snapshot(market, orders_client, ACCOUNT, 0)).feed
    assert feed.connected == {"stocks": True, "crypto": True}
    assert (feed.ticks_per_second, feed.messages_in) == (4.0, 10)
