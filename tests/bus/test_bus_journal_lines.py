"""A journal as lines and back, byte for byte, and the verifier that needs nothing of ours."""

import ast
import gzip
import importlib.util
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.chain import NO_HASH, Chain, Entry, entry_hash
from bus.errors import Unreadable
from bus.journal_lines import entries_of, line_before, line_of

VERIFIER = Path(__file__).parents[2] / "tools" / "verify_journal.py"


def _loaded() -> Any:
    spec = importlib.util.spec_from_file_location("verify_journal", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verify = _loaded().verify


def chained(contents: list[bytes], previous: bytes = NO_HASH) -> list[Entry]:
    """Entries with these data, one a second."""
    entries: list[Entry] = []
    for number, content in enumerate(contents, 1):
        id_ = f"{number}000-0".encode()
        fields = [b"type", b"Registered", b"version", b"1", b"data", content]
        previous = entry_hash(previous, id_, fields)
        entries.append((id_, [*fields, b"hash", previous]))
    return entries


# What JSON writes in more than one way, and what is no text at all.
AWKWARD = [b'{"a":"\\u00e9 / \\" \xc3\xa9"}', b"\xff\xfe\x00\x80", b"", b"\x1f\x7f \xe2\x80\xa8", b"a\nb\tc"]


@pytest.mark.property
@given(st.lists(st.binary(max_size=20), max_size=5))
def test_lines_are_read_back_byte_for_byte(contents: list[bytes]) -> None:
    entries = chained(contents)
    lines = [line_of(entry) for entry in entries]
    assert list(entries_of(lines, Chain(), "file")) == entries
    assert verify(lines, "")[1]


@pytest.mark.property
@given(st.data())
def test_any_flipped_bit_of_any_line_is_named(data: st.DataObject) -> None:
    """By ours and by the independent verifier: the entry itself, or the one after it."""
    entries = chained(AWKWARD)
    text = b"".join(map(line_of, entries))
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    flipped = bytearray(text)
    flipped[bit // 8] ^= 1 << bit % 8
    at = text[: bit // 8].count(b"\n")
    good = ["0-0", *(id_.decode() for id_, _ in entries)]
    damaged = io.BytesIO(flipped).readlines()
    said, is_good = verify(damaged, "")
    assert not is_good
    # Named by its own id, or as what follows the last that is good.
    assert any(f"{name}," in said or f"{name} has" in said for name in good[max(0, at - 1) : at + 2]) or (
        "follows" in said
    )
    with pytest.raises(Unreadable) as raised:
        list(entries_of(damaged, Chain(), "file"))
    named = str(raised.value)
    assert any(name in named for name in good[at : at + 3]), (named, at)


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_one_line(bit: int) -> None:
    entries = chained(AWKWARD[:3])
    lines = [line_of(entry) for entry in entries]
    for at in range(len(lines[1])):
        line = bytearray(lines[1])
        line[at] ^= 1 << bit
        damaged = io.BytesIO(b"".join([lines[0], bytes(line), lines[2]])).readlines()
        said, is_good = verify(damaged, "")
        assert not is_good, (at, bytes(line))
        assert "1000-0" in said or "2000-0" in said or "3000-0" in said
        with pytest.raises(Unreadable):
            list(entries_of(damaged, Chain(), "file"))


def test_a_file_that_begins_later_goes_on_from_what_is_before_it() -> None:
    entries = chained([b"1", b"2", b"3"])
    first, rest = entries[:1], entries[1:]
    before = first[0][1][-1]
    file = [line_before(before), *map(line_of, rest)]
    assert verify(file, rest[-1][1][-1].decode())[1]
    chain = Chain()
    list(entries_of(map(line_of, first), chain, "one"))
    assert list(entries_of(file, chain, "two")) == rest
    with pytest.raises(Unreadable, match="goes on from another entry"):
        list(entries_of(file, Chain(), "two"))
    assert not verify([line_before(NO_HASH[:-1] + b"1"), *map(line_of, entries)], "")[1]
    assert not verify(file, "0" * 64)[1]


def test_the_verifier_is_small_and_needs_nothing_of_ours() -> None:
    text = VERIFIER.read_text()
    assert len(text.splitlines()) <= 100
    imported = {
        name.name.split(".")[0] if isinstance(node, ast.Import) else str(node.module).split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("damage", ["none", "flipped", "cut off"])
def test_the_verifier_as_it_is_run(tmp_path: Path, damage: str) -> None:
    entries = chained([b"1", b"2", b"3"])
    text = b"".join(map(line_of, entries))
    packed = gzip.compress(text.replace(b'"2"', b'"4"') if damage == "flipped" else text)
    file = tmp_path / "journal.jsonl.gz"
    file.write_bytes(packed[:-12] if damage == "cut off" else packed)
    run = subprocess.run([sys.executable, "-I", VERIFIER, file], capture_output=True, text=True, check=False)
    assert (run.returncode == 0) is (damage == "none"), run
    if damage == "flipped":
        assert "entry 2000-0, which follows 1000-0, is not what was written" in run.stdout
