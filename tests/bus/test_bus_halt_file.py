"""The halt file: people can read it, and what cannot be read is never taken for nothing."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import halt_file
from bus.control_messages import Halt, ReduceOnly, Resume
from bus.errors import Unreadable
from bus.rfc3339 import time_ns, written

AT_NS = 1_796_000_000_123_456_789


def halt(
    scope: str = "all", at_ns: int = AT_NS, mode: type[Halt] | type[ReduceOnly] = Halt
) -> Halt | ReduceOnly:
    return mode(scope=scope, reason="a test", by="mia@desk", at_ns=at_ns)


def resume(scope: str = "all", at_ns: int = AT_NS) -> Resume:
    return Resume(scope=scope, reason="looked at", by="mia@desk", at_ns=at_ns)


def test_what_is_written_is_read_back_and_a_person_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "halts.json"
    halt_file.write_halt(path, halt("algorithm:alpha"))
    halt_file.write_halt(path, halt("symbol:GME", mode=ReduceOnly))
    assert halt_file.read(path) == {
        "algorithm:alpha": halt("algorithm:alpha"),
        "symbol:GME": halt("symbol:GME", mode=ReduceOnly),
    }
    text = path.read_text()
    for said in (
        "algorithm:alpha",
        '"halted"',
        '"reduce_only"',
        "a test",
        "mia@desk",
        "2026-11-30T",
        "resume",
    ):
        assert said in text, text


def test_what_only_a_named_person_lifts_stays_so_under_another_halt(tmp_path: Path) -> None:
    path = tmp_path / "halts.json"
    by_oms = Halt(scope="algorithm:alpha", reason="it ran away", by="oms", at_ns=AT_NS, latched=True)
    halt_file.write_halt(path, by_oms)
    assert halt_file.read(path) == {"algorithm:alpha": by_oms}
    assert '"needs_name": true' in path.read_text()
    halt_file.write_halt(path, halt("algorithm:alpha", mode=ReduceOnly))
    assert halt_file.read(path) == {"algorithm:alpha": by_oms}
    halt_file.write_halt(path, halt("algorithm:alpha"))
    for scope in ("all", "algorithm:beta"):
        halt_file.write_halt(path, halt(scope))
    found = halt_file.read(path)
    named = {scope for scope, mode in found.items() if isinstance(mode, Halt) and mode.latched}
    assert (named, found["algorithm:alpha"].by) == ({"algorithm:alpha"}, "mia@desk")
    # An earlier version knows no such field: it is written where it is needed alone.
    halt_file.lift(path, resume("algorithm:alpha"))
    assert "needs_name" not in path.read_text()


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_a_time_is_written_and_read_back_to_the_nanosecond(at_ns: int) -> None:
    assert time_ns(written(at_ns)) == at_ns


def test_a_pair_in_its_other_spelling_is_one_scope(tmp_path: Path) -> None:
    path = tmp_path / "halts.json"
    halt_file.write_halt(path, halt("symbol:BTCUSD"))
    halt_file.write_halt(path, halt("symbol:BTC/USD"))
    assert list(halt_file.read(path)) == ["symbol:BTC/USD"]
    assert list(halt_file.lift(path, resume("symbol:BTCUSD"))) == ["symbol:BTC/USD"]
    assert not path.exists()


@pytest.mark.parametrize(
    ("lifted", "at_ns", "left"),
    [
        ("all", AT_NS, []),
        ("symbol:GME", AT_NS, ["account:paper", "all"]),
        ("symbol:MSFT", AT_NS, ["account:paper", "all", "symbol:GME"]),
        # What was written after the resume was given was not meant by it.
        ("all", AT_NS - 1, ["account:paper", "all", "symbol:GME"]),
    ],
)
def test_a_resume_lifts_its_scope_or_everything(
    tmp_path: Path, lifted: str, at_ns: int, left: list[str]
) -> None:
    path = tmp_path / "halts.json"
    for scope in ("all", "account:paper", "symbol:GME"):
        halt_file.write_halt(path, halt(scope))
    halt_file.lift(path, resume(lifted, at_ns))
    assert sorted(halt_file.read(path)) == left


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"halts": [{"scope": "all"}]}',
        b'{"halt": []}',
        b'{"halts": [{"scope": "x", "mode": "halted", "reason": "", "by": "", "at": "2026-01-02T00:00Z"}]}',
        b'{"halts": [{"scope": "all", "mode": "no", "reason": "", "by": "", "at": "2026-01-02T00:00:00Z"}]}',
        b'{"halts": [{"scope": "all", "mode": "halted", "reason": "", "by": "", "at": "yesterday"}]}',
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_read_is_never_taken_for_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "halts.json"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=r"halts\.json"):
        halt_file.read(path)
    # A halt of less would make it less than everything, and so would a resume of less.
    for change in (
        lambda: halt_file.write_halt(path, halt("symbol:GME")),
        lambda: halt_file.lift(path, resume("symbol:GME")),
    ):
        with pytest.raises(Unreadable):
            change()
        assert path.read_bytes() == content
    halt_file.lift(path, resume())
    assert not path.exists()


def test_a_directory_in_its_place_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "halts.json"
    path.mkdir()
    with pytest.raises(Unreadable):
        halt_file.read(path)


def test_two_who_halt_at_once_both_hold(tmp_path: Path) -> None:
    path = tmp_path / "halts.json"
    scopes = [f"symbol:S{letter}" for letter in "ABCDEFGHIJKLMNOP"]
    threads = [threading.Thread(target=halt_file.write_halt, args=(path, halt(scope))) for scope in scopes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(halt_file.read(path)) == scopes
    assert sorted(os.listdir(tmp_path)) == ["halts.json", "halts.json.lock"]


def test_without_a_file_or_its_directory_nothing_is_halted(tmp_path: Path) -> None:
    assert halt_file.read(tmp_path / "none" / "halts.json") == {}
    assert halt_file.lift(tmp_path / "none" / "halts.json", resume()) == {}
