"""What the market and the position have against an order with exits, before the broker says no. Pure."""

from decimal import Decimal

from bus.order_messages import Reason, ReplaceRequest
from oms.amounts import text
from oms.book.book import Book
from oms.risk.preconditions import Context
from oms.risk.subject import Subject
from oms.risk.terms import misplaced


def exits(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A bracket that would close, an OCO that would open, or an exit on the wrong side of the price.

    The price is that at which the order opens: its limit or its stop, else the market's; of an OCO the
    market's. Of a replacement only the broker knows where its exits stand by now.
    """
    del book, context
    terms = subject.terms
    if terms.order_class == "simple":
        return None
    closable = subject.closable
    if terms.order_class == "bracket" and closable:
        return Reason(
            code="not_an_entry",
            message=f"a bracket opens a position, and {terms.side} would close {text(closable)} "
            f"{terms.symbol} of the account: close with a simple or an oco order",
            value=text(closable),
        )
    if terms.order_class == "oco" and not closable:
        held = "is short of" if terms.side == "buy" else "holds"
        return Reason(
            code="no_position",
            message=f"an oco order closes a position, and the account {held} no {terms.symbol}: open it "
            "first, or open it with a bracket",
        )
    if isinstance(subject.request, ReplaceRequest):
        return None
    base = _base(subject)
    wrong = None if base is None else misplaced(terms, base)
    if wrong is None or base is None:
        return None
    what = "the market" if terms.order_class == "oco" or terms.type == "market" else "the order's own price"
    return Reason(code="exit_price", message=f"{wrong}, for {what} is at {text(base)}", value=text(base))


def _base(subject: Subject) -> Decimal | None:
    terms = subject.terms
    if terms.order_class != "oco":
        for price in (terms.limit_price, terms.stop_price):
            if price is not None:
                return price
    return None if subject.price is None else subject.price.price
