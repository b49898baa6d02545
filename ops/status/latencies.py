"""Measures how long the steps of orders took, by the times that their events carry. Pure."""

from bus.codec import Message
from bus.order_events import OrderApproved, OrderSent

SPANS = ("tick_to_request", "request_to_approved", "tick_to_approved", "approved_to_sent")


class Latencies:
    """Durations of an order's steps, in nanoseconds, by span."""

    def __init__(self) -> None:
        self._spans: dict[str, list[int]] = {span: [] for span in SPANS}

    def apply(self, event: Message) -> None:
        """Add the times that an event carries; an order without a tick (a timer's) adds no tick spans."""
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


def _percentile_us(durations_ns: list[int], percent: int) -> float | None:
    """Return the nearest-rank percentile: a duration that was measured, not one between two."""
    if not durations_ns:
        return None
    ordered = sorted(durations_ns)
    rank = max(1, -(-len(ordered) * percent // 100))
    return round(ordered[rank - 1] / 1000, 1)
