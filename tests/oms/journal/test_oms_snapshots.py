"""Snapshots: the whole state, verified before it counts, and believed where it stands on the journal."""

import itertools
from decimal import Decimal
from typing import Any, cast

import pytest
from engine_run import EngineRun
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limits_with, market_order, running, trading
from risk_day import request
from waiting import until

from bus import streams
from bus.chain import Chain
from bus.clock import ManualClock
from bus.connection import Client
from bus.errors import Fenced, ReplyLost
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from oms.journal import snapshot_store
from oms.journal.digest import digest_of
from oms.journal.fold import folded
from oms.journal.journal import Journal
from oms.journal.snapshot_encoding import NotWritten, decode, encode
from oms.journal.snapshot_keeper import SnapshotKeeper, entries_between
from oms.state.state import State

SNAPSHOT = streams.snapshot(ACCOUNT)
JOURNAL = streams.journal(ACCOUNT)


def traded_state() -> State:
    """A state with orders of every kind of amount."""
    run = EngineRun()
    run.begin()
    for approved in run.read(request()).send:
        run.accepted(approved)
    return run.engine.state


def test_what_a_new_field_holds_is_in_a_snapshot_without_a_word() -> None:
    state = traded_state()
    shared = {"AAPL": Decimal("1E+3"), "GREAT": 1 << 80, "": None}
    state.tomorrow = {("alpha", "AAPL"): [shared, frozenset({b"\xff"})]}  # type: ignore[attr-defined]
    state.book.beside = shared  # type: ignore[attr-defined]
    again: Any = decode(encode(state))
    assert again.tomorrow == {("alpha", "AAPL"): [shared, frozenset({b"\xff"})]}
    assert str(again.book.beside["AAPL"]) == "1E+3"
    assert again.book.beside is again.tomorrow["alpha", "AAPL"][0]


def test_an_order_that_two_indexes_share_is_one_order_again() -> None:
    state = traded_state()
    ((order_id, order),) = state.book.orders.items()
    again = decode(encode(state)).book
    assert again.orders[order_id] is again.by_broker_id[order.broker_order_id]
    assert again.orders[order_id] is next(again.open_orders())


def test_what_nobody_said_how_to_write_is_refused() -> None:
    state = traded_state()
    state.book.odd = [Chain, object()]  # type: ignore[attr-defined]
    with pytest.raises(NotWritten, match="nobody said how it is written"):
        encode(state)


NO_STATES: list[list[bytes]] = [
    [],
    [b""],
    [b"\x90"],
    [b"\x91\x92\x00\x93\xa4dict\x90\xa0"],
    [b"".join(encode(traded_state()))[:-9]],
    [*encode(traded_state()), b"\x91\x92\x00\x93\xa4dict\x90\xa0"],
]


@pytest.mark.parametrize("pieces", NO_STATES)
def test_what_is_no_state_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(ValueError, match="no state"):
        decode(pieces)


async def ordered(algo: Any, oms: Any, first: int, count: int) -> None:
    """So many orders, each sent and filled."""
    for number in range(first, first + count):
        order = await algo.order(number, market_order("1"))
        await algo.told(order, "OrderSent")
        await oms.fill(order, "1", "100", f"execution-{number}")
        await algo.told(order, "OrderFilled")


@pytest.mark.integration
async def test_a_snapshot_is_made_every_so_many_entries_and_a_start_goes_on_from_it(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    broker = FakeBroker()
    limits = limits_with(price_age_seconds=3600, orders_per_second=1000)
    async with running(md_url, orders_url, broker, limits=limits, oms_snapshot_every=100) as oms:
        async with trading(orders_url) as algo:
            await ordered(algo, oms, 0, 35)
            await until(lambda: oms.oms.service.details.snapshot_at != "", "a snapshot")
            await ordered(algo, oms, 100, 2)
        digest = oms.oms.engine.digest()
        # As after a kill: what the clean stop makes is taken back.
        found = await snapshot_store.stored(orders_client, ACCOUNT)
        assert found is not None
    kept = await orders_client.hgetall(SNAPSHOT)
    assert kept[b"id"].decode() != found.id, "the clean stop makes one too"
    from_last = await folded(orders_url, ACCOUNT)
    await orders_client.delete(SNAPSHOT)
    from_first = await folded(orders_url, ACCOUNT)
    assert (from_last.snapshot_id, from_last.first_id) == (kept[b"id"].decode(), from_first.first_id)
    assert from_last.entries <= 1 < 100 < from_first.entries
    assert digest_of(from_last.state) == digest_of(from_first.state) == digest
    assert from_last.state.book.orders == from_first.state.book.orders
    assert from_last.chain.head == from_first.chain.head
    async with running(md_url, orders_url, broker, limits=limits) as oms:
        assert oms.book.position("AAPL", "alpha") == 37


@pytest.mark.integration
@pytest.mark.parametrize("damage", ["other code", "a bit", "another digest", "another journal", "odd fields"])
async def test_a_snapshot_that_does_not_verify_is_not_used(
    md_url: str, orders_url: str, orders_client: Any, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        await ordered(algo, oms, 0, 2)
    kept = await orders_client.hgetall(SNAPSHOT)
    (piece,) = (name for name in kept if name.startswith(b"state "))
    changed = {
        "other code": {b"code": b"0" * 32},
        "a bit": {piece: kept[piece].replace(b"alpha", b"blpha")},
        "another digest": {b"digest": b"0" * 32},
        "another journal": {b"hash": b"0" * 64},
        "odd fields": {b"new": b"field"},
    }[damage]
    await orders_client.hset(SNAPSHOT, mapping=changed)
    async with running(md_url, orders_url, broker) as oms:
        assert oms.book.position("AAPL", "alpha") == 2
        assert oms.oms.snapshots.at_id == ""
    assert "snapshot not used" in capsys.readouterr().out


@pytest.mark.integration
async def test_a_snapshot_that_takes_the_place_of_the_one_that_is_read_is_read_instead(
    md_url: str, orders_url: str, orders_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, broker = [], FakeBroker()
    for number in range(2):
        async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
            await ordered(algo, oms, 2 * number, 1)
        kept.append(await orders_client.hgetall(SNAPSHOT))
    hget = orders_client.hget

    async def put(fields: dict[bytes, bytes]) -> None:
        await orders_client.delete(SNAPSHOT)
        await orders_client.hset(SNAPSHOT, mapping=fields)

    async def replaced_first(key: str, field: str) -> Any:
        await put(kept[1])
        return await hget(key, field)

    await put(kept[0])
    monkeypatch.setattr(orders_client, "hget", replaced_first)
    found = await snapshot_store.examined(orders_client, ACCOUNT)
    assert isinstance(found, tuple)
    snapshot, state = found
    assert snapshot.id == kept[1][b"id"].decode() != kept[0][b"id"].decode()
    assert state.book.position("AAPL", "alpha") == 2


@pytest.mark.integration
async def test_a_state_that_is_not_the_fold_is_never_written(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    async with running(md_url, orders_url, FakeBroker()) as oms, trading(orders_url) as algo:
        await ordered(algo, oms, 0, 1)
        found = await folded(orders_url, ACCOUNT)
        about = (found.state, found.chain, found.first_id)
        lease = oms.oms.lease.lease.value
        with pytest.raises(snapshot_store.NotTheFold, match="would decide otherwise"):
            await snapshot_store.write(orders_client, ACCOUNT, lease, *about, "0" * 32)
        with pytest.raises(Fenced):
            await snapshot_store.write(orders_client, ACCOUNT, "1:other", *about, oms.oms.engine.digest())
        assert not await orders_client.exists(SNAPSHOT)


@pytest.mark.integration
async def test_a_snapshot_that_is_cut_off_while_it_is_written_leaves_the_last_one_as_it_was(
    md_url: str, orders_url: str, orders_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(md_url, orders_url, FakeBroker()) as oms, trading(orders_url) as algo:
        await ordered(algo, oms, 0, 2)
        lease, found = oms.oms.lease.lease.value, await folded(orders_url, ACCOUNT)
        parts = (orders_client, ACCOUNT, lease, found.state, found.chain, found.first_id)
        digest = digest_of(found.state)
        await snapshot_store.write(*parts, digest)
        kept = await orders_client.hgetall(SNAPSHOT)
        asked = orders_client.eval
        for cut_after in itertools.count():
            calls = itertools.count()

            async def cut_off(*arguments: Any, calls: Any = calls, last: int = cut_after) -> Any:
                if next(calls) == last:
                    raise ReplyLost("killed")
                return await asked(*arguments)

            monkeypatch.setattr(orders_client, "eval", cut_off)
            try:
                await snapshot_store.write(*parts, digest)
            except ReplyLost:
                assert await orders_client.hgetall(SNAPSHOT) == kept
            else:
                break
        assert cut_after >= 4, "begun, written, told of, put in place"
        assert (await orders_client.hgetall(SNAPSHOT))[b"made_ns"] > kept[b"made_ns"]
        assert not await orders_client.exists(streams.being_written(SNAPSHOT))
        assert isinstance(await snapshot_store.examined(orders_client, ACCOUNT), tuple)


@pytest.mark.parametrize(
    ("size_bytes", "entries"),
    [(0, 10_000), (40_960_000, 10_000), (41_000_000, 10_009), (400_000_000, 97_656)],
)
def test_a_large_state_is_written_more_seldom(size_bytes: int, entries: int) -> None:
    assert entries_between(10_000, size_bytes) == entries


def test_a_burst_is_no_time_for_a_snapshot_of_what_was_before_it() -> None:
    clock = ManualClock()
    lease = Lease(cast(Client, None), "lease", "this", clock=clock)
    journal = Journal("unix:///none", LeaseKeeper(lease), ACCOUNT, clock)
    journal.last_id, journal.entries = "5-0", 50_000
    digest = "as of before", "1-0", 9_999
    keeper = SnapshotKeeper("unix:///none", ACCOUNT, journal, lambda: digest, 10_000, None)
    assert keeper.due() is None
    digest = "as of now", "4-0", 49_000
    wanted = keeper.due()
    assert wanted is not None
    assert (wanted.until, wanted.digest) == ("4-0", "as of now")
    assert keeper.due() is None
