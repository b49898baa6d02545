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

SPANS = ("tick_to_request", "request_to_approved", "tick_to_approved", "approved_to_sent")


class Latencies:
    """Durations of an order's steps, in nanoseconds, by span."""

    def __init__(self) -> None:
        self._spans: dict[str, list[int]] = {span: [] for span in SPANS}

    def apply(self, event: Message) -> None:
        """Take in the times that an event carries; an order without a tick (a timer's) has no tick spans."""
        if isinstance(event, OrderApproved):
            self._spans["request_to_approved"].append(event.approved_ns - event.requested_ns)
            if event.received_ns:
                self._spans["tick_to_request"].append(event.requested_ns - event.received_ns)
                self._spans["tick_to_approved"].append(event.approved_ns - event.received_ns)
        elif isinstance(event, OrderSent):
            self._spans["approved_to_sent"].append(event.sent_ns - event.approved_ns)

    def percentiles_us(self) -> dict[str, dict[str, float | None]]:
        """Median and 99th percentile of each span in microseconds; None where nothing was measured."""
        return {
            span: {"p50": _percentile_us(durations, 50), "p99": _percentile_us(durations, 99)}
            for span, durations in self._spans.items()
        }


class Tally:
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


def _percentile_us(durations_ns: list[int], percent: int) -> float | None:
    """The nearest-rank percentile: a duration that was really measured, not one between two."""
    if not durations_ns:
        return None
    ordered = sorted(durations_ns)
    rank = max(1, -(-len(ordered) * percent // 100))
    return round(ordered[rank - 1] / 1000, 1)
