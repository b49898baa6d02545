"""The archive of a journal: byte for byte the journal, whatever is cut where, killed or damaged."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from archived_journal import ACCOUNT, JOURNAL, ArchivedJournal
from backbone import backbone, environment
from heartbeat_of import heartbeat_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import streams
from bus.chain import Chain
from bus.errors import InvalidInput
from bus.heartbeat import OmsDetails, State
from bus.journal_lines import line_of
from bus.settings import BusSettings, load
from oms.journal import archive as archive_module
from oms.journal.archive import Archive
from oms.journal.archive_segments import segments_in_order
from oms.journal.archiving import archived
from oms.journal.digest import digest_of
from oms.journal.fold import folded
from oms.journal.trimmed import trimmed
from ops.account_server import server_of_account
from ops.doctor.archive_checks import archive_finding
from ops.drill.archive import run as killed
from ops.drill.long_journal import entries
from ops.journal.export import exported
from ops.journal.restore import restored
from ops.journal.verify import verified
from ops.journal.whole import whole_journal

VERIFIER = Path(__file__).parents[2] / "tools" / "verify_journal.py"


@pytest.fixture
async def journal(
    monkeypatch: pytest.MonkeyPatch, orders_url: str, orders_client: Any, tmp_path: Path
) -> ArchivedJournal:
    """A journal of 300 entries, which is archived, with a snapshot after its 250th."""
    monkeypatch.setenv("ORDERS_REDIS_URL", orders_url)
    monkeypatch.setenv("BACKBONE_ACCOUNT", ACCOUNT)
    made = ArchivedJournal(orders_client, orders_url, tmp_path / "archive", 300)
    await made.write(snapshot_at=250)
    await made.archived()
    return made


@pytest.mark.property
@settings(max_examples=15)
@given(st.sets(st.integers(1, 59)))
def test_segments_are_the_journal_byte_for_byte_wherever_it_is_cut(cuts: set[int]) -> None:
    whole = list(entries(60))
    with tempfile.TemporaryDirectory() as directory:
        archive, chain = Archive(Path(directory), ACCOUNT, whole[0][0].decode()), Chain()
        archive.directory.mkdir(parents=True)
        for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 60], strict=True):
            before = Chain(chain.head_id, chain.head)
            for entry in whole[begin:end]:
                chain.take(*entry)
            archive.write(before, whole[begin:end])
        assert list(archive.entries(Chain())) == whole
        assert archive.end().head == chain.head
        text = b""
        for segment in archive.segments():
            lines = gzip.decompress((archive.directory / segment.name).read_bytes()).splitlines(keepends=True)
            text += b"".join(line for line in lines if not line.startswith(b'{"previous"'))
        assert text == b"".join(map(line_of, whole))


@pytest.mark.integration
async def test_whatever_was_trimmed_archive_and_stream_are_the_journal_byte_for_byte(
    journal: ArchivedJournal, tmp_path: Path
) -> None:
    file = tmp_path / "whole.jsonl"
    before = digest_of((await folded(journal.url, ACCOUNT)).state)
    for number in (0, 44, 101, 106, 249):
        trim = await journal.trim(number)
        assert trim.until_id == journal.entries[len(journal.entries) - trim.left - 1][0].decode()
        await exported(str(file), "-", "+", journal.root)
        assert file.read_bytes() == journal.text
        found = await verified([], journal.entries[2][1][-1].decode(), journal.root)
        assert (found.is_good, found.entries, found.wanted_at) == (True, 300, journal.entries[2][0].decode())
    assert len(await journal.left()) == 300 - 250
    alone = await verified([], "")
    assert (alone.is_good, alone.unchecked) == (True, 250)
    assert alone.checked_from == journal.entries[249][0].decode()
    assert "checked from entry" in alone.told()
    part = await exported(str(file), "-", "+")
    assert (part.entries, part.left_out) == (50, 250)
    assert "NOT THE WHOLE JOURNAL" in part.told()
    with pytest.raises(InvalidInput, match="in the archive alone"):
        await exported(str(file), journal.entries[3][0].decode(), "+")
    for first, last in ((3, 260), (248, 251), (260, 299)):
        names = [journal.entries[number][0].decode() for number in (first, last)]
        await exported(str(file), *names, journal.root)
        lines = file.read_bytes().splitlines(keepends=True)
        assert b"".join(lines[1:]) == b"".join(map(line_of, journal.entries[first : last + 1]))
        assert json.loads(lines[0])["previous"].encode() == journal.entries[first - 1][1][-1]
    await journal.client.delete(streams.snapshot(ACCOUNT))
    assert digest_of((await folded(journal.url, ACCOUNT, archive=journal.root)).state) == before
    until = journal.entries[121][0].decode()
    early = await folded(journal.url, ACCOUNT, until=until, archive=journal.root)
    assert (early.entries, early.chain.head_id) == (122, until)
    with pytest.raises(InvalidInput, match=r"set BACKBONE_JOURNAL_ARCHIVE to the directory in which paper/"):
        await folded(journal.url, ACCOUNT)


@pytest.mark.integration
async def test_a_journal_is_restored_from_its_archive_on_an_empty_server(journal: ArchivedJournal) -> None:
    await journal.trim(200)
    await journal.archived()
    digest = digest_of((await folded(journal.url, ACCOUNT)).state)
    await journal.client.flushall()
    # Somebody's leftover does not make of the whole journal a trimmed one.
    await journal.client.set(streams.trimmed(ACCOUNT), b'{"id":"1-0"}')
    found = await restored([journal.archive.directory])
    assert (found.entries, found.head_id) == (300, journal.entries[-1][0].decode())
    assert not found.halts_known
    assert await trimmed(journal.client, ACCOUNT) is None
    assert await journal.left() == [id_ for id_, _ in journal.entries]
    assert digest_of((await folded(journal.url, ACCOUNT)).state) == digest


@pytest.mark.integration
async def test_archiving_again_copies_what_is_new_and_nothing_else(journal: ArchivedJournal) -> None:
    names = [segment.name for segment in journal.archive.segments()]
    assert len(names) == 6
    again = await archived(journal.url, ACCOUNT, journal.root)
    assert (again.entries, again.segments, again.head_id) == (0, [], journal.entries[-1][0].decode())
    for id_, fields in list(entries(310))[300:]:
        await journal.client.execute_command("XADD", JOURNAL, id_, *fields)
    more = await archived(journal.url, ACCOUNT, journal.root)
    assert more.entries == 10
    assert [segment.name for segment in journal.archive.segments()] == [*names, *more.segments]
    with journal.archive.being_written(), pytest.raises(InvalidInput, match="another archives into it"):
        await archived(journal.url, ACCOUNT, journal.root)


@pytest.mark.integration
async def test_a_journal_that_lost_what_its_archive_has_is_not_archived_over_it(
    journal: ArchivedJournal,
) -> None:
    lost = [id_ for id_, _ in journal.entries[280:]]
    await journal.client.xdel(JOURNAL, *lost)
    with pytest.raises(InvalidInput, match="the archive is the only copy"):
        await archived(journal.url, ACCOUNT, journal.root)
    found = await verified([], "", journal.root)
    assert not found.is_good


def told_by_the_verifier(archive: Archive) -> str:
    """What it says of all segments, where it finds something wrong."""
    files = [archive.directory / segment.name for segment in archive.segments()]
    run = subprocess.run(
        [sys.executable, "-I", VERIFIER, *files], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    return run.stdout


def damaged(journal: ArchivedJournal, number: int, bit: int) -> str:
    """Flip a bit in the segment of this number; its name."""
    name = journal.archive.segments()[number].name
    path = journal.archive.directory / name
    content = bytearray(path.read_bytes())
    bit %= len(content) * 8
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return name


@pytest.mark.integration
async def test_a_flipped_bit_in_a_segment_is_named_by_file_and_entry(journal: ArchivedJournal) -> None:
    segment = journal.archive.segments()[2]
    path = journal.archive.directory / segment.name
    good = path.read_bytes()
    changed = gzip.decompress(good).replace(b'"AAPL\\"', b'"AAPM\\"')
    for content in (good[:200] + bytes([good[200] ^ 4]) + good[201:], gzip.compress(changed), good[:-9]):
        path.write_bytes(content)
        found = await verified([], "", journal.root)
        assert not found.is_good
        assert str(path) in found.wrong
        assert any(id_.decode() in found.wrong for id_, _ in journal.entries[98:151]), found.wrong
        assert str(path) in told_by_the_verifier(journal.archive)
        with pytest.raises(InvalidInput, match=path.name):
            await journal.trim(240)
    assert len(await journal.left()) == 300


def read_as_far_as_it_is_good(archive: Archive) -> tuple[list[Any], str]:
    """Its entries, and what is wrong with them, "" for nothing."""
    found = []
    try:
        found.extend(archive.entries(Chain()))
    except InvalidInput as error:
        return found, str(error)
    return found, ""


@pytest.mark.integration
async def test_every_flipped_bit_is_found_or_changes_nothing(journal: ArchivedJournal) -> None:
    """The header of a compressed file has bits that say nothing of what is in it: its time, the system."""
    archive = journal.archive
    path = archive.directory / archive.segments()[0].name
    good, whole = path.read_bytes(), list(archive.entries(Chain()))
    for bit in [*range(160), *range(160, len(good) * 8, 997), *range(len(good) * 8 - 64, len(good) * 8)]:
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        found, said = read_as_far_as_it_is_good(archive)
        assert path.name in said if said else found == whole, bit


@pytest.mark.integration
async def test_a_file_that_a_loss_of_power_left_empty_counts_nowhere(journal: ArchivedJournal) -> None:
    """As others found it (winston-daily-rotate-file#409): named, never taken for a day without entries."""
    first, *_, last = (journal.archive.directory / one.name for one in journal.archive.segments())
    last.write_bytes(b"")
    assert str(last) in (await verified([], "", journal.root)).wrong
    assert journal.archive.gaps() == [f"{last} cannot be read: it is empty"]
    with pytest.raises(InvalidInput, match="move that file out of the archive: it is archived again"):
        await journal.archived()
    last.unlink()
    await journal.archived()
    assert list(journal.archive.entries(Chain())) == journal.entries
    first.write_bytes(b"")
    with pytest.raises(InvalidInput, match=first.name):
        await journal.trim(240)
    assert len(await journal.left()) == 300


@pytest.mark.integration
async def test_a_file_that_is_read_back_otherwise_gets_no_name(
    journal: ArchivedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(path.name for path in journal.archive.directory.iterdir())
    for id_, fields in list(entries(310))[300:]:
        await journal.client.execute_command("XADD", JOURNAL, id_, *fields)
    broken = 0

    def on_a_broken_disk(entry: Any) -> bytes:
        nonlocal broken
        broken += 1
        return line_of(entry).replace(b"version", b"versioM") if broken == 5 else line_of(entry)

    monkeypatch.setattr(archive_module, "line_of", on_a_broken_disk)
    with pytest.raises(InvalidInput, match="is the disk sound"):
        await journal.archived()
    assert sorted(path.name for path in journal.archive.directory.iterdir()) == names


@pytest.mark.integration
async def test_who_reads_while_it_is_trimmed_is_told(journal: ArchivedJournal) -> None:
    async with server_of_account("test") as server:
        whole = await whole_journal(server, None)
        pages = whole.pages()
        assert await anext(pages)
        await journal.trim(240)
        with pytest.raises(InvalidInput, match="was trimmed while it was read: do it again"):
            [page async for page in pages]


@pytest.mark.integration
async def test_all_of_the_archive_is_durable_before_anything_is_taken_away(
    journal: ArchivedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what somebody copied there a moment ago; a server with appendfsync forgets at once."""
    synced: dict[Path, int] = {}

    def sync(path: Path) -> None:
        with redis.Redis.from_url(journal.url) as client:
            synced[path] = int(client.xlen(JOURNAL))

    monkeypatch.setattr(archive_module, "sync", sync)
    await journal.trim(240)
    files = {journal.archive.directory / one.name for one in journal.archive.segments()}
    assert files | {journal.archive.directory, journal.root} <= set(synced)
    assert set(synced.values()) == {300}


async def _without_snapshot(journal: ArchivedJournal) -> str:
    await journal.client.delete(streams.snapshot(ACCOUNT))
    return "nothing is trimmed without a verified snapshot: there is none"


async def _snapshot_of_other_code(journal: ArchivedJournal) -> str:
    await journal.client.hset(streams.snapshot(ACCOUNT), "code", "0" * 32)
    return "other code wrote it"


async def _damaged_snapshot(journal: ArchivedJournal) -> str:
    kept = await journal.client.hgetall(streams.snapshot(ACCOUNT))
    name, piece = next((name, value) for name, value in kept.items() if b"TSLA" in value)
    await journal.client.hset(streams.snapshot(ACCOUNT), name, piece.replace(b"TSLA", b"TSLB"))
    return "another digest than it says"


async def _damaged_archive(journal: ArchivedJournal) -> str:
    return damaged(journal, 1, 4_000)


async def _lost_segment(journal: ArchivedJournal) -> str:
    first, second, *_ = journal.archive.segments()
    (journal.archive.directory / first.name).unlink()
    return f"{second.name}: line 1, after entry 0-0, goes on from another entry"


async def _segment_twice(journal: ArchivedJournal) -> str:
    first, second, *_ = journal.archive.segments()
    (journal.archive.directory / f"{first.first_id}_{second.last_id}.jsonl.gz").write_bytes(b"")
    return "hold the same entries"


async def _archive_too_short(journal: ArchivedJournal) -> str:
    for segment in journal.archive.segments()[3:]:
        (journal.archive.directory / segment.name).unlink()
    return f"it does not hold {journal.entries[241][0].decode()}"


async def _damaged_journal(journal: ArchivedJournal) -> str:
    await journal.client.delete(JOURNAL)
    for number, (id_, fields) in enumerate(journal.entries):
        data = b"{}" if number == 20 else fields[5]
        await journal.client.execute_command("XADD", JOURNAL, id_, *fields[:5], data, *fields[6:])
    return f"entry {journal.entries[20][0].decode()} is not what was written"


async def _group_behind(journal: ArchivedJournal) -> str:
    await journal.client.xgroup_create(JOURNAL, "auditor", journal.entries[10][0])
    return "the group auditor has not read up to"


async def _group_with_pending(journal: ArchivedJournal) -> str:
    await journal.client.xgroup_create(JOURNAL, "auditor", "0")
    await journal.client.xreadgroup("auditor", "one", {JOURNAL: ">"})
    return "the group auditor has not read up to"


async def _oms_behind(journal: ArchivedJournal) -> str:
    details = OmsDetails(ready=False, leads=False, digest_at=journal.entries[20][0].decode())
    beat = heartbeat_of("oms", State.WAITING, details)
    await journal.client.set(streams.alive(ACCOUNT, "oms", "1f3a"), msgspec.json.encode(beat))
    return r"oms \(1f3a\) is still reading the journal"


@pytest.mark.integration
@pytest.mark.parametrize(
    "stand_against",
    [
        _without_snapshot, _snapshot_of_other_code, _damaged_snapshot, _damaged_archive, _lost_segment,
        _segment_twice, _archive_too_short, _damaged_journal, _group_behind, _group_with_pending, _oms_behind,
    ],
)  # fmt: skip
async def test_nothing_is_trimmed_while_anything_stands_against_it(
    journal: ArchivedJournal, stand_against: Any
) -> None:
    sentence = await stand_against(journal)
    with pytest.raises(Exception, match=sentence):
        await journal.trim(240)
    assert len(await journal.left()) == 300
    assert await trimmed(journal.client, ACCOUNT) is None


@pytest.mark.integration
async def test_what_is_younger_or_behind_the_snapshot_stays(journal: ArchivedJournal) -> None:
    first = await journal.trim(0)
    assert (first.entries, first.why) == (6, "")
    assert (await journal.trim(0)).why == "no entry is older than 1 days"
    until = await journal.trim(299)
    assert until.until_id == journal.entries[249][0].decode()
    assert (await journal.left())[0] == journal.entries[250][0]
    assert (await journal.trim(299)).why.startswith("all entries are behind the snapshot")


@pytest.mark.integration
async def test_without_the_note_of_its_beginning_a_trimmed_journal_is_not_taken_for_a_whole_one(
    journal: ArchivedJournal,
) -> None:
    await journal.trim(100)
    await journal.client.delete(streams.trimmed(ACCOUNT), streams.snapshot(ACCOUNT))
    assert not (await verified([], "")).is_good
    with pytest.raises(Exception, match="is not what was written"):
        await folded(journal.url, ACCOUNT)


@pytest.mark.integration
def test_killed_at_any_line_nothing_is_lost() -> None:
    found = killed(20, 7, lambda sentence: None)
    assert (found.archiving, found.trimming, found.differences) == (10, 10, [])


def test_names_that_are_none_of_a_segment_are_passed_by() -> None:
    names = ["2-0_3-1.jsonl.gz", "1-0_1-12.jsonl.gz", "unfinished-4-0_5-0.jsonl.gz", ".lock", "a_b.jsonl.gz"]
    assert [one.name for one in segments_in_order(names)] == ["1-0_1-12.jsonl.gz", "2-0_3-1.jsonl.gz"]
    # Within one millisecond, as after a clock that was set back, names sort otherwise than entries do.
    names = ["5-10_5-19.jsonl.gz", "5-9_5-9.jsonl.gz"]
    assert [one.first_id for one in segments_in_order(names)] == ["5-9", "5-10"]


@pytest.mark.integration
async def test_the_commands_as_they_are_typed(journal: ArchivedJournal, home: Path, md_url: str) -> None:
    servers = {"MD_REDIS_URL": md_url, "ORDERS_REDIS_URL": journal.url, "BACKBONE_ACCOUNT": ACCOUNT}
    within = environment(home, **servers, BACKBONE_JOURNAL_ARCHIVE=str(journal.root))
    again = backbone("journal", "archive", within=within)
    assert (again.returncode, again.stdout.partition(";")[0]) == (0, "nothing new"), again
    trim = backbone("journal", "trim", "--json", within=within)
    assert json.loads(trim.stdout)["entries"] == 250, trim
    await journal.client.hset(streams.snapshot(ACCOUNT), "odd", "field")
    refused = backbone("journal", "trim", "--keep-days", "1", within=within)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing is trimmed without a verified snapshot" in refused.stderr
    verify = backbone("journal", "verify", within=within)
    assert "300 entries" in verify.stdout
    missing = backbone("journal", "trim", within=environment(home, **servers))
    assert (missing.returncode, "--archive is missing" in missing.stderr) == (2, True)


@pytest.mark.integration
async def test_the_doctor_names_what_is_missing_in_the_archive(journal: ArchivedJournal) -> None:
    async def found(**changes: Any) -> Any:
        kept = load(BusSettings, journal_archive=journal.root, journal_keep_days=36_500, **changes)
        return await archive_finding(journal.client, ACCOUNT, kept)

    segments = journal.archive.segments()
    paths = [journal.archive.directory / one.name for one in segments]
    assert journal.archive.gaps() == []
    await journal.trim(200)
    assert "300 entries of" not in (await found()).sentence
    assert (await found()).sentence.startswith("it ends ")
    content = paths[2].read_bytes()
    paths[2].unlink()
    assert f"a file is missing between {paths[1]} and {paths[3]}" in (await found()).sentence
    paths[2].write_bytes(content[:-20])
    assert f"{paths[2]} cannot be read" in (await found()).sentence
    paths[2].write_bytes(content)
    first = paths[0].read_bytes()
    paths[0].unlink()
    assert f"the files before {paths[1]} are missing" in (await found()).sentence
    paths[0].write_bytes(first)
    for path in paths[3:]:
        path.unlink()
    assert f"it ends with {segments[2].last_id}" in (await found()).sentence
    journal.archive.directory.chmod(0o500)
    try:
        said = (await found()).sentence
        assert os.getuid() == 0 or "cannot be written" in said
    finally:
        journal.archive.directory.chmod(0o700)
    (journal.root / "file").write_text("")
    journal.root /= "file"
    assert "is no directory" in (await found()).sentence
