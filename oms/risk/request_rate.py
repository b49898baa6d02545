"""How many requests came within the last minute, of each algorithm and of all. Pure."""

from collections import defaultdict, deque

from oms.book.ledger import ACCOUNT

_SECOND_NS = 1_000_000_000
_SECONDS = 60


class RequestRate:
    """Counts since the start, and what they were as each of the last seconds began. Mutable: these."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = defaultdict(int)
        self._before: deque[tuple[int, dict[str, int]]] = deque()
        self._second = -1

    def __repr__(self) -> str:
        return f"<{self._counts[ACCOUNT]} requests>"

    def came(self, algorithm: str, now_ns: int) -> None:
        """Count one request."""
        second = now_ns // _SECOND_NS
        if second != self._second:
            self._begin(second)
        self._counts[ACCOUNT] += 1
        self._counts[algorithm] += 1

    def within_a_minute(self, algorithm: str, now_ns: int) -> int:
        """How many came within the last sixty seconds, to the second."""
        second = now_ns // _SECOND_NS
        if second != self._second:
            self._begin(second)
        return self._counts[algorithm] - self._before[0][1].get(algorithm, 0)

    def _begin(self, second: int) -> None:
        before = self._before
        while before and before[-1][0] >= second:
            # A clock was set back: what came since that moment counts from now on.
            before.pop()
        before.append((second, dict(self._counts)))
        while before[0][0] <= second - _SECONDS:
            before.popleft()
        self._second = second
