"""What is spooled of a market feed, what a full spool drops, and how readers are told."""

import asyncio
from pathlib import Path
from typing import Any

import msgpack
import pytest
from waiting import until

from bus.clock import SystemClock
from bus.market_batch import MarketBatch
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Missing, PassedOver, Resumed, Turn
from ingest.frames import Kept
from ingest.gaps import gap_entries
from ingest.spool import spooled_buffer
from ingest.spool.dropping import REASON, Dropping
from ingest.spool.market_records import MarketRecords, SpooledFeed
from ingest.spool.spool_records import Damaged
from ingest.spool.spooled_buffer import SpooledBuffer
from ingest.streams.alpaca_market import MarketFeed

FEED = SpooledFeed("iex", frozenset(), set())
TRADES, QUOTES, BARS = "md:AAPL:trades", "md:AAPL:quotes", "md:AAPL:bars"

Marks = list[tuple[str, Any]]


def _frame(*kinds: str) -> bytes:
    at = msgpack.Timestamp(1_700_000_000, 5)
    fields = {"t": {"i": 1, "p": 1.5, "s": 1}, "q": {"bp": 1.0, "ap": 2.0}, "b": {"c": 1.5}}
    return msgpack.packb([{"T": kind, "S": "AAPL", **fields[kind], "t": at} for kind in kinds])


def _dropping(marks: Marks) -> Dropping:
    def opened(since_ns: dict[str, int], reason: str) -> None:
        assert reason == REASON
        marks.append(("opened", since_ns))

    return Dropping(opened, lambda streams: marks.append(("closed", sorted(streams))), 60_000_000_000)


def _streams(items: Any) -> list[list[str] | str]:
    return [one.streams if isinstance(one, MarketBatch) else type(one).__name__ for one in items]


@pytest.mark.parametrize(
    ("used", "kept", "dropped"),
    [
        ([0.74], ["tuple"], {}),
        ([0.75], [[TRADES, BARS]], {"quotes": 1}),
        ([0.99], [[TRADES, BARS]], {"quotes": 1}),
        ([1.0], [], {"quotes": 1, "trades": 1, "bars": 1}),
        # What began to be dropped is kept again where there is more room than when that began.
        ([0.75, 0.5], [[TRADES, BARS]], {"quotes": 1}),
        ([0.75, 0.49], ["tuple"], {}),
        ([1.0, 0.875], [], {"quotes": 1, "trades": 1, "bars": 1}),
        ([1.0, 0.874], [[TRADES, BARS]], {"quotes": 1}),
    ],
)
def test_quotes_go_before_all_else_and_markers_never(
    used: list[float], kept: list[Any], dropped: dict[str, int]
) -> None:
    dropping = _dropping([])
    for one in used[:-1]:
        dropping.kept([], one)
    marker = gap_entries.opened({TRADES: 1}, feed="iex", at_ns=2, reason="a break")
    found = dropping.kept([(FEED, 7, _frame("t", "q", "b")), marker], used[-1])
    assert _streams(found) == [*kept, [TRADES]]
    assert dict(dropping.dropped) == dropped


def test_a_stream_is_told_once_since_what_was_kept_last_and_once_more_when_it_is_kept_again() -> None:
    marks: Marks = []
    dropping = _dropping(marks)
    dropping.tell(100, 0.1)
    list(dropping.kept([(FEED, 110, _frame("t", "q"))], 0.8))
    dropping.tell(110, 0.8)
    assert marks == [("opened", {QUOTES: 100})]
    list(dropping.kept([(FEED, 120, _frame("t", "q"))], 1.0))
    dropping.tell(110, 1.0)
    assert marks[1:] == [("opened", {TRADES: 110})]
    dropping.tell(110, 0.6)
    assert marks[2:] == [("closed", [TRADES])]
    dropping.tell(110, 0.1)
    assert marks[3:] == [("closed", [QUOTES])]


async def test_a_gap_of_what_was_dropped_is_not_closed_by_an_acknowledgement() -> None:
    buffer: Buffer[Item] = Buffer(1000)
    feed = MarketFeed("stocks", "iex", "ws://127.0.0.1:1", "k", "s", buffer, SystemClock(), answer_s=1)
    feed.want({"quotes": frozenset({"AAPL"})})
    feed.live = True
    feed.subscription.next_request(0)
    feed.hold_gap({QUOTES: 5}, REASON)
    opened = await buffer.take()
    assert isinstance(opened, MarketBatch)
    assert (opened.marker, opened.streams) == ("GapOpened", [QUOTES])
    feed.control({"T": "subscription", "quotes": ["AAPL"]})
    assert len(buffer) == 0
    feed.release_gap([QUOTES])
    resumed = await buffer.take()
    assert isinstance(resumed, Resumed)
    assert resumed.since_ns == {QUOTES: 5}


def test_all_that_waits_is_a_record_and_comes_back() -> None:
    dropping = _dropping([])
    records = MarketRecords("iex", dropping, set)
    marker = gap_entries.opened({TRADES: 1}, feed="iex", at_ns=20, reason="a break")
    turn = Turn(tuple, lambda: None)
    wide = SpooledFeed("iex", frozenset({"trades", "quotes"}), set())
    frames: list[Item] = [(FEED, 10, b"one"), (wide, 10, b"two")]
    others: list[Item] = [PassedOver("iex", 11, Kept("why", b"x")), Resumed({TRADES: 1}, 30), turn, None]
    found = records.decoded(records.encoded([*frames, marker, *others], 0))
    assert found[:2] == [(FEED, 10, b"one"), (wide, 11, b"two")], "no two have one stamp"
    assert isinstance(found[2], MarketBatch)
    assert (found[2].streams, found[2].values, found[2].marker) == (
        marker.streams,
        marker.values,
        "GapOpened",
    )
    assert found[3:] == others[:-1], "what only asks for something has no record"


def test_a_frame_names_its_feed_and_one_of_an_earlier_version_is_of_its_spools(tmp_path: Path) -> None:
    records = MarketRecords("sip", _dropping([]), set)
    (named,) = records.encoded([(FEED, 10, b"one")], 0)
    earlier = b"F" + (10).to_bytes(8) + (6).to_bytes(2) + b"quotes" + b"two"
    (first, *_), (second, *_) = records.decoded([named, earlier])  # type: ignore[misc]
    assert (first, second) == (FEED, SpooledFeed("sip", frozenset({"quotes"}), set()))


def test_what_is_damaged_or_of_another_version_is_kept_aside() -> None:
    records = MarketRecords("iex", _dropping([]), set)
    for record in (Damaged("its checksum does not hold", b"raw", 3, False), b"Zanother", b"B\xff"):
        found, missing = records.decoded([record])
        assert isinstance(found, PassedOver)
        assert missing == Missing(found.kept.reason)
        assert found.kept.payload == (record.payload if isinstance(record, Damaged) else record)
    assert records.damaged == 3


def test_what_damaged_records_held_is_missing_where_they_stood() -> None:
    records = MarketRecords("iex", _dropping([]), set)
    whole = records.encoded([(FEED, 10, b"one"), (FEED, 20, b"two")], 0)
    damaged = [Damaged(why, b"", 1, False) for why in ("first", "second", "third")]
    found = records.decoded([*damaged[:2], whole[0], damaged[2], whole[1]])
    kinds = [type(one).__name__ for one in found]
    assert kinds == ["PassedOver", "PassedOver", "Missing", "tuple", "PassedOver", "Missing", "tuple"]
    assert [one for one in found if isinstance(one, Missing)] == [Missing("first"), Missing("third")]


def test_a_turn_of_an_earlier_process_is_nobodys() -> None:
    turn = MarketRecords("iex", _dropping([]), set).encoded([Turn(tuple, lambda: None)], 0)
    assert MarketRecords("iex", _dropping([]), set).decoded(turn) == [None]


async def test_a_full_spool_keeps_what_it_has_and_tells_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_buffer, "LOOK_S", 0.005)
    marks: Marks = []
    records = MarketRecords("iex", _dropping(marks), set)

    async def all_of(items: Any) -> list[Item]:
        return list(items)

    buffer: SpooledBuffer[Item] = SpooledBuffer(
        1_000_000,
        tmp_path,
        records,
        list,
        all_of,
        most_bytes=20_000,
        after_s=0.01,
        asking=(None,),
    )
    await buffer.open()
    spilling = asyncio.create_task(buffer.run())
    frame, added = _frame("t", "q"), 0
    while ("opened", TRADES) not in [(what, next(iter(some))) for what, some in marks]:
        added += 1
        buffer.add((FEED, added, frame), len(frame))
        await asyncio.sleep(0.001)
    assert [what for what, _ in marks] == ["opened", "opened"], "quotes, then trades"
    assert buffer.disk_bytes < 22_000
    stamps: list[int] = []
    while not buffer.idle and len(marks) < 4:
        item = await buffer.take()
        if item is None:
            buffer.confirm()
        else:
            assert isinstance(item, tuple | MarketBatch)
            stamps.append(item[1] if isinstance(item, tuple) else item.received_ns)
    assert stamps == list(range(1, len(stamps) + 1)), "what was kept is whole, and in order"
    await until(lambda: len(marks) == 4, "both to be kept again")
    assert {one for what, some in marks[2:] for one in some} == {TRADES, QUOTES}
    spilling.cancel()
    await asyncio.gather(spilling, return_exceptions=True)
    await buffer.close(keep=False)
