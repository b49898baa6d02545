"""Checks of what all positions and open orders may come to, in dollars. Pure."""

from decimal import Decimal

from bus.order_messages import Reason
from oms.amounts import ZERO, minus, plus, times
from oms.book.book import Book
from oms.risk.checks import Check, above, named
from oms.risk.preconditions import Context
from oms.risk.subject import Holder, Subject


def gross_exposure(subject: Subject, book: Book, context: Context) -> Reason | None:
    """All positions without their signs, each with the open orders that lead furthest."""
    del context
    for holder in subject.holders:
        limit = holder.scope.gross_exposure
        if limit is not None and (gross := _with_order(subject, book, holder)[0]) > limit:
            return above("gross_exposure", f"the gross exposure of {named(holder)}", limit, gross)
    return None


def net_exposure(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Long positions less short ones, with all open orders on this order's side."""
    del context
    for holder in subject.holders:
        limit = holder.scope.net_exposure
        if limit is not None and (net := _with_order(subject, book, holder)[1]) > limit:
            return above("net_exposure", f"the net exposure of {named(holder)}", limit, net)
    return None


def unexecuted_value(subject: Subject, book: Book, context: Context) -> Reason | None:
    """What all open orders may still trade, this one included, at their reserve prices."""
    del book, context
    if subject.reserve_price is None:
        return None
    for holder in subject.holders:
        limit = holder.scope.unexecuted_value
        if limit is not None:
            value = plus(holder.open.value, subject.reserved)
            if subject.replaced is not None:
                value = minus(value, times(subject.freed, subject.replaced.reserve_price))
            if value > limit:
                return above("unexecuted_value", f"the value of open orders of {named(holder)}", limit, value)
    return None


def _with_order(subject: Subject, book: Book, holder: Holder) -> tuple[Decimal, Decimal]:
    """What a holder's comes to, gross and net; without a price nothing is approved, and nothing counted.

    Where all open orders on the other side lead may be further than where this order leads.
    """
    if holder.exposure is None:
        terms = subject.terms
        gross, highest, lowest = book.exposure.without(holder.name, terms.symbol)
        buys, price = terms.side == "buy", ZERO if subject.price is None else subject.price.price
        back = minus(holder.open.pending(terms.symbol)["sell" if buys else "buy"], holder.held)
        furthest = holder.value if holder.reached >= back else times(back, price)
        holder.exposure = plus(gross, furthest), plus(highest if buys else -lowest, holder.value)
    return holder.exposure


CHECKS: tuple[Check, ...] = (gross_exposure, net_exposure, unexecuted_value)

# The limit that each is of.
ONLY_WHERE_SET: dict[Check, str] = {
    gross_exposure: "gross_exposure",
    net_exposure: "net_exposure",
    unexecuted_value: "unexecuted_value",
}
