"""The journal between us and a server that loses requests, replies and its lease."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, EVENT_CODEC, FIRST_KINDS, limits_with, market_order, running, trading
from own_server import own_server
from proxy import Proxy
from risk_day import NOW_NS, Day, fill, request
from waiting import until

from bus import streams
from bus.clock import ManualClock, SystemClock
from bus.codec import Message, UnknownMessage
from bus.connection import connect
from bus.delivery import Delivery
from bus.errors import Fenced, Unreadable
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.order_events import EntryDeadLettered, PositionProtected, Registered
from bus.pages import PAGE
from oms.journal.journal import Journal, JournalMoved
from oms.journal.journal_reader import JournalReader

pytestmark = pytest.mark.integration


def registered(number: int) -> Registered:
    """An event with a number."""
    return Registered(algorithm=f"algo-{number}", at_ns=NOW_NS + number)


@contextlib.asynccontextmanager
async def writing(url: str, direct_url: str) -> AsyncIterator[tuple[Journal, Lease, "asyncio.Task[None]"]]:
    """A journal that is written over `url`, under a lease that is held over `direct_url`."""
    client = connect(direct_url, name="test")
    lease = Lease(client, streams.oms_lease(ACCOUNT), "oms")
    keeper = LeaseKeeper(lease)
    assert await keeper.take(stopping=asyncio.Event(), tell=print)
    journal = Journal(url, keeper, ACCOUNT, SystemClock())
    task = asyncio.create_task(journal.run())
    try:
        yield journal, lease, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()
        await client.aclose()


async def folded(journal: Journal) -> list[Message]:
    """The events that the journal gives."""
    events: list[Message] = []
    await journal.fold(events.extend)
    return events


async def written(url: str, stream: str = "") -> list[int]:
    """The numbers in the journal, or in another stream."""
    client = connect(url, name="test")
    found = await client.xrange(stream or streams.journal(ACCOUNT))
    await client.aclose()
    return [EVENT_CODEC.decode(fields).at_ns - NOW_NS for _, fields in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize("loss", ["reply", "request"])
async def test_a_batch_is_written_once_whatever_is_lost(orders_url: str, loss: str) -> None:
    async with Proxy(orders_url) as proxy, writing(proxy.url, orders_url) as (journal, _, _):
        await journal.commit([registered(1)])
        lose = proxy.lose_reply if loss == "reply" else proxy.lose_request
        for number in (2, 3):
            lose(b"EVALSHA")
            await journal.commit([registered(number), registered(number + 10)])
        await journal.commit([registered(4)])
        assert await written(orders_url) == [1, 2, 12, 3, 13, 4]
        assert await written(orders_url, streams.events(ACCOUNT, "algo-2")) == [2]


async def test_what_is_handed_in_together_is_written_in_that_order(orders_url: str) -> None:
    async with writing(orders_url, orders_url) as (journal, _, _):
        handed_in = [journal.commit([registered(number)]) for number in range(700)]
        await asyncio.gather(*handed_in)
        assert await written(orders_url) == list(range(700))
        assert journal.commits < 20


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
async def test_each_entry_is_folded_once_wherever_a_page_ends(orders_url: str, count: int) -> None:
    async with writing(orders_url, orders_url) as (journal, _, _):
        await asyncio.gather(*(journal.commit([registered(number)]) for number in range(count)))
        reader = JournalReader(orders_url, streams.journal(ACCOUNT))
        events: list[Message] = []
        await reader.fold(events.extend)
        await journal.commit([registered(count)])
        await reader.fold(events.extend)
        await reader.close()
        assert events == [registered(number) for number in range(count + 1)]
        assert reader.entries == count + 1
        assert reader.chain.head.decode() == journal.last_hash.decode()
        assert gc.isenabled()


async def told(url: str, algorithm: str = "alpha") -> list[int]:
    """The numbers in an algorithm's events."""
    return await written(url, streams.events(ACCOUNT, algorithm))


def of_alpha(number: int) -> PositionProtected:
    """An event of one algorithm, with a number."""
    return PositionProtected(algorithm="alpha", symbol="AAPL", at_ns=NOW_NS + number)


async def test_what_an_order_waits_for_is_told_afterwards_in_its_place(
    orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(orders_url, orders_url) as (journal, _, _):
        monkeypatch.setattr("oms.journal.journal.TELL_AFTER_S", 3600)
        await journal.commit([of_alpha(1)])
        await journal.commit([of_alpha(2)], tell_later=True)
        assert await told(orders_url) == [1]
        # With what comes next, or soon by itself.
        await journal.commit([of_alpha(3)])
        assert await told(orders_url) == [1, 2, 3]
        await journal.commit([of_alpha(4)], tell_later=True)
        assert await told(orders_url) == [1, 2, 3]
        await journal.flush()
        assert await told(orders_url) == [1, 2, 3, 4]


async def test_what_no_batch_takes_along_is_told_soon(orders_url: str) -> None:
    async with writing(orders_url, orders_url) as (journal, _, _):
        for number in range(1, 6):
            await journal.commit([of_alpha(number)], tell_later=True)

        async def all_told() -> bool:
            return await told(orders_url) == [1, 2, 3, 4, 5]

        await until(all_told, "all of it")


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "told by an earlier release"])
async def test_what_an_oms_did_not_tell_before_it_ended_the_next_one_tells(
    orders_url: str, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.journal.journal.TELL_AFTER_S", 3600)
    client = connect(orders_url, name="test")
    async with writing(orders_url, orders_url) as (journal, _, _):
        await journal.commit([of_alpha(1), registered(2)])
        noted_before = await client.get(streams.journal_told(ACCOUNT))
        await journal.commit([of_alpha(3), registered(4), of_alpha(5)], tell_later=True)
    assert await told(orders_url) == [1]
    if not noted:
        # It told what it wrote in the batch that wrote it, and knew of no note.
        for event, algorithm in ((of_alpha(3), "alpha"), (registered(4), "algo-4"), (of_alpha(5), "alpha")):
            kind, version, data = EVENT_CODEC.encode(event)
            entry = {"type": kind, "version": version, "data": data}
            await client.xadd(streams.events(ACCOUNT, algorithm), entry)
        assert await client.get(streams.journal_told(ACCOUNT)) == noted_before
    await client.delete(streams.oms_lease(ACCOUNT))
    for _ in range(2):
        async with writing(orders_url, orders_url) as (journal, lease, _):
            await folded(journal)
            await journal.find_untold()
            await journal.flush()
            assert (await told(orders_url), await told(orders_url, "algo-4")) == ([1, 3, 5], [4])
            await lease.release()
    await client.aclose()


async def test_after_a_roll_back_and_forward_what_was_never_told_is_told_behind_what_was(
    orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.journal.journal.TELL_AFTER_S", 3600)
    client, stream = connect(orders_url, name="test"), streams.events(ACCOUNT, "alpha")
    newer = UnknownMessage(wire="OrderApproved", version=99, data=b'{"algorithm":"alpha","at_ns":7}')
    async with writing(orders_url, orders_url) as (journal, lease, _):
        await journal.commit([of_alpha(1)])
        await journal.commit([of_alpha(2), newer, of_alpha(3)], tell_later=True)
        kind, version, data = EVENT_CODEC.encode(of_alpha(3))
        await client.xadd(stream, {"type": kind, "version": version, "data": data})
        await lease.release()
    for _ in range(2):
        async with writing(orders_url, orders_url) as (journal, lease, _):
            await folded(journal)
            await journal.find_untold()
            await journal.flush()
            await lease.release()
    entries = [fields[b"data"] for _, fields in await client.xrange(stream)]
    one, two, three = (EVENT_CODEC.encode(of_alpha(number))[2] for number in (1, 2, 3))
    assert entries == [one, three, two, newer.data]
    await client.aclose()


async def test_a_journal_of_an_earlier_release_is_told_already(orders_url: str) -> None:
    client = connect(orders_url, name="test")
    async with writing(orders_url, orders_url) as (journal, lease, _):
        await journal.commit([of_alpha(1)])
        await client.delete(streams.journal_told(ACCOUNT), streams.events(ACCOUNT, "alpha"))
        await lease.release()
    async with writing(orders_url, orders_url) as (journal, _, _):
        await folded(journal)
        await journal.find_untold()
        await journal.flush()
        assert await told(orders_url) == []
    await client.aclose()


async def test_what_the_journal_lost_is_not_told(orders_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms.journal.journal.TELL_AFTER_S", 3600)
    client = connect(orders_url, name="test")
    async with writing(orders_url, orders_url) as (journal, _, task):
        await journal.commit([of_alpha(1)])
        await journal.commit([of_alpha(2)], tell_later=True)
        ((last_id, _),) = await client.xrevrange(streams.journal(ACCOUNT), count=1)
        await client.xdel(streams.journal(ACCOUNT), last_id)
        with pytest.raises(JournalMoved):
            await journal.flush()
        with pytest.raises(JournalMoved):
            await task
        assert await told(orders_url) == [1]
    await client.aclose()


@pytest.mark.parametrize("loss", ["reply", "request"])
async def test_it_is_told_once_whatever_is_lost(orders_url: str, loss: str) -> None:
    async with Proxy(orders_url) as proxy, writing(proxy.url, orders_url) as (journal, _, _):
        lose = proxy.lose_reply if loss == "reply" else proxy.lose_request
        for number in (1, 3, 5):
            lose(b"EVALSHA")
            await journal.commit([of_alpha(number)], tell_later=True)
            # Of this batch, which has no entries.
            lose(b"EVALSHA")
            await journal.flush()
            await journal.commit([of_alpha(number + 1)])
        assert await told(orders_url) == [1, 2, 3, 4, 5, 6] == await written(orders_url)


async def test_events_and_acknowledgements_are_one_write(orders_url: str) -> None:
    client = connect(orders_url, name="test")
    stream = streams.requests(ACCOUNT, "alpha")
    await client.xgroup_create(stream, streams.GROUP_OMS, id="0", mkstream=True)
    ids = [(await client.xadd(stream, {"n": str(number)})).decode() for number in range(3)]
    await client.xreadgroup(streams.GROUP_OMS, "leader", {stream: ">"})
    async with writing(orders_url, orders_url) as (journal, _, _):
        acknowledged = [Delivery(stream, id_, {}) for id_ in ids[:2]]
        kept = EntryDeadLettered(stream=stream, entry_id=ids[0], error="e", payload='{"n":"0"}', at_ns=NOW_NS)
        await journal.commit([kept], acknowledged)
        assert (await client.xpending(stream, streams.GROUP_OMS))["pending"] == 1
        assert await client.xlen(streams.orders_dead(ACCOUNT)) == 1
        await journal.commit([], [Delivery(stream, ids[2], {})])
        assert (await client.xpending(stream, streams.GROUP_OMS))["pending"] == 0
        assert await client.xlen(streams.journal(ACCOUNT)) == 1
    await client.aclose()


@pytest.mark.parametrize("count", [1000, 1001, 8500])
async def test_entries_that_waited_in_great_number_are_acknowledged_at_once(
    orders_url: str, count: int
) -> None:
    """As after a day of updates that cannot be read: all of them wait for one halt."""
    client = connect(orders_url, name="test")
    stream = streams.account(ACCOUNT)
    await client.xgroup_create(stream, streams.GROUP_OMS, "0", mkstream=True)
    adding = client.pipeline(transaction=False)
    for number in range(1, count + 2):
        adding.xadd(stream, {"n": number}, id=f"{number}-0")
    await adding.execute()
    await client.xreadgroup(streams.GROUP_OMS, streams.MEMBER, {stream: ">"}, count=count + 1)
    waited = [Delivery(stream, f"{number}-0", {}) for number in range(1, count + 1)]
    async with writing(orders_url, orders_url) as (journal, _, _):
        await journal.commit([registered(1)], waited)
        assert await written(orders_url) == [1]
        left = await client.xpending_range(stream, streams.GROUP_OMS, "-", "+", 10)
        assert [entry["message_id"] for entry in left] == [f"{count + 1}-0".encode()]
    await client.aclose()


@pytest.mark.parametrize("gave_it_back", [False, True])
async def test_where_another_has_or_had_the_lease_nothing_is_written(
    orders_url: str, gave_it_back: bool
) -> None:
    async with writing(orders_url, orders_url) as (journal, lease, task):
        await journal.commit([registered(1)])
        ours = lease.value
        await lease.release()
        client = connect(orders_url, name="test")
        another = Lease(client, streams.oms_lease(ACCOUNT), "another")
        assert await another.acquire()
        if gave_it_back:
            await another.release()
        lease.value = ours
        with pytest.raises(Fenced, match="went to another"):
            await journal.commit([registered(2)])
        with pytest.raises(Fenced):
            await task
        await client.aclose()
        assert await written(orders_url) == [1]


async def test_a_lease_that_ran_out_and_that_nobody_took_is_taken_again(orders_url: str) -> None:
    async with writing(orders_url, orders_url) as (journal, lease, _):
        await journal.commit([registered(1)])
        token = lease.token
        client = connect(orders_url, name="test")
        await client.delete(streams.oms_lease(ACCOUNT))
        await client.aclose()
        await asyncio.gather(*(journal.commit([registered(number)]) for number in (2, 3, 4)))
        assert lease.token == token + 1
        assert await written(orders_url) == [1, 2, 3, 4]


async def test_a_journal_that_somebody_else_wrote_to_is_not_written(orders_url: str) -> None:
    async with writing(orders_url, orders_url) as (journal, _, task):
        await journal.commit([registered(1)])
        client = connect(orders_url, name="test")
        kind, version, data = EVENT_CODEC.encode(registered(9))
        entry = {"type": kind, "version": version, "data": data, "batch": "other"}
        await client.xadd(streams.journal(ACCOUNT), entry)
        await client.aclose()
        with pytest.raises(JournalMoved):
            await journal.commit([registered(2)])
        with pytest.raises(JournalMoved):
            await task
        assert await written(orders_url) == [1, 9]


async def test_another_entry_under_the_id_of_the_last_is_noticed(orders_url: str) -> None:
    async with writing(orders_url, orders_url) as (journal, _, task):
        await journal.commit([registered(1)])
        client, stream = connect(orders_url, name="test"), streams.journal(ACCOUNT)
        ((last_id, fields),) = await client.xrange(stream)
        await client.delete(stream)
        await client.xadd(stream, fields | {b"hash": b"0" * 64}, id=last_id)
        await client.aclose()
        with pytest.raises(JournalMoved, match="is another than the one that was written"):
            await journal.commit([registered(2)])
        with pytest.raises(JournalMoved):
            await task
        assert await written(orders_url) == [1]


async def test_the_fold_gives_back_what_was_written_exactly(orders_url: str) -> None:
    day = Day()
    approval = day.approve(request()).event
    assert approval.terms.quantity is not None
    filled = fill("x", approval.terms.quantity, "alpha", price="99.123456789")
    events = [registered(1), approval, filled]
    async with writing(orders_url, orders_url) as (journal, _, _):
        await journal.commit(events)
        again = await folded(journal)
        assert again == events


async def test_a_server_that_restarts_costs_time_and_nothing_else(md_url: str) -> None:
    with own_server() as server:
        broker = FakeBroker()
        limits = limits_with(price_age_seconds=3600)
        async with running(md_url, server.url, broker, limits=limits) as oms, trading(server.url) as algo:
            first = await algo.order(1, market_order("10"))
            await algo.told(first, "OrderSent")
            server.kill()
            server.start_again()
            # An order that comes before control is read again is refused.
            await until(oms.oms.halts.fresh, "control to be read again")
            second = await algo.order(2, market_order("10"))
            await algo.told(second, "OrderSent")
            assert broker.sent == [first, second]
            kinds = [type(event).__name__ for event in await oms.journal()]
            assert kinds == [*FIRST_KINDS, *["OrderApproved", "OrderSent"] * 2]


async def test_what_cannot_be_read_is_named_with_what_to_do(orders_url: str) -> None:
    client = connect(orders_url, name="test")
    stream = streams.journal(ACCOUNT)
    entry_id = (await client.xadd(stream, {"type": "OrderSent", "version": "1", "data": "{}"})).decode()
    keeper = LeaseKeeper(Lease(client, "lease", "oms"))
    journal = Journal(orders_url, keeper, ACCOUNT, SystemClock())
    try:
        with pytest.raises(Unreadable, match=f"{entry_id}: OrderSent.*take that entry out"):
            await folded(journal)
    finally:
        await journal.close()
        await client.aclose()


async def test_what_a_newer_version_wrote_is_kept_and_written_after(orders_url: str) -> None:
    client = connect(orders_url, name="test")
    stream = streams.journal(ACCOUNT)
    await client.xadd(stream, {"type": "OrderShipped", "version": "2", "data": '{"ship": "it"}'})
    await client.aclose()
    async with writing(orders_url, orders_url) as (journal, _, _):
        (event,) = await folded(journal)
        assert event == UnknownMessage(wire="OrderShipped", version=2, data=b'{"ship": "it"}')
        await journal.commit([registered(1)])
        assert [type(event).__name__ for event in await folded(journal)] == ["Registered"]


async def test_ids_go_up_though_the_clock_goes_back_and_the_last_entry_is_taken_out(orders_url: str) -> None:
    client = connect(orders_url, name="test")
    clock = ManualClock(NOW_NS)
    lease = Lease(client, streams.oms_lease(ACCOUNT), "oms")
    assert await lease.acquire()
    for back_ms in (0, 1_000, 0):
        earlier = ManualClock(clock.now_ns() - back_ms * 1_000_000)
        journal = Journal(orders_url, LeaseKeeper(lease), ACCOUNT, earlier)
        await folded(journal)
        task = asyncio.create_task(journal.run())
        await journal.commit([registered(1), registered(2)])
        await journal.commit([registered(3)])
        assert journal.assigned_id == journal.last_id
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()
        ids = [id_.decode() for id_, _ in await client.xrange(streams.journal(ACCOUNT))]
        assert journal.last_id == ids[-1]
        await client.xdel(streams.journal(ACCOUNT), ids[-1])
    assert len(ids) == 7
    await client.aclose()
