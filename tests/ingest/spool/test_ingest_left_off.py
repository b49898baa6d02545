"""Until when streams are whole by what an earlier process left: never later than the truth."""

from collections.abc import Sequence

import msgpack
import pytest

from bus.market_batch import MarketBatch
from bus.streams import market_all
from ingest.buffered_item import Item, Resumed
from ingest.gaps import gap_entries
from ingest.spool.dropping import Dropping
from ingest.spool.left_off import LeftOff
from ingest.spool.market_records import MarketRecords, SpooledFeed
from ingest.spool.spool_records import Damaged

FEED = SpooledFeed("iex", frozenset(), set())
ALL = SpooledFeed("iex", frozenset({"trades"}), set())
TRADES, QUOTES, BARS = "md:AAPL:trades", "md:AAPL:quotes", "md:AAPL:bars"

DAMAGED = Damaged("damaged", b"", 1, False)


def frame(at: int, kind: str = "t", feed: SpooledFeed = FEED) -> Item:
    """A trade, quote or bar of Apple, received at this time."""
    message = {"T": kind, "S": "AAPL", "i": at, "p": 1.5, "t": msgpack.Timestamp(1_700_000_000, at)}
    return feed, at, msgpack.packb([message])


def opened(since: int, at: int, stream: str = TRADES) -> MarketBatch:
    return gap_entries.opened({stream: since}, feed="iex", at_ns=at, reason="a break")


def left(records: Sequence[Item | Damaged | bytes], used: float = 0) -> LeftOff:
    """What is known of a spool that holds these."""
    nothing = Dropping(lambda since_ns, reason: None, lambda streams: None, 60_000_000_000)
    writer, reader = (MarketRecords("iex", nothing, set) for _ in range(2))
    for one in records:
        is_item = not isinstance(one, bytes | Damaged)
        for record in writer.encoded([one], used) if is_item else [one]:  # type: ignore[list-item]
            reader.left(record)
    return reader.left_off


@pytest.mark.parametrize(
    ("records", "by_entries", "whole"),
    [
        ([frame(10), frame(20)], {TRADES: 3}, {TRADES: 20}),
        # Another's message says nothing of a stream that may not have been carried.
        ([frame(10), frame(30, "q")], {TRADES: 3, BARS: 2}, {TRADES: 10, QUOTES: 30, BARS: 2}),
        # The server has nothing of it yet.
        ([frame(10)], {}, {TRADES: 10}),
        ([frame(10)], {TRADES: 99}, {TRADES: 99}),
        ([], {TRADES: 3}, {TRADES: 3}),
        ([frame(10), opened(10, 20)], {TRADES: 3}, {TRADES: 10}),
        # Kept again before its gap is told to be filled.
        ([frame(10), opened(10, 20), frame(30)], {TRADES: 3}, {TRADES: 10}),
        ([frame(10), opened(10, 20), frame(30)], {TRADES: 30}, {TRADES: 10}),
        ([opened(10, 20), Resumed({TRADES: 10}, 35)], {TRADES: 10}, {TRADES: 35}),
        ([opened(10, 20), Resumed({TRADES: 10}, 35), frame(40)], {TRADES: 10}, {TRADES: 40}),
        # The server says by its last entry that a gap is open, and nothing was received since.
        ([frame(30, "q")], {TRADES: 5}, {TRADES: 5, QUOTES: 30}),
        ([frame(10), DAMAGED, frame(40)], {BARS: 50}, {TRADES: 10, BARS: 10}),
        ([frame(10), DAMAGED, frame(40)], {TRADES: 3, QUOTES: 5, BARS: 9}, {TRADES: 10, QUOTES: 5, BARS: 9}),
        ([frame(10), b"B\xff", frame(40), DAMAGED], {TRADES: 3}, {TRADES: 10}),
        ([DAMAGED, frame(40)], {TRADES: 3}, {TRADES: 40}),
        ([frame(10, feed=ALL)], {}, {TRADES: 10, market_all("trades", "AAPL"): 10}),
    ],
)
def test_a_stream_is_whole_until_its_own_last_message_an_open_gap_or_the_first_damage(
    records: list[Item | Damaged | bytes], by_entries: dict[str, int], whole: dict[str, int]
) -> None:
    streams = {TRADES, QUOTES, BARS, *whole}
    assert left(records).whole_until(streams, by_entries) == whole


def test_what_was_dropped_before_its_gap_was_told_is_not_whole() -> None:
    """The process died between the two."""
    found = left([frame(10), frame(10, "q")]).whole_until([TRADES, QUOTES], {})
    assert found == {TRADES: 10, QUOTES: 11}
    dropping = left([frame(20), frame(20, "q")], used=0.8)
    found = dropping.whole_until([TRADES, QUOTES], {TRADES: 10, QUOTES: 11})
    assert found == {TRADES: 20, QUOTES: 11}


def test_what_was_left_counts_once_since_it_is_written_then() -> None:
    found = left([frame(10), opened(10, 20), frame(30), DAMAGED])
    assert found.whole_until([TRADES], {TRADES: 3}) == {TRADES: 10}
    assert found.whole_until([TRADES], {TRADES: 500}) == {TRADES: 500}


def test_a_record_of_another_version_does_not_keep_a_spool_from_being_opened() -> None:
    found = left([frame(10), b"Znot known here"])
    assert found.whole_until([TRADES], {}) == {TRADES: 10}
