"""The one way to an order: a request is checked, and comes out Approved or Refused with every reason."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from bus.control_messages import Halt, ReduceOnly
from bus.halt_state import HaltState
from bus.order_events import Basis, OrderApproved
from bus.order_messages import (
    Change,
    OrderClass,
    OrderRequest,
    OrderTerms,
    Reason,
    ReplaceRequest,
    Side,
)
from oms.amounts import ZERO, minus
from oms.book.book import Book
from oms.limits.limits import Limits
from oms.prices.reference_price import Known, Price
from oms.risk.buying_power import CHECKS as CHECKS_OF_MONEY
from oms.risk.buying_power import ONLY_WHERE_SET as MONEY_ONLY_WHERE_SET
from oms.risk.checks import CHECKS, CHECKS_OF_A_REDUCTION, Check, beyond_reduction, replaceable
from oms.risk.exit_checks import exits
from oms.risk.exposure_checks import CHECKS as CHECKS_OF_EXPOSURE
from oms.risk.exposure_checks import ONLY_WHERE_SET as EXPOSURE_ONLY_WHERE_SET
from oms.risk.market_checks import CHECKS as CHECKS_OF_THE_MARKET
from oms.risk.market_checks import short_sale
from oms.risk.own_orders import CHECKS as CHECKS_OF_OWN_ORDERS
from oms.risk.preconditions import Context, unmet
from oms.risk.repetition_checks import CHECKS as CHECKS_OF_REPETITION
from oms.risk.repetition_checks import ONLY_WHERE_SET as REPETITION_ONLY_WHERE_SET
from oms.risk.replacements import worked_out
from oms.risk.subject import subject_of
from oms.risk.terms import malformed

_PERMISSION = object()


class Approved:
    """Permission to send one order, and the broker takes nothing else.

    Only `check` can make one, and `approve_closing`, whose orders (`closes`) go before all others.
    """

    __slots__ = ("changes", "closes", "event", "reduces", "replaces_broker_id")

    def __init__(
        self,
        permission: object,
        event: OrderApproved,
        replaces_broker_id: str | None,
        changes: tuple[Change, ...] = (),
        *,
        closes: bool = False,
        reduces: bool = False,
    ) -> None:
        if permission is not _PERMISSION:
            raise TypeError("an order is approved by check or approve_closing and nowhere else")
        self.event = event
        self.replaces_broker_id = replaces_broker_id
        self.changes = changes
        # It only reduces positions, so it goes before the algorithm's other orders.
        self.reduces = reduces
        self.closes = closes

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
    """A no, with each reason that was found and what the decision saw."""

    __slots__ = ("basis", "reasons")

    def __init__(self, reasons: tuple[Reason, ...], basis: Basis) -> None:
        self.reasons = reasons
        self.basis = basis

    def __repr__(self) -> str:
        return f"<refused: {', '.join(reason.code for reason in self.reasons)}>"


_TO_RISK_MORE = (
    *CHECKS,
    *CHECKS_OF_MONEY,
    *CHECKS_OF_EXPOSURE,
    *CHECKS_OF_REPETITION,
    *CHECKS_OF_THE_MARKET,
    *CHECKS_OF_OWN_ORDERS,
    exits,
)
# Checks of limits that need not be set, with the limit that each is of: a decision leaves out the others.
_ONLY_WHERE_SET = EXPOSURE_ONLY_WHERE_SET | MONEY_ONLY_WHERE_SET | REPETITION_ONLY_WHERE_SET
_TO_REDUCE = (*CHECKS_OF_A_REDUCTION, *CHECKS_OF_OWN_ORDERS, exits)

_POSITION_CHANGED = Reason(
    code="position_changed", message="the position that it was to close has become smaller: not sent"
)
_NO_LIMITS = Reason(code="no_limits", message="no limits are loaded: nothing trades without them")


def check(
    request: OrderRequest | ReplaceRequest,
    book: Book,
    limits: Limits | None,
    prices: Mapping[str, Known],
    context: Context,
) -> Approved | Refused:
    """Check a request whose client id the book does not know yet (`decisions.py` sorts out the others).

    Every check that can be made is made, and all their reasons are returned.
    """
    reasons = unmet(request, context)
    terms = request.terms
    known = prices.get(terms.symbol)
    price = known if isinstance(known, Price) else None
    replaced, replacement = None, None
    if isinstance(request, ReplaceRequest) and (replaced := book.orders.get(request.replaces)) is not None:
        replacement = worked_out(request, replaced)
    if limits is None:
        reasons.append(_NO_LIMITS)
    wrong = malformed(terms)
    if wrong is not None:
        reasons.append(wrong)
    if limits is None or wrong is not None:
        return Refused(tuple(reasons), _basis(limits, price, context, terms.symbol, None))
    subject = subject_of(
        request,
        terms if replacement is None else replacement.working,
        replaced,
        book,
        limits.effective(context.algorithm, terms.symbol),
        known,
        context,
    )
    reduces = subject.reduces
    for find in (
        _TO_REDUCE
        if reduces
        else _to_risk_more(subject.effective.optional, terms.side, subject.terms.order_class, type(request))
    ):
        reason = find(subject, book, context)
        if reason is not None:
            reasons.append(reason)
    basis = _basis(limits, price, context, terms.symbol, subject.reserve_price, subject.before)
    if reasons or subject.reserve_price is None:
        return Refused(tuple(reasons), basis)
    event = OrderApproved(
        algorithm=context.algorithm,
        client_order_id=request.client_order_id,
        terms=terms,
        reserve_price=subject.reserve_price,
        trigger=request.trigger,
        received_ns=request.received_ns,
        requested_ns=request.requested_ns,
        approved_ns=context.now_ns,
        replaces=None if replaced is None else replaced.client_order_id,
        basis=basis,
        working=None if replacement is None else replacement.working,
    )
    return Approved(
        _PERMISSION,
        event,
        None if replaced is None else replaced.broker_order_id,
        () if replacement is None else replacement.changes,
        reduces=reduces,
    )


def approve_closing(
    client_order_id: str, terms: OrderTerms, trigger: str, book: Book, limits: Limits | None, context: Context
) -> Approved:
    """Permission for an operator's order that closes what an algorithm holds, or a part of it, and no more.

    Halts, limits and prices do not bind it: it is what they protect from.
    """
    assert not closes_too_much(terms, book, context.algorithm), "it is made of what is held"
    event = OrderApproved(
        algorithm=context.algorithm,
        client_order_id=client_order_id,
        terms=terms,
        reserve_price=ZERO,
        trigger=trigger,
        received_ns=context.now_ns,
        requested_ns=context.now_ns,
        approved_ns=context.now_ns,
        basis=_basis(limits, None, context, terms.symbol, ZERO),
    )
    return Approved(_PERMISSION, event, None, closes=True)


def closes_too_much(terms: OrderTerms, book: Book, algorithm: str) -> bool:
    """Whether an order would trade more than what closes the algorithm's position."""
    held = book.position(terms.symbol, algorithm)
    return (terms.quantity or ZERO) > (-held if terms.side == "buy" else held)


@lru_cache(maxsize=256)
def _to_risk_more(
    optional: frozenset[str], side: Side, order_class: OrderClass, kind: type[OrderRequest | ReplaceRequest]
) -> tuple[Check, ...]:
    """The checks that can find anything in such a request where these of the optional limits are set."""
    never = {check for check, name in _ONLY_WHERE_SET.items() if name not in optional}
    if side == "buy":
        never.add(short_sale)
    if order_class == "simple":
        never.add(exits)
    if kind is OrderRequest:
        never.add(replaceable)
    return tuple(check for check in _TO_RISK_MORE if check not in never)


def basis_without_price(
    request: OrderRequest | ReplaceRequest, limits: Limits | None, context: Context
) -> Basis:
    """What a refusal saw for which no price mattered, such as that of an id in use."""
    return _basis(limits, None, context, request.terms.symbol, None)


def _basis(
    limits: Limits | None,
    price: Price | None,
    context: Context,
    symbol: str,
    reserve: Decimal | None,
    before: Price | None = None,
) -> Basis:
    mode = context.mode(symbol)
    if not context.halts.known:
        halt = "unknown"
    elif mode is None:
        halt = "active"
    else:
        halt = "reduce_only" if isinstance(mode, ReduceOnly) else "halted"
    return Basis(
        price=None if price is None else price.price,
        price_at_ns=None if price is None else price.at_ns,
        price_received_ns=None if price is None else price.received_ns,
        price_feed="" if price is None else price.feed,
        limits_version=0 if limits is None else limits.version,
        halt=halt,  # type: ignore[arg-type]
        control_fresh=context.control_fresh,
        not_ready="" if context.not_ready is None else context.not_ready.code,
        lease=context.lease,
        reserve_price=reserve,
        band_price=None if before is None else before.price,
        responsible_person="" if limits is None else limits.responsible_person(context.algorithm),
    )


def objection(approved: Approved, book: Book, halts: HaltState, account: str) -> Reason | None:
    """What the present state has against sending an order that was approved, if anything.

    Permission holds only under the rules that gave it: what became stricter since stops the order.
    """
    if approved.closes:
        too_much = closes_too_much(approved.terms, book, approved.event.algorithm)
        return _POSITION_CHANGED if too_much else None
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
    # The order itself is among what is pending, and so is what the one that it replaces has beyond it.
    order = book.orders[event.client_order_id]
    replaced = book.replaced(order)
    freed = ZERO if replaced is None else max(ZERO, minus(replaced.leaves(), order.leaves()))
    return beyond_reduction(mode, book, event.algorithm, event.terms, -freed)
