"""One format for what could not be handled: written once, read whichever version wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.dead_letter import (
    NEVER_AN_ENTRY,
    DeadLetter,
    dead_letter_fields,
    fields_to_put_back,
    read_dead_letter,
)

ID = b"1700000000123-4"


def stored(fields: dict[str, bytes]) -> dict[bytes, bytes]:
    return {name.encode(): value for name, value in fields.items()}


def written(**given: Any) -> dict[bytes, bytes]:
    usual: dict[str, Any] = {
        "stream": "s",
        "entry_id": "5-0",
        "fields": {b"v": b"1"},
        "error": "odd",
        "by": "oms",
    }
    return stored(dead_letter_fields(**(usual | given)))


def test_a_letter_says_where_why_when_by_whom_and_what() -> None:
    fields = written(fields={b"v": b"\xff1", b"\xf0n": b"x"}, error=ValueError("no trade"))
    assert read_dead_letter(ID, fields) == DeadLetter(
        id="1700000000123-4",
        stream="s",
        entry_id="5-0",
        error="ValueError: no trade",
        payload={"v": "\\xff1", "\\xf0n": "x"},
        kept_ns=1_700_000_000_123_000_000,
        by="oms",
    )


@given(fields=st.dictionaries(st.binary(max_size=8), st.binary(max_size=20), min_size=1, max_size=5))
def test_what_is_put_back_is_what_there_was_byte_for_byte(fields: dict[bytes, bytes]) -> None:
    kept = written(fields=fields)
    assert read_dead_letter(ID, kept).why_not_put_back == ""
    assert fields_to_put_back(kept) == fields


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (written(fields={}), "trimmed"),
        (written(why_not_put_back=NEVER_AN_ENTRY), "never was an entry"),
        # As earlier versions wrote them.
        (
            {b"stream": b"feed:iex", b"id": b"5", b"error": b"not msgpack", b"payload": b'{"d":"x"}'},
            "never was",
        ),
        ({b"stream": b"s", b"id": b"5-0", b"error": b"trimmed", b"payload": b"{}"}, "trimmed"),
    ],
)
def test_what_cannot_be_put_back_says_why(fields: dict[bytes, bytes], reason: str) -> None:
    letter = read_dead_letter(ID, fields)
    assert reason in letter.why_not_put_back
    assert letter.stream in ("s", "feed:iex")


def test_a_letter_of_an_earlier_version_can_be_put_back_too() -> None:
    fields = {b"stream": b"s", b"id": b"5-0", b"error": b"odd", b"payload": b'{"v":"\\udcff"}'}
    letter = read_dead_letter(ID, fields)
    assert (letter.stream, letter.entry_id, letter.by, letter.why_not_put_back) == ("s", "5-0", "", "")
    assert fields_to_put_back(fields) == {b"v": b"\xff"}


def test_what_the_oms_formerly_kept_is_shown_and_says_where_to_look() -> None:
    event = {
        "stream": "orders:{paper}:requests:a",
        "entry_id": "5-0",
        "error": "no",
        "payload": "data={}",
        "at_ns": 1,
    }
    letter = read_dead_letter(
        ID, {b"type": b"FactKept", b"version": b"1", b"data": json.dumps(event).encode(), b"batch": b"1-1"}
    )
    assert (letter.stream, letter.entry_id, letter.error) == ("orders:{paper}:requests:a", "5-0", "no")
    assert letter.payload == {"text": "data={}"}
    assert "see orders:{paper}:requests:a 5-0" in letter.why_not_put_back


@given(
    fields=st.dictionaries(
        st.sampled_from([b"stream", b"id", b"error", b"payload", b"by", b"type", b"data", b"x"]),
        st.binary(max_size=12)
        | st.sampled_from([b"FactKept", b"{}", b"[]", b'{"a":1}', b'{"stream":1}', b"null"]),
    )
)
def test_no_entry_is_too_odd_to_be_shown(fields: dict[bytes, bytes]) -> None:
    letter = read_dead_letter(ID, fields)
    assert letter.id == "1700000000123-4"
    if not letter.why_not_put_back:
        assert fields_to_put_back(fields)
