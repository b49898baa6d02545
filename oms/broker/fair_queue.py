"""Which of the requests that wait for the broker goes next: fair by algorithm, safest first. Pure."""

from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from oms.broker.budget import Lane

Kind = Literal["cancel", "reduce", "new", "query"]

# Within one algorithm, in this order: what makes things safer comes first.
KINDS: tuple[Kind, ...] = ("cancel", "reduce", "new", "query")
ORDERS: tuple[Kind, ...] = ("reduce", "new")
# Of each kind those that go before another of it, its own among them.
_BEFORE = {kind: KINDS[: KINDS.index(kind) + 1] for kind in KINDS}


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits. `until_ns`: how long it may (monotonic), None for ever. `name`: to find it by."""

    lane: Lane
    algorithm: str
    kind: Kind
    name: str = ""
    until_ns: int | None = None


W = TypeVar("W", bound=Waiting)


class FairQueue(Generic[W]):
    """Requests in three lanes. In the lane that they share, algorithms take turns, one request each.

    So between two requests of an algorithm at most one of each other goes, however many those have waiting:
    one that asks without end is in its own way alone. Within an algorithm and a kind, whoever's time ends
    first is first, or else who asked first. Mutable: what waits, how much of each kind,
    and whose turn it is.
    """

    def __init__(self) -> None:
        self._ahead: dict[Lane, deque[W]] = {"urgent": deque(), "doubt": deque()}
        # The algorithm whose turn it is comes first. Those of which nothing waits are left out.
        self._shared: OrderedDict[str, dict[Kind, deque[W]]] = OrderedDict()
        # All that wait, and those of the shared lane by kind.
        self.size = 0
        self.kinds: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._named: dict[str, W] = {}
        self._ends_ns: int | None = None

    def __repr__(self) -> str:
        urgent, doubts = len(self._ahead["urgent"]), len(self._ahead["doubt"])
        return f"{urgent} urgent requests, {doubts} look-ups and {sum(self.kinds.values())} others waiting"

    def __len__(self) -> int:
        return self.size

    @property
    def ends_ns(self) -> int | None:
        """No request's time ends before this; None where none has an end."""
        return self._ends_ns

    def waits(self, lane: Lane) -> bool:
        """Whether any request waits in a lane."""
        return bool(self._shared if lane == "shared" else self._ahead[lane])

    def by_algorithm(self) -> dict[str, int]:
        """How many requests wait of each algorithm, in the lane that they share."""
        return {name: sum(map(len, kinds.values())) for name, kinds in self._shared.items()}

    def ahead_of(self, request: Waiting) -> int:
        """How many requests of its own algorithm would go before this one, in the shared lane."""
        kinds = self._shared.get(request.algorithm)
        count = 0
        if kinds is not None:
            for kind in _BEFORE[request.kind]:
                count += len(kinds[kind])
        return count

    def add(self, request: W) -> None:
        """Let a request wait."""
        self.size += 1
        if request.name:
            self._named[request.name] = request
        if request.lane != "shared":
            self._ahead[request.lane].append(request)
            return
        kinds = self._shared.get(request.algorithm)
        if kinds is None:
            kinds = self._shared[request.algorithm] = {kind: deque() for kind in KINDS}
        requests = kinds[request.kind]
        until_ns = request.until_ns
        if until_ns is not None and requests and _end_ns(requests[-1]) > until_ns:
            # One that goes again: those whose time ends first stay first.
            insort(requests, request, key=_end_ns)
        else:
            requests.append(request)
        self.kinds[request.kind] += 1
        if until_ns is not None:
            self._ends_by(until_ns)

    def take(self, lane: Lane, kinds: Iterable[Kind] = KINDS) -> W | None:
        """Take out the request that goes next in a lane, in the shared one of these kinds; None for none."""
        if lane != "shared":
            ahead = self._ahead[lane]
            return self._gone(ahead.popleft()) if ahead else None
        for name, waiting in self._shared.items():
            for kind in kinds:
                if waiting[kind]:
                    request = waiting[kind].popleft()
                    self._shared.move_to_end(name)
                    return self._gone(request)
        return None

    def remove(self, request: W) -> bool:
        """Take out a request that is not wanted any more; False where it does not wait."""
        kinds = self._shared.get(request.algorithm, {})
        requests = kinds.get(request.kind) if request.lane == "shared" else self._ahead[request.lane]
        if requests is None:
            return False
        try:
            requests.remove(request)
        except ValueError:
            return False
        self._gone(request)
        return True

    def named(self, name: str) -> W | None:
        """The request of this name, where it waits."""
        return self._named.get(name)

    def hasten(self, name: str) -> None:
        """Put a request of the shared lane, where it still waits, among the urgent ones."""
        request = self._named.get(name)
        if request is not None and request.lane == "shared":
            self.remove(request)
            request.lane = "urgent"
            self.add(request)

    def expire(self, now_ns: int) -> list[W]:
        """Take out the orders whose time has ended, in the order in which they would have gone."""
        if self._ends_ns is None or now_ns < self._ends_ns:
            return []
        ended: list[W] = []
        self._ends_ns = None
        for waiting in list(self._shared.values()):
            for kind in ORDERS:
                requests = waiting[kind]
                while requests and _end_ns(requests[0]) <= now_ns:
                    ended.append(self._gone(requests.popleft()))
                if requests:
                    self._ends_by(_end_ns(requests[0]))
        return ended

    def take_orders(self) -> list[W]:
        """Take out every order of the shared lane."""
        found = [request for waiting in self._shared.values() for kind in ORDERS for request in waiting[kind]]
        for request in found:
            self.remove(request)
        return found

    def _ends_by(self, until_ns: int) -> None:
        if self._ends_ns is None or until_ns < self._ends_ns:
            self._ends_ns = until_ns

    def _gone(self, request: W) -> W:
        """Note that a request was taken out."""
        self.size -= 1
        if request.name:
            self._named.pop(request.name, None)
        if request.lane == "shared":
            self.kinds[request.kind] -= 1
            if not any(self._shared[request.algorithm].values()):
                del self._shared[request.algorithm]
        return request


def _end_ns(order: Waiting) -> int:
    assert order.until_ns is not None, "an order of the shared lane waits for so long only"
    return order.until_ns
