"""An OMS on a journal whose beginning is in its archive alone."""

import time
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, bought, running, starting
from own_server import own_server
from waiting import until

from bus import streams
from bus.connection import connect
from bus.errors import InvalidInput
from bus.journal_messages import JournalForked
from oms.journal.archiving import archived
from oms.journal.trimmed import trimmed
from oms.journal.trimming import trim
from ops.account.journal import set_aside
from ops.drill.long_journal import entries
from ops.drill.written_journal import make_snapshot, write_journal
from ops.pinned_account import pinned_account

pytestmark = pytest.mark.integration

JOURNAL = streams.journal(ACCOUNT)
_LATER_NS = 40 * 86_400 * 1_000_000_000


@pytest.fixture
async def root(md_url: str, orders_url: str, orders_client: Any, tmp_path: Path) -> Path:
    """Where the archive is of a journal of which the stream has no more than its last entry."""
    await bought(md_url, orders_url, FakeBroker(), 1)
    await archived(orders_url, ACCOUNT, tmp_path)
    await trim(orders_url, ACCOUNT, tmp_path, 30, time.time_ns() + _LATER_NS)
    assert await orders_client.xlen(JOURNAL) == 1
    return tmp_path


async def test_it_goes_on_from_the_snapshot(
    root: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    began = await trimmed(orders_client, ACCOUNT)
    assert began is not None
    async with running(md_url, orders_url, FakeBroker()) as oms:
        assert oms.book.position("AAPL", "alpha") == 10
        assert oms.oms.journal.first_id == began.first_id
        pinned, noted = oms.oms.engine.state.pinned, began.pinned()
        assert pinned is not None
        assert noted is not None
        assert (pinned.number, pinned.trading) == (noted.number, noted.trading)
        assert not [event for event in await oms.journal() if isinstance(event, JournalForked)]


@pytest.mark.parametrize("why", ["lost", "other code"])
async def test_without_a_snapshot_it_folds_the_archive_and_without_that_says_what_to_do(
    root: Path, md_url: str, orders_url: str, orders_client: Any, why: str
) -> None:
    if why == "lost":
        await orders_client.delete(streams.snapshot(ACCOUNT))
    else:
        await orders_client.hset(streams.snapshot(ACCOUNT), "code", "0" * 32)
    async with starting(md_url, orders_url, FakeBroker()) as oms:
        with pytest.raises(InvalidInput, match=f"set BACKBONE_JOURNAL_ARCHIVE .* {ACCOUNT}/"):
            await oms.task
    async with running(md_url, orders_url, FakeBroker(), journal_archive=root, oms_snapshot_every=100) as oms:
        assert oms.book.position("AAPL", "alpha") == 10
        assert oms.oms.snapshots.at_id == ""
    # Its own snapshot, of the clean stop, was made from the archive too.
    async with running(md_url, orders_url, FakeBroker()) as oms:
        assert oms.oms.snapshots.at_id
        assert oms.book.position("AAPL", "alpha") == 10


async def test_keys_of_another_account_are_refused_as_before(
    root: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    pinned = await pinned_account(orders_client, ACCOUNT)
    assert pinned is not None
    other = FakeBroker()
    other.number = "PA999"
    async with starting(md_url, orders_url, other) as oms:
        with pytest.raises(InvalidInput, match=f"belongs to Alpaca's paper account {pinned.number}"):
            await oms.task


async def test_a_standby_follows_and_takes_over(root: Path, md_url: str, orders_url: str) -> None:
    async with (
        running(md_url, orders_url, FakeBroker()) as leader,
        starting(md_url, orders_url, FakeBroker()) as standby,
    ):
        await until(
            lambda: standby.oms.engine.digest() == leader.oms.engine.digest(), "the standby to follow"
        )
        await leader.stop()
        await standby.ready()
        assert standby.book.position("AAPL", "alpha") == 10


async def test_a_head_that_was_written_before_the_trim_is_no_fork(
    root: Path, md_url: str, orders_url: str, orders_client: Any, market_client: Any
) -> None:
    """The market-data server was away for longer than entries are kept."""
    began = await trimmed(orders_client, ACCOUNT)
    assert began is not None
    await market_client.set(streams.journal_head(ACCOUNT), f"{began.first_id} {'1' * 64}")
    async with running(md_url, orders_url, FakeBroker()) as oms:
        assert not [event for event in await oms.journal() if isinstance(event, JournalForked)]


async def test_it_is_set_aside_with_the_note_of_its_beginning(
    root: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    found = await set_aside(orders_client, ACCOUNT, reason="a reset", by="tester")
    assert streams.trimmed(ACCOUNT) in found.kept
    async with running(md_url, orders_url, FakeBroker()) as oms:
        assert type((await oms.journal())[0]).__name__ == "AccountPinned"
    await archived(orders_url, ACCOUNT, root)
    assert len(list((root / ACCOUNT).iterdir())) == 2, "each journal has a directory of its own"


async def test_no_node_without_entries_stays_beside_an_entry_that_was_taken_out_by_hand(
    tmp_path: Path,
) -> None:
    """XTRIM may leave one, and a server that checks what it loads does not start on it (redis#15808)."""
    whole = list(entries(60))
    with own_server() as server:
        client = connect(server.url, name="test")
        # A node ends with it, so that the last entry that is trimmed is the last that lives there.
        server.configure(stream_node_max_entries=31, stream_node_max_bytes=0)
        ms = whole[29][0].decode().partition("-")[0]
        await write_journal(client, ACCOUNT, whole[:30])
        await client.xadd(JOURNAL, {"note": "x"}, id=f"{ms}-9")
        await client.xdel(JOURNAL, f"{ms}-9")
        await write_journal(client, ACCOUNT, whole[30:])
        await make_snapshot(client, server.url, ACCOUNT, whole[50][0].decode())
        await archived(server.url, ACCOUNT, tmp_path)
        found = await trim(server.url, ACCOUNT, tmp_path, 1, (int(ms) + 1) * 1_000_000 + 86_400 * 10**9)
        assert (found.entries, found.left) == (30, 30)
        assert (await client.xinfo_stream(JOURNAL))["radix-tree-keys"] == 1
        await client.aclose()
