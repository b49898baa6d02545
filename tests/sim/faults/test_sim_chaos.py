"""The schedule of a seed: always the same, always apart, always faults that end by themselves."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from sim.faults.kinds import KINDS, parse
from sim.faults.schedule import DRAWS, Planned, schedule

SYMBOLS = ("AAPL", "BTC/USD")
SEEDS = st.integers(0, 2**63)
NAMES = st.lists(st.sampled_from(sorted(DRAWS)), min_size=1, unique=True)
EVERY_MS = st.integers(100, 60_000)


def drawn(seed: int, names: list[str], every_ms: int, count: int) -> list[Planned]:
    return list(itertools.islice(schedule(random.Random(seed), names, SYMBOLS, every_ms), count))


@given(SEEDS, NAMES, EVERY_MS)
def test_a_seed_makes_one_schedule(seed: int, names: list[str], every_ms: int) -> None:
    assert drawn(seed, names, every_ms, 50) == drawn(seed, names, every_ms, 50)


@given(SEEDS, NAMES, EVERY_MS)
def test_faults_are_of_the_chosen_kinds_and_whole(seed: int, names: list[str], every_ms: int) -> None:
    for planned in drawn(seed, names, every_ms, 50):
        assert planned.fault["fault"] in names
        assert planned.fault == parse(planned.fault)


@given(SEEDS, NAMES, EVERY_MS)
def test_after_each_fault_there_is_a_quiet_time(seed: int, names: list[str], every_ms: int) -> None:
    end_ms = 0
    for planned in drawn(seed, names, every_ms, 50):
        assert every_ms // 2 <= planned.at_ms - end_ms <= every_ms + every_ms // 2
        end_ms = planned.at_ms + 1000 * (planned.fault.get("seconds") or 0)


@given(SEEDS)
def test_no_fault_stays_for_good(seed: int) -> None:
    for planned in drawn(seed, sorted(DRAWS), 1000, 200):
        fault = planned.fault
        is_momentary = KINDS[fault["fault"]].is_over_at_once or fault["fault"] in (
            "disconnect",
            "stale_session",
        )
        assert is_momentary or 0 < fault["seconds"] <= 10


def test_chaos_knows_every_fault_but_those_that_strand_a_client() -> None:
    # alpaca-py waits for ever for a first word, and takes a refused subscription for a quiet market.
    assert KINDS.keys() - DRAWS.keys() == {
        "silent_handshake",
        "stream_error",
        "refused_symbol",
        "forgotten_symbol",
        "drip",
        "refuse_connections",
    }


def test_other_seeds_make_other_schedules_and_every_kind_comes_up() -> None:
    names = sorted(DRAWS)
    assert drawn(1, names, 1000, 20) != drawn(2, names, 1000, 20)
    assert {planned.fault["fault"] for planned in drawn(1, names, 1000, 2000)} == set(names)
