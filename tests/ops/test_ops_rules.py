"""What the doctor makes of facts."""

from typing import Any

import msgspec
import pytest
from heartbeat_of import heartbeat_of

from bus.account_messages import AccountPinned
from bus.heartbeat import State, StateReason, UnreadableHeartbeat
from oms.state.inputs import AccountRead
from ops.doctor import rules
from ops.doctor.archive_rules import ArchiveFacts, archive
from ops.status.model import HaltedScope

SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
HALTED = {"all": HaltedScope("halted", "lunch", "ann@desk", 1)}


@pytest.mark.parametrize(
    ("found", "level"), [("6.2.14", "problem"), ("7.0.0", "ok"), ("7.2.4", "ok"), ("10.1.0", "ok")]
)
def test_an_old_server_is_a_problem(found: str, level: str) -> None:
    assert rules.version("orders server", found).level == level


@pytest.mark.parametrize(
    ("role", "changes", "level"),
    [
        ("orders", {}, "ok"),
        ("orders", {"appendfsync": "everysec"}, "problem"),
        ("orders", {"appendonly": "no"}, "problem"),
        ("market", {"appendfsync": "everysec"}, "ok"),
        ("market", {"appendonly": "no"}, "warning"),
    ],
)
def test_orders_must_survive_and_market_data_should(role: str, changes: dict[str, str], level: str) -> None:
    assert rules.durability("x", role, SAFE | changes).level == level


def test_a_server_that_does_not_tell_is_a_warning() -> None:
    assert rules.durability("x", "orders", {}).level == "warning"
    assert rules.eviction("x", "orders", {}) is None


def test_evicting_orders_is_a_problem() -> None:
    finding = rules.eviction("x", "orders", SAFE | {"maxmemory-policy": "allkeys-lru"})
    assert finding is not None
    assert finding.level == "problem"
    assert "noeviction" in finding.sentence


@pytest.mark.parametrize(
    ("same", "meant", "level"), [(False, False, "ok"), (True, False, "problem"), (True, True, "warning")]
)
def test_one_server_for_both_must_be_meant(same: bool, meant: bool, level: str) -> None:
    assert rules.sharing(same, meant).level == level


@pytest.mark.parametrize(
    ("offset_ms", "level", "word"),
    [
        (3, "ok", "ahead"),
        (-300, "warning", "behind"),
        (5000, "problem", "ahead"),
        (-5000, "problem", "behind"),
    ],
)
def test_a_clock_that_is_off_is_named(offset_ms: float, level: str, word: str) -> None:
    finding = rules.clock("x", offset_ms)
    assert finding.level == level
    assert word in finding.sentence


def test_halts_are_named_with_reason_and_person() -> None:
    finding = rules.halts(True, HALTED, empty=False)
    assert finding.level == "warning"
    assert "all (lunch, by ann@desk)" in finding.sentence


@pytest.mark.parametrize(("empty", "level"), [(True, "ok"), (False, "problem")])
def test_a_missing_halt_state_is_a_problem_once_there_is_a_journal(empty: bool, level: str) -> None:
    assert rules.halts(False, {}, empty=empty).level == level


def test_a_limit_of_which_the_file_says_something_else_is_a_warning() -> None:
    finding = rules.limits((), "the limits in force", ("[account] order_value: the file says 4",))
    assert finding.level == "warning"
    assert "order_value: the file says 4; set them again" in finding.sentence


def test_names_in_the_limits_that_bind_nothing_are_a_warning() -> None:
    assert rules.limits((), "the limits in force").level == "ok"
    finding = rules.limits(
        ("[algorithm.x]: no algorithm of this name has registered",), "the limits in force"
    )
    assert finding.level == "warning"
    assert "[algorithm.x]" in finding.sentence


def test_a_lease_without_anybody_alive_is_a_warning() -> None:
    assert rules.leases({"l": "3:oms"}, []).level == "warning"
    assert rules.leases({"l": "3:oms"}, [heartbeat_of("oms")]).level == "ok"
    assert rules.leases({}, []).level == "ok"


def test_processes_that_do_not_work_are_named_with_their_reasons() -> None:
    assert rules.heartbeats([]).level == rules.heartbeats([heartbeat_of("oms")]).level == "ok"
    held = StateReason("lease_held", "another OMS holds the lease")
    idle = rules.heartbeats([heartbeat_of("oms", State.WAITING, reasons=(held,))])
    assert idle.level == "warning"
    assert idle.sentence == "oms (1f3a) is waiting: another OMS holds the lease"
    old = rules.heartbeats([UnreadableHeartbeat("ingest", "", "it is written by version 0.0.9")])
    assert old.level == "problem"
    assert "version 0.0.9" in old.sentence


def test_real_money_is_said() -> None:
    assert "real money" in rules.keys(present=True, trading="live").sentence
    assert rules.keys(present=False, trading="paper").level == "warning"


PINNED = AccountPinned(number="PA1", trading="paper", at_ns=1)


@pytest.mark.parametrize(
    ("pinned", "number", "level", "said"),
    [
        (PINNED, "PA1", "ok", "belongs to Alpaca's paper account PA1, as the keys do"),
        (PINNED, "PA2", "problem", "the keys are of the paper account PA2"),
        (PINNED, "", "ok", "belongs to Alpaca's paper account PA1"),
        (None, "PA1", "ok", "account paper has no journal that belongs to one of Alpaca's yet"),
    ],
)
def test_keys_of_another_account_are_a_problem(
    pinned: AccountPinned | None, number: str, level: str, said: str
) -> None:
    found = rules.account("paper", pinned, AccountRead(number, "paper"))
    assert (found.level, said in found.sentence) == (level, True)
    assert number or "the keys" not in found.sentence


YOUNG = ArchiveFacts(entries=1000, size_bytes=700_000, days=3, keep_days=30)
KEPT = msgspec.structs.replace(YOUNG, root="/a", files=4, archived_to="9-0")


@pytest.mark.parametrize(
    ("facts", "changes", "level", "says"),
    [
        (YOUNG, {}, "ok", "none; 1,000 entries of 3 days"),
        (YOUNG, {"days": 30}, "ok", "none"),
        (YOUNG, {"days": 31}, "warning", "set BACKBONE_JOURNAL_ARCHIVE"),
        (YOUNG, {"size_bytes": 256 * 1024 * 1024 + 1}, "warning", "grows for ever"),
        (YOUNG, {"trimmed": 7, "trimmed_to": "5-0"}, "problem", "does not say where that is"),
        (KEPT, {}, "ok", "4 files up to 9-0"),
        (KEPT, {"not_writable": "/a may not be written"}, "problem", "nothing is archived"),
        (KEPT, {"broken": ("a file is missing between x and y",)}, "problem", "missing between x and y"),
        (KEPT, {"files": 0}, "warning", "run `backbone journal archive`"),
        (KEPT, {"files": 0, "trimmed": 7, "trimmed_to": "5-0"}, "problem", "7 entries up to 5-0"),
        (KEPT, {"archived_days_ago": 5, "days": 35}, "ok", "4 files"),
        (KEPT, {"archived_days_ago": 6}, "warning", "it ends 6 days ago"),
        (KEPT, {"days": 36}, "warning", "`backbone journal trim` says why"),
    ],
)
def test_a_journal_without_an_archive_that_could_stand_for_it(
    facts: ArchiveFacts, changes: dict[str, Any], level: str, says: str
) -> None:
    found = archive(msgspec.structs.replace(facts, **changes))
    assert (found.level, says in found.sentence) == (level, True), found
