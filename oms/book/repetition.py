"""Which orders were approved lately, and how often the same: what a loop looks like. Pure."""

from collections import deque
from decimal import Decimal

from bus.order_events import OrderApproved
from bus.order_messages import OrderTerms
from oms.limits.limit_kinds import MOST

_SECOND_NS = 1_000_000_000
_REMEMBERED_NS = MOST["repeated_seconds"] * _SECOND_NS

# An algorithm's orders of one symbol and side; and of those the ones of one size, whichever way it is given.
_Way = tuple[str, str, str]
_Size = tuple[Decimal | None, Decimal | None]


class _Same:
    """Approvals of one symbol, side and size. Mutable: their times and their terms, oldest first."""

    __slots__ = ("size", "terms", "times_ns", "way")

    def __init__(self, way: _Way, size: _Size) -> None:
        self.way, self.size = way, size
        self.times_ns: deque[int] = deque()
        self.terms: deque[OrderTerms] = deque()

    def __repr__(self) -> str:
        return f"<{len(self.times_ns)} orders of {self.way}, {self.size}>"

    def forget_first(self) -> None:
        """Let the oldest go."""
        self.times_ns.popleft()
        self.terms.popleft()

    def forget_last(self) -> None:
        """Let the newest go."""
        self.times_ns.pop()
        self.terms.pop()


class Repetition:
    """Approvals of the last hour by symbol, side and size. Mutable, all by the book's events.

    A replace is none: it adds nothing to what may be traded.
    """

    def __init__(self) -> None:
        self._by_size: dict[_Way, dict[_Size, _Same]] = {}
        # Each of them once more, oldest first, so that those of an hour ago are found and forgotten: when it
        # was, and among which it is. No object is made for it: there may be hundreds of thousands.
        self._oldest_ns: deque[int] = deque()
        self._oldest: deque[_Same] = deque()

    def __repr__(self) -> str:
        return f"<{len(self._oldest)} orders of the last hour>"

    def last_ns(self, algorithm: str, terms: OrderTerms) -> int | None:
        """When an order of exactly these terms was last approved, as far as that is remembered."""
        same = self._of_this_size(algorithm, terms)
        if same is None:
            return None
        newest_first = zip(reversed(same.times_ns), reversed(same.terms), strict=True)
        return next((at_ns for at_ns, others in newest_first if others == terms), None)

    def nth_last_ns(self, n: int, algorithm: str, terms: OrderTerms) -> int | None:
        """When the n-th last order of this symbol, side and size was approved; counted from 1.

        None where there were fewer since a fill on the other side.
        """
        same = self._of_this_size(algorithm, terms)
        return None if same is None or not 0 < n <= len(same.times_ns) else same.times_ns[-n]

    def approved(self, event: OrderApproved) -> None:
        """Take in an approval."""
        if event.replaces is not None:
            return
        terms, at_ns = event.terms, event.approved_ns
        if self._oldest_ns and self._oldest_ns[0] < at_ns - _REMEMBERED_NS:
            self._forget(at_ns - _REMEMBERED_NS)
        same = self._of_this_size(event.algorithm, terms) or self._begun(event.algorithm, terms)
        while same.times_ns and same.times_ns[-1] > at_ns + _SECOND_NS:
            # Of before a clock was set back.
            same.forget_last()
        same.times_ns.append(at_ns)
        same.terms.append(terms)
        if len(same.times_ns) > MOST["repeated_orders"]:
            same.forget_first()
        self._oldest_ns.append(at_ns)
        self._oldest.append(same)

    def filled(self, algorithm: str, symbol: str, side: str) -> None:
        """Take in a fill: it reverses what was ordered on the other side."""
        for same in self._by_size.pop((algorithm, symbol, "sell" if side == "buy" else "buy"), {}).values():
            # It is among the oldest until its hour is over.
            same.times_ns.clear()
            same.terms.clear()

    def _of_this_size(self, algorithm: str, terms: OrderTerms) -> _Same | None:
        sizes = self._by_size.get((algorithm, terms.symbol, terms.side))
        return None if sizes is None else sizes.get((terms.quantity, terms.notional))

    def _begun(self, algorithm: str, terms: OrderTerms) -> _Same:
        same = _Same((algorithm, terms.symbol, terms.side), (terms.quantity, terms.notional))
        self._by_size.setdefault(same.way, {})[same.size] = same
        return same

    def _forget(self, before_ns: int) -> None:
        while self._oldest_ns and self._oldest_ns[0] < before_ns:
            self._oldest_ns.popleft()
            same = self._oldest.popleft()
            while same.times_ns and same.times_ns[0] < before_ns:
                same.forget_first()
            if same.times_ns or self._by_size.get(same.way, {}).get(same.size) is not same:
                continue
            del self._by_size[same.way][same.size]
            if not self._by_size[same.way]:
                del self._by_size[same.way]
