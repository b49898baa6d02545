"""One order's life: a state machine that takes events late, twice, out of order or in unknown words."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bus.order_events import (
    ExternalOrderFound,
    FillAbsorbed,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import OrderTerms, Role, Side
from bus.symbols import canonical_symbol
from oms.amounts import ZERO, minus, plus, quotient_up, times
from oms.book.contracts import worth_of_one

if TYPE_CHECKING:
    from oms.book.groups import Group

# What the OMS itself knows of an order before the broker has said anything.
APPROVED = "approved"
SENT = "sent"
UNCERTAIN = "uncertain"
REFUSED = "refused"

# Why an order is refused under whose client id there is another.
ID_CONFLICT = "id_conflict"

TERMINAL = frozenset({REFUSED, "filled", "canceled", "expired", "replaced", "rejected"})

# Of two open states the one further along wins, whichever comes last. Words not listed here count as
# furthest: a status that Alpaca adds tomorrow is an open order.
_RANK = {
    APPROVED: 0,
    UNCERTAIN: 1,
    SENT: 2,
    "pending_new": 3,
    "accepted": 3,
    "accepted_for_bidding": 3,
    "pending_review": 3,
    "held": 3,
    "new": 4,
}
_FURTHEST = 5


@dataclass(slots=True)
class Order:
    """What is known of one order. Mutable: the functions below change it, and the book its `held_…`.

    `terms` are those of its request; `working` is what stands at the broker: as it was approved until the
    broker has said something of it (`told`), then as the broker has it. `most` is what the order that it
    replaces and it may fill together; None where it replaces none, or goes by notional.
    `filled` is what executions were booked for, at `paid` in all; `reported` is the broker's own cumulative
    quantity. `assumed` was booked from the broker's order up to its quantity `assumed_up_to`, in place of
    executions not heard of yet.
    `replace_rejected_ns` is when a replacement of it was last rejected. `held_…` is what the book's sums
    contain of it.
    Of a group with exits: `role` is its place there, `parent` the client id of the order whose exit it is,
    and `settled` how much of what the group opened was closed by orders outside of it, or by a reverse split;
    below zero where a split made more of it.
    """

    algorithm: str
    client_order_id: str
    symbol: str
    side: Side
    terms: OrderTerms | None = None
    working: OrderTerms | None = None
    told: bool = False
    most: Decimal | None = None
    reserve_price: Decimal = ZERO
    approved_ns: int = 0
    replaces: str | None = None
    replaced_by: str | None = None
    status: str = APPROVED
    broker_order_id: str = ""
    refusal: str = ""
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    reported: Decimal = ZERO
    executions: AbstractSet[str] = frozenset()
    assumed: Decimal = ZERO
    assumed_up_to: Decimal = ZERO
    replace_rejected_ns: int = 0
    held_quantity: Decimal = ZERO
    held_value: Decimal = ZERO
    held_open: bool = False
    role: Role = ""
    parent: str | None = None
    settled: Decimal = ZERO
    group: "Group | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Older journals have pairs in both spellings; in a book there is one, so that they meet."""
        self.symbol = canonical_symbol(self.symbol)
        if self.terms is not None and self.terms.symbol != self.symbol:
            self.terms = replace(self.terms, symbol=self.symbol)
        if self.working is not None and self.working.symbol != self.symbol:
            self.working = replace(self.working, symbol=self.symbol)

    @property
    def open(self) -> bool:
        """Whether it may still be filled."""
        return self.status not in TERMINAL

    @property
    def never_came(self) -> bool:
        """Whether it ended without ever having worked: refused, or rejected by the exchange."""
        return self.status in (REFUSED, "rejected")

    @property
    def answered(self) -> bool:
        """Whether the broker's word on it is known: it has the order, or there is none."""
        return self.broker_order_id != "" or not self.open

    def wanted(self) -> Decimal:
        """The quantity ordered; for a notional order the most that its reserve price can buy."""
        return self._quantity_of(self.working)

    def asked(self) -> Decimal:
        """The quantity that its request asked for."""
        return self._quantity_of(self.terms)

    def _quantity_of(self, terms: OrderTerms | None) -> Decimal:
        if terms is None:
            return ZERO
        if terms.quantity is not None:
            return terms.quantity
        if terms.notional is None or not self.reserve_price:
            return ZERO
        return quotient_up(terms.notional, self.reserve_price)

    def leaves(self) -> Decimal:
        """The quantity that may still be filled."""
        if not self.open:
            return ZERO
        return max(ZERO, minus(self.wanted(), max(self.filled, self.reported)))

    def outstanding(self) -> Decimal:
        """The quantity that may still be booked: to be filled, or counted by the broker and not told yet.

        Between the two it must not be forgotten: it is in no position, and is not open any more.
        """
        total = self.reported if self.status in TERMINAL else self.wanted()
        left = minus(total, self.filled) if self.filled else total
        return left if left > ZERO else ZERO


def approved(event: OrderApproved) -> Order:
    """An order that risk let through."""
    return Order(
        algorithm=event.algorithm,
        client_order_id=event.client_order_id,
        symbol=event.terms.symbol,
        side=event.terms.side,
        terms=event.terms,
        working=event.working or event.terms,
        reserve_price=event.reserve_price,
        approved_ns=event.approved_ns,
        replaces=event.replaces,
    )


def refused_at_once(event: OrderRefused, terms: OrderTerms) -> Order:
    """An order that nobody let through, of these terms."""
    return Order(
        algorithm=event.algorithm,
        client_order_id=event.client_order_id,
        symbol=terms.symbol,
        side=terms.side,
        terms=terms,
        status=REFUSED,
        refusal=_code(event),
    )


def leg(event: LegFound, approved_ns: int) -> Order:
    """An exit that the broker made, of an order that was approved at this time."""
    terms = event.terms
    return Order(
        algorithm=event.algorithm,
        client_order_id=event.client_order_id,
        symbol=terms.symbol,
        side=terms.side,
        terms=terms,
        working=terms,
        told=True,
        reserve_price=terms.limit_price or terms.stop_price or ZERO,
        approved_ns=approved_ns,
        status=event.status,
        broker_order_id=event.broker_order_id,
    )


def found_elsewhere(event: ExternalOrderFound) -> Order:
    """An order that was made elsewhere on the account, as the broker has it."""
    return Order(
        algorithm=event.algorithm,
        client_order_id=event.client_order_id,
        symbol=event.symbol,
        side=event.side,
        working=OrderTerms(
            symbol=event.symbol,
            side=event.side,
            # Any word of Alpaca's: nothing here depends on what an external order's type is.
            type=event.type,  # type: ignore[arg-type]
            time_in_force=event.time_in_force,  # type: ignore[arg-type]
            quantity=event.quantity,
            notional=event.notional,
            limit_price=event.limit_price,
            stop_price=event.stop_price,
        ),
        told=True,
        reserve_price=worth_of_one(event.symbol, event.reserve_price),
        broker_order_id=event.broker_order_id,
        status=event.status,
    )


def is_another(order: Order, broker_order_id: str) -> bool:
    """Whether the broker's order of this id is another one, although it bears our client id."""
    return order.refusal == ID_CONFLICT or order.broker_order_id not in ("", broker_order_id)


ASSUMED_PREFIX = "assumed:"


def assumed_execution_id(broker_order_id: str, filled_quantity: Decimal) -> str:
    """The id of an execution that was read off the broker's order instead of heard of.

    It is the same whenever the same quantity is found, so finding it twice books it once.
    """
    return f"{ASSUMED_PREFIX}{broker_order_id}:{filled_quantity.normalize():f}"


def countable(order: Order, execution_id: str, quantity: Decimal, filled_quantity: Decimal) -> Decimal:
    """How much of an execution is news.

    None of one that was booked before; and of one that comes late, only what an assumed execution did not
    book already in its place.
    """
    if execution_id in order.executions:
        return ZERO
    if execution_id.startswith(ASSUMED_PREFIX) or filled_quantity > order.assumed_up_to:
        return quantity
    return max(ZERO, quantity - order.assumed)


def absorbed(order: Order, event: FillAbsorbed) -> None:
    """Remember an execution that came late and was booked already, wholly or in part."""
    _remember(order, event.execution_id)
    if event.filled_quantity <= order.assumed_up_to:
        order.assumed = max(ZERO, minus(order.assumed, event.quantity))


def _remember(order: Order, execution_id: str) -> None:
    if not isinstance(order.executions, set):
        # Most orders are never filled, and there may be a hundred thousand of them.
        order.executions = set(order.executions)
    order.executions.add(execution_id)


def fill(order: Order, event: OrderFilled) -> bool:
    """Book an execution on the order; False where it was booked before. A fill counts in every state."""
    if event.execution_id in order.executions:
        return False
    _remember(order, event.execution_id)
    order.filled = plus(order.filled, event.quantity)
    order.paid = plus(order.paid, times(event.quantity, event.price))
    order.reported = max(order.reported, event.filled_quantity)
    if event.execution_id.startswith(ASSUMED_PREFIX):
        order.assumed = plus(order.assumed, event.quantity)
        order.assumed_up_to = max(order.assumed_up_to, event.filled_quantity)
    order.broker_order_id = order.broker_order_id or event.broker_order_id
    _advance(order, event.status)
    return True


def sent(order: Order, event: OrderSent) -> None:
    """The broker has it, also where what it has was taken for another's: a split had changed it."""
    if order.refusal == ID_CONFLICT:
        order.refusal, order.status = "", UNCERTAIN
    order.broker_order_id = order.broker_order_id or event.broker_order_id
    if not order.told:
        # The answer to sending it is the oldest that the broker says, however late it comes.
        _stands(order, event)
    _advance(order, SENT)


def uncertain(order: Order, event: OrderUncertain) -> None:
    """Nobody knows whether the broker has it."""
    del event
    if order.open:
        _advance(order, UNCERTAIN)


def updated(order: Order, event: OrderUpdated) -> None:
    """The broker said something of it."""
    order.broker_order_id = order.broker_order_id or event.broker_order_id
    order.replaced_by = event.replaced_by or order.replaced_by
    order.reported = max(order.reported, event.filled_quantity)
    if event.event == "order_replace_rejected":
        order.replace_rejected_ns = max(order.replace_rejected_ns, event.at_ns)
    _stands(order, event)
    _advance(order, event.status)


def differs(
    order: Order, quantity: Decimal | None, limit_price: Decimal | None, stop_price: Decimal | None
) -> bool:
    """Whether quantity or prices, as the broker has them, are news; what it does not say is none."""
    working = order.working
    if working is None:
        return False
    return (
        (quantity is not None and quantity != working.quantity)
        or (limit_price is not None and limit_price != working.limit_price)
        or (stop_price is not None and stop_price != working.stop_price)
    )


def _stands(order: Order, event: OrderSent | OrderUpdated) -> None:
    """Quantity and prices are what the broker says."""
    quantity, limit_price, stop_price = event.quantity, event.limit_price, event.stop_price
    working = order.working
    if working is None or (quantity is None and limit_price is None and stop_price is None):
        return
    order.told = True
    if differs(order, quantity, limit_price, stop_price):
        order.working = replace(
            working,
            quantity=working.quantity if quantity is None else quantity,
            limit_price=working.limit_price if limit_price is None else limit_price,
            stop_price=working.stop_price if stop_price is None else stop_price,
        )


def refused(order: Order, event: OrderRefused) -> None:
    """It will not happen.

    A refusal by risk of an id that is known already is that of another request under the same id, and one of
    an order that the broker has is out of date: both leave the order as it is.
    """
    if event.by == "risk" or order.broker_order_id or not order.open:
        return
    order.status = REFUSED
    order.refusal = _code(event)


def _code(event: OrderRefused) -> str:
    return event.reasons[0].code if event.reasons else ""


def advances(order: Order, status: str) -> bool:
    """Whether this status, the broker's word, would be news: not after the end, not a step back, not again.

    A refusal is no end where the broker has the order after all, unless that is another's under the same id.
    """
    now = order.status
    if now in TERMINAL:
        return now == REFUSED and order.refusal != ID_CONFLICT
    if status == now:
        return False
    return status in TERMINAL or _RANK.get(status, _FURTHEST) >= _RANK.get(now, _FURTHEST)


def _advance(order: Order, status: str) -> None:
    if advances(order, status):
        order.status = status
