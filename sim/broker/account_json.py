"""The account and its positions as Alpaca shows them."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sim.amounts import cents, plain
from sim.broker.account import Position
from sim.broker.brokerage import Brokerage
from sim.broker.orders import Order
from sim.times import rfc3339

_MILLIONTH = Decimal("0.000001")


def account_json(brokerage: Brokerage) -> dict[str, Any]:
    """GET /v2/account; cash is shown in whole cents."""
    account_id, summary = brokerage.account_id, brokerage.summary()
    power = cents(summary.buying_power)
    created = rfc3339(brokerage.opened_ns)
    value = summary.long_value + summary.short_value
    return {
        "id": account_id,
        "account_number": "PA" + account_id.replace("-", "")[:10].upper(),
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "buying_power": power,
        "regt_buying_power": cents(summary.free_margin * 2),
        "effective_buying_power": power,
        "non_marginable_buying_power": cents(summary.free_margin),
        "options_buying_power": cents(summary.free_margin),
        "cash": cents(summary.cash),
        "accrued_fees": "0",
        "pending_reg_taf_fees": "0",
        "portfolio_value": cents(summary.equity),
        "position_market_value": cents(value),
        "equity": cents(summary.equity),
        "last_equity": cents(brokerage.opening_cash),
        "long_market_value": cents(summary.long_value),
        "short_market_value": cents(summary.short_value),
        "initial_margin": cents(summary.margin + summary.held_margin),
        "maintenance_margin": cents(summary.margin),
        "last_maintenance_margin": "0",
        "sma": cents(summary.equity),
        "multiplier": "4",
        "shorting_enabled": True,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "created_at": created,
        "balance_asof": created[:10],
        "crypto_tier": 1,
        "options_approved_level": 3,
        "options_trading_level": 3,
        "intraday_adjustments": "0",
        "admin_configurations": {},
        "user_configurations": None,
    }


def _millionths(amount: Decimal) -> str:
    return plain(amount.quantize(_MILLIONTH, ROUND_HALF_UP))


def position_json(position: Position, price: Decimal | None, open_orders: list[Order]) -> dict[str, Any]:
    """One position at a price; without one it stands at cost."""
    asset, qty, cost = position.asset, position.qty, position.cost_basis
    closing = "sell" if qty > 0 else "buy"
    held = sum((order.reserved_qty for order in open_orders if order.ticket.side == closing), Decimal(0))
    free = max(Decimal(0), abs(qty) - held)
    current = position.avg_entry_price if price is None else price
    profit = qty * current - cost
    share = profit / abs(cost) if cost else Decimal(0)
    return {
        "asset_id": asset.id,
        "symbol": asset.symbol,
        "exchange": asset.exchange,
        "asset_class": asset.asset_class,
        "asset_marginable": not asset.is_crypto,
        "qty": plain(qty),
        "qty_available": plain(free if qty > 0 else -free),
        "avg_entry_price": _millionths(position.avg_entry_price),
        "side": "long" if qty > 0 else "short",
        "market_value": _millionths(qty * current),
        "cost_basis": _millionths(cost),
        "unrealized_pl": _millionths(profit),
        "unrealized_plpc": _millionths(share),
        "unrealized_intraday_pl": _millionths(profit),
        "unrealized_intraday_plpc": _millionths(share),
        "current_price": plain(current),
        "lastday_price": plain(Decimal(asset.opening_price_cents) / 100),
        "change_today": _millionths(current * 100 / asset.opening_price_cents - 1),
    }
