"""The data API's budget: never more than the limit in any minute, and nobody kept waiting by the other."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.data_api.request_budget import HISTORY, LANES, SNAPSHOTS, RequestBudget

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


@pytest.mark.property
@given(
    per_minute=st.integers(10, 300),
    steps=st.lists(st.tuples(st.sampled_from(LANES), st.integers(0, 20 * SECOND_NS)), max_size=400),
)
def test_no_minute_has_more_than_the_limit(per_minute: int, steps: list[tuple[str, int]]) -> None:
    """Wherever the minute begins; and who asks again after the wait that he was told gets one."""
    budget = RequestBudget(per_minute)
    now_ns, taken = 0, deque[int]()
    for lane, pause_ns in steps:
        now_ns += pause_ns
        if wait_ns := budget.take(lane, now_ns):
            assert budget.waiting_since_ns[lane] == now_ns
            now_ns += wait_ns
            assert budget.take(lane, now_ns) == 0
        assert lane not in budget.waiting_since_ns
        taken.append(now_ns)
        while taken[0] <= now_ns - MINUTE_NS:
            taken.popleft()
        assert len(taken) <= per_minute


@pytest.mark.parametrize("per_minute", [10, 200, 1000])
def test_alone_one_gets_nearly_everything_and_together_each_gets_half(per_minute: int) -> None:
    def taken(*lanes: str) -> list[int]:
        budget = RequestBudget(per_minute)
        counts = dict.fromkeys(lanes, 0)
        for now_ns in range(0, 10 * MINUTE_NS, SECOND_NS // 50):
            for lane in lanes:
                counts[lane] += not budget.take(lane, now_ns)
        return list(counts.values())

    (alone,) = taken(HISTORY)
    assert 8 * per_minute <= alone <= 10 * per_minute
    history, snapshots = taken(HISTORY, SNAPSHOTS)
    assert abs(history - snapshots) <= 1
    assert 8 * per_minute <= history + snapshots <= 10 * per_minute


def test_a_snapshot_does_not_wait_for_a_fill_of_hours() -> None:
    budget = RequestBudget(200)
    for now_ns in range(0, 10 * MINUTE_NS, SECOND_NS // 10):
        budget.take(HISTORY, now_ns)
        if now_ns % SECOND_NS == 0:
            assert budget.take(SNAPSHOTS, now_ns) == 0
    assert repr(budget) == "<200 requests a minute, history waiting>"


def test_nobody_asks_while_alpaca_wants_to_be_left_alone() -> None:
    budget = RequestBudget(200)
    assert budget.take(HISTORY, 0) == 0
    budget.pause(30 * SECOND_NS)
    budget.pause(20 * SECOND_NS)
    for lane in LANES:
        assert budget.take(lane, 10 * SECOND_NS) == 20 * SECOND_NS
        assert budget.take(lane, 30 * SECOND_NS - 1) == 1
    assert budget.take(SNAPSHOTS, 30 * SECOND_NS) == 0
