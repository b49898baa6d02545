"""Checks of what all positions and open orders may come to, in dollars. Pure."""

from decimal import Decimal

from bus.order_messages import Reason
from oms.amounts import ZERO, minus, plus, times
from oms.book.book import Book
from oms.risk.checks import Check, Subject, above, named
from oms.risk.preconditions import Context


def gross_exposure(subject: Subject, book: Book, context: Context) -> Reason | None:
    """All positions without their signs, each with the open orders that lead furthest."""
    for number, (whose, scope) in enumerate(subject.holders):
        limit = scope.gross_exposure
        if limit is not None and (gross := _with_order(subject, book, number)[0]) > limit:
            return above("gross_exposure", f"the gross exposure of {named(whose)}", limit, gross)
    return None


def net_exposure(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Long positions less short ones, with all open orders on this order's side."""
    for number, (whose, scope) in enumerate(subject.holders):
        limit = scope.net_exposure
        if limit is not None and (net := _with_order(subject, book, number)[1]) > limit:
            return above("net_exposure", f"the net exposure of {named(whose)}", limit, net)
    return None


def unexecuted_value(subject: Subject, book: Book, context: Context) -> Reason | None:
    """What all open orders may still trade, this one included, at their reserve prices."""
    if subject.reserve_price is None:
        return None
    for whose, scope in subject.holders:
        limit = scope.unexecuted_value
        if limit is not None:
            worth = times(subject.quantity, subject.reserve_price)
            if subject.replaced is not None:
                worth = minus(worth, times(subject.freed, subject.replaced.reserve_price))
            value = plus(book.unexecuted(whose), worth)
            if value > limit:
                return above("unexecuted_value", f"the value of open orders of {named(whose)}", limit, value)
    return None


def _with_order(subject: Subject, book: Book, number: int) -> tuple[Decimal, Decimal]:
    """What a holder's comes to, gross and net; without a price nothing is approved, and nothing counted."""
    found = subject.exposures.get(number)
    if found is None:
        terms, whose = subject.terms, subject.holders[number][0]
        price = ZERO if subject.price is None else subject.price.price
        found = book.exposure.with_order(whose, terms.symbol, terms.side, subject.reached[number], price)
        subject.exposures[number] = found
    return found


CHECKS: tuple[Check, ...] = (gross_exposure, net_exposure, unexecuted_value)

# The limit that each is of.
ONLY_WHERE_SET: dict[Check, str] = {
    gross_exposure: "gross_exposure",
    net_exposure: "net_exposure",
    unexecuted_value: "unexecuted_value",
}
