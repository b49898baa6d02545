"""Until when a stream is whole, by what stands at its end: never later than the truth."""

from typing import Any

import orjson
import pytest

from ingest.gaps import resume_point
from ingest.gaps.resume_point import whole_until_ns

TRADES, QUOTES = "md:AAPL:trades", "md:AAPL:quotes"

# sip is served, iex and polling stand in for it.
FEEDS = ("sip", "iex", "rest")

Entry = dict[str, Any]


def live(at: int, feed: str = "sip") -> Entry:
    """A message received at this time."""
    return {"d": b"{}", "r": at, "feed": feed}


def missed(at: int) -> Entry:
    """A message that history told of at this time."""
    return {"d": b"{}", "r": at, "b": 1, "feed": "sip"}


def opened(since: int, at: int, feed: str = "sip") -> Entry:
    text = orjson.dumps({"feed": feed, "since_ns": since, "reason": "a break"})
    return {"d": text, "r": at, "type": "GapOpened", "feed": feed}


def closed(since: int, until: int, at: int) -> Entry:
    text = orjson.dumps({"feed": "sip", "since_ns": since, "until_ns": until})
    return {"d": text, "r": at, "type": "GapClosed", "feed": "sip"}


@pytest.mark.parametrize(
    ("entries", "until"),
    [
        ([live(10)], 10),
        ([live(10), opened(12, 20)], 12),
        ([live(10), live(11, "iex")], 11),
        # What waited while history was asked, from 30 on, was received and is not written.
        ([live(10), opened(12, 20), missed(40)], 12),
        ([live(10), opened(12, 20), missed(40), closed(12, 30, 40)], 30),
        ([live(10), opened(12, 20), missed(40), closed(12, 30, 40), live(31)], 31),
        # Filled beside what is live.
        ([live(10), opened(12, 20), live(35), closed(12, 30, 99)], 35),
        ([live(10), opened(12, 20), closed(12, 30, 99)], 30),
        # One gap is closed, the other is not.
        ([live(10), opened(12, 20), live(35), opened(36, 50), closed(12, 30, 99)], 36),
        # Opened again at the same place after a restart.
        ([live(10), opened(12, 20), opened(12, 60), missed(70), closed(12, 61, 70)], 61),
        # Where nothing but the last trade is asked for, the stream misses what came between.
        ([live(10), opened(12, 20), live(25, "rest"), live(50, "rest")], 12),
        ([opened(12, 20, "rest"), live(25, "rest")], 12),
        # What was before is trimmed.
        ([live(25, "rest"), live(50, "rest")], 25),
        ([missed(40), missed(41), missed(42)], 40),
        ([missed(40), closed(12, 30, 40)], 30),
        ([], None),
    ],
)
async def test_a_stream_is_whole_until_its_last_message_of_a_stream_or_a_gap_that_is_open(
    market_client: Any, monkeypatch: pytest.MonkeyPatch, entries: list[Entry], until: int | None
) -> None:
    monkeypatch.setattr(resume_point, "_PAGE", 1)
    for entry in entries:
        await market_client.xadd(TRADES, entry)
    await market_client.xadd(QUOTES, live(7))
    found = await whole_until_ns(market_client, [TRADES, QUOTES], FEEDS)
    assert found == {QUOTES: 7} | ({} if until is None else {TRADES: until})
