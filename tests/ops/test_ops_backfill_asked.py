"""What people type after `backbone backfill`, and where an interrupted one goes on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import InvalidInput
from bus.rfc3339 import time_ns
from ingest.data_api.alpaca_history import HISTORY_OF
from ops.backfill.asked import SETTLED_NS, asked, feed_of_setting
from ops.backfill.moments import moment_ns, short, shown
from ops.backfill.record import Record, StillMissing

NOW_NS = time_ns("2026-11-30T12:00:00Z")


@pytest.mark.parametrize(
    ("typed", "is_"),
    [
        ("2026-11-27", "2026-11-27T05:00:00Z"),
        ("2026-11-27T09:30", "2026-11-27T14:30:00Z"),
        ("2026-07-27 09:30:15", "2026-07-27T13:30:15Z"),
        ("2026-11-27T09:30:00.000000001", "2026-11-27T14:30:00.000000001Z"),
        ("2026-11-27T14:30Z", "2026-11-27T14:30:00Z"),
        ("2026-11-27T14:30:00.5+01:00", "2026-11-27T13:30:00.5Z"),
        ("2026-11-01T01:30-05:00", "2026-11-01T06:30:00Z"),
        ("2026-03-08T03:00", "2026-03-08T07:00:00Z"),
        ("2026-03-08T01:59", "2026-03-08T06:59:00Z"),
        ("2026-11-01T00:59", "2026-11-01T04:59:00Z"),
        ("2026-11-01T02:00", "2026-11-01T07:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_new_yorks(typed: str, is_: str) -> None:
    assert moment_ns(typed, "--from") == time_ns(is_)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "write a day such as"),
        ("yesterday", "write a day such as"),
        ("2026-11-27T9:30", "write a day such as"),
        ("20261127", "write a day such as"),
        ("1700000000", "write a day such as"),
        ("2026-11-27T09:30 EST", "write a day such as"),
        ("2026-11-31", "day is out of range"),
        ("2026-11-27T25:00", "hour must be in"),
        ("2026-11-01T01:30", "twice; write 2026-11-01T01:30-04:00 or 2026-11-01T01:30-05:00"),
        ("2026-03-08T02:00", "skip that hour; write 2026-03-08T02:00-05:00"),
    ],
)
def test_what_is_not_one_time_is_refused_with_what_is_allowed(typed: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"--from {typed!r}.*{said}"):
        moment_ns(typed, "--from")


def test_times_are_shown_as_new_yorks_clocks_do() -> None:
    at_ns = time_ns("2026-11-27T14:30:00Z")
    assert (shown(at_ns), short(at_ns)) == ("2026-11-27 09:30:00", "20261127t0930")
    assert short(at_ns + 5 * 10**9) == "20261127t093005"


USUAL: dict[str, Any] = {
    "symbols": ["AAPL"],
    "channels": "trades",
    "since": "2026-11-27T09:30",
    "until": "2026-11-27T16:00",
    "feed": "iex",
    "name": None,
    "now_ns": NOW_NS,
}


def test_what_is_asked_for() -> None:
    what = asked(**USUAL | {"symbols": ["AAPL,BTCUSD", "AAPL"], "channels": "bars, trades,bars"})
    assert [str(part) for part in what.parts] == [
        "bars of AAPL",
        "trades of AAPL",
        "bars of BTC/USD",
        "trades of BTC/USD",
    ]
    assert [part.feed for part in what.parts] == ["iex", "iex", "crypto", "crypto"]
    assert what.name == "20261127t0930-20261127t1600"
    assert what.until_ns == time_ns("2026-11-27T21:00:00Z")


def test_what_may_still_change_is_left_out() -> None:
    """A bar that ended a moment ago was found to be another one later; so was what a file had of it."""
    assert SETTLED_NS >= (60 + 30) * 10**9, "a bar's minute, and the half after which it is reckoned again"
    assert asked(**USUAL | {"until": "2027-01-01"}).until_ns == NOW_NS - SETTLED_NS
    with pytest.raises(InvalidInput, match=r"--from .*history ends two minutes ago, at 2026-11-30 06:58:00"):
        asked(**USUAL | {"since": "2026-11-30T06:59", "until": "2027-01-01"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"symbols": ["aapl"]}, "symbol 'aapl'"),
        ({"symbols": ["AAPL,"]}, "symbol ''"),
        ({"symbols": ["*"]}, "symbol '\\*'"),
        ({"channels": "trade"}, "--channels 'trade': use trades, quotes, bars"),
        ({"channels": ""}, "--channels '': use trades, quotes, bars"),
        ({"channels": "trades,statuses"}, "--channels 'statuses'"),
        ({"feed": "delayed_sip"}, "--feed 'delayed_sip': use one of iex, sip, boats, otc"),
        ({"until": "2026-11-27T09:30"}, "--to 2026-11-27T09:30 is not after --from"),
        ({"until": "soon"}, "--to 'soon'"),
        ({"name": "My Name"}, "--name 'My Name': use 1 to 32"),
        ({"name": ""}, "--name ''"),
        ({"name": "gap-1"}, "--name 'gap-1': names with 'gap-'"),
    ],
)
def test_bad_input_names_the_option_and_what_is_allowed(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        asked(**USUAL | change)


def test_a_setting_without_history_is_named_and_not_an_option() -> None:
    with pytest.raises(InvalidInput, match=r"BACKBONE_FEED=test has no history: say with --feed .* iex, sip"):
        feed_of_setting("test", HISTORY_OF)
    assert [feed_of_setting(one, HISTORY_OF) for one in ("iex", "delayed_sip")] == ["iex", "sip"]


@pytest.mark.property
@given(
    times=st.lists(st.integers(0, 6), max_size=30).map(sorted),
    kinds=st.lists(st.integers(0, 1), min_size=30, max_size=30),
    page=st.integers(1, 7),
    piece=st.integers(1, 7),
    breaks=st.lists(st.integers(0, 6), max_size=12),
)
def test_however_often_it_breaks_nothing_comes_twice_and_nothing_is_missing(
    times: list[int], kinds: list[int], page: int, piece: int, breaks: list[int]
) -> None:
    """Several messages have one time, some are even the same, and pages and pieces end among them."""
    history = [{"t": at, "i": kind} for at, kind in zip(times, kinds, strict=False)]
    there: list[dict[str, int]] = []
    record = Record("iex", 0, 0)

    def run(pieces_until_break: int) -> bool:
        nonlocal record
        missing = StillMissing(record)
        told = [message for message in history if message["t"] >= record.through_ns]
        for first in range(0, len(told), page):
            fresh = missing.of(told[first : first + page])
            for begin in range(0, len(fresh), piece):
                if not pieces_until_break:
                    return False
                pieces_until_break -= 1
                there.extend(fresh[begin : begin + piece])
                record = record.with_piece(fresh[begin : begin + piece])
        return True

    for pieces in [*breaks, 1000]:
        if run(pieces):
            break
    assert there == history
    assert record.messages == len(history)
    done = record.up_to(7)
    assert (done.through_ns, done.edge, done.messages) == (7, (), len(history))
