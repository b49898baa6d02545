"""The journal as a file and back, and what its commands say of one that is not what was written."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from backbone import backbone, environment
from fake_broker import FakeBroker
from oms_run import ACCOUNT, bought, running, starting

from bus import streams
from bus.errors import InvalidInput
from bus.journal_lines import line_of
from bus.journal_messages import ChainBegun, JournalForked
from oms.journal.digest import digest_of
from oms.journal.journal_reader import JournalReader
from oms.state.state import State
from ops.journal.begin_chain import begun
from ops.journal.export import exported
from ops.journal.restore import restored
from ops.journal.verify import verified

pytestmark = pytest.mark.integration

JOURNAL = streams.journal(ACCOUNT)
EVENTS = streams.events(ACCOUNT, "alpha")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, md_url: str, orders_url: str, home: Path) -> Path:
    """The environment of a command that speaks to these servers; its home."""
    for name, value in {
        "MD_REDIS_URL": md_url,
        "ORDERS_REDIS_URL": orders_url,
        "BACKBONE_HOME": str(home),
        "BACKBONE_ACCOUNT": ACCOUNT,
    }.items():
        monkeypatch.setenv(name, value)
    return home


async def folded(orders_url: str) -> str:
    """The digest of the journal's fold."""
    reader, state = JournalReader(orders_url, JOURNAL), State()
    await reader.fold(state.apply_all)
    await reader.close()
    return digest_of(state)


def contents(file: str) -> bytes:
    """What is in a file."""
    return Path(file).read_bytes()


async def changed(client: Any, id_: str, **fields: bytes) -> None:
    """Write a journal anew, with one entry changed."""
    entries = await client.xrange(JOURNAL)
    await client.delete(JOURNAL, streams.snapshot(ACCOUNT))
    for at, had in entries:
        new = had | ({name.encode(): value for name, value in fields.items()} if at.decode() == id_ else {})
        await client.xadd(JOURNAL, new, id=at)


async def test_a_journal_is_exported_and_imported_byte_for_byte_and_the_state_is_the_same(
    here: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    broker = FakeBroker()
    digest = await bought(md_url, orders_url, broker)
    first, rest, whole = (str(here / name) for name in ("first.jsonl.gz", "rest.jsonl", "whole.jsonl"))
    journal, events = await orders_client.xrange(JOURNAL), await orders_client.xrange(EVENTS)
    middle, following = journal[3][0].decode(), journal[4][0].decode()
    assert (await exported(whole, "-", "+")).entries == len(journal)
    assert (await exported(first, "-", middle)).head_id == middle
    found = await exported(rest, following, "+")
    assert (found.head_id, found.head) == (journal[-1][0].decode(), journal[-1][1][b"hash"].decode())
    for file in (whole, first, rest):
        alone = await verified([Path(file)], "")
        # One that begins later is followed from where it begins, and that is said.
        assert (alone.is_good, bool(alone.checked_from)) == (True, file == rest)
    assert (await verified([Path(first), Path(rest)], found.head)).wanted_at == found.head_id
    assert "goes on from another entry" in (await verified([Path(whole), Path(rest)], "")).wrong
    await orders_client.flushall()

    with pytest.raises(InvalidInput, match="has to come first; nothing was imported"):
        await restored([Path(rest)])
    restored_now = await restored([Path(first), Path(rest)])
    assert (restored_now.entries, restored_now.algorithms) == (len(journal), ["alpha"])
    assert await orders_client.xrange(JOURNAL) == journal
    again = str(here / "again.jsonl")
    await exported(again, "-", "+")
    assert contents(again) == contents(whole)
    # What the algorithm was told is there too: it would otherwise believe that it holds nothing.
    assert [fields for _, fields in await orders_client.xrange(EVENTS)] == [fields for _, fields in events]
    assert sorted(await orders_client.keys("*import*")) == []
    assert await folded(orders_url) == digest
    async with running(md_url, orders_url, broker) as oms:
        assert not [event for event in await oms.journal() if isinstance(event, JournalForked)]
        assert oms.book.position("AAPL", "alpha") == 10
    assert (await verified([], found.head)).wanted_at == found.head_id


async def test_an_import_needs_a_journal_that_is_what_was_written_and_an_account_that_has_none(
    here: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    await bought(md_url, orders_url, FakeBroker())
    file = here / "journal.jsonl"
    await exported(str(file), "-", "+")
    before = await orders_client.xrange(JOURNAL)
    with pytest.raises(InvalidInput, match="has a journal"):
        await restored([file])
    await orders_client.delete(JOURNAL)
    file.write_bytes(file.read_bytes().replace(b'\\"10\\"', b'\\"11\\"', 1))
    with pytest.raises(InvalidInput, match=r"is not what was written.*nothing was imported"):
        await restored([file])
    assert await orders_client.keys("*journal*") == []
    async with running(md_url, orders_url, FakeBroker()) as oms:
        await orders_client.delete(JOURNAL)
        file.write_bytes(b"".join(_lines(before)))
        with pytest.raises(InvalidInput, match="is held"):
            await restored([file])
        # Its journal was taken from it: it may have ended by itself meanwhile.
        oms.task.cancel()
        await asyncio.gather(oms.task, return_exceptions=True)


def _lines(entries: list[Any]) -> list[bytes]:
    return [line_of((id_, [part for item in fields.items() for part in item])) for id_, fields in entries]


async def test_a_damaged_entry_is_named_and_taken_as_it_is_only_with_a_reason(
    here: Path, md_url: str, orders_url: str, orders_client: Any, market_client: Any
) -> None:
    broker = FakeBroker()
    await bought(md_url, orders_url, broker)
    with pytest.raises(InvalidInput, match="every entry is what was written"):
        await begun("nothing is wrong")
    entries = await orders_client.xrange(JOURNAL)
    head = entries[-1][1][b"hash"].decode()
    at, fields = next(one for one in entries if one[1][b"type"] == b"OrderApproved")
    await changed(orders_client, at.decode(), data=fields[b"data"].replace(b'"99"', b'"98"'))
    found = await verified([], head)
    assert not found.is_good
    assert found.wrong.startswith(f"entry {at.decode()} ")
    assert f"NO ENTRY HAS THE HASH {head}" in found.told()
    async with starting(md_url, orders_url, broker) as oms:
        with pytest.raises(Exception, match=f"{at.decode()} is not what was written"):
            await oms.task
    anew = await begun("no copy; compared by hand")
    assert anew.wrong.startswith(f"entry {at.decode()} ")
    found = await verified([], "")
    assert found.is_good
    assert [one.entry_id for one in found.begun_anew] == [anew.entry_id]
    await market_client.delete(streams.journal_head(ACCOUNT))
    async with running(md_url, orders_url, broker) as oms:
        (event,) = (event for event in await oms.journal() if isinstance(event, ChainBegun))
        assert event.reason == "no copy; compared by hand"
    assert (await verified([], "")).is_good


async def test_the_commands_as_they_are_typed(
    here: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    await bought(md_url, orders_url, FakeBroker())
    within = environment(here, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url, BACKBONE_ACCOUNT=ACCOUNT)
    out = backbone("journal", "export", "-", within=within)
    assert len(out.stdout.splitlines()) == await orders_client.xlen(JOURNAL)
    ((last_id, last),) = await orders_client.xrevrange(JOURNAL, count=1)
    head = last[b"hash"].decode()
    good = backbone("journal", "verify", "--head", head, "--json", within=within)
    assert good.returncode == 0
    assert json.loads(good.stdout)["wanted_at"] == last_id.decode()
    await changed(orders_client, last_id.decode(), data=b"{}")
    bad = backbone("journal", "verify", within=within)
    assert bad.returncode == 1
    assert f"NOT WHAT WAS WRITTEN: entry {last_id.decode()}" in bad.stdout
    for arguments in (["verify", "--head", "xyz"], ["export", "f", "--from", "yesterday"]):
        refused = backbone("journal", *arguments, within=within)
        assert (refused.returncode, refused.stdout) == (2, "")
