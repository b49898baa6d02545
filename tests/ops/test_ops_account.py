"""A journal is set aside whole or not at all, stays readable, and the next start begins a new one."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from backbone import backbone, environment
from fake_broker import FakeBroker
from heartbeat_of import heartbeat_of
from oms_run import ACCOUNT, EVENT_CODEC, REQUEST_CODEC, limit_order, running, trading
from own_server import own_server

from bus import embedded, streams
from bus.account_keys import is_confirmed
from bus.account_messages import AccountPinned, JournalSetAside
from bus.connection import connect
from bus.errors import Fenced, InvalidInput
from bus.heartbeat import State, encode
from bus.lease import Lease
from ops.account.journal import require_set_aside_is_possible, set_aside
from ops.pinned_account import pinned_account

pytestmark = pytest.mark.integration

WHY = {"reason": "the paper account was reset", "by": "ann@desk"}
JOURNAL = streams.journal(ACCOUNT)


async def traded(md_url: str, orders_url: str, broker: FakeBroker, **keys: Any) -> str:
    """An account that has traded, halted one symbol, and has a request that nobody took; its last order."""
    async with running(md_url, orders_url, broker, **keys) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99", "10"))
        await algo.told(order_id, "OrderSent")
        await oms.fill(order_id, "10", "98.5", "e1")
        await algo.told(order_id, "OrderFilled")
        await oms.halt("symbol:GME")
        await oms.stop()
        return await algo.order(2, limit_order("99", "5"))


async def test_all_that_belongs_to_it_is_kept_and_the_next_start_is_new(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    broker, keys = FakeBroker(), {"alpaca_api_key": "PKONE", "alpaca_secret_key": "s"}
    not_taken = await traded(md_url, orders_url, broker, **keys)
    journal, account = (
        await orders_client.xrange(JOURNAL),
        await orders_client.xrange(streams.account(ACCOUNT)),
    )
    events = await orders_client.xrange(streams.events(ACCOUNT, "alpha"))

    found = await set_aside(orders_client, ACCOUNT, **WHY)

    assert (found.number, found.label[: len(broker.number) + 1]) == (broker.number, f"{broker.number}-")
    left = {key async for key in orders_client.scan_iter(match="*{paper}*")}
    assert {key for key in left if not key.startswith(b"kept:") and b":lease" not in key} == set()
    assert all(new.startswith(f"kept:{{{ACCOUNT}}}:{found.label}:") for new in found.kept.values())
    *kept, (_, last) = await orders_client.xrange(found.journal)
    assert kept == journal
    said: Any = EVENT_CODEC.decode(last)
    assert said == JournalSetAside(kept_as=found.label, at_ns=said.at_ns, **WHY)
    assert await orders_client.xrange(found.kept[streams.account(ACCOUNT)]) == account
    assert await orders_client.xrange(found.kept[streams.events(ACCOUNT, "alpha")]) == events
    requests = await orders_client.xrange(found.kept[streams.requests(ACCOUNT, "alpha")])
    last_request: Any = REQUEST_CODEC.decode(requests[-1][1])
    assert last_request.client_order_id == not_taken
    assert not await is_confirmed(orders_client, ACCOUNT, "PKONE")

    reset = FakeBroker()
    reset.number = "PA456"
    async with running(md_url, orders_url, reset, **keys) as oms, trading(orders_url) as algo:
        # Nobody asked for what the old account was asked for, and what it held is not held.
        assert oms.book.positions() == {}
        assert not oms.book.orders
        assert "symbol:GME" in oms.oms.engine.state.halts.scopes
        assert (await oms.journal())[0].number == "PA456"
        await algo.told(await algo.order(3, limit_order("99", "1")), "OrderSent")
        assert len(reset.sent) == 1
    again = await set_aside(orders_client, ACCOUNT, **WHY)
    assert again.number == "PA456"
    assert await orders_client.exists(found.journal, again.journal) == 2


async def test_who_asks_again_is_told_what_is_kept(md_url: str, orders_url: str, orders_client: Any) -> None:
    await traded(md_url, orders_url, FakeBroker())
    found = await set_aside(orders_client, ACCOUNT, **WHY)
    with pytest.raises(InvalidInput, match="has no journal") as told:
        await set_aside(orders_client, ACCOUNT, **WHY)
    assert found.journal in str(told.value)
    assert await orders_client.get(streams.oms_lease(ACCOUNT)) is None


async def beat(client: Any, process: str) -> None:
    written = heartbeat_of(process, State.READY, None)
    await client.set(streams.alive(ACCOUNT, process, "1f3a"), encode(written), px=60_000)


@pytest.mark.parametrize("process", ["oms", "algo-alpha", "ingest"])
async def test_whoever_writes_for_the_account_must_have_ended(
    md_url: str, orders_url: str, orders_client: Any, process: str
) -> None:
    await traded(md_url, orders_url, FakeBroker())
    await beat(orders_client, process)
    await beat(orders_client, "supervisor")
    with pytest.raises(InvalidInput, match=rf"alive on account paper: {process} \(1f3a\); stop them"):
        await set_aside(orders_client, ACCOUNT, **WHY)
    await orders_client.delete(streams.alive(ACCOUNT, process, "1f3a"))
    assert (await set_aside(orders_client, ACCOUNT, **WHY)).kept


async def test_an_oms_at_work_is_not_pulled_from_under(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    async with running(md_url, orders_url, FakeBroker()) as oms, trading(orders_url) as algo:
        with pytest.raises(InvalidInput, match="OMS is held"):
            await set_aside(orders_client, ACCOUNT, **WHY)
        await algo.told(await algo.order(1, limit_order("99", "1")), "OrderSent")
        assert (await oms.journal())[-1].wire == "OrderSent"


async def test_a_journal_of_real_money_is_never_set_aside(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    async with running(md_url, orders_url, FakeBroker(), trading="live", account=ACCOUNT):
        pass
    with pytest.raises(InvalidInput, match="live account PA123, which nobody resets"):
        await set_aside(orders_client, ACCOUNT, **WHY)
    assert await orders_client.exists(JOURNAL)


async def test_a_journal_that_says_of_no_account_is_kept_as_unknown(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    await traded(md_url, orders_url, FakeBroker())
    ((first, fields), *_) = await orders_client.xrange(JOURNAL)
    assert isinstance(EVENT_CODEC.decode(fields), AccountPinned)
    await orders_client.xdel(JOURNAL, first)
    assert await pinned_account(orders_client, ACCOUNT) is None
    assert await require_set_aside_is_possible(orders_client, ACCOUNT) is None
    assert (await set_aside(orders_client, ACCOUNT, **WHY)).label.startswith("unknown-")


@contextlib.asynccontextmanager
async def losing(client: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Whoever wants to set aside has lost the lease by the time at which it writes."""
    acquire = Lease.acquire

    async def acquired(self: Lease) -> bool:
        taken = await acquire(self)
        await client.set(self.key, "9:another")
        return taken

    monkeypatch.setattr(Lease, "acquire", acquired)
    yield
    monkeypatch.undo()


async def test_without_the_lease_nothing_is_moved(
    md_url: str, orders_url: str, orders_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await traded(md_url, orders_url, FakeBroker())
    before = {key async for key in orders_client.scan_iter()}
    async with losing(orders_client, monkeypatch):
        with pytest.raises(Fenced):
            await set_aside(orders_client, ACCOUNT, **WHY)
    await orders_client.delete(streams.oms_lease(ACCOUNT))
    assert {key async for key in orders_client.scan_iter()} == before


async def test_it_is_kept_over_a_server_that_is_killed(md_url: str) -> None:
    with own_server() as server:
        client = connect(server.url, name="test")
        broker = FakeBroker()
        async with running(md_url, server.url, broker):
            pass
        found = await set_aside(client, ACCOUNT, **WHY)
        await client.aclose()
        server.kill()
        server.start_again()
        client = connect(server.url, name="test")
        assert await client.exists(found.journal)
        assert not await client.exists(JOURNAL)
        await client.aclose()


def data(within: dict[str, str], account: str = ACCOUNT) -> embedded.EmbeddedServer:
    """The orders server of a home in which nothing runs."""
    return embedded.start("orders", Path(within["BACKBONE_HOME"]) / f"data-{account}" / "orders")


@pytest.mark.e2e
def test_the_command_works_where_nothing_runs_and_asks_first(home: Path) -> None:
    import redis

    within = environment(home)
    told = backbone("account", "begin-anew", "--reason", "reset", "--yes", within=within)
    assert (told.returncode, "no journal here" in told.stderr) == (2, True)
    server = data(within)
    entry = EVENT_CODEC.encode(AccountPinned(number="PA1", trading="paper", at_ns=1))
    with redis.Redis.from_url(server.url) as client:
        client.xadd(JOURNAL, dict(zip(("type", "version", "data"), entry, strict=True)))
    server.stop()
    told = backbone("account", "begin-anew", "--reason", "reset", within=within)
    assert (told.returncode, "--yes is missing" in told.stderr) == (2, True)
    told = backbone("account", "begin-anew", "--reason", " ", "--yes", within=within)
    assert (told.returncode, "--reason is empty" in told.stderr) == (2, True)
    told = backbone("account", "begin-anew", "--reason", "reset", "--yes", "--json", within=within)
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout)
    assert (said["account"], said["number"], said["reason"]) == (ACCOUNT, "PA1", "reset")
    told = backbone("account", "begin-anew", "--reason", "reset", "--yes", within=within)
    assert (told.returncode, said["kept"][JOURNAL] in told.stderr) == (2, True)
    server = data(within)
    with redis.Redis.from_url(server.url) as client:
        assert client.xlen(said["kept"][JOURNAL]) == 2
        servers = {"ORDERS_REDIS_URL": server.tcp_url, "MD_REDIS_URL": server.tcp_url}
        told = backbone("tail", said["kept"][JOURNAL], within=within | servers)
        assert "the journal belongs to Alpaca's paper account PA1" in told.stdout
        assert "reset (by " in told.stdout
    server.stop()


def test_the_lease_is_not_taken_for_a_stream_that_is_kept() -> None:
    assert streams.is_lease(streams.oms_lease(ACCOUNT))
    assert streams.is_lease(f"{streams.algorithm_lease(ACCOUNT, 'a')}:token")
    for name in ("lease", "a-lease"):
        assert not streams.is_lease(streams.events(ACCOUNT, name))
        assert not streams.is_lease(streams.requests(ACCOUNT, name))
    assert streams.kept(ACCOUNT, "PA1-x", JOURNAL) == "kept:{paper}:PA1-x:orders:journal"
    assert streams.kept(ACCOUNT, "PA1-x", streams.account(ACCOUNT)) == "kept:{paper}:PA1-x:account"
