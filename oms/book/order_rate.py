"""How many orders were approved within the last second, by algorithm and in all. Pure."""

from collections import defaultdict, deque

_SECOND_NS = 1_000_000_000


class OrderRate:
    """Times of approvals, as few as the last second needs. Mutable, all by the book's events."""

    def __init__(self) -> None:
        self._times: dict[str, deque[int]] = defaultdict(deque)

    def __repr__(self) -> str:
        return f"<order rate of {len(self._times)} algorithms>"

    def since(self, since_ns: int, name: str) -> int:
        """How many orders were approved in the second after this time.

        A clock that was set back by less than a second counts them all the same; what was approved further
        in the future is of before it was set back by more, and would hold up every order for as long.
        """
        times_ns = self._times.get(name)
        if times_ns is None:
            return 0
        # They never fall, so only those at both ends need a look.
        count, until_ns = len(times_ns), since_ns + 2 * _SECOND_NS
        if times_ns[0] > since_ns and times_ns[-1] <= until_ns:
            return count
        for at_ns in times_ns:
            if at_ns > since_ns:
                break
            count -= 1
        for at_ns in reversed(times_ns):
            if at_ns <= until_ns:
                break
            count -= 1
        return count

    def note(self, name: str, at_ns: int) -> None:
        """Take in a time, and forget those a second older, and those of before the clock was set back."""
        times_ns = self._times[name]
        if times_ns and times_ns[-1] > at_ns:
            while times_ns and times_ns[-1] > at_ns + _SECOND_NS:
                times_ns.pop()
            at_ns = max(at_ns, times_ns[-1]) if times_ns else at_ns
        times_ns.append(at_ns)
        while times_ns[0] <= at_ns - _SECOND_NS:
            times_ns.popleft()

    def comparable(self) -> list[tuple[str, int, int, int]]:
        """What tells two of them apart.

        Each time is in its order too: how many they are, and from when to when, tells the rest.
        """
        return sorted((name, len(times), times[0], times[-1]) for name, times in self._times.items())
