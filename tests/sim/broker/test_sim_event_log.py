"""Events: names that sort by time, moments that only grow, and nothing lost between two requests."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from sim.broker.event_log import EventLog, is_ulid, moment_ns, written
from sim.broker.updates import Update
from sim.times import parse_ns

AT_NS = parse_ns("2026-01-05T14:30:00.000000500Z")
MILLISECOND_NS = 1_000_000

# How many nanoseconds each update comes after the one before.
GAPS = st.lists(st.sampled_from([0, 1, 999, 1_000, MILLISECOND_NS, 5 * MILLISECOND_NS]), max_size=30)


def history(gaps: list[int]) -> list[Update]:
    at_ns, found = AT_NS, []
    for number, gap in enumerate(gaps):
        at_ns += gap
        found.append(Update("new", f"execution-{number}", at_ns, {}))
    return found


def log(updates: list[Update], seed: int = 1) -> EventLog:
    return EventLog(updates, random.Random(seed).getrandbits)


def test_a_ulid_is_written_as_the_specification_shows_it() -> None:
    # The greatest there is, and the time of the specification's example.
    assert written(2**128 - 1) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
    assert written(1_469_918_176_385 << 80)[:10] == "01ARYZ6S41"


def test_what_is_no_ulid_is_told_apart() -> None:
    assert is_ulid("01ARYZ6S41TSV4RRFFQ69G5FAV")
    assert not any(
        map(is_ulid, ("", "01ARYZ6S41", "81ARYZ6S41TSV4RRFFQ69G5FAV", "01ARYZ6S41TSV4RRFFQ69G5FAU"))
    )


@given(GAPS)
def test_names_and_moments_only_grow(gaps: list[int]) -> None:
    events = list(log(history(gaps)))
    for earlier, later in itertools.pairwise(events):
        assert earlier.id < later.id
        assert earlier.at_ns < later.at_ns
    for event in events:
        assert is_ulid(event.id)
        assert event.at_ns % 1_000 == 0
        assert event.at_ns >= event.update.at_ns
        assert moment_ns(event.id) <= event.at_ns


@given(GAPS, st.data())
def test_who_asks_again_misses_nothing_and_gets_nothing_twice(gaps: list[int], data: st.DataObject) -> None:
    updates = history(gaps)
    found = log(updates)
    for place, event in enumerate(list(found)):
        assert found.after(event.id) == place + 1
        assert found.since(event.at_ns) == place
        assert found.since(event.at_ns + 1) == place + 1
    grown = data.draw(GAPS)
    before = [event.id for event in found]
    updates += [Update("fill", "later", AT_NS + sum(gaps) + gap, {}) for gap in sorted(grown)]
    assert [event.id for event in found][: len(before)] == before
    assert len(found) == len(gaps) + len(grown)


@given(GAPS)
def test_the_same_history_has_the_same_names(gaps: list[int]) -> None:
    assert [one.id for one in log(history(gaps))] == [one.id for one in log(history(gaps))]
