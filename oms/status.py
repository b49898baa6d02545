"""What the OMS says of itself in its heartbeat. Pure."""

from typing import Any

from bus.halt_state import HaltState
from oms.amounts import text
from oms.book import Book


def details(
    book: Book, halts: HaltState, why_not_ready: str, budget: int, refused: dict[str, int]
) -> dict[str, Any]:
    """Readiness, holdings by algorithm, halts by scope, refusals by code; numbers that are money as text."""
    return {
        "ready": not why_not_ready,
        "why_not": [why_not_ready] if why_not_ready else [],
        "positions": {
            name: {symbol: text(size) for symbol, size in held.items()}
            for name, held in book.positions().items()
        },
        "open_orders": book.open_count(),
        "cash": text(book.cash()),
        "halts": {scope: type(mode).__name__ for scope, mode in halts.scopes.items()},
        "halts_known": halts.known,
        "budget": budget,
        "refused": refused,
    }
