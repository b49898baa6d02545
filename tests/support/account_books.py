"""Folds an account's orders, cash and positions from the updates of one that only listens."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sim.broker.ledger import EXACT, Fill

ENDED = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})


def positions_after(fills: Iterable[Fill]) -> dict[str, Decimal]:
    """The signed quantities that the fills leave, by symbol, without zeros."""
    held: dict[str, Decimal] = {}
    for fill in fills:
        held[fill.symbol] = EXACT.add(held.get(fill.symbol, Decimal(0)), fill.position_change)
    return {symbol: qty for symbol, qty in held.items() if qty}


class Books:
    """The fold; every message that contradicts what was known fails a test."""

    def __init__(self, opening_cash: Decimal) -> None:
        self.cash = opening_cash
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.fills: list[dict[str, Any]] = []
        self.executions: list[str] = []
        self._last_at = ""

    def hear(self, update: dict[str, Any]) -> None:
        """One message's data, in the order of arrival."""
        order, event = update["order"], update["event"]
        assert update["execution_id"] not in self.executions, "an event is told once"
        self.executions.append(update["execution_id"])
        second, _, fraction = update["timestamp"].removesuffix("Z").partition(".")
        at = f"{second}.{fraction:0<9}"
        assert at >= self._last_at, f"{event} of {at} told after {self._last_at}"
        self._last_at = at
        before = self.orders.get(order["id"])
        if before is not None:
            assert before["status"] not in ENDED, f"{event} after {before['status']}"
            assert Decimal(order["filled_qty"]) >= Decimal(before["filled_qty"])
        if event in ("fill", "partial_fill"):
            self._fill(update, before)
        else:
            assert "price" not in update
            filled = Decimal(0) if before is None else Decimal(before["filled_qty"])
            assert Decimal(order["filled_qty"]) == filled, f"{event} fills nothing"
        self.orders[order["id"]] = order

    def _fill(self, update: dict[str, Any], before: dict[str, Any] | None) -> None:
        order = update["order"]
        qty, price = Decimal(update["qty"]), Decimal(update["price"])
        assert qty > 0
        assert (update["event"] == "fill") == (order["status"] == "filled")
        filled_before = Decimal(0) if before is None else Decimal(before["filled_qty"])
        assert Decimal(order["filled_qty"]) == filled_before + qty
        if order["qty"] is not None:
            assert (Decimal(order["filled_qty"]) == Decimal(order["qty"])) == (update["event"] == "fill")
        if order["limit_price"] is not None:
            limit = Decimal(order["limit_price"])
            assert price <= limit if order["side"] == "buy" else price >= limit
        signed = qty if order["side"] == "buy" else -qty
        symbol = order["symbol"]
        received = qty if signed > 0 else qty * price
        fee = (received / 400).quantize(Decimal("1E-9")) if "/" in symbol else Decimal(0)
        self.cash -= signed * price + (fee if signed < 0 else 0)
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + signed - (fee if signed > 0 else 0)
        assert Decimal(update["position_qty"]) == self.positions[symbol]
        if not self.positions[symbol]:
            del self.positions[symbol]
        self.fills.append(update)
