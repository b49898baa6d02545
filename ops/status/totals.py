"""Folds the streams of a run into its totals: counts, latencies, the book, portfolios. Pure."""

from collections import Counter
from collections.abc import Mapping

from algos.portfolio import Portfolio
from bus.codec import Message
from bus.order_events import OrderApproved, OrderFilled, OrderRefused, OrderSent, OrdersRefused
from bus.order_messages import OrderRequest, ReplaceRequest
from oms.book.book import Book
from ops.status.latencies import Latencies


class RunTotals:
    """Counts, book and portfolios of one run. Mutable: every entry that is applied adds to them."""

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
        """The client ids of requests that were neither approved nor refused."""
        return self._asked - self._answered

    def requested(self, request: Message) -> None:
        """Add an entry of a requests stream."""
        if isinstance(request, OrderRequest):
            self.requests += 1
        if isinstance(request, OrderRequest | ReplaceRequest):
            self._asked.add(request.client_order_id)

    def journalled(self, event: Message) -> None:
        """Add an entry of the journal."""
        self.book.apply(event)
        self.latencies.apply(event)
        match event:
            case OrderApproved():
                self.approved += 1
                self._answered.add(event.client_order_id)
            case OrderRefused():
                self.refused[event.reasons[0].code if event.reasons else "unknown"] += 1
                self._answered.add(event.client_order_id)
            case OrdersRefused():
                self.refused[event.reasons[0].code if event.reasons else "unknown"] += len(event.orders)
                self._answered.update(order.client_order_id for order in event.orders)
            case OrderSent():
                self.sent += 1
            case OrderFilled():
                self.fills += 1

    def seen_by(self, algorithm: str, event: Message) -> None:
        """Add an entry of an algorithm's events stream."""
        portfolio = self.portfolios.setdefault(algorithm, Portfolio())
        for one in event.one_by_one() if isinstance(event, OrdersRefused) else (event,):
            portfolio.apply(one)


def refusals(refused: Mapping[str, int]) -> dict[str, int]:
    """Sort refusals by code, the most frequent first."""
    return dict(sorted(refused.items(), key=lambda item: (-item[1], item[0])))
