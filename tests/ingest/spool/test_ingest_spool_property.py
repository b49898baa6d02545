"""The spool on disk: whatever is appended, torn, damaged and killed, what is read is what was appended."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest.spool import spool as spool_module
from ingest.spool import spool_records
from ingest.spool.spool import Spool, SpoolHeld, confirmed_until, segment_path
from ingest.spool.spool_records import Damaged

# Small, so that a few records fill one.
SEGMENT_BYTES = 200

# Bytes that look like the start of a record are in some of them.
BODIES = st.one_of(st.binary(max_size=60), st.just(spool_records.MARK * 3), st.just(b""))


class SpoolMachine(RuleBasedStateMachine):
    """A spool beside the list of what it holds. A kill is an end without a close: nothing is kept back."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="bb-"))
        self.made = 0
        # Not confirmed, in order; how many of them were read; those that were damaged since.
        self.held: list[bytes] = []
        self.read = 0
        self.damaged: set[bytes] = set()
        self.is_told = False

    @initialize()
    def begin(self) -> None:
        self.spool = Spool(self.directory, segment_bytes=SEGMENT_BYTES)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.directory)

    @rule(bodies=st.lists(BODIES, min_size=1, max_size=5))
    def append(self, bodies: list[bytes]) -> None:
        payloads = []
        for body in bodies:
            self.made += 1
            payloads.append(b"%06d:" % self.made + body)
        self.spool.append(payloads)
        self.held += payloads

    @rule(most_bytes=st.integers(1, 400))
    def take(self, most_bytes: int) -> None:
        found = self.spool.read(most_bytes)
        whole = [one for one in found if not isinstance(one, Damaged)]
        self.is_told = self.is_told or len(whole) < len(found)
        if not found:
            assert self.spool.is_read
        for payload in whole:
            while self.held[self.read] != payload:
                # Only what was damaged may be missing, and that is told.
                assert self.held[self.read] in self.damaged
                assert self.is_told
                self.read += 1
            self.read += 1
        if self.spool.is_read:
            assert set(self.held[self.read :]) <= self.damaged
            assert self.spool.unread == 0
            self.read = len(self.held)

    @rule()
    def confirm(self) -> None:
        self.spool.confirm()
        del self.held[: self.read]
        self.read = 0
        # A damaged segment that nobody has read yet is there still, and nothing in it is held.
        if not self.held and self.spool.is_read:
            assert list(self.directory.glob("*.spool")) == []
            assert self.spool.unconfirmed == 0

    @rule()
    def kill(self) -> None:
        """The process ends, and another one goes on."""
        self.spool.close()
        self.again()

    def again(self) -> None:
        left: list[bytes | Damaged] = []
        self.spool = Spool(self.directory, each=left.append, segment_bytes=SEGMENT_BYTES)
        self.read = 0
        whole = [one for one in left if not isinstance(one, Damaged)]
        if not self.damaged:
            assert whole == self.held
        assert self.spool.unread == self.spool.unconfirmed == len(whole)
        self.held = [one for one in self.held if one in whole or one in self.damaged]
        while self.spool.cut_bytes and self.held and self.held[-1] in self.damaged:
            self.held.pop()

    @precondition(lambda self: self.held and not self.damaged)
    @rule(cut=st.integers(1, 80))
    def tear(self, cut: int) -> None:
        """The process ends while it writes: the end of the last segment is missing, nothing confirmed is."""
        self.spool.close()
        last = max(self.directory.glob("*.spool"))
        before, confirmed = last.read_bytes(), confirmed_until(self.directory)
        least = confirmed.offset if segment_path(self.directory, confirmed.segment) == last else 0
        whole = before[: max(len(before) - cut, least)]
        last.write_bytes(whole)
        kept = [one for one in self.held if one not in before or one in whole]
        torn = len(kept) < len(self.held)
        self.held = kept
        self.again()
        assert torn <= (self.spool.cut_bytes > 0 or len(whole) == 0 or _ends_whole(whole))

    @precondition(lambda self: self.held and self.read < len(self.held))
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """A byte of what was not read changes on the disk."""
        victim = data.draw(st.sampled_from(self.held[self.read :]))
        for path in self.directory.glob("*.spool"):
            content = bytearray(path.read_bytes())
            start = content.find(victim)
            if start >= 0 and victim not in self.damaged:
                at = data.draw(st.integers(start - 12, start + len(victim) - 1))
                content[at] ^= data.draw(st.integers(1, 255))
                path.write_bytes(content)
                self.damaged.add(victim)

    @invariant()
    def counts_what_it_holds(self) -> None:
        if not self.damaged:
            assert self.spool.unconfirmed == len(self.held)
            assert self.spool.unread == len(self.held) - self.read
        files = sum(path.stat().st_size for path in self.directory.glob("*.spool"))
        assert self.spool.size_bytes == files


def _ends_whole(data: bytes) -> bool:
    return not any(isinstance(one, Damaged) for one in spool_records.read(data, is_whole=True).found)


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_segment_that_ends_before_what_was_confirmed_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A power cut took its end, or it is another one of this number: the server is asked what it has."""
    spool = Spool(tmp_path)
    spool.append([b"first", b"second", b"third"])
    whole, second = spool.size_bytes, len(spool_records.packed([b"first", b"second"]))
    assert spool.read(second) == [b"first", b"second"]
    spool.confirm()
    spool.close()
    assert confirmed_until(tmp_path).offset == second < whole
    (segment,) = tmp_path.glob("*.spool")
    os.truncate(segment, second - 1)
    left: list[bytes | Damaged] = []
    spool = Spool(tmp_path, each=left.append)
    spool.close()
    assert [one for one in left if not isinstance(one, Damaged)] == [b"first"]


def _work(directory: Path, note: Callable[[str, list[bytes]], None]) -> None:
    """Everything that a spool does, noting what is appended and what is confirmed."""
    spool = Spool(directory, segment_bytes=SEGMENT_BYTES)
    for number in range(4):
        payloads = [b"%d-%d" % (number, one) + b"x" * 50 for one in range(3)]
        note("appends", payloads)
        spool.append(payloads)
        note("appended", payloads)
        if number % 2:
            read = [one for one in spool.read(150) if isinstance(one, bytes)]
            note("confirms", read)
            spool.confirm()
            note("confirmed", read)
    note("ended", [])


class Killed(BaseException):
    """Nothing catches it: no line is run after it, but for the closing of files."""


def _killed_at(directory: Path, line: int) -> list[tuple[str, list[bytes]]]:
    """What was done until it was killed at the so many-th line of the spool's code."""
    reached, done = 0, list[tuple[str, list[bytes]]]()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal reached
        if frame.f_code.co_filename != spool_module.__file__:
            return None
        if event == "line":
            reached += 1
            if reached == line:
                raise Killed
        return trace

    tracing, files = sys.gettrace(), _open_files()
    sys.settrace(trace)
    try:
        _work(directory, lambda what, some: done.append((what, some)))
    except Killed:
        pass
    finally:
        sys.settrace(tracing)
        for file in _open_files() - files:
            os.close(file)
    return done


def _open_files() -> set[int]:
    found = set()
    for file in range(256):
        with contextlib.suppress(OSError):
            os.fstat(file)
            found.add(file)
    return found


def test_killed_at_any_line_nothing_is_lost_and_what_was_confirmed_stays_away(tmp_path: Path) -> None:
    line, what = 0, ""
    while what != "ended":
        line += 1
        directory = tmp_path / str(line)
        done = _killed_at(directory, line)
        spool = Spool(directory, segment_bytes=SEGMENT_BYTES)
        found: list[bytes | Damaged] = []
        while some := spool.read(1000):
            found += some
        spool.close()
        appended = [one for did, some in done if did == "appended" for one in some]
        confirmed = [one for did, some in done if did == "confirmed" for one in some]
        expected = appended[len(confirmed) :]
        what, last = done[-1] if done else ("", [])
        if what == "confirms":
            assert found in (expected, expected[len(last) :]), f"killed at line {line}"
        elif what == "appends":
            assert found == expected + last[: max(len(found) - len(expected), 0)], f"killed at line {line}"
        else:
            assert found == expected, f"killed at line {line}"
    assert line > 100


def test_a_directory_has_one_holder_and_its_files_are_private(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([b"one"])
    spool.read(1000)
    spool.append([b"two"])
    spool.confirm()
    with pytest.raises(SpoolHeld, match="another process holds"):
        Spool(tmp_path / "spool")
    spool.close()
    again = Spool(tmp_path / "spool")
    assert again.read(1000) == [b"two"]
    again.close()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()} == {0o600}
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_a_segment_that_ends_too_early_is_passed_and_the_next_one_read(tmp_path: Path) -> None:
    """A recorder that waited for its end started again and again with the same file (vector#17644)."""
    spool = Spool(tmp_path, segment_bytes=SEGMENT_BYTES)
    for number in range(8):
        spool.append([b"%d" % number * 50])
    spool.close()
    first = min(tmp_path.glob("*.spool"))
    first.write_bytes(first.read_bytes()[:-5])
    spool = Spool(tmp_path, segment_bytes=SEGMENT_BYTES)
    found: list[bytes | Damaged] = []
    while not spool.is_read:
        found += spool.read(1000)
    spool.confirm()
    spool.close()
    assert [one[:1] for one in found if isinstance(one, bytes)] == [b"0", b"1", b"2", b"4", b"5", b"6", b"7"]
    assert sum(isinstance(one, Damaged) for one in found) == 1
    assert list(tmp_path.glob("*.spool")) == [], "nothing of it is met again (fluent-bit#2472)"


def test_what_is_removed_while_it_waits_counts_no_longer_once_it_is_passed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=SEGMENT_BYTES)
    for number in range(8):
        spool.append([b"%d" % number * 50])
    min(tmp_path.glob("*.spool")).unlink()
    found: list[bytes | Damaged] = []
    while some := spool.read(1000):
        found += some
    assert isinstance(found[0], Damaged)
    assert (spool.unread, spool.unconfirmed) == (0, 8)
    spool.confirm()
    assert (spool.unconfirmed, spool.size_bytes) == (0, 0)
    spool.close()


def test_a_long_outage_leaves_few_files(tmp_path: Path) -> None:
    """One file for each record could not be worked off any more (fluent-bit#2566)."""
    spool = Spool(tmp_path, segment_bytes=10_000)
    for _ in range(1000):
        spool.append([b"x" * 88])
    assert len(list(tmp_path.glob("*.spool"))) == 10
    spool.close()
