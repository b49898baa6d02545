"""An algorithm's own orders and positions, as a fold of its events; one applied twice changes nothing."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from bus.book_messages import Booked
from bus.codec import Message
from bus.events import Event
from bus.order_events import (
    CancelRefused,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import OrderClass, OrderTerms, Reason, Role, Side

OrderStatus = Literal[
    "requested",
    "approved",
    "uncertain",
    "working",
    "filled",
    "canceled",
    "expired",
    "rejected",
    "replaced",
    "refused",
    "dropped",
]
# How far an open order has come; being looked for comes after being approved.
_OPEN: dict[str, int] = {"requested": 0, "approved": 1, "uncertain": 2, "working": 3}
_CLOSED = 4
# Alpaca's words for the end of an order; everything else it says is an order that still works.
_ENDED: dict[str, OrderStatus] = {
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "replaced": "replaced",
}
# Closed orders are kept for as many as a handler could still ask about, not for ever.
_CLOSED_KEPT = 1000
# Refusals that leave the id free: one answered a leader before us, who asked for the same order and died, the
# other a request that nobody could read, which was mended and came again.
_OF_ANOTHER_REQUEST = frozenset({"not_leader", "unreadable_request"})
# What an order with exits is in its group; an OCO is itself the exit with a profit.
_ROLES: dict[OrderClass, Role] = {"simple": "", "bracket": "entry", "oto": "entry", "oco": "take_profit"}
_NINE_PLACES = Decimal("1E-9")
ZERO = Decimal(0)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order of this algorithm, as far as its events say.

    `terms` are what was asked for; quantity and prices are those of the broker, once it has said them.
    Where it belongs to a group, `role` is its place there: the `entry`, or the exit that takes a profit or
    stops a loss. `parent` is the id of the order whose exit it is, and `legs` of that one names its exits by
    role, as they stand now.
    """

    client_order_id: str
    terms: OrderTerms
    status: OrderStatus
    filled_quantity: Decimal = ZERO
    broker_order_id: str = ""
    replaces: str | None = None
    replaced_by: str | None = None
    reasons: tuple[Reason, ...] = ()
    working: OrderTerms | None = None
    role: Role = ""
    parent: str | None = None
    legs: dict[Role, str] = {}

    @property
    def quantity(self) -> Decimal | None:
        """The quantity of this order at the broker; of a replacement what was left. None by notional."""
        return (self.working or self.terms).quantity

    @property
    def limit_price(self) -> Decimal | None:
        """The limit at which it works, where it has one."""
        return (self.working or self.terms).limit_price

    @property
    def stop_price(self) -> Decimal | None:
        """The price at which it is triggered, where it has one."""
        return (self.working or self.terms).stop_price

    @property
    def symbol(self) -> str:
        """The symbol that is bought or sold."""
        return self.terms.symbol

    @property
    def side(self) -> Side:
        """`buy` or `sell`."""
        return self.terms.side

    @property
    def is_open(self) -> bool:
        """Whether this order may still be filled."""
        return self.status in _OPEN


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one symbol, fees taken off. `cash` is all that fills brought in less what they cost;
    `cost` is what the quantity held now was bought for, negative when it is sold short."""

    quantity: Decimal = ZERO
    cash: Decimal = ZERO
    cost: Decimal = ZERO

    def after(self, side: Side, quantity: Decimal, price: Decimal, fee: Decimal = ZERO) -> "Position":
        """The position after one execution; average cost, and a flip starts a new cost at its price.

        `fee` is in what it brought: coins of a purchase, money of a sale.
        """
        signed = quantity if side == "buy" else -quantity
        held = self.quantity + signed
        if self.quantity * signed >= 0:
            cost = self.cost + signed * price
        elif held * self.quantity > 0:
            # The only division: rounded to what Alpaca's prices and quantities can tell apart.
            cost = (self.cost * held / self.quantity).quantize(_NINE_PLACES)
        else:
            cost = held * price
        if fee and side == "buy":
            return Position(quantity=held - fee, cash=self.cash - signed * price, cost=cost)
        return Position(quantity=held, cash=self.cash - signed * price - fee, cost=cost)

    def booked(self, quantity: Decimal, price: Decimal | None, cash: Decimal) -> "Position":
        """The position after so much came (or went) otherwise; without a price its cost stays as it is."""
        if price is None:
            held = self.quantity + quantity
            return Position(quantity=held, cash=self.cash + cash, cost=self.cost if held else ZERO)
        after = self.after("buy", quantity, price)
        return Position(quantity=after.quantity, cash=self.cash + cash, cost=after.cost)

    @property
    def realized_profit(self) -> Decimal:
        """What closed quantities earned."""
        return self.cash + self.cost

    def unrealized_profit(self, last_price: Decimal) -> Decimal:
        """What the quantity held would earn, closed at this price."""
        return self.quantity * last_price - self.cost


class Portfolio:
    """Orders and positions of one algorithm.

    Mutable: what happened comes in by `apply`; what was asked for, by `requested` and `dropped`.
    """

    def __init__(self) -> None:
        self._open: dict[str, Order] = {}
        self._closed: dict[str, Order] = {}
        self._positions: dict[str, Position] = {}
        # By order and execution: no broker promises that one id is not told of two orders.
        self._executions: set[tuple[str, str]] = set()
        # By kind, reference and symbol.
        self._bookings: set[tuple[str, str, str]] = set()

    def order(self, client_order_id: str) -> Order | None:
        """The order of this id: open, or closed not long ago."""
        return self._open.get(client_order_id) or self._closed.get(client_order_id)

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Orders that may still be filled, those asked for and not yet answered included; oldest first."""
        return tuple(self._open.values())

    def position(self, symbol: str) -> Position:
        """What is held of this symbol; empty when it was never traded."""
        return self._positions.get(symbol, _EMPTY)

    @property
    def quantities(self) -> dict[str, Decimal]:
        """What is held now, by symbol; symbols without a position are left out."""
        return {
            symbol: position.quantity for symbol, position in self._positions.items() if position.quantity
        }

    def realized_profit(self) -> Decimal:
        """What closed quantities of all symbols earned."""
        return sum((position.realized_profit for position in self._positions.values()), ZERO)

    def unrealized_profit(self, last_prices: Mapping[str, Decimal]) -> Decimal:
        """What open quantities would earn at these prices; a symbol without a price counts as nothing."""
        return sum(
            (
                position.unrealized_profit(last_prices[symbol])
                for symbol, position in self._positions.items()
                if symbol in last_prices
            ),
            ZERO,
        )

    def requested(self, client_order_id: str, terms: OrderTerms, replaces: str | None = None) -> None:
        """Remember an order from the moment it is asked for; one that is known stays as it is."""
        if self.order(client_order_id) is None:
            old = None if replaces is None else self.order(replaces)
            self._keep(
                Order(
                    client_order_id=client_order_id,
                    terms=terms,
                    status="requested",
                    replaces=replaces,
                    role=_ROLES[terms.order_class] if old is None else old.role,
                    parent=None if old is None else old.parent,
                    legs={} if old is None else old.legs,
                )
            )

    def dropped(self, client_order_id: str) -> None:
        """An order that was asked for never left this process; one that was answered stays as it is."""
        order = self._open.get(client_order_id)
        if order is not None and order.status == "requested":
            self._keep(msgspec.structs.replace(order, status="dropped"))

    def apply(self, event: Event | Message) -> Order | None:
        """Take in one event and return the order it is about, as it stands now; None for other events."""
        match event:
            case OrderApproved():
                return self._approved(event)
            case OrderRefused():
                return self._refused(event)
            case LegFound():
                return self._leg_found(event)
            case OrderSent():
                return self._advance(
                    event.client_order_id,
                    "working",
                    broker_order_id=event.broker_order_id,
                    working=self._told(event),
                )
            case OrderUncertain():
                return self._advance(event.client_order_id, "uncertain")
            case OrderUpdated():
                return self._advance(
                    event.client_order_id,
                    _ENDED.get(event.status, "working"),
                    broker_order_id=event.broker_order_id,
                    filled_quantity=event.filled_quantity,
                    replaced_by=event.replaced_by,
                    working=self._told(event),
                )
            case OrderFilled():
                return self._filled(event)
            case Booked():
                self._booked(event)
                return None
            case CancelRefused():
                return self._advance(event.client_order_id, "requested", reasons=(event.reason,))
            case _:
                return None

    def _approved(self, event: OrderApproved) -> Order | None:
        order = self.order(event.client_order_id)
        if order is not None and any(reason.code in _OF_ANOTHER_REQUEST for reason in order.reasons):
            self._closed.pop(event.client_order_id, None)
            order = None
        if order is None:
            self.requested(event.client_order_id, event.terms, event.replaces)
        elif order.terms != event.terms:
            # Ours was a conflict: the order that stands under this id is the one that was approved.
            self._keep(msgspec.structs.replace(order, terms=event.terms))
        return self._advance(event.client_order_id, "approved", working=event.working)

    def _leg_found(self, event: LegFound) -> Order:
        order = self.order(event.client_order_id)
        if order is None:
            order = Order(
                client_order_id=event.client_order_id,
                terms=event.terms,
                status=_ENDED.get(event.status, "working"),
                broker_order_id=event.broker_order_id,
                role=event.role,
                working=event.terms,
            )
        order = msgspec.structs.replace(order, parent=event.parent)
        self._keep(order)
        self._name_leg(order)
        return order

    def _name_leg(self, leg: Order) -> None:
        """Have the order whose exit this is name it."""
        parent = None if leg.parent is None else self.order(leg.parent)
        if parent is not None and parent.legs.get(leg.role) != leg.client_order_id:
            legs = parent.legs | {leg.role: leg.client_order_id}
            self._keep(msgspec.structs.replace(parent, legs=legs))

    def _told(self, event: OrderSent | OrderUpdated) -> OrderTerms | None:
        """The order's terms with quantity and prices as the broker says them."""
        order = self.order(event.client_order_id)
        if order is None:
            return None
        # Of an order that was heard of already, the answer to sending it is old.
        late = isinstance(event, OrderSent) and order.broker_order_id
        told = {
            name: value
            for name in ("quantity", "limit_price", "stop_price")
            if (value := getattr(event, name)) is not None and not late
        }
        return msgspec.structs.replace(order.working or order.terms, **told)

    def _refused(self, event: OrderRefused) -> Order | None:
        order = self.order(event.client_order_id)
        if order is None and event.terms is not None:
            self.requested(event.client_order_id, event.terms)
        elif order is not None and order.status != "requested" and event.by == "risk":
            # Risk speaks once of an order, before its approval: this answers a second request of the same id.
            return order
        return self._advance(event.client_order_id, "refused", reasons=event.reasons)

    def _filled(self, event: OrderFilled) -> Order | None:
        execution = event.client_order_id, event.execution_id
        if execution not in self._executions:
            self._executions.add(execution)
            self._positions[event.symbol] = self.position(event.symbol).after(
                event.side, event.quantity, event.price, event.fee
            )
        return self._advance(
            event.client_order_id,
            # What was filled unheard may have ended by another word since: that word comes with the fill.
            _ENDED.get(event.status, "working"),
            broker_order_id=event.broker_order_id,
            filled_quantity=event.filled_quantity,
        )

    def _booked(self, event: Booked) -> None:
        booked = event.kind, event.reference, event.symbol
        if booked not in self._bookings:
            self._bookings.add(booked)
            held = self.position(event.symbol)
            self._positions[event.symbol] = held.booked(event.quantity, event.price, event.cash)

    def _advance(
        self,
        client_order_id: str,
        status: OrderStatus,
        *,
        broker_order_id: str = "",
        filled_quantity: Decimal = ZERO,
        replaced_by: str | None = None,
        reasons: tuple[Reason, ...] = (),
        working: OrderTerms | None = None,
    ) -> Order | None:
        """An order only moves forward: events that come late or twice take nothing back."""
        order = self.order(client_order_id)
        if order is None:
            return None
        # The broker has it after all: a refusal was no end.
        lives = order.status == "refused" and broker_order_id != ""
        if not lives and (not order.is_open or _OPEN.get(status, _CLOSED) <= _OPEN[order.status]):
            status = order.status
        order = msgspec.structs.replace(
            order,
            status=status,
            broker_order_id=order.broker_order_id or broker_order_id,
            filled_quantity=max(order.filled_quantity, filled_quantity),
            replaced_by=order.replaced_by or replaced_by,
            reasons=reasons or order.reasons,
            working=working or order.working,
        )
        self._keep(order)
        if order.replaces is not None and order.status in ("working", "filled"):
            self._name_leg(order)
        return order

    def _keep(self, order: Order) -> None:
        if order.is_open:
            self._closed.pop(order.client_order_id, None)
            self._open[order.client_order_id] = order
            return
        self._open.pop(order.client_order_id, None)
        self._closed[order.client_order_id] = order
        if len(self._closed) > _CLOSED_KEPT:
            del self._closed[next(iter(self._closed))]


_EMPTY = Position()
