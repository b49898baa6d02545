"""What the OMS says of itself in its heartbeat. Pure."""

from collections import Counter
from typing import Any

from bus.codec import Message
from bus.order_messages import (
    EntryDeadLettered,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from oms.amounts import text
from oms.engine import Engine

_COUNTED: dict[type[Message], str] = {
    OrderApproved: "approved",
    OrderRefused: "refused",
    OrderSent: "sent",
    OrderUncertain: "uncertain",
    OrderUpdated: "updates",
    OrderFilled: "fills",
    EntryDeadLettered: "dead",
}


class Counts:
    """How often what happened since the process started. Mutable: the two counters."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def count(self, event: Message) -> None:
        """Count one event, and the codes of a refusal."""
        name = _COUNTED.get(type(event))
        if name is not None:
            self.events[name] += 1
        if isinstance(event, OrderRefused):
            self.refused.update(reason.code for reason in event.reasons)


def details(engine: Engine, counts: Counts, budget: int, digest_at: str) -> dict[str, Any]:
    """Readiness, holdings by algorithm, halts by scope, refusals by code; numbers that are money as text.

    `digest_at` is the journal id at which the state stands, and so its digest.
    """
    state, why = engine.state, engine.not_ready
    return {
        "ready": why is None,
        "why_not": [] if why is None else [why.message],
        "positions": {
            name: {symbol: text(size) for symbol, size in held.items()}
            for name, held in state.book.positions().items()
        },
        "open_orders": state.book.open_count(),
        "cash": text(state.book.cash()),
        "halts": {scope: type(mode).__name__ for scope, mode in state.halts.scopes.items()},
        "halts_known": state.halts.known,
        "limits_version": 0 if state.limits is None else state.limits.version,
        "budget": budget,
        "refused": dict(counts.refused),
        "digest": engine.digest(),
        "digest_at": digest_at,
    }
