"""An order as the broker keeps it, and its JSON as Alpaca shows it."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sim.amounts import SMALLEST_QTY, plain, plain_or_none
from sim.exchange.assets import Asset
from sim.times import rfc3339

# In these the exchange has the order and does not work it; it may be filled later.
HELD_BACK = frozenset({"suspended", "stopped", "calculated", "done_for_day"})
OPEN = frozenset({"pending_new", "accepted", "new", "partially_filled", "held"}) | HELD_BACK
STOPS = frozenset({"stop", "stop_limit", "trailing_stop"})
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A checked order request: it has either `qty` or `notional`, and the prices that its type needs.

    `order_class` is "" (simple), "bracket", "oco" or "oto". `legs` are the tickets of its children, of their
    parent's class: the take-profit and the stop-loss of a bracket, the stop-loss of an OCO, either of an OTO.
    `position_intent` is what the client said; the order has the one that was inferred.
    """

    client_order_id: str
    asset: Asset
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    order_class: str = ""
    legs: tuple["Ticket", ...] = ()
    position_intent: str | None = None

    @property
    def is_fractional(self) -> bool:
        """Whether it may leave a fraction of a share: by notional, or by a quantity that is not whole."""
        return self.qty is None or self.qty % 1 != 0


@dataclass(slots=True, eq=False)
class Order:
    """One order and its state; `reserve_price` is the price at which buying power is reserved.

    `submitted_ns` is when it went to its exchange, where that was not at once. `high_water_mark` is the best
    price that a trailing stop has seen: the highest for a sell, the lowest for a buy.
    """

    id: str
    ticket: Ticket
    position_intent: str
    reserve_price: Decimal
    created_ns: int
    updated_ns: int
    expires_ns: int | None = None
    status: str = "pending_new"
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    is_triggered: bool = False
    filled_ns: int | None = None
    canceled_ns: int | None = None
    replaced_ns: int | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    expired_ns: int | None = None
    failed_ns: int | None = None
    submitted_ns: int | None = None
    high_water_mark: Decimal | None = None
    legs: list["Order"] = field(default_factory=list)
    parent: "Order | None" = field(default=None, repr=False)

    @property
    def sent_ns(self) -> int:
        """When it was sent to its exchange."""
        return self.created_ns if self.submitted_ns is None else self.submitted_ns

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status in OPEN

    @property
    def remaining_qty(self) -> Decimal:
        """The quantity still to be filled; an order by notional has none until its first fill."""
        return ZERO if self.ticket.qty is None else self.ticket.qty - self.filled_qty

    @property
    def stop_price(self) -> Decimal | None:
        """The stop price; a trailing stop's follows the best price seen, and is None before the first."""
        ticket, mark = self.ticket, self.high_water_mark
        if ticket.type != "trailing_stop" or mark is None:
            return ticket.stop_price
        trail = ticket.trail_price or mark * (ticket.trail_percent or ZERO) / 100
        return mark + trail if ticket.side == "buy" else mark - trail

    @property
    def waits_for_trigger(self) -> bool:
        """Whether a trade must reach its stop price before it can fill."""
        return self.ticket.type in STOPS and not self.is_triggered

    @property
    def sibling(self) -> "Order | None":
        """The other exit of its group, which shares its quantity."""
        if self.parent is None:
            return self.legs[0] if self.ticket.order_class == "oco" and self.legs else None
        if self.parent.ticket.order_class == "oco":
            return self.parent
        return next((leg for leg in self.parent.legs if leg is not self), None)

    @property
    def is_due(self) -> bool:
        """Whether it may work: an exit must wait until its entry is filled completely."""
        return (
            self.parent is None or self.parent.ticket.order_class == "oco" or self.parent.status == "filled"
        )

    @property
    def is_passive(self) -> bool:
        """Whether it stays held while it waits for its trigger: a stop-loss beside a take-profit."""
        return self.waits_for_trigger and self.sibling is not None and self.sibling.is_open

    @property
    def reserved_qty(self) -> Decimal:
        """The quantity that it reserves; the exits of one group reserve it once, by the take-profit."""
        if self.parent is None and not self.legs:  # true of most; asked of every order for each new one
            return self.remaining_qty
        is_bound_by_sibling = self.ticket.type in STOPS and self.sibling is not None and self.sibling.is_open
        return ZERO if is_bound_by_sibling or not self.is_due else self.remaining_qty

    @property
    def reserved_value(self) -> Decimal:
        """The most that it may still cost, at its reserve price."""
        if self.ticket.notional is not None:
            return self.ticket.notional - self.filled_value
        return self.reserved_qty * self.reserve_price

    @property
    def filled_avg_price(self) -> Decimal | None:
        """The average price of its fills to nine decimals; None before the first."""
        if not self.filled_qty:
            return None
        return (self.filled_value / self.filled_qty).quantize(SMALLEST_QTY, ROUND_HALF_UP)


def _time_or_none(time_ns: int | None) -> str | None:
    return None if time_ns is None else rfc3339(time_ns)


def order_json(order: Order, nested: bool = False) -> dict[str, Any]:
    """Return every key of Alpaca's order; numbers are strings. `nested` puts its legs inside it."""
    ticket = order.ticket
    return {
        "id": order.id,
        "client_order_id": ticket.client_order_id,
        "created_at": rfc3339(order.created_ns),
        "updated_at": rfc3339(order.updated_ns),
        "submitted_at": rfc3339(order.sent_ns),
        "filled_at": _time_or_none(order.filled_ns),
        "expired_at": _time_or_none(order.expired_ns),
        "expires_at": _time_or_none(order.expires_ns),
        "canceled_at": _time_or_none(order.canceled_ns),
        "failed_at": _time_or_none(order.failed_ns),
        "replaced_at": _time_or_none(order.replaced_ns),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": ticket.asset.id,
        "symbol": ticket.asset.symbol,
        "asset_class": ticket.asset.asset_class,
        "notional": plain_or_none(ticket.notional),
        "qty": plain_or_none(ticket.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain_or_none(order.filled_avg_price),
        "order_class": ticket.order_class,
        "order_type": ticket.type,
        "type": ticket.type,
        "side": ticket.side,
        "time_in_force": ticket.time_in_force,
        "limit_price": plain_or_none(ticket.limit_price),
        "stop_price": plain_or_none(order.stop_price),
        "status": order.status,
        "extended_hours": ticket.extended_hours,
        "legs": [order_json(leg) for leg in order.legs] if nested and order.legs else None,
        "trail_percent": plain_or_none(ticket.trail_percent),
        "trail_price": plain_or_none(ticket.trail_price),
        "hwm": plain_or_none(order.high_water_mark),
        "position_intent": order.position_intent,
        "subtag": None,
        "source": None,
    }
