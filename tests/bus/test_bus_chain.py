"""The chain of hashes: what it covers, and that nothing can be changed unseen."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.chain import NO_HASH, Chain, entry_hash, message_hash

Entry = tuple[bytes, list[bytes]]


def message(number: int, data: bytes, kind: bytes = b"Registered") -> Entry:
    """An entry with a message, as yet without a hash."""
    return f"1700000000000-{number}".encode(), [b"type", kind, b"version", b"1", b"data", data]


def chained(entries: list[Entry], previous: bytes = NO_HASH) -> list[Entry]:
    """The same entries, with hashes."""
    done = []
    for id_, fields in entries:
        previous = entry_hash(previous, id_, fields)
        done.append((id_, [*fields, b"hash", previous]))
    return done


def followed(entries: list[Entry]) -> Chain:
    """A chain that has taken these entries."""
    chain = Chain()
    for id_, fields in entries:
        chain.take(id_, fields)
    return chain


def test_a_hash_is_what_the_description_says() -> None:
    text = b"0" * 64 + b"3:1-0,4:type,1:A,7:version,1:1,4:data,2:{},"
    assert message_hash(NO_HASH, b"1-0", b"A", b"1", b"{}") == sha256(text).hexdigest().encode()
    assert entry_hash(NO_HASH, b"1-0", [b"type", b"A", b"version", b"1", b"data", b"{}"]) == message_hash(
        NO_HASH, b"1-0", b"A", b"1", b"{}"
    )


def test_a_journal_is_followed_to_its_end() -> None:
    entries = chained([message(number, b"{}") for number in range(4)])
    chain = followed(entries)
    assert (chain.wrong_id, chain.head, chain.head_id) == ("", entries[-1][1][-1], "1700000000000-3")
    assert chain.written == chain.head


@pytest.mark.property
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=5), st.data())
def test_any_flipped_bit_is_named(contents: list[bytes], data: st.DataObject) -> None:
    """Whatever bit of an id or of a field is another: its entry is named, or the one after it."""
    entries = chained([message(number, content) for number, content in enumerate(contents)])
    at = data.draw(st.integers(0, len(entries) - 1))
    id_, fields = entries[at]
    parts = [id_, *fields]
    which = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]))
    bit = data.draw(st.integers(0, len(parts[which]) * 8 - 1))
    flipped = bytearray(parts[which])
    flipped[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(flipped)
    entries[at] = parts[0], parts[1:]
    chain = followed(entries)
    # The first of a journal may be of an earlier release, if it has no hash: then none covers it yet.
    first_without_hash = at == 0 and len(entries) == 1 and chain.uncovered == 1
    following = entries[at + 1][0].decode() if at + 1 < len(entries) else ""
    assert chain.wrong_id in (parts[0].decode(errors="replace"), following)
    assert chain.wrong_id or first_without_hash


@pytest.mark.parametrize("change", ["taken out", "put in", "swapped", "without a hash"])
def test_what_was_done_to_a_journal_is_noticed(change: str) -> None:
    entries = chained([message(number, b"{}") for number in range(0, 10, 2)])
    match change:
        case "taken out":
            del entries[2]
            named = "1700000000000-6"
        case "put in":
            entries.insert(2, message(3, b"{}"))
            named = "1700000000000-3"
        case "swapped":
            (a, one), (b, other) = entries[1:3]
            entries[1:3] = [(a, other), (b, one)]
            named = "1700000000000-2"
        case _:
            entries[3] = entries[3][0], entries[3][1][:-2]
            named = "1700000000000-6"
    assert followed(entries).wrong_id == named


def test_what_was_not_covered_is_covered_once_a_chain_begins() -> None:
    old = [message(number, b"{}") for number in range(3)]
    begun = message(3, json.dumps({"after_id": "1700000000000-2"}).encode(), b"ChainBegun")
    journal = [*old, *chained([*old, begun])[3:]]
    chain = followed(journal)
    assert (chain.wrong_id, chain.uncovered) == ("", 0)
    assert chain.begun_anew == [("1700000000000-3", "3 without a hash")]
    journal[1] = message(1, b"[]")
    assert followed(journal).wrong_id == "1700000000000-3"
    assert followed(old).written == b""
    assert followed(old).uncovered == 3


def test_a_chain_that_was_begun_anew_says_what_was_wrong() -> None:
    entries = chained([message(number, b"{}") for number in range(3)])
    entries[1] = entries[1][0], [*entries[1][1][:5], b"[]", *entries[1][1][6:]]
    broken = followed(entries)
    assert broken.wrong_id == "1700000000000-1"
    begun = message(3, b"{}", b"ChainBegun")
    entries += chained([begun, message(4, b"{}")], broken.head)
    chain = followed(entries)
    assert chain.wrong_id == ""
    ((anew, wrong),) = chain.begun_anew
    assert anew == "1700000000000-3"
    assert wrong.startswith("1700000000000-1 ")
