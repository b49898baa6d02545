"""Risk's checks: each a small pure function that finds nothing wrong (None) or says what, by how much."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from bus.control_messages import ReduceOnly
from bus.feed_kinds import DELAYED
from bus.order_messages import OrderTerms, Reason, ReplaceRequest
from oms.amounts import ZERO, minus, text, times
from oms.book.book import Book
from oms.risk.preconditions import Context
from oms.risk.replacements import why_not
from oms.risk.subject import Holder, Subject

_SECOND_NS = 1_000_000_000
_MILLISECOND_NS = 1_000_000


Check = Callable[[Subject, Book, Context], Reason | None]


def order_quantity(subject: Subject, book: Book, context: Context) -> Reason | None:
    """One order's quantity."""
    del book, context
    limit = subject.effective.account.order_quantity
    if limit is None or subject.quantity <= limit:
        return None
    return above("order_quantity", "the order's quantity", limit, subject.quantity)


def order_value(subject: Subject, book: Book, context: Context) -> Reason | None:
    """One order's value: at its limit, its stop, or the reference price."""
    del book, context
    limit = subject.effective.account.order_value
    if limit is None or subject.value <= limit:
        return None
    return above("order_value", "the order's value", limit, subject.value)


def position_quantity(subject: Subject, book: Book, context: Context) -> Reason | None:
    """The position that this order and all open ones on its side may lead to."""
    del book
    for holder in subject.holders:
        limit = holder.scope.position_quantity
        if limit is not None and holder.reached > limit:
            return above("position_quantity", _position_of(holder, subject), limit, holder.reached)
    return None


def position_value(subject: Subject, book: Book, context: Context) -> Reason | None:
    """The same position at the reference price."""
    del book
    if subject.price is None:
        return None
    for holder in subject.holders:
        limit = holder.scope.position_value
        if limit is not None and holder.value > limit:
            return above("position_value", _position_of(holder, subject), limit, holder.value)
    return None


def open_orders(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Orders open at once, this one included."""
    del book
    more = 0 if subject.replaced is not None else 1
    for holder in subject.holders:
        limit = holder.scope.open_orders
        if limit is not None and (count := holder.open.count + more) > limit:
            return above("open_orders", f"orders open in {named(holder)}", limit, Decimal(count))
    return None


def order_rate(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Orders approved within the last second, this one included."""
    since_ns = context.now_ns - _SECOND_NS
    for holder in subject.holders:
        limit = holder.scope.orders_per_second
        if limit is not None and (count := book.approvals.since(since_ns, holder.name) + 1) > limit:
            return above("order_rate", f"orders a second in {named(holder)}", limit, Decimal(count))
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
    """A symbol whose trading is halted, whose price is unknown, or whose price is too old by either time."""
    del book
    symbol, price, halt = subject.terms.symbol, subject.price, subject.market_halt
    if halt is not None:
        since = datetime.fromtimestamp(halt.at_ns / _SECOND_NS, UTC)
        return Reason(
            code="market_halted",
            message=f"trading in {symbol} is halted since {since:%Y-%m-%d %H:%M:%S} UTC: {halt.reason}",
            value=halt.code,
        )
    if price is None:
        return Reason(code="no_price", message=f"no reference price of {symbol} has been heard")
    limit = subject.effective.price_age(price.feed)
    age_ns = price.age_ns(context.now_ns)
    if age_ns <= limit.most_ns:
        return None
    by_market_ms, received_ms = (
        (context.now_ns - time_ns) // _MILLISECOND_NS for time_ns in (price.at_ns, price.received_ns)
    )
    limit_ms = limit.most_ns // _MILLISECOND_NS
    why = ""
    if price.feed in DELAYED:
        why = (
            f"; all of {price.feed} is a quarter of an hour old: an order passes on it only where "
            f"[feed.{price.feed}] price_age_seconds lets it, such as 960"
        )
    return Reason(
        code="stale_price",
        message=f"the price of {symbol} is {by_market_ms} ms old by the market's time and was received "
        f"{received_ms} ms ago; {limit.setting} lets {limit_ms} ms count{why}",
        limit=str(limit_ms),
        value=str(age_ns // _MILLISECOND_NS),
    )


def reduce_only(subject: Subject, book: Book, context: Context) -> Reason | None:
    """In a scope that may only reduce: an order that could take the position beyond zero, or away from it."""
    mode = context.mode(subject.terms.symbol)
    if not isinstance(mode, ReduceOnly):
        return None
    return beyond_reduction(
        mode, book, context.algorithm, subject.terms, minus(subject.quantity, subject.freed)
    )


def beyond_reduction(
    mode: ReduceOnly, book: Book, algorithm: str, terms: OrderTerms, more: Decimal
) -> Reason | None:
    """What a reduce-only scope has against `more` of an order beside all that is pending on its side."""
    held = book.position(terms.symbol, algorithm)
    reducible = max(ZERO, -held if terms.side == "buy" else held)
    asked = book.pending(terms.symbol, terms.side, algorithm) + more
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
    request = subject.request
    if not isinstance(request, ReplaceRequest):
        return None
    why = why_not(request, subject.replaced, context.algorithm, book)
    if why is None:
        return None
    return Reason(code="not_replaceable", message=f"{request.replaces} cannot be replaced: {why}")


def named(holder: Holder) -> str:
    """An algorithm, or the account, as a sentence names it."""
    return holder.name or "the account"


def _position_of(holder: Holder, subject: Subject) -> str:
    name, symbol = holder.name, subject.terms.symbol
    return f"the position of {name} in {symbol}" if name else f"the account's position in {symbol}"


def above(code: str, what: str, limit: Decimal, value: Decimal) -> Reason:
    """The refusal of a value above its limit."""
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

# Limits of how much may be at risk. They do not bind an order that only makes that less: one that was lowered
# below what is held would otherwise keep the holder in. What is left is what its size cannot mend: a wrong
# price, a loop that orders too often, a symbol not to be touched. Of the checks in other files, only those
# of own orders bind it.
_OF_SIZE = frozenset({order_quantity, order_value, position_quantity, position_value, open_orders})

CHECKS_OF_A_REDUCTION: tuple[Check, ...] = tuple(check for check in CHECKS if check not in _OF_SIZE)
