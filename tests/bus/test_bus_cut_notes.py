"""Notes of what was cut: each told once, in its place, and taken away once it was handled."""

from bus.cut_notes import CutNotes
from bus.delivery import Cut, cut_of

A, B = "md:A:trades", "md:B:trades"


def reply(**notes):
    """As the server answers; `A_7` stands for what was cut from stream A from 7-0 on."""
    names = {"A": A, "B": B}
    pairs = [(f"{names[name[0]]} {name[2:]}-0".encode(), value.encode()) for name, value in notes.items()]
    return [item for pair in pairs for item in pair]


def test_a_note_is_told_once_to_who_reads_its_stream_and_again_where_it_has_grown():
    notes = CutNotes("algo:paper:x")
    (delivery,) = notes.understood(reply(A_7="12-0 5", B_3="9-0 2"), [A], {})
    assert (delivery.stream, delivery.id, delivery.trimmed) == (A, "7-0", True)
    assert cut_of(delivery.fields) == Cut("7-0", "12-0", 5)
    assert notes.understood(reply(A_7="12-0 5", B_3="9-0 2"), [A], {}) == []
    (grown,) = notes.understood(reply(A_7="30-0 9"), [A], {})
    assert cut_of(grown.fields) == Cut("7-0", "30-0", 9)
    assert notes.count == 9
    assert cut_of({b"d": b"{}"}) is None


def test_what_was_handled_is_taken_away_with_each_read_until_it_is_gone():
    notes = CutNotes("algo:paper:x")
    asking, replies = notes.packed()
    assert (b"cuts:algo:paper:x" in asking, replies) == (True, 1)
    (delivery,) = notes.understood(reply(A_7="12-0 5"), [A], {})
    assert notes.handled(delivery)
    for _ in range(2):
        assert notes.packed()[1] == 2
        notes.understood(reply(A_7="12-0 5"), [A], {})
    notes.understood([], [A], {})
    assert notes.packed() == (asking, 1)
    # Another cut at the same place is another note.
    assert len(notes.understood(reply(A_7="12-0 5"), [A], {})) == 1


def test_a_note_that_grew_after_it_was_handled_is_told_again_and_not_taken_away():
    notes = CutNotes("algo:paper:x")
    (delivery,) = notes.understood(reply(A_7="12-0 5"), [A], {})
    notes.handled(delivery)
    assert len(notes.understood(reply(A_7="30-0 9"), [A], {})) == 1
    assert notes.packed()[1] == 1


def test_what_was_cut_behind_pending_entries_is_told_when_they_have_come():
    notes = CutNotes("algo:paper:x")
    assert notes.understood(reply(A_7="12-0 5"), [A, B], {A: "6-9"}) == []
    assert len(notes.understood(reply(A_7="12-0 5"), [A, B], {A: "13-0"})) == 1
    other = CutNotes("algo:paper:x")
    assert len(other.understood(reply(A_7="12-0 5"), [A, B], {B: "1-0"})) == 1
