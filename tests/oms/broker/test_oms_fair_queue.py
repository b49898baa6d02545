"""The fair queue: nobody starves, nothing waits in vain, and what is safest goes first."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from oms.broker.budget import Bucket, Lane
from oms.broker.fair_queue import KINDS, ORDERS, FairQueue, Kind, Waiting

SECOND_NS = 1_000_000_000
# Of a bucket of fifteen.
RESERVES: dict[Lane, float] = {"urgent": 0, "doubt": 3, "shared": 4}
ALGORITHMS = ("alpha", "beta", "gamma", "delta")


def waiting(
    algorithm: str, kind: Kind = "new", lane: Lane = "shared", until_s: float | None = None
) -> Waiting:
    """A request that waits."""
    return Waiting(lane, algorithm, kind, until_ns=None if until_s is None else int(until_s * SECOND_NS))


def queue_of(*requests: Waiting) -> FairQueue[Waiting]:
    """A queue of these, in the order of asking."""
    queue: FairQueue[Waiting] = FairQueue()
    for request in requests:
        queue.add(request)
    return queue


def test_algorithms_take_turns_however_many_requests_each_has() -> None:
    queue = queue_of(*(waiting("busy") for _ in range(40)), waiting("quiet"), waiting("other"))
    taken = [queue.take("shared") for _ in range(5)]
    assert [one.algorithm for one in taken if one] == ["busy", "quiet", "other", "busy", "busy"]


def test_within_an_algorithm_what_makes_things_safer_goes_first() -> None:
    asked: list[Kind] = ["query", "new", "reduce", "cancel", "new", "cancel"]
    queue = queue_of(*(waiting("alpha", kind) for kind in asked))
    taken = [queue.take("shared") for _ in asked]
    assert [one.kind for one in taken if one] == ["cancel", "cancel", "reduce", "new", "new", "query"]


def test_one_that_cancels_without_end_is_in_its_own_way_alone() -> None:
    queue = queue_of(waiting("churn", "new"), waiting("quiet", "new"))
    for _ in range(3):
        queue.add(waiting("churn", "cancel"))
    taken = [queue.take("shared") for _ in range(5)]
    told = [(one.algorithm, one.kind) for one in taken if one]
    assert told == [
        ("churn", "cancel"),
        ("quiet", "new"),
        ("churn", "cancel"),
        ("churn", "cancel"),
        ("churn", "new"),
    ]


def test_orders_whose_time_ends_are_taken_out_and_cancels_never_are() -> None:
    queue = queue_of(
        waiting("alpha", "new", until_s=5),
        waiting("alpha", "new", until_s=7),
        waiting("beta", "reduce", until_s=5),
        waiting("beta", "cancel"),
    )
    assert queue.expire(5 * SECOND_NS - 1) == []
    assert [one.algorithm for one in queue.expire(5 * SECOND_NS)] == ["alpha", "beta"]
    assert queue.ends_ns == 7 * SECOND_NS
    assert len(queue.expire(100 * SECOND_NS)) == 1
    assert queue.by_algorithm() == {"beta": 1}


def test_a_request_that_became_urgent_leaves_its_place() -> None:
    cancel = Waiting("shared", "alpha", "cancel", "an order")
    queue = queue_of(waiting("alpha", "cancel"), cancel)
    queue.hasten("an order")
    queue.hasten("unknown")
    assert (queue.waits("urgent"), queue.by_algorithm()) == (True, {"alpha": 1})
    assert queue.take("urgent") is cancel


@pytest.mark.property
class FairQueueMachine(RuleBasedStateMachine):
    """Requests come, go, expire and are taken, under a bucket of few tokens, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.bucket = Bucket(0, 60)
        self.queue: FairQueue[Waiting] = FairQueue()
        self.known: list[Waiting] = []
        # By algorithm that waits: how often each other went since it began to wait, or last went.
        self.passed: dict[str, Counter[str]] = {}

    @rule(algorithm=st.sampled_from(ALGORITHMS), kind=st.sampled_from(KINDS), many=st.integers(1, 30))
    def ask(self, algorithm: str, kind: Kind, many: int) -> None:
        """An algorithm asks, for much at once perhaps."""
        for _ in range(many):
            until_ns = self.now_ns + 5 * SECOND_NS if kind in ORDERS else None
            self._add(Waiting("shared", algorithm, kind, str(len(self.known)), until_ns))

    @rule(lane=st.sampled_from(["urgent", "doubt"]))
    def ask_ahead(self, lane: Lane) -> None:
        """The kill switch, or a doubt."""
        self._add(Waiting(lane, "", "query"))

    @rule(seconds=st.floats(0, 10))
    def go_on(self, seconds: float) -> None:
        """Time passes, and everything goes that may."""
        self.now_ns += int(seconds * SECOND_NS)
        for request in self.queue.expire(self.now_ns):
            assert request.until_ns is not None
            assert request.until_ns <= self.now_ns
            self.known.remove(request)
        self._forget()
        for lane in RESERVES:
            while self.queue.waits(lane) and self.bucket.take(lane, self.now_ns):
                self._take(lane)
                assert self.bucket.tokens >= RESERVES[lane], "reserves hold"
            assert not self.queue.waits(lane) or self.bucket.wait_ns(lane, self.now_ns) > 0, (
                "no token is idle"
            )

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Somebody does not want any more what waits."""
        if self.known:
            request = data.draw(st.sampled_from(self.known))
            assert self.queue.remove(request)
            assert not self.queue.remove(request)
            self.known.remove(request)
            self._forget()

    def _add(self, request: Waiting) -> None:
        self.queue.add(request)
        self.known.append(request)
        if request.lane == "shared":
            self.passed.setdefault(request.algorithm, Counter())

    def _take(self, lane: Lane) -> None:
        request = self.queue.take(lane)
        assert request is not None
        self.known.remove(request)
        if lane != "shared":
            return
        own = [one for one in self.known if one.lane == "shared" and one.algorithm == request.algorithm]
        assert all(KINDS.index(one.kind) >= KINDS.index(request.kind) for one in own), "safest first"
        for algorithm, others in self.passed.items():
            others[request.algorithm] += algorithm != request.algorithm
        self.passed[request.algorithm] = Counter()
        self._forget()

    def _forget(self) -> None:
        there = {one.algorithm for one in self.known if one.lane == "shared"}
        self.passed = {name: others for name, others in self.passed.items() if name in there}

    @invariant()
    def nobody_is_passed_twice_by_the_same(self) -> None:
        """No starvation: between two requests of one that waits, each other goes once at most."""
        assert all(count <= 1 for others in self.passed.values() for count in others.values()), self.passed

    @invariant()
    def nothing_is_lost(self) -> None:
        """What waits is what was asked for and not taken."""
        assert len(self.queue) == len(self.known)


FairQueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFairQueue = FairQueueMachine.TestCase
