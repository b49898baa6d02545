"""Shows the ledger on the control endpoint: fills, their sums, and where the account differs from them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sim.amounts import plain, plain_or_none
from sim.broker.brokerage import Brokerage
from sim.broker.ledger import EXACT, Entry, Ledger, SymbolSum
from sim.broker.movements import Movement
from sim.broker.orders import Order
from sim.times import rfc3339

ZERO = Decimal(0)


def ledger_json(brokerage: Brokerage, ledger: Ledger, since: int = 0) -> dict[str, Any]:
    """Return everything from fill number `since` on; sums are always of the whole run.

    With `since`, it lists those orders that are open or changed after the last fill known. The answer's
    `next` is the `since` of the next request. `difference` is what the account shows beyond what its fills
    explain.
    """
    ledger.follow(brokerage.fills)
    ledger.follow_movements(brokerage.movements)
    entries, summary = ledger.entries, brokerage.summary()
    return {
        "opening_cash": plain(ledger.opening_cash),
        "orders": [_order_json(order) for order in _told(brokerage.orders.values(), entries, since)],
        "fills": [_entry_json(number, entries[number]) for number in range(since, len(entries))],
        "movements": [_movement_json(one) for one in brokerage.movements],
        "next": len(entries),
        "cash": plain(ledger.cash),
        "positions": {s: plain(one.position) for s, one in sorted(ledger.sums.items()) if one.position},
        "realized_profit": plain(ledger.realized),
        "symbols": {symbol: _sum_json(one) for symbol, one in sorted(ledger.sums.items())},
        "reservations": [_reservation_json(order) for order in brokerage.open_orders()],
        "margin_reserved": plain(summary.held_margin),
        "difference": difference(brokerage, ledger),
    }


def difference(brokerage: Brokerage, ledger: Ledger) -> dict[str, Any]:
    """Return account minus ledger: cash, positions, and orders whose sums are not those of their fills."""
    held = {symbol: position.qty for symbol, position in brokerage.account.positions.items()}
    explained = {symbol: one.position for symbol, one in ledger.sums.items()}
    positions = {
        symbol: EXACT.subtract(held.get(symbol, ZERO), explained.get(symbol, ZERO))
        for symbol in sorted(held.keys() | explained.keys())
    }
    return {
        "cash": plain(EXACT.subtract(brokerage.account.cash, ledger.cash)),
        "positions": {symbol: plain(qty) for symbol, qty in positions.items() if qty},
        "orders": _misfilled(brokerage.orders, ledger),
    }


def _misfilled(orders: Mapping[str, Order], ledger: Ledger) -> list[str]:
    nothing = (ZERO, ZERO)
    wrong = [
        order.id
        for order in orders.values()
        if (order.filled_qty, order.filled_value) != ledger.filled.get(order.id, nothing)
    ]
    # Fills without an order are a difference too.
    return wrong + sorted(ledger.filled.keys() - orders.keys())


def _told(orders: Iterable[Order], entries: list[Entry], since: int) -> list[Order]:
    if since == 0:
        return list(orders)
    known_ns = entries[since - 1].fill.at_ns
    return [order for order in orders if order.is_open or order.updated_ns >= known_ns]


def _order_json(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "client_order_id": order.ticket.client_order_id,
        "symbol": order.ticket.asset.symbol,
        "side": order.ticket.side,
        "status": order.status,
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain_or_none(order.filled_avg_price),
        "replaces": order.replaces,
        "replaced_by": order.replaced_by,
        "created_at": rfc3339(order.created_ns),
        "canceled_at": None if order.canceled_ns is None else rfc3339(order.canceled_ns),
    }


def _entry_json(number: int, entry: Entry) -> dict[str, Any]:
    fill = entry.fill
    return {
        "number": number,
        "id": fill.id,
        "order_id": fill.order_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "qty": plain(fill.qty),
        "price": plain(fill.price),
        "fee": plain(fill.fee),
        "at": rfc3339(fill.at_ns),
        "cash_after": plain(entry.cash),
        "position_after": plain(entry.position),
        "realized_profit": plain(entry.realized),
    }


def _movement_json(movement: Movement) -> dict[str, Any]:
    return {
        "id": movement.id,
        "type": movement.type,
        "symbol": movement.symbol,
        "qty": plain(movement.position_change),
        "cash": plain(movement.cash),
        "at": rfc3339(movement.at_ns),
    }


def _sum_json(one: SymbolSum) -> dict[str, Any]:
    return {
        "fills": one.fills,
        "bought_qty": plain(one.bought_qty),
        "bought_value": plain(one.bought_value),
        "sold_qty": plain(one.sold_qty),
        "sold_value": plain(one.sold_value),
        "position": plain(one.position),
        "cost_basis": plain(one.cost_basis),
        "realized_profit": plain(one.realized),
        "fees": plain(one.fees),
    }


def _reservation_json(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "symbol": order.ticket.asset.symbol,
        "side": order.ticket.side,
        "status": order.status,
        "qty": plain(order.remaining_qty),
        "price": plain(order.reserve_price),
        "value": plain(order.reserved_value),
    }
