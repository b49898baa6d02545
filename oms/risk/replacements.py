"""Replacing a working order: what is to stand at the broker afterwards, and what is in the way. Pure."""

from dataclasses import dataclass

from msgspec.structs import replace

from bus.order_messages import Change, OrderTerms, ReplaceRequest
from oms.amounts import ZERO, minus, text
from oms.book.book import Book
from oms.book.orders import Order

CHANGEABLE: tuple[Change, ...] = (
    "quantity",
    "limit_price",
    "stop_price",
    "time_in_force",
    "trail_price",
    "trail_percent",
)


# An order and its exits share these, so that Alpaca changes neither of one alone.
_OF_WHOLE_GROUPS = ("quantity", "time_in_force")


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replace worked out against the order as the broker has it.

    `working` is what is to stand at the broker: its quantity is what is left. `changes` names what the
    request to the broker says; a quantity there is that of the request, which counts what is filled.
    """

    working: OrderTerms
    changes: tuple[Change, ...]


def worked_out(request: ReplaceRequest, old: Order) -> Replacement | None:
    """The replace of an order, worked out; None where the book does not know that order's terms."""
    if old.terms is None or old.working is None:
        return None
    asked = request.terms
    named = request.changes
    if named is None:
        named = tuple(name for name in CHANGEABLE if getattr(asked, name) != getattr(old.terms, name))
    changed = {name: getattr(asked, name) for name in named}
    changes = tuple(name for name in named if changed[name] != getattr(old.working, name))
    working = replace(old.working, **changed)
    if working.quantity is not None:
        left = minus(working.quantity, max(old.filled, old.reported))
        working = replace(working, quantity=max(ZERO, left))
    return Replacement(working, changes)


def why_not(request: ReplaceRequest, old: Order | None, algorithm: str, book: Book) -> str | None:
    """Why this order cannot be replaced so, if anything is in the way."""
    if old is None or old.algorithm != algorithm:
        return "there is no such order of this algorithm"
    if not old.open or not old.broker_order_id:
        return f"it is {old.status}, not open at the broker"
    other = book.replacement(old)
    if other is not None and not other.never_came:
        so_far = "has taken its place" if other.answered else "is on its way to take its place"
        return f"{other.client_order_id} {so_far}"
    asked = request.terms
    if (old.symbol, old.side) != (asked.symbol, asked.side):
        return f"it is to {old.side} {old.symbol}: symbol and side cannot change"
    replacement = worked_out(request, old)
    if replacement is None or replacement.working.type != asked.type or asked.type == "market":
        return "its type cannot change, and a market order has nothing to replace"
    if asked.notional is not None or replacement.working.notional is not None:
        return "a notional order cannot be replaced"
    in_group = old.group is not None
    if in_group and (fixed := [name for name in replacement.changes if name in _OF_WHOLE_GROUPS]):
        return f"{' and '.join(fixed)} of an order with exits, and of an exit, cannot change: its prices can"
    return _quantity_in_the_way(request, old, replacement)


def _quantity_in_the_way(request: ReplaceRequest, old: Order, replacement: Replacement) -> str | None:
    if not replacement.changes:
        return "nothing of it would change"
    if not replacement.working.quantity:
        return f"{text(max(old.filled, old.reported))} of it are filled already"
    stands = old.working.quantity if old.working is not None else None
    seen = request.seen_quantity
    if "quantity" in replacement.changes and seen is not None and stands is not None and seen != stands:
        return f"its quantity is {text(stands)} by now, not {text(seen)} as when this was asked for"
    return None
