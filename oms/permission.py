"""Permission holds only under the rules that gave it: what became stricter since stops an order. Pure."""

from decimal import Decimal

from bus.control_messages import Halt
from bus.halt_state import HaltState
from bus.order_messages import Reason
from oms.book import Book
from oms.checks import beyond_reduction
from oms.risk import Approved


def objection(approved: Approved, book: Book, halts: HaltState, account: str) -> Reason | None:
    """What the present halt state has against sending an order that was approved, if anything."""
    if not halts.known:
        return Reason(code="halt_unknown", message="the halt state is missing: not sent")
    if not halts.scopes:
        return None
    event = approved.event
    mode = halts.mode_for(account, event.algorithm, event.terms.symbol)
    if mode is None:
        return None
    if isinstance(mode, Halt):
        return Reason(
            code="halted", message=f"{mode.scope} was halted by {mode.by} before it was sent: {mode.reason}"
        )
    # The order itself is among what is pending; the one that it replaces would be freed.
    replaced = book.orders.get(event.replaces) if event.replaces is not None else None
    freed = Decimal(0) if replaced is None else replaced.held_quantity
    return beyond_reduction(mode, book, event.algorithm, event.terms, -freed)
