"""Whatever Alpaca may send: nothing is lost, nothing is early, nothing raises."""

import json
from collections import Counter

import msgpack
import pytest
from fuzzed_frames import check
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frames import CHANNELS, LEAD_MS, split

pytestmark = pytest.mark.property

BAR_NS = 60_000_000_000
times = st.one_of(
    st.integers(0, (1 << 34) - 1).map(lambda seconds: seconds * 1_000_000_000),
    st.integers(0, ((1 << 34) - 1) * 1_000_000_000),
    st.integers(1_600_000_000_000_000_000, 1_900_000_000_000_000_000),
)
numbers = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(max_size=8)
plain = st.one_of(numbers, texts, st.booleans(), st.none(), st.lists(texts, max_size=3))
symbols = st.from_regex(r"[A-Z]{1,5}(/[A-Z]{3})?", fullmatch=True)
own_names = st.sampled_from(
    ["i", "x", "p", "s", "c", "z", "tks", "bx", "bp", "as", "o", "h", "l", "v", "n", "vw"]
)
fields = st.dictionaries(st.one_of(own_names, texts), plain, max_size=8)


@st.composite
def message(draw):
    kind = draw(st.sampled_from([kind for kind in CHANNELS if kind != "n"]))
    at_ns = draw(times)
    extra = {name: value for name, value in draw(fields).items() if name not in ("T", "S", "t")}
    known = {"T": kind, "S": draw(symbols), "t": at_ns}
    items = list((known | extra).items())
    return dict([items[0], *draw(st.permutations(items[1:]))])


def packed(messages):
    return msgpack.packb([m | {"t": msgpack.Timestamp.from_unix_nano(m["t"])} for m in messages])


def with_list(sent):
    """The message as it is written: an option's one condition as a list, as all others have it."""
    has_one = sent["T"] in ("t", "q") and isinstance(sent.get("c"), str)
    return sent | {"c": [sent["c"]]} if has_one else sent


@settings(max_examples=150, deadline=None)
@given(st.lists(message(), min_size=1, max_size=6), times, st.sets(st.sampled_from(list(CHANNELS.values()))))
def test_every_field_of_every_message_arrives_in_order(messages, received_ns, stars):
    found = split(packed(messages), received_ns, stars, bar_ns=BAR_NS)
    assert not found.kept
    assert found.messages == len(messages)
    rows = zip(found.batch.streams, found.batch.values[::2], found.batch.values[1::2], strict=True)
    own = [row for row in rows if row[0].startswith("md:")]
    assert [json.loads(data) for _, _, data in own] == [with_list(sent) for sent in messages]
    for (stream, ms, _), sent in zip(own, messages, strict=True):
        assert stream == f"md:{sent['S']}:{CHANNELS[sent['T']]}"
        assert 0 <= ms <= received_ns // 1_000_000 + LEAD_MS
        if sent["T"] == "b":
            assert ms >= min((sent["t"] + BAR_NS) // 1_000_000, received_ns // 1_000_000 + LEAD_MS)
    in_all = sum(stream.startswith("md-all:") for stream in found.batch.streams)
    assert in_all == sum(CHANNELS[sent["T"]] in stars for sent in messages)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_never_raises(frame):
    found = split(frame, 1_700_000_000_000_000_000)
    assert len(found.batch.values) == 2 * len(found.batch.streams)


@settings(max_examples=150, deadline=None)
@given(st.lists(message(), min_size=1, max_size=4), st.data())
def test_a_damaged_frame_never_raises(messages, data):
    frame = bytearray(packed(messages))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    found = split(bytes(frame), 1_700_000_000_000_000_000)
    assert len(found.batch.values) == 2 * len(found.batch.streams)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_bad_message_of_any_type_takes_no_good_one_along(draw):
    check(draw, Counter())
