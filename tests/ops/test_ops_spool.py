"""What operators are told of messages that wait on disk."""

import pytest

from bus.heartbeat import FeedDetails, Heartbeat, IngestDetails, State, StateReason, WaitingDetails
from ops.doctor.spool_rules import spools
from ops.status.waiting import waiting_lines


def _beat(waiting: WaitingDetails, *reasons: StateReason) -> Heartbeat:
    feed = FeedDetails(feed="iex", state=State.READY, waiting=waiting)
    return Heartbeat(
        process="ingest",
        instance="1",
        account="paper",
        pid=1,
        host="here",
        version="0",
        at_ns=1,
        state=State.READY,
        reasons=reasons,
        details=IngestDetails(feeds={"stocks": feed}),
    )


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (WaitingDetails(memory_items=5, memory_bytes=50), []),
        (WaitingDetails(recovered=3), []),
        (
            WaitingDetails(memory_items=5, disk_items=1200, disk_bytes=3 * 1024 * 1024),
            ["stocks (iex): 1,200 wait on disk (3.0 MB) and 5 in memory"],
        ),
        (
            WaitingDetails(dropped={"trades": 1, "quotes": 2000}, recovered=3, left_out=4, damaged=5),
            [
                "stocks (iex): 3 of an earlier run were written; dropped for want of room: 2,000 of quotes, "
                "1 of trades; 4 of an earlier run were left out, as another ingest had written on; 5 records "
                "of the spool were damaged"
            ],
        ),
    ],
)
def test_a_line_says_what_waits_and_what_was_lost(waiting: WaitingDetails, said: list[str]) -> None:
    beat = _beat(waiting)
    assert isinstance(beat.details, IngestDetails)
    assert list(waiting_lines(beat.details.feeds)) == said


def test_the_doctor_says_what_to_do_where_a_spool_is_full_or_cannot_be_used() -> None:
    (fine,) = spools([_beat(WaitingDetails())])
    assert (fine.level, fine.sentence) == ("ok", "ingest: nothing waits on disk")
    (written,) = spools([_beat(WaitingDetails(recovered=3))])
    assert written.level == "ok"
    (waits,) = spools([_beat(WaitingDetails(disk_items=1, disk_bytes=1))])
    assert waits.level == "warning"
    (full,) = spools([_beat(WaitingDetails(), StateReason("spool_full", "the spool is full"))])
    assert full.level == "problem"
    assert full.sentence.endswith("raise BACKBONE_INGEST_SPOOL_MB")
    (left,) = spools([_beat(WaitingDetails(), StateReason("spool_left", "/spool/x holds 2 messages"))])
    assert left.level == "problem"
    assert left.sentence.endswith("or remove that directory")
    assert spools([]) == []
