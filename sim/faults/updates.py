"""Decides what a trade update becomes on its way to a client under the faults that are on."""

from collections.abc import Callable
from typing import Any

from sim.faults.faults import Active, Faults
from sim.times import MILLISECOND_NS, parse_ns, rfc3339

UNHEARD_OF_STATUS = "pending_settlement_review"
UNHEARD_OF_EVENT = "order_rerouted"

Message = dict[str, Any]


def _skewed(message: Message, fault: dict[str, Any]) -> list[Message]:
    data = message["data"]
    time_ns = parse_ns(data["timestamp"]) + int(fault["skew_ms"] * MILLISECOND_NS)
    return [message | {"data": data | {"timestamp": rfc3339(time_ns)}}]


def _with_unknown_status(message: Message, fault: dict[str, Any]) -> list[Message]:
    order = message["data"]["order"] | {"status": UNHEARD_OF_STATUS}
    return [message | {"data": message["data"] | {"order": order}}]


def _with_unknown_event(message: Message, fault: dict[str, Any]) -> list[Message]:
    return [message | {"data": message["data"] | {"event": UNHEARD_OF_EVENT}}]


# By kind, in this order; each turns a message into those that are sent in its place.
_CHANGES: dict[str, Callable[[Message, dict[str, Any]], list[Message]]] = {
    "lost_updates": lambda message, fault: [],
    "clock_skew": _skewed,
    "unknown_status": _with_unknown_status,
    "unknown_event": _with_unknown_event,
    "duplicate_updates": lambda message, fault: [message, message],
}


def delay_ns(faults: Faults, account: str) -> int:
    """Return how much later than it happened an update is sent."""
    fault = faults.strike("late_updates", account=account)
    return 0 if fault is None else int(fault["ms"] * MILLISECOND_NS)


def changed(faults: Faults, message: Message, account: str) -> list[Message]:
    """Return what is sent in place of an update: it, another, two, or none. Counts the faults."""
    made = [message]
    if faults.is_quiet:
        return made
    if faults.strike("mute", stream="trade_updates", account=account):
        return []
    for name, change in _CHANGES.items():
        active: Active | None = faults.find(name, account=account)
        if active is not None and made:
            fault = faults.hit(active)
            made = [new for old in made for new in change(old, fault)]
    return made
