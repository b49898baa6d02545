"""What a run did, folded from the journal: counts, latencies, the book, and each algorithm's own view."""

from collections import Counter
from collections.abc import Mapping

from algos.portfolio import Portfolio
from bus.codec import Message
from bus.order_messages import (
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderRequest,
    OrderSent,
    ReplaceRequest,
)
from oms.book import Book
from ops.status.latencies import Latencies


class RunTotals:
    """The journal, the requests and the events of one run, taken in as they come."""

    def __init__(self) -> None:
        self.book = Book()
        self.latencies = Latencies()
        self.portfolios: dict[str, Portfolio] = {}
        self.requests = 0
        self.approved = 0
        self.refused: Counter[str] = Counter()
        self.sent = 0
        self.fills = 0
        self._asked: set[str] = set()
        self._answered: set[str] = set()

    @property
    def unanswered(self) -> set[str]:
        """Client ids that were asked for and neither approved nor refused."""
        return self._asked - self._answered

    def requested(self, request: Message) -> None:
        """Take in an entry of a requests stream."""
        if isinstance(request, OrderRequest):
            self.requests += 1
        if isinstance(request, OrderRequest | ReplaceRequest):
            self._asked.add(request.client_order_id)

    def journalled(self, event: Message) -> None:
        """Take in an entry of the journal."""
        self.book.apply(event)
        self.latencies.apply(event)
        match event:
            case OrderApproved():
                self.approved += 1
                self._answered.add(event.client_order_id)
            case OrderRefused():
                self.refused[event.reasons[0].code if event.reasons else "unknown"] += 1
                self._answered.add(event.client_order_id)
            case OrderSent():
                self.sent += 1
            case OrderFilled():
                self.fills += 1

    def seen_by(self, algorithm: str, event: Message) -> None:
        """Take in an entry of an algorithm's events stream."""
        self.portfolios.setdefault(algorithm, Portfolio()).apply(event)


def refusals(refused: Mapping[str, int]) -> dict[str, int]:
    """Refusals by code, the most frequent first."""
    return dict(sorted(refused.items(), key=lambda item: (-item[1], item[0])))
