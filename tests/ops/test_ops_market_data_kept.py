"""What the doctor and the status say of how much market data is kept."""

from typing import Any

import msgspec
import pytest

from bus.clock import ManualClock
from bus.heartbeat import RetentionDetails
from bus.settings import load
from ingest.retention.trimming import Trimmer
from ingest.settings import IngestSettings
from ops.backfill.into_streams import IntoStreams
from ops.doctor import retention_checks
from ops.doctor.retention_rules import RetentionFacts, kept
from ops.status.market_data_kept import market_data_kept, readers_behind

MB = 1024 * 1024
NOW_NS = 1_796_000_000_000_000_000
SAID = RetentionDetails(
    budget_bytes=800 * MB,
    used_bytes=300 * MB,
    hours=96,
    quotes_hours=96,
    laggards="cut",
    oldest_ns=NOW_NS - 7200 * 10**9,
    full_in_s=5400,
    trimmed=1234,
)


def finding(said: RetentionDetails | None = SAID, **changes: Any) -> tuple[str, str]:
    facts = RetentionFacts(
        maxmemory=1000 * MB,
        used_bytes=300 * MB,
        budget_bytes=800 * MB,
        said=said,
        ingest_runs=said is not None,
    )
    found = kept(msgspec.structs.replace(facts, **changes), NOW_NS)
    return found.level, found.sentence


def said(**changes: Any) -> RetentionDetails:
    return msgspec.structs.replace(SAID, **changes)


def test_what_is_kept_is_said_with_when_the_budget_is_full() -> None:
    level, sentence = finding()
    assert level == "ok"
    assert "300 MB of 800 MB, from 2026-11-29 22:53:20 UTC on (2 h), full in 90 min" in sentence
    assert "maxmemory is 1,000 MB" in sentence
    assert "the oldest goes" in market_data_kept(said(full_in_s=0.0), NOW_NS)
    assert "full" not in market_data_kept(said(full_in_s=None), NOW_NS)
    assert "3 streams removed" in market_data_kept(said(removed=3), NOW_NS)


@pytest.mark.parametrize(
    ("maxmemory", "level"), [(700, "problem"), (799, "problem"), (880, "warning"), (889, "ok"), (0, "ok")]
)
def test_a_budget_must_leave_the_server_room(maxmemory: int, level: str) -> None:
    assert finding(maxmemory=maxmemory * MB)[0] == level
    assert finding(None, maxmemory=maxmemory * MB)[0] == level


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({}, "ok", "no ingest runs"),
        ({"ingest_runs": True}, "ok", "no ingest says"),
        ({"used_bytes": 801 * MB}, "warning", "no ingest runs"),
        ({"budget_bytes": 0, "maxmemory": 0}, "warning", "BACKBONE_MD_BUDGET_MB"),
    ],
)
def test_without_an_ingest_that_trims_it_says_so(changes: dict[str, Any], level: str, word: str) -> None:
    found = finding(None, **changes)
    assert found[0] == level
    assert word in found[1]


def test_readers_that_are_behind_or_were_cut_are_named() -> None:
    behind = said(held={"paper:late": "md:AAPL:quotes from 09:30"}, lost={"paper:slow": 1200})
    level, sentence = finding(behind)
    assert level == "warning"
    assert "paper:late is behind: md:AAPL:quotes from 09:30" in sentence
    assert "paper:slow lost 1,200 entries unread" in sentence
    assert readers_behind(SAID) == []


class Server:
    """A market-data server whose memory is as it says: what it does not count for its limit is a third."""

    memory = {
        "used_memory": 90,
        "mem_not_counted_for_evict": 30,
        "maxmemory": 100,
        "total_system_memory": 1000,
    }

    async def info(self, section: str) -> dict[str, int]:
        assert section == "memory"
        return self.memory


async def test_memory_is_measured_by_all_as_the_server_compares_it_with_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backfill is let in, and the doctor finds, by what the trim goes by: of 90 bytes 60 count, of 80."""
    server: Any = Server()
    settings = load(IngestSettings)
    made = Trimmer(settings, server, ManualClock(0), may_trim=lambda: True)
    rule = await made._measure()
    assert (rule.budget_bytes, made._used_bytes) == (80, 60)
    await IntoStreams(server, "past", settings, print)._require_room()
    found: list[RetentionFacts] = []
    monkeypatch.setattr(retention_checks, "kept", lambda facts, now_ns: found.append(facts))
    await retention_checks.retention_finding(server, [], 0)
    assert [(facts.maxmemory, facts.used_bytes, facts.budget_bytes) for facts in found] == [(100, 60, 80)]
