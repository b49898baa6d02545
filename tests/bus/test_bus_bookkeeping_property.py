"""With its bookkeeping a member of a group misses no entry, whatever breaks, and remembers what is open."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bus.entry_position import entry_position
from bus.group_bookkeeping import GroupBookkeeping

pytestmark = pytest.mark.property

STREAMS = ("a", "b", "c")
COUNT = 2


@dataclass
class FakeStream:
    """A stream with one group, as a server keeps it; `group` is None where the group is gone."""

    entries: list[str] = field(default_factory=list)
    group: str | None = None
    pending: list[str] = field(default_factory=list)

    def after(self, entry_id: str, among: list[str]) -> list[str]:
        whole = entry_id if "-" in entry_id else f"{entry_id}-0"
        return [one for one in among if entry_position(one) > entry_position(whole)]

    def read(self, start: str | None) -> list[str]:
        if start is not None:
            return self.after(start, self.pending)[:COUNT]
        assert self.group is not None
        found = self.after(self.group, self.entries)[:COUNT]
        if found:
            self.group = found[-1]
            self.pending += found
        return found

    def acknowledge(self, ids: list[str]) -> None:
        self.pending = [one for one in self.pending if one not in ids]


class BookkeepingMachine(RuleBasedStateMachine):
    """Reads as GroupReader does, over a fake server that loses replies, connections and groups."""

    def __init__(self) -> None:
        super().__init__()
        self.server = {name: FakeStream() for name in STREAMS}
        self.book = GroupBookkeeping(STREAMS[:2])
        self.written: set[tuple[str, str]] = set()
        self.handled: set[tuple[str, str]] = set()
        self.delivered: set[tuple[str, str]] = set()
        # What is to come again though it was delivered, and what of it the read under way was to bring.
        self.to_come_again: set[tuple[str, str]] = set()
        self.being_read: set[tuple[str, str]] = set()
        self.positions: dict[str, tuple[int, int]] = {}
        self.number = 0
        self.reply: dict[str, list[str]] | None = None
        for name in STREAMS[:2]:
            self._join(name)
        self.book.connected()
        # As after a start: nothing is pending, and there is something to read.
        for name in STREAMS:
            self.write(name)
        self.read()

    def _join(self, name: str) -> None:
        stream = self.server[name]
        if name not in self.book.position:
            stream.group = stream.group or "0-0"
            self.book.joined(name, stream.group, stream.pending)
        elif stream.group is None:
            self.book.lost.add(name)
            last = stream.entries[-1] if stream.entries else "0-0"
            stream.group = self.book.restore_at(name, last)
            pending = None
            if outstanding := self.book.outstanding.get(name):
                stream.pending = pending = [one for one in outstanding if one in stream.entries]
            self.book.restored(name, pending)
            self._expect_again(name)

    def _expect_again(self, name: str) -> None:
        self.to_come_again |= {(name, one) for one in self.server[name].pending}

    def _reconnect(self) -> None:
        self.reply = None
        unconfirmed = [*self._ids(self.book.sent), *self._ids(self.book.marked)]
        self.book.broken()
        assert sorted(self._ids(self.book.marked)) == sorted(unconfirmed)
        for name in self.book.streams:
            self._join(name)
        self.book.connected()
        for name in self.book.streams:
            self._expect_again(name)

    @staticmethod
    def _ids(by_stream: dict[str, list[str]]) -> list[tuple[str, str]]:
        return [(name, one) for name, ids in by_stream.items() for one in ids]

    @rule(name=st.sampled_from(STREAMS))
    def write(self, name: str) -> None:
        self.number += 1
        entry_id = f"{self.number}-0"
        self.server[name].entries.append(entry_id)
        self.written.add((name, entry_id))

    @precondition(lambda self: self.reply is None)
    @rule(executed=st.booleans())
    def ask(self, executed: bool) -> None:
        """Acknowledgements and the next read leave in one write; both are carried out or the link breaks."""
        marked = {name: list(ids) for name, ids in self.book.marked.items()}
        start = self.book.begin_read()
        self.being_read = set(self.to_come_again)
        self.book.send_marked()
        if any(self.server[name].group is None for name in self.book.streams):
            # NOGROUP to the read; the acknowledgements before it were carried out.
            for name, ids in marked.items():
                self.server[name].acknowledge(ids)
            self.book.acknowledged(self.book.take_sent())
            for name in self.book.streams:
                self._join(name)
            return
        if executed:
            for name, ids in marked.items():
                self.server[name].acknowledge(ids)
            names = list(start) or self.book.streams
            self.reply = {name: self.server[name].read(start.get(name) if start else None) for name in names}
        else:
            self._reconnect()

    @precondition(lambda self: self.reply is not None)
    @rule()
    def answer(self) -> None:
        assert self.reply is not None
        found = {name: ids for name, ids in self.reply.items() if ids}
        self.reply = None
        self.book.acknowledged(self.book.take_sent())
        self.book.delivered(found)
        self.delivered |= set(self._ids(found))
        self.to_come_again -= self.being_read & set(self._ids(found))

    @precondition(lambda self: self.reply is None)
    @rule()
    def read(self) -> None:
        """Ask and answer, without anything in between."""
        self.ask(executed=True)
        if self.reply is not None:
            self.answer()

    @precondition(lambda self: self.reply is None)
    @rule(data=st.data())
    def handle_and_read(self, data: st.DataObject) -> None:
        self.read()
        if self.delivered - self.handled:
            self.handle(data)

    @rule()
    def lose_connection(self) -> None:
        self._reconnect()

    @precondition(lambda self: self.delivered - self.handled)
    @rule(data=st.data())
    def handle(self, data: st.DataObject) -> None:
        name, one = data.draw(st.sampled_from(sorted(self.delivered - self.handled)))
        self.handled.add((name, one))
        self.book.mark(name, one)

    @rule(executed=st.booleans())
    def flush(self, executed: bool) -> None:
        marked = self.book.take_marked()
        if executed:
            for name, ids in marked.items():
                self.server[name].acknowledge(ids)
            self.book.acknowledged(marked)
        else:
            self.book.mark_again(marked)

    @rule(name=st.sampled_from(STREAMS))
    def add(self, name: str) -> None:
        if name not in self.book.streams:
            self._join(name)
        self.book.add(name)

    @precondition(lambda self: self.reply is None)
    @rule(name=st.sampled_from(STREAMS))
    def lose_group(self, name: str) -> None:
        """Somebody destroyed the group of a stream that we read; what is pending goes with it."""
        if name in self.book.streams:
            self.server[name].group = None
            self.server[name].pending = []

    @invariant()
    def what_is_pending_is_remembered(self) -> None:
        """While no answer is under way, nothing is pending that we do not know to be open."""
        if self.reply is None:
            for name in self.book.streams:
                known = self.book.outstanding.get(name, {})
                known_or_to_come = {*known, *(self._to_be_read(name))}
                assert set(self.server[name].pending) <= known_or_to_come

    @invariant()
    def positions_only_grow(self) -> None:
        """A group that is made again begins behind what it had delivered."""
        for name, entry_id in self.book.position.items():
            assert entry_position(entry_id) >= self.positions.get(name, (0, 0))
            self.positions[name] = entry_position(entry_id)

    def _to_be_read(self, name: str) -> list[str]:
        start = self.book.pending_from.get(name)
        return [] if start is None else self.server[name].after(start, self.server[name].pending)

    def teardown(self) -> None:
        """Left alone, it gets everything that is not acknowledged, and then nothing more."""
        if self.reply is not None:
            self.answer()
        self._read_all()
        assert not [one for one in self.to_come_again if one[1] in self.server[one[0]].pending]
        for name in STREAMS:
            self.add(name)
        self.delivered = set(self.handled)
        self._reconnect()
        self._read_all()
        assert self.written - self.delivered == set()
        # What was handled came again where its acknowledgement, or its group, was lost.
        for name, one in sorted(self.delivered):
            self.book.mark(name, one)
        self.read()
        assert all(not stream.pending for stream in self.server.values())
        assert all(not ids for ids in self.book.outstanding.values())

    def _read_all(self) -> None:
        for _ in range(4 * self.number + 20):
            self.read()


BookkeepingMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
test_nothing_is_missed_and_what_is_open_is_known = BookkeepingMachine.TestCase


def test_a_stream_that_changes_during_a_read_is_read_from_where_it_now_stands() -> None:
    book = GroupBookkeeping(["a"])
    book.joined("a", "5-0", ["3-0", "5-0"])
    book.connected()
    assert book.begin_read() == {"a": "0"}
    book.delivered({"a": ["3-0"]})
    assert book.begin_read() == {"a": "3-0"}
    book.connected()
    book.delivered({"a": ["5-0"]})
    assert book.begin_read() == {"a": "0"}
