"""When the OMS archives by itself: once for each trading day, and again an hour after it failed."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from archived_journal import ACCOUNT, ArchivedJournal
from fake_broker import FakeBroker
from oms_run import running
from waiting import until

from bus.clock import ManualClock
from oms.journal import archive_keeper
from oms.journal.archive_keeper import ArchiveKeeper
from oms.journal.archive_process import Kept, ToArchive, archive_and_trim

_HOUR_NS = 3600 * 1_000_000_000
# A Tuesday of 2024, 15:00 in New York.
_TUESDAY_NS = 1_704_225_600_000_000_000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the process is to say of each time that it is started, one after the other; "" for all is well."""
    errors: list[str] = []

    async def said(module: str, order: bytes) -> tuple[bytes, int]:
        return msgspec.json.encode(Kept(error=errors.pop(0))), 0

    monkeypatch.setattr(archive_keeper, "said_apart", said)
    return errors


async def left_after(keeper: ArchiveKeeper, asked: list[str], clock: ManualClock, hours: float) -> int:
    """What is left of what was to be said, once it has looked so many hours later, twice."""
    clock.advance(int(hours * _HOUR_NS))
    await keeper.look()
    await keeper.look()
    return len(asked)


async def test_it_is_done_once_a_trading_day_and_again_an_hour_after_it_failed(
    asked: list[str], tmp_path: Path
) -> None:
    clock = ManualClock(_TUESDAY_NS)
    keeper = ArchiveKeeper("redis://h", ACCOUNT, tmp_path, 30, "1-0", clock)
    asked += ["", "disk full", ""]
    assert await left_after(keeper, asked, clock, 0) == 2
    assert await left_after(keeper, asked, clock, 4) == 2
    # The next day begins at 20:00 of this one.
    assert await left_after(keeper, asked, clock, 2) == 1
    assert await left_after(keeper, asked, clock, 0.5) == 1
    assert await left_after(keeper, asked, clock, 0.5) == 0


@pytest.mark.integration
async def test_a_restart_does_not_archive_again_what_is_archived_of_this_day(
    asked: list[str], orders_url: str, orders_client: Any, tmp_path: Path
) -> None:
    journal = ArchivedJournal(orders_client, orders_url, tmp_path, 20)
    await journal.write(snapshot_at=19)
    await journal.archived()
    clock = ManualClock(int(journal.entries[-1][0].split(b"-")[0]) * 1_000_000)
    asked += [""]
    again = ArchiveKeeper(orders_url, ACCOUNT, tmp_path, 30, journal.first_id, clock)
    assert await left_after(again, asked, clock, 1) == 1
    assert await left_after(again, asked, clock, 48) == 0


@pytest.mark.integration
async def test_what_the_process_does_and_what_it_says_where_it_cannot(
    orders_url: str, orders_client: Any, tmp_path: Path
) -> None:
    journal = ArchivedJournal(orders_client, orders_url, tmp_path, 60)
    await journal.write(snapshot_at=50)
    done = await archive_and_trim(ToArchive(orders_url, ACCOUNT, str(tmp_path), 30))
    assert done.archived is not None
    assert done.trim is not None
    assert (done.error, done.archived.entries, done.trim.entries) == ("", 60, 50)
    (tmp_path / "file").write_text("")
    refused = await archive_and_trim(ToArchive(orders_url, ACCOUNT, str(tmp_path / "file"), 30))
    assert "cannot be written" in refused.error


@pytest.mark.integration
async def test_an_oms_with_a_directory_archives_as_it_starts(
    md_url: str, orders_url: str, tmp_path: Path
) -> None:
    async with running(md_url, orders_url, FakeBroker(), journal_archive=tmp_path):
        await until(lambda: any(tmp_path.glob(f"{ACCOUNT}/*/*.jsonl.gz")), "the archive's first file")
