"""A broker that keeps orders and tells of them, and what somebody knows who has heard some of that.

Written from Alpaca's documents and not from the book, so that a mistake of the book's is not in it too.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
ENDS = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


@dataclass(eq=False)
class Kept:
    """An order as the broker has it."""

    client_order_id: str
    side: str
    quantity: Decimal
    order_class: str = ""
    type: str = "market"
    parent: "Kept | None" = None
    replaces: "Kept | None" = None
    replaced_by: "Kept | None" = None
    status: str = "new"
    filled: Decimal = ZERO
    legs: list["Kept"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The broker's id."""
        return f"broker-{self.client_order_id}"

    @property
    def open(self) -> bool:
        """Whether it may still be filled."""
        return self.status not in ENDS

    @property
    def left(self) -> Decimal:
        """What of it may still be filled."""
        return self.quantity - self.filled if self.open else ZERO

    def shown(self) -> dict[str, Any]:
        """The order as Alpaca writes it."""
        return {
            "id": self.id,
            "client_order_id": self.client_order_id,
            "symbol": "AAPL",
            "side": self.side,
            "type": self.type,
            "time_in_force": "day",
            "status": self.status,
            "qty": str(self.quantity),
            "limit_price": None,
            "stop_price": None,
            "filled_qty": str(self.filled),
            "filled_avg_price": None,
            "order_class": self.order_class,
            "replaces": None if self.replaces is None else self.replaces.id,
            "replaced_by": None if self.replaced_by is None else self.replaced_by.id,
        }


@dataclass(frozen=True)
class Told:
    """One update as it leaves the broker: the order of then, and an execution where it is one."""

    order: Kept
    event: str
    status: str
    filled: Decimal
    quantity: Decimal
    execution: str
    executed: Decimal
    frame: bytes


class ToldOrders:
    """The broker's orders, and every update about them in the order in which they happened."""

    def __init__(self) -> None:
        self.orders: dict[str, Kept] = {}
        self.updates: list[Told] = []
        self.executions = 0

    def take(self, order: Kept) -> Kept:
        """Take an order and its exits; that it is new is told."""
        self.orders[order.client_order_id] = order
        self.tell(order, "new" if order.parent is None else "held")
        for leg in order.legs:
            leg.status = "held"
            self.take(leg)
        return order

    def tell(self, order: Kept, event: str, executed: Decimal = ZERO) -> None:
        """Tell of an order as it is now."""
        execution = ""
        data: dict[str, Any] = {
            "event": event,
            "timestamp": f"2026-01-02T15:04:05.{len(self.updates):09}Z",
            "order": order.shown(),
        }
        if executed:
            self.executions += 1
            execution = f"execution-{self.executions}"
            data |= {"execution_id": execution, "qty": str(executed), "price": "100"}
        self.updates.append(
            Told(
                order,
                event,
                order.status,
                order.filled,
                order.quantity,
                execution,
                executed,
                json.dumps({"stream": "trade_updates", "data": data}).encode(),
            )
        )

    def fill(self, order: Kept, quantity: Decimal) -> None:
        """Fill so much of an order; of two exits one is filled, and the other has the less to do."""
        order.filled += quantity
        order.status = "filled" if order.filled == order.quantity else "partially_filled"
        self.tell(order, "fill" if order.status == "filled" else "partial_fill", quantity)
        for other in self._other_exits(order):
            other.quantity -= quantity
            if not other.quantity - other.filled:
                other.quantity += quantity
                self.end(other, "canceled")
        if order.status == "filled":
            for leg in order.legs:
                if leg.open:
                    leg.status = "new"
                    self.tell(leg, "new")

    def end(self, order: Kept, status: str) -> None:
        """End an order, and what belongs to it."""
        root = order.parent or order
        group = [root, *root.legs] if status != "replaced" else [order]
        for one in group:
            if one.open:
                one.status = status
                self.tell(one, status)

    def replace(self, old: Kept, client_order_id: str) -> Kept:
        """Take an order in place of another, for what is left of it."""
        new = Kept(client_order_id, old.side, old.left, old.order_class, old.type, replaces=old)
        old.replaced_by = new
        self.end(old, "replaced")
        return self.take(new)

    def _other_exits(self, order: Kept) -> list[Kept]:
        legs = [] if order.parent is None else order.parent.legs
        return [leg for leg in legs if leg is not order and leg.open]


@dataclass
class Known:
    """What is known of one order by what was heard: executions, the furthest count, the first end."""

    executions: dict[str, Decimal] = field(default_factory=dict)
    furthest: Decimal = ZERO
    quantity: Decimal = ZERO
    end: str = ""

    @property
    def booked(self) -> Decimal:
        """What executions it was heard of."""
        return sum(self.executions.values(), ZERO)

    @property
    def left(self) -> Decimal:
        """What may still be told of it: until its end all the rest, then what was counted and not told."""
        return max(ZERO, (self.furthest if self.end else self.quantity) - self.booked)

    def hear(self, told: Told) -> None:
        """Hear an update, late or twice."""
        if told.execution:
            self.executions[told.execution] = told.executed
        self.furthest = max(self.furthest, told.filled)
        self.quantity = told.quantity
        if told.status in ENDS:
            self.end = self.end or told.status
