"""Risk's checks: each a small pure function that finds nothing wrong (None) or says what, by how much."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from bus.control_messages import Halt, ReduceOnly
from bus.errors import InvalidInput
from bus.order_messages import OrderRequest, OrderTerms, Reason, ReplaceRequest
from bus.streams import checked_symbol
from oms.amounts import ZERO, is_amount, text, times
from oms.book import ACCOUNT, Book
from oms.limits import Effective
from oms.orders import Order

_SECOND_NS = 1_000_000_000


class HaltView(Protocol):
    """What the checks ask of the halt state."""

    @property
    def known(self) -> bool:
        """False where the state could not be read: then nothing may be sent."""
        ...

    def mode_for(self, account: str, algorithm: str, symbol: str) -> Halt | ReduceOnly | None:
        """The strictest halt that covers this order, if any."""
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """A reference price and when it was received."""

    price: Decimal
    received_ns: int


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision depends on besides the request, the book, limits and prices.

    `lease` is the present lease value of the algorithm, "" where nobody leads; `retired_lease` is one whose
    holder has said that it stopped. `why_not_ready` is "" once orders may be taken.
    """

    account: str
    algorithm: str
    now_ns: int
    halt: HaltView
    control_fresh: bool
    why_not_ready: str
    lease: str
    retired_lease: str = ""


@dataclass(slots=True)
class Subject:
    """An order under judgement, with what several checks need worked out once.

    `price` is the reference price where there is a fresh one. `quantity` is what is reserved: for a notional
    order the most shares that it may become. `freed` is the open quantity of the order being replaced.
    """

    request: OrderRequest | ReplaceRequest
    terms: OrderTerms
    effective: Effective
    price: Price | None
    fresh: bool
    quantity: Decimal
    value: Decimal
    replaced: Order | None
    freed: Decimal


Check = Callable[[Subject, Book, Context], Reason | None]


def gate(request: OrderRequest | ReplaceRequest, context: Context) -> list[Reason]:
    """Why nothing at all is taken from this algorithm now: not ready, halted, control unread, not the leader."""
    reasons = []
    if context.why_not_ready:
        reasons.append(Reason(code="not_ready", message=f"orders are not taken yet: {context.why_not_ready}"))
    if not context.halt.known:
        reasons.append(
            Reason(
                code="halt_unknown",
                message="the halt state is missing: look at the account, then `backbone resume --reason ...`",
            )
        )
    if not context.control_fresh:
        reasons.append(
            Reason(
                code="control_unread", message="the control stream has not been read for 500 ms", limit="500"
            )
        )
    mode = context.halt.mode_for(context.account, context.algorithm, request.terms.symbol)
    if isinstance(mode, Halt):
        reasons.append(Reason(code="halted", message=f"{mode.scope} is halted by {mode.by}: {mode.reason}"))
    if not context.lease or request.lease != context.lease:
        reasons.append(
            Reason(
                code="not_leader",
                message="only the leader of an algorithm may order: this lease is not in force",
            )
        )
    elif request.lease == context.retired_lease:
        reasons.append(
            Reason(code="shut_down", message="this algorithm has acknowledged its shutdown under this lease")
        )
    if (
        not request.client_order_id.startswith(f"bb-{context.algorithm}-")
        or len(request.client_order_id) > 128
    ):
        reasons.append(
            Reason(
                code="bad_client_order_id",
                message=f"a client order id begins with bb-{context.algorithm}- and has at most 128 characters",
                value=request.client_order_id[:128],
            )
        )
    return reasons


def malformed(terms: OrderTerms) -> Reason | None:
    """What makes these terms no order at all, if anything."""
    wrong = _amount_wrong("quantity", terms.quantity) or _amount_wrong("notional", terms.notional)
    wrong = (
        wrong
        or _amount_wrong("limit_price", terms.limit_price)
        or _amount_wrong("stop_price", terms.stop_price)
    )
    if wrong is None and (terms.quantity is None) == (terms.notional is None):
        wrong = "exactly one of quantity and notional must be set"
    if wrong is None:
        wrong = _price_wrong(terms)
    if wrong is None:
        try:
            checked_symbol(terms.symbol)
        except InvalidInput as error:
            wrong = str(error)
    return None if wrong is None else Reason(code="bad_terms", message=wrong)


def _amount_wrong(name: str, value: Decimal | None) -> str | None:
    if value is None or (is_amount(value) and value > 0):
        return None
    return f"{name} is {value}: it must be above zero, with at most nine places"


def _price_wrong(terms: OrderTerms) -> str | None:
    needs_limit, needs_stop = terms.type in ("limit", "stop_limit"), terms.type in ("stop", "stop_limit")
    for name, value, needed in (
        ("limit_price", terms.limit_price, needs_limit),
        ("stop_price", terms.stop_price, needs_stop),
    ):
        if needed != (value is not None):
            return f"a {terms.type} order {'needs' if needed else 'has no'} {name}"
    return None


def order_quantity(subject: Subject, book: Book, context: Context) -> Reason | None:
    """One order's quantity."""
    del book, context
    return _above(
        "order_quantity", "the order's quantity", subject.effective.account.order_quantity, subject.quantity
    )


def order_value(subject: Subject, book: Book, context: Context) -> Reason | None:
    """One order's value: at its limit, its stop, or the reference price."""
    del book, context
    return _above("order_value", "the order's value", subject.effective.account.order_value, subject.value)


def position_quantity(subject: Subject, book: Book, context: Context) -> Reason | None:
    """The position that this order and all open ones on its side may lead to."""
    return _position(subject, book, context, "position_quantity", Decimal(1))


def position_value(subject: Subject, book: Book, context: Context) -> Reason | None:
    """The same position at the reference price."""
    if subject.price is None:
        return None
    return _position(subject, book, context, "position_value", subject.price.price)


def _position(subject: Subject, book: Book, context: Context, name: str, unit: Decimal) -> Reason | None:
    side, symbol = subject.terms.side, subject.terms.symbol
    for whose, scope, what in (
        (context.algorithm, subject.effective.own, f"the position of {context.algorithm} in {symbol}"),
        (ACCOUNT, subject.effective.account, f"the account's position in {symbol}"),
    ):
        limit: Decimal | None = getattr(scope, name)
        if limit is None:
            continue
        held = book.position(symbol, whose)
        towards = held if side == "buy" else -held
        reached = times(towards + book.pending(symbol, side, whose) - subject.freed + subject.quantity, unit)
        if reached > limit:
            return _above(name, what, limit, reached)
    return None


def open_orders(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Orders open at once, this one included."""
    more = 0 if subject.replaced is not None else 1
    for whose, scope in ((context.algorithm, subject.effective.own), (ACCOUNT, subject.effective.account)):
        if scope.open_orders is not None and book.open_count(whose) + more > scope.open_orders:
            count = Decimal(book.open_count(whose) + more)
            return _above("open_orders", f"orders open in {whose or 'the account'}", scope.open_orders, count)
    return None


def order_rate(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Orders approved within the last second, this one included."""
    since_ns = context.now_ns - _SECOND_NS
    for whose, scope in ((context.algorithm, subject.effective.own), (ACCOUNT, subject.effective.account)):
        limit = scope.orders_per_second
        if limit is not None and (count := book.approvals_since(since_ns, whose) + 1) > limit:
            return _above("order_rate", f"orders a second in {whose or 'the account'}", limit, Decimal(count))
    return None


def price_collar(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A limit price that reaches too far beyond the market: too high a purchase, too low a sale."""
    del book, context
    asked, reference = subject.terms.limit_price, subject.price
    if asked is None or reference is None:
        return None
    collar = subject.effective.collar
    bound = times(reference.price, 1 + collar if subject.terms.side == "buy" else 1 - collar)
    outside = asked > bound if subject.terms.side == "buy" else asked < bound
    if not outside:
        return None
    return Reason(
        code="price_collar",
        message=f"the limit price is more than {text(collar * 100)} % beyond the reference price "
        f"{text(reference.price)}",
        limit=text(bound),
        value=text(asked),
    )


def restricted(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A symbol on the restricted list."""
    del book, context
    if not subject.effective.restricted:
        return None
    return Reason(code="restricted", message=f"{subject.terms.symbol} is on the restricted list")


def reference_price(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A symbol whose price is unknown, or known too long ago."""
    del book
    if subject.price is None:
        return Reason(code="no_price", message=f"no reference price of {subject.terms.symbol} has been heard")
    if subject.fresh:
        return None
    limit_ms = subject.effective.price_age_ns // 1_000_000
    age_ms = (context.now_ns - subject.price.received_ns) // 1_000_000
    return Reason(
        code="stale_price",
        message=f"the price of {subject.terms.symbol} is {age_ms} ms old; at most {limit_ms} ms count",
        limit=str(limit_ms),
        value=str(age_ms),
    )


def reduce_only(subject: Subject, book: Book, context: Context) -> Reason | None:
    """In a scope that may only reduce: an order that could take the position beyond zero, or away from it."""
    mode = context.halt.mode_for(context.account, context.algorithm, subject.terms.symbol)
    if not isinstance(mode, ReduceOnly):
        return None
    side = subject.terms.side
    held = book.position(subject.terms.symbol, context.algorithm)
    reducible = max(ZERO, -held if side == "buy" else held)
    asked = book.pending(subject.terms.symbol, side, context.algorithm) - subject.freed + subject.quantity
    if asked <= reducible:
        return None
    return Reason(
        code="reduce_only",
        message=f"{mode.scope} may only reduce positions, by {mode.by}: {mode.reason}",
        limit=text(reducible),
        value=text(asked),
    )


def replaceable(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A replace of an order that is not open at the broker, not this algorithm's, or of another kind."""
    del book
    request, old = subject.request, subject.replaced
    if not isinstance(request, ReplaceRequest):
        return None
    why = None
    if old is None or old.algorithm != context.algorithm:
        why = "there is no such order of this algorithm"
    elif not old.open or not old.broker_order_id:
        why = f"it is {old.status}, not open at the broker"
    elif (old.symbol, old.side) != (subject.terms.symbol, subject.terms.side):
        why = f"it is to {old.side} {old.symbol}: symbol and side cannot change"
    elif old.terms is None or old.terms.type != subject.terms.type or subject.terms.type == "market":
        why = "its type cannot change, and a market order has nothing to replace"
    elif subject.terms.notional is not None or old.terms.notional is not None:
        why = "a notional order cannot be replaced"
    if why is None:
        return None
    return Reason(code="not_replaceable", message=f"{request.replaces} cannot be replaced: {why}")


def _above(code: str, what: str, limit: Decimal | None, value: Decimal) -> Reason | None:
    if limit is None or value <= limit:
        return None
    return Reason(
        code=code,
        message=f"{what} would be {text(value)}; the limit is {text(limit)}",
        limit=text(limit),
        value=text(value),
    )


CHECKS: tuple[Check, ...] = (
    reference_price,
    restricted,
    order_quantity,
    order_value,
    position_quantity,
    position_value,
    open_orders,
    order_rate,
    price_collar,
    reduce_only,
    replaceable,
)
