"""Frames of Alpaca's stream become entries, whatever is in them."""

import json
import math

import msgpack
import pytest

from bus.streams import market_all
from ingest.frames import LEAD_MS, MOST_BYTES, MOST_SYMBOLS, SHOWN_BYTES, SHOWN_REASON, split

RECEIVED_NS = 1_700_000_100_000_000_000
RECEIVED_MS = RECEIVED_NS // 1_000_000
TRADE_NS = 1_700_000_099_123_456_789


def stamp(at_ns: int) -> msgpack.Timestamp:
    return msgpack.Timestamp.from_unix_nano(at_ns)


def trade(**changes):
    fields = {"T": "t", "S": "AAPL", "i": 7, "x": "V", "p": 126.55, "s": 10, "t": stamp(TRADE_NS), "c": ["@"]}
    return fields | changes


def entries(*messages, **options):
    found = split(msgpack.packb(list(messages)), RECEIVED_NS, **options)
    assert not found.kept
    values = found.batch.values
    return list(
        zip(found.batch.streams, values[::2], [json.loads(data) for data in values[1::2]], strict=True)
    )


def test_a_trade_goes_to_the_stream_of_its_symbol_at_its_own_time_to_the_nanosecond():
    [(stream, ms, data)] = entries(trade())
    assert stream == "md:AAPL:trades"
    assert ms == TRADE_NS // 1_000_000
    assert data == trade(t=TRADE_NS)


def test_a_frame_of_many_keeps_its_order():
    found = entries(*(trade(i=number, S=("AAPL", "BTC/USD")[number % 2]) for number in range(50)))
    assert [data["i"] for _, _, data in found] == list(range(50))
    assert [stream for stream, _, _ in found[:2]] == ["md:AAPL:trades", "md:BTC/USD:trades"]


def test_fields_that_nobody_knows_are_kept():
    [(_, _, data)] = entries(trade(new_field={"deep": [1, None]}))
    assert data["new_field"] == {"deep": [1, None]}


def test_whole_seconds_have_a_shorter_timestamp_and_the_same_meaning():
    [(_, ms, data)] = entries(trade(t=stamp(1_700_000_000_000_000_000)))
    assert (ms, data["t"]) == (1_700_000_000_000, 1_700_000_000_000_000_000)


def test_a_bar_is_known_at_its_end():
    bar = {"T": "b", "S": "SPY", "o": 1, "h": 2, "l": 1, "c": 2, "v": 9, "n": 3, "vw": 1.5}
    start_ns = 1_700_000_040_000_000_000
    [(stream, ms, data)] = entries(bar | {"t": stamp(start_ns)})
    assert (stream, ms, data["t"]) == ("md:SPY:bars", 1_700_000_100_000, start_ns)
    [(_, ms, _)] = entries(bar | {"t": stamp(start_ns)}, bar_ns=5_000_000_000)
    assert ms == 1_700_000_045_000


def test_a_message_from_the_future_is_believed_for_a_second():
    [(_, ms, _)] = entries(trade(t=stamp(RECEIVED_NS + 3_600_000_000_000)))
    assert ms == RECEIVED_MS + LEAD_MS


@pytest.mark.parametrize("wildcards", [(), ("trades",)])
def test_all_of_a_delayed_feed_is_known_when_it_arrives(wildcards):
    """Else a replay would show what was traded at noon as known at noon, and nobody could have known it."""
    noon_ns = RECEIVED_NS - 900_000_000_000
    bar = {
        "T": "b",
        "S": "SPY",
        "o": 1,
        "h": 2,
        "l": 1,
        "c": 2,
        "v": 9,
        "n": 3,
        "vw": 1.5,
        "t": stamp(noon_ns),
    }
    for messages in ([trade(t=stamp(noon_ns))] * 3, [trade(t=stamp(noon_ns)), bar]):
        found = entries(*messages, feed="delayed_sip", wildcards=wildcards)
        assert {(ms, data["t"]) for _, ms, data in found} == {(RECEIVED_MS, noon_ns)}
        assert {ms for _, ms, _ in entries(*messages[:1], feed="sip", wildcards=wildcards)} == {
            noon_ns // 1_000_000
        }


@pytest.mark.parametrize(
    ("kind", "channel"),
    [("u", "updatedBars"), ("d", "dailyBars"), ("c", "corrections"), ("x", "cancelErrors")],
)
def test_what_speaks_of_the_past_is_known_when_it_arrives(kind, channel):
    [(stream, ms, _)] = entries(trade(T=kind))
    assert (stream, ms) == (f"md:AAPL:{channel}", RECEIVED_MS)


@pytest.mark.parametrize(("kind", "channel"), [("s", "statuses"), ("l", "lulds"), ("o", "orderbooks")])
def test_other_channels_keep_their_time(kind, channel):
    [(stream, ms, _)] = entries(trade(T=kind))
    assert (stream, ms) == (f"md:AAPL:{channel}", TRADE_NS // 1_000_000)


def test_news_goes_to_each_of_its_symbols_and_both_times_are_nanoseconds():
    news = {"T": "n", "id": 1, "headline": "h", "symbols": ["AAPL", "MSFT"]}
    news |= {"created_at": stamp(TRADE_NS), "updated_at": stamp(TRADE_NS + 1)}
    found = entries(news)
    assert [stream for stream, _, _ in found] == ["md:AAPL:news", "md:MSFT:news"]
    assert found[0][2]["created_at"] == TRADE_NS
    assert found[0][2]["updated_at"] == TRADE_NS + 1


def test_channels_wanted_with_a_star_are_written_to_their_partition_too():
    found = entries(trade(), trade(T="q"), wildcards={"quotes"})
    assert [stream for stream, _, _ in found] == [
        "md:AAPL:trades",
        "md:AAPL:quotes",
        market_all("quotes", "AAPL"),
    ]
    assert found[1][1:] == found[2][1:]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (trade(T="p"), "unknown type 'p'"),
        ({"S": "AAPL"}, "unknown type None"),
        (7, "unknown type None"),
        ({"T": "t", "p": 1, "t": stamp(TRADE_NS)}, "without a symbol"),
        ({"T": "t", "S": "AAPL"}, "without a time"),
        (trade(S="A:B"), "cannot name a stream"),
        (trade(S=""), "cannot name a stream"),
        (trade(p=b"\xff"), "not JSON serializable"),
    ],
)
def test_what_cannot_become_an_entry_is_kept_and_stops_nothing(message, reason):
    found = split(msgpack.packb([trade(), message, trade(i=8)]), RECEIVED_NS)
    assert found.batch.streams == ["md:AAPL:trades"] * 2
    [kept] = found.kept
    assert reason in kept.reason
    assert kept.payload


@pytest.mark.parametrize(
    "frame", [b"", b"\xc1", b"\x91", b"\xa3abc", b"\x91\x81\xa1T", b"not msgpack at all"]
)
def test_garbage_is_kept_whole(frame):
    found = split(frame, RECEIVED_NS)
    assert found.batch.streams == []
    assert found.kept[0].payload == frame


GOOD = msgpack.packb(trade())
STAMP = msgpack.packb(stamp(TRADE_NS))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (GOOD.replace(b"AAPL", b"AA\xffL"), "not msgpack"),
        (GOOD.replace(b"\xa1i", b"\x05"), "Dict key must"),
        (GOOD.replace(b"\xa1i", b"\x90"), "unhashable"),
        (msgpack.packb(trade(p=math.nan)), "not a number"),
        (msgpack.packb(trade(p=-math.inf)), "not a number"),
        (msgpack.packb(trade(T="q", x=[{"p": math.nan}])), "not a number"),
        (msgpack.packb(trade(T="o", b=[{"p": math.nan, "s": 1}])), "not a number"),
        (msgpack.packb(trade(x="x" * MOST_BYTES)), "longest allowed"),
        (msgpack.packb({"T": "n", "symbols": ["A"] * (MOST_SYMBOLS + 1)}), "at most 1,000"),
        (GOOD.replace(STAMP, b"\xd5\xff\x00\x00"), "not msgpack"),
        (b"\x91" * 600 + b"\x01", "unknown type None"),
    ],
)
@pytest.mark.parametrize("wildcards", [(), {"trades"}])
def test_one_bad_message_costs_its_frame_no_other(bad, reason, wildcards):
    frame = b"\x93" + GOOD + bad + msgpack.packb(trade(i=8))
    found = split(frame, RECEIVED_NS, wildcards)
    own = [stream for stream in found.batch.streams if stream.startswith("md:")]
    assert own == ["md:AAPL:trades"] * 2
    [kept] = found.kept
    assert reason in kept.reason
    assert len(kept.reason) <= SHOWN_REASON
    assert 0 < len(kept.payload) <= SHOWN_BYTES
    assert b"null" not in kept.payload


def test_the_longest_message_allowed_is_an_entry():
    around = len(split(msgpack.packb([trade(T="s", x="")]), RECEIVED_NS).batch.values[1])
    longest = trade(T="s", x="x" * (MOST_BYTES - around))
    assert len(split(msgpack.packb([longest]), RECEIVED_NS).batch.values[1]) == MOST_BYTES
    assert not split(msgpack.packb([longest | {"x": longest["x"] + "x"}]), RECEIVED_NS).batch.streams


def test_what_stands_behind_the_messages_is_kept():
    found = split(msgpack.packb([trade()]) + b"\x07", RECEIVED_NS)
    assert found.batch.streams == ["md:AAPL:trades"]
    assert [kept.payload for kept in found.kept] == [b"\x07"]


def test_a_frame_that_breaks_off_keeps_what_came_before():
    found = split(msgpack.packb([trade(), trade(i=8)])[:-3], RECEIVED_NS)
    assert found.batch.streams == ["md:AAPL:trades"]
    assert "from its byte" in found.kept[0].reason


def test_a_timestamp_header_inside_a_text_is_no_timestamp():
    trap = "t\x00"
    frame = msgpack.packb([trade(x=trap)]).replace(b"t\x00", b"\xa1t")
    found = split(frame, RECEIVED_NS)
    assert len(found.batch.streams) + len(found.kept) == 1


def test_a_time_that_is_a_plain_number_already_is_left_alone():
    [(_, ms, data)] = entries(trade(t=TRADE_NS))
    assert (ms, data["t"]) == (TRADE_NS // 1_000_000, TRADE_NS)
