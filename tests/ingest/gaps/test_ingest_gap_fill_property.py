"""Whatever is lost, late, told twice or cut into pages: a stream has its tape once and in order."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.market_batch import BACKFILLED, MarketBatch
from ingest.gaps.gap_fill import (
    ENTRIES_AT_ONCE,
    LOOK_BACK_NS,
    SETTLED_NS,
    Hole,
    StreamFill,
    batches,
    identity,
)
from ingest.gaps.held_back import MOST_BYTES, HeldBack

STREAM, BAR_NS = "md:AAPL:trades", 60_000_000_000
START_NS = 1_700_000_000_000_000_000


def trade(number: int, at_ns: int) -> dict[str, Any]:
    return {"T": "t", "i": number, "S": "AAPL", "x": "V", "p": 1.5, "s": 1, "t": at_ns}


def hole(after_ns: int, until_ns: int, channel: str = "trades") -> Hole:
    stream = f"md:AAPL:{channel}"
    return Hole(
        stream=stream, symbol="AAPL", channel=channel, since_ns=after_ns, until_ns=until_ns, after_ns=after_ns
    )


@given(
    st.lists(st.integers(0, 400_000_000), min_size=3, max_size=60),
    st.data(),
)
def test_a_stream_has_its_tape_once_and_in_order(steps_ns: list[int], data: st.DataObject) -> None:
    at_ns, tape = START_NS, []
    for number, step_ns in enumerate(steps_ns):
        at_ns += step_ns
        tape.append(trade(number, at_ns))
    begins = data.draw(st.integers(0, len(tape) - 2), "subscribed from")
    breaks = data.draw(st.integers(begins + 1, len(tape) - 1), "broke at")
    resumes = data.draw(st.integers(breaks, len(tape)), "carried again from")
    reaches = data.draw(st.integers(resumes, len(tape)), "history, when asked first, reaches to")
    stream = tape[begins:breaks]
    until_ns = tape[resumes - 1]["t"]

    fill = StreamFill(hole(stream[-1]["t"], until_ns), stream, BAR_NS)
    live = tape[resumes:]
    for end in (reaches, len(tape)):
        past = [one for one in tape[:end] if one["t"] >= fill.asked_from_ns]
        while past:
            cut = data.draw(st.integers(1, len(past)), "a page")
            fill.take(past[:cut], until_ns)
            past = past[cut:]
    assert fill.is_complete(live[0] if live else None, until_ns + SETTLED_NS)
    fill.came_live(live)
    stream += [*fill.taken_out(), *live]
    assert [one["i"] for one in stream] == list(range(begins, len(tape)))


def test_history_is_whole_once_it_reaches_into_what_came_live_or_is_asked_late_enough() -> None:
    fill = StreamFill(hole(START_NS, START_NS + 10), [trade(1, START_NS)], BAR_NS)
    live = trade(3, START_NS + 20)
    fill.take([trade(1, START_NS), trade(2, START_NS + 5)], START_NS + 30)
    assert not fill.is_complete(live, START_NS + 30)
    assert not fill.is_complete(None, START_NS + 10 + SETTLED_NS - 1)
    assert fill.is_complete(None, START_NS + 10 + SETTLED_NS)
    fill.take([live], START_NS + 30)
    assert fill.is_complete(live, START_NS + 30)


def test_what_was_reported_late_is_found_and_what_was_before_the_first_is_not() -> None:
    first, last = trade(5, START_NS), trade(9, START_NS + LOOK_BACK_NS // 2)
    fill = StreamFill(hole(last["t"], last["t"] + 10), [first, last], BAR_NS)
    late = trade(7, START_NS + 1)
    fill.take([trade(4, START_NS - 1), first, late, last, trade(10, last["t"] + 1)], last["t"] + 20)
    assert [one["i"] for one in fill.taken_out()] == [7, 10]


@pytest.mark.parametrize(("now_ns", "found"), [(BAR_NS - 1, 0), (BAR_NS, 1)])
def test_a_bar_that_is_not_over_is_none(now_ns: int, found: int) -> None:
    bar = {"T": "b", "S": "AAPL", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "t": START_NS}
    fill = StreamFill(hole(START_NS - BAR_NS, START_NS, "bars"), [], BAR_NS)
    fill.take([bar], START_NS + now_ns)
    assert len(fill.taken_out()) == found


def test_quotes_are_the_same_where_their_whole_content_is() -> None:
    quote = {"T": "q", "S": "AAPL", "bp": 1.0, "ap": 2, "t": START_NS, "c": ["R"]}
    assert identity(quote) == identity(quote | {"bp": 1, "c": ["R"]})
    assert identity(quote) != identity(quote | {"ap": 2.01})
    assert identity(quote) != identity(quote | {"c": ["A"]})


def test_entries_of_history_say_so_and_are_known_at_their_time() -> None:
    bar = {"T": "b", "S": "AAPL", "c": 1, "t": START_NS}
    (batch,) = batches([(STREAM, trade(1, START_NS)), ("md:AAPL:bars", bar)], 7, "iex", BAR_NS)
    assert (batch.marker, batch.received_ns, batch.feed) == (BACKFILLED, 7, "iex")
    assert batch.values[::2] == [START_NS // 1_000_000, (START_NS + BAR_NS) // 1_000_000]
    assert orjson.loads(batch.values[1]) == trade(1, START_NS)  # type: ignore[arg-type]
    many = [(STREAM, trade(number, START_NS)) for number in range(ENTRIES_AT_ONCE + 1)]
    assert [len(one.streams) for one in batches(many, 7, "iex", BAR_NS)] == [ENTRIES_AT_ONCE, 1]


FRAMES = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), max_size=12)


@given(FRAMES, st.sets(st.sampled_from("abc"), min_size=1), st.data())
def test_what_is_held_back_comes_out_whole_and_in_order_and_nothing_else_waits(
    frames: list[list[str]], holding: set[str], data: st.DataObject
) -> None:
    held: HeldBack[str] = HeldBack("iex")
    held.begin(holding, "us")
    written: dict[str, list[int]] = {one: [] for one in "abc"}
    expected: dict[str, list[int]] = {one: [] for one in "abc"}

    def write(some: list[MarketBatch]) -> None:
        for batch in some:
            for stream, text in zip(batch.streams, batch.values[1::2], strict=True):
                written[stream].append(msgspec.json.decode(text)["n"])  # type: ignore[arg-type]

    number = 0
    for received_ns, streams in enumerate(frames):
        values: list[int | bytes] = []
        for stream in streams:
            values += (received_ns, b'{"n":%d}' % number)
            expected[stream].append(number)
            number += 1
        write(held.hold(MarketBatch(list(streams), values, received_ns, "iex")))
        for stream in "abc":
            if held.by(stream) is None:
                assert written[stream] == expected[stream]
        if data.draw(st.booleans(), "release one"):
            write(held.released([data.draw(st.sampled_from("abc"), "which")]))
    for stream in "abc":
        live = held.live([stream])[stream]
        assert [one["n"] for one in live] == expected[stream][len(written[stream]) :]
    write(held.released(list("abc")))
    assert written == expected
    assert not held


def test_a_slow_clock_does_not_make_the_newest_message_older() -> None:
    """Its entry is known no more than a second ahead of the clock; history is asked up to it all the same."""
    held: HeldBack[str] = HeldBack("iex")
    held.begin([STREAM], "us")
    at_ns = START_NS + 3_000_000_001
    for ms in (START_NS // 1_000_000 + 1000, at_ns // 1_000_000 + 5000):
        held.hold(MarketBatch([STREAM], [ms, orjson.dumps(trade(1, at_ns))], START_NS, "iex"))
        assert held.newest_ns == max(at_ns, (ms + 1) * 1_000_000)


def test_what_is_held_back_is_bounded() -> None:
    held: HeldBack[str] = HeldBack("iex")
    held.begin([STREAM], "us")
    batch = MarketBatch([STREAM], [1, b"x" * (MOST_BYTES // 2)], 1, "iex")
    assert [one.streams for one in held.hold(batch)] == [[]]
    assert [one.streams for one in held.hold(batch)] == [[]]
    released = held.hold(MarketBatch([STREAM], [1, b"x"], 2, "iex"))
    assert [one.received_ns for one in released] == [1, 1, 2, 2]
    assert not held
