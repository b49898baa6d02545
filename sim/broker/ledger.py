"""The truth to compare with: every order and every fill, oldest first, and what the fills add up to."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sim.amounts import plain, plain_or_none
from sim.broker.orders import Order
from sim.times import rfc3339


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; `id` is the execution id on trade updates."""

    id: str
    order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    at_ns: int

    @property
    def signed_qty(self) -> Decimal:
        """Positive when bought."""
        return self.qty if self.side == "buy" else -self.qty


def cash_after(opening_cash: Decimal, fills: Iterable[Fill]) -> Decimal:
    """The cash that the fills leave of the opening cash."""
    return opening_cash - sum((fill.signed_qty * fill.price for fill in fills), Decimal(0))


def positions_after(fills: Iterable[Fill]) -> dict[str, Decimal]:
    """The signed quantities that the fills leave, by symbol, without zeros."""
    held: dict[str, Decimal] = {}
    for fill in fills:
        held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.signed_qty
    return {symbol: qty for symbol, qty in held.items() if qty}


def ledger_json(opening_cash: Decimal, orders: Iterable[Order], fills: list[Fill]) -> dict[str, Any]:
    """The ledger as the control endpoint answers; cash and positions are folded from the fills."""
    return {
        "orders": [
            {
                "id": order.id,
                "client_order_id": order.ticket.client_order_id,
                "symbol": order.ticket.asset.symbol,
                "side": order.ticket.side,
                "status": order.status,
                "filled_qty": plain(order.filled_qty),
                "filled_avg_price": plain_or_none(order.filled_avg_price),
            }
            for order in orders
        ],
        "fills": [
            {
                "id": fill.id,
                "order_id": fill.order_id,
                "symbol": fill.symbol,
                "side": fill.side,
                "qty": plain(fill.qty),
                "price": plain(fill.price),
                "at": rfc3339(fill.at_ns),
            }
            for fill in fills
        ],
        "cash": plain(cash_after(opening_cash, fills)),
        "positions": {symbol: plain(qty) for symbol, qty in sorted(positions_after(fills).items())},
    }
