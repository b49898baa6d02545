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
_Approvals = deque[tuple[int, OrderTerms]]


class Repetition:
    """Approvals of the last hour by symbol, side and size. Mutable, all by the book's events.

    A replace is none: it adds nothing to what may be traded.
    """

    def __init__(self) -> None:
        self._by_size: dict[_Way, dict[_Size, _Approvals]] = {}
        # Each of them once more, oldest first, so that those of an hour ago are found and forgotten.
        self._oldest: deque[tuple[int, _Way, _Size]] = deque()

    def __repr__(self) -> str:
        return f"<{len(self._oldest)} orders of the last hour>"

    def last_ns(self, algorithm: str, terms: OrderTerms) -> int | None:
        """When an order of exactly these terms was last approved, as far as that is remembered."""
        same = self._of_this_size(algorithm, terms)
        return next((at_ns for at_ns, others in reversed(same or ()) if others == terms), None)

    def nth_last_ns(self, n: int, algorithm: str, terms: OrderTerms) -> int | None:
        """When the n-th last order of this symbol, side and size was approved; counted from 1.

        None where there were fewer since a fill on the other side.
        """
        same = self._of_this_size(algorithm, terms)
        return None if same is None or not 0 < n <= len(same) else same[-n][0]

    def approved(self, event: OrderApproved) -> None:
        """Take in an approval."""
        if event.replaces is not None:
            return
        terms, at_ns = event.terms, event.approved_ns
        way, size = (event.algorithm, terms.symbol, terms.side), (terms.quantity, terms.notional)
        self._forget(at_ns - _REMEMBERED_NS)
        sizes = self._by_size.get(way)
        if sizes is None:
            sizes = self._by_size[way] = {}
        same = sizes.get(size)
        if same is None:
            same = sizes[size] = deque()
        while same and same[-1][0] > at_ns + _SECOND_NS:
            # Of before a clock was set back.
            same.pop()
        same.append((at_ns, terms))
        if len(same) > MOST["repeated_orders"]:
            same.popleft()
        self._oldest.append((at_ns, way, size))

    def filled(self, algorithm: str, symbol: str, side: str) -> None:
        """Take in a fill: it reverses what was ordered on the other side."""
        self._by_size.pop((algorithm, symbol, "sell" if side == "buy" else "buy"), None)

    def _of_this_size(self, algorithm: str, terms: OrderTerms) -> _Approvals | None:
        sizes = self._by_size.get((algorithm, terms.symbol, terms.side))
        return None if sizes is None else sizes.get((terms.quantity, terms.notional))

    def _forget(self, before_ns: int) -> None:
        oldest = self._oldest
        while oldest and oldest[0][0] < before_ns:
            _, way, size = oldest.popleft()
            sizes = self._by_size.get(way)
            same = None if sizes is None else sizes.get(size)
            if sizes is None or same is None:
                continue
            while same and same[0][0] < before_ns:
                same.popleft()
            if not same:
                del sizes[size]
                if not sizes:
                    del self._by_size[way]
