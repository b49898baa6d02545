"""What a process says of itself is read as it was written, and what cannot be read is said to be so."""

import json

import pytest
from heartbeat_of import heartbeat_of

from bus.heartbeat import (
    AlgorithmDetails,
    ChildDetails,
    Details,
    FeedDetails,
    IngestCounters,
    IngestDetails,
    OmsCounters,
    OmsDetails,
    State,
    StateReason,
    SupervisorDetails,
    UnreadableHeartbeat,
    decode,
    encode,
)

HELD = StateReason("lease_held", "another ingest holds lease:market:iex")


@pytest.mark.parametrize(
    "details",
    [
        None,
        IngestDetails(
            feeds={"stocks": FeedDetails(feed="iex", state=State.WAITING, reasons=(HELD,))},
            last_prices={"AAPL": "230.10"},
            ticks_per_second=12.5,
            counters=IngestCounters(messages_in=3),
        ),
        OmsDetails(
            ready=True,
            leads=True,
            positions={"cross": {"AAPL": "1.5"}},
            halts={"all": "Halt"},
            refused={"halted": 2},
            digest="a1",
            digest_at="5-0",
            limits_version=3,
            counters=OmsCounters(requests=7),
        ),
        AlgorithmDetails(algorithm="cross", lag=None, positions={"AAPL": "1"}),
        SupervisorDetails(children=(ChildDetails("oms", 8, "running", 1),), simulator="http://x"),
    ],
    ids=lambda details: type(details).__name__,
)
def test_a_heartbeat_is_read_as_it_was_written(details: Details | None) -> None:
    written = heartbeat_of("ingest", State.DEGRADED, details, reasons=(HELD,))
    assert decode("ingest", "1f3a", encode(written)) == written


def test_it_is_plain_json_for_whoever_has_only_redis_cli() -> None:
    found = json.loads(encode(heartbeat_of("oms", State.WAITING, OmsDetails(ready=False, leads=False))))
    assert (found["process"], found["state"], found["details"]["type"]) == ("oms", "waiting", "oms")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"not json", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"process": "oms", "state": "ready", "version": "0.0.9"}', "version 0.0.9 in format 0"),
        (b'{"format": 9, "version": "7.0.0", "state": "asleep"}', "version 7.0.0 in format 9"),
        (encode(heartbeat_of("oms")).replace(b'"ready"', b'"asleep"'), "cannot be read"),
        (encode(heartbeat_of("oms")).replace(b'"pid":8', b'"pid":"eight"'), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_key(raw: bytes, said: str) -> None:
    found = decode("oms", "1f3a", raw)
    assert isinstance(found, UnreadableHeartbeat)
    assert (found.process, found.instance) == ("oms", "1f3a")
    assert said in found.why


def test_an_age_is_never_negative() -> None:
    assert heartbeat_of("oms").age_ms(1_500_000_000) == 500
    assert heartbeat_of("oms").age_ms(0) == 0
