"""The one way to an order: a request is judged, and comes out Approved or Refused with every reason."""

from collections.abc import Mapping
from decimal import Decimal

from bus.order_messages import OrderApproved, OrderRequest, OrderTerms, Reason, ReplaceRequest
from oms.amounts import ZERO, ceiling, quotient, times
from oms.book import Book
from oms.checks import CHECKS, Subject
from oms.gate import Context, Price, gate, malformed
from oms.limits import Effective, Limits

_PERMISSION = object()


class Approved:
    """Permission to send one order. Only `check` can make one, and the broker takes nothing else."""

    __slots__ = ("event", "replaces_broker_id")

    def __init__(self, permission: object, event: OrderApproved, replaces_broker_id: str | None) -> None:
        if permission is not _PERMISSION:
            raise TypeError("an order is approved by risk.check and nowhere else")
        self.event = event
        self.replaces_broker_id = replaces_broker_id

    def __repr__(self) -> str:
        terms = self.event.terms
        size = terms.quantity if terms.quantity is not None else f"${terms.notional}"
        return f"<approved: {terms.side} {size} {terms.symbol} as {self.event.client_order_id}>"

    @property
    def client_order_id(self) -> str:
        """The id under which the broker will know it."""
        return self.event.client_order_id

    @property
    def terms(self) -> OrderTerms:
        """What is to be traded, and how."""
        return self.event.terms


class Refused:
    """A no, with each reason that was found."""

    __slots__ = ("reasons",)

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        self.reasons = reasons

    def __repr__(self) -> str:
        return f"<refused: {', '.join(reason.code for reason in self.reasons)}>"


def check(
    request: OrderRequest | ReplaceRequest,
    book: Book,
    limits: Limits | None,
    prices: Mapping[str, Price],
    context: Context,
) -> Approved | Refused:
    """Judge a request whose client id the book does not know yet (`requests.decide` sorts out the others).

    Every check that can be made is made, and all their reasons are returned.
    """
    reasons = gate(request, context)
    if limits is None:
        reasons.append(Reason(code="no_limits", message="no limits are loaded: nothing trades without them"))
    terms = request.terms
    wrong = malformed(terms)
    if wrong is not None:
        reasons.append(wrong)
    if limits is None or wrong is not None:
        return Refused(tuple(reasons))
    effective = limits.effective(context.algorithm, terms.symbol)
    price = prices.get(terms.symbol)
    subject = _subject(request, book, effective, price, context.now_ns)
    for find in CHECKS:
        reason = find(subject, book, context)
        if reason is not None:
            reasons.append(reason)
    if reasons or price is None:
        return Refused(tuple(reasons))
    replaced = subject.replaced
    event = OrderApproved(
        algorithm=context.algorithm,
        client_order_id=request.client_order_id,
        terms=terms,
        reserve_price=reserve_price(terms, price.price, effective.collar),
        trigger=request.trigger,
        received_ns=request.received_ns,
        requested_ns=request.requested_ns,
        approved_ns=context.now_ns,
        replaces=None if replaced is None else replaced.client_order_id,
    )
    return Approved(_PERMISSION, event, None if replaced is None else replaced.broker_order_id)


def reserve_price(terms: OrderTerms, reference: Decimal, collar: Decimal) -> Decimal:
    """The price at which an order is reserved, nine places.

    A notional order: the lowest price within the collar, since that gives the most shares. Otherwise the
    limit where there is one (a sale cannot be worth less than the market), a purchase at the market or at a
    stop with the collar on top, a sale at the market or stop price itself.
    """
    anchor = reference if terms.stop_price is None else terms.stop_price
    if terms.notional is not None:
        return ceiling(times(min(anchor, terms.limit_price or anchor), 1 - collar))
    if terms.limit_price is not None:
        return terms.limit_price if terms.side == "buy" else max(terms.limit_price, reference)
    return ceiling(times(anchor, 1 + collar)) if terms.side == "buy" else anchor


def _subject(
    request: OrderRequest | ReplaceRequest, book: Book, effective: Effective, price: Price | None, now_ns: int
) -> Subject:
    terms = request.terms
    replaced = book.orders.get(request.replaces) if isinstance(request, ReplaceRequest) else None
    reference = ZERO if price is None else price.price
    quantity = terms.quantity if terms.quantity is not None else ZERO
    if terms.notional is not None:
        value = terms.notional
        reserve = reserve_price(terms, reference, effective.collar)
        quantity = quotient(terms.notional, reserve) if reserve else ZERO
    elif terms.limit_price is not None:
        value = times(
            quantity, terms.limit_price if terms.side == "buy" else max(terms.limit_price, reference)
        )
    else:
        value = times(quantity, reference if terms.stop_price is None else terms.stop_price)
    return Subject(
        request=request,
        terms=terms,
        effective=effective,
        price=price,
        # A price from the future is one of before a clock was set back: nobody knows its age.
        fresh=price is not None and abs(now_ns - price.received_ns) <= effective.price_age_ns,
        quantity=quantity,
        value=value,
        replaced=replaced,
        freed=ZERO if replaced is None else replaced.held_quantity,
    )
