"""Shows the account and its positions in Alpaca's JSON."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sim.amounts import cents, plain
from sim.broker.account import REGULATION_T, DayClose
from sim.broker.brokerage import Brokerage
from sim.broker.orders import Order
from sim.broker.position import Position
from sim.exchange.assets import Asset
from sim.times import rfc3339

_MILLIONTH = Decimal("0.000001")
ZERO = Decimal(0)


def account_json(brokerage: Brokerage) -> dict[str, Any]:
    """Return GET /v2/account; cash is in whole cents."""
    account_id, summary, account = brokerage.account_id, brokerage.summary(), brokerage.account
    power, settings, close = cents(summary.buying_power), account.configurations, account.last_close
    created = rfc3339(brokerage.opened_ns)
    last_equity = brokerage.opening_cash if close is None else close.equity
    return {
        "id": account_id,
        "account_number": "PA" + account_id.replace("-", "")[:10].upper(),
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "buying_power": power,
        "regt_buying_power": cents(summary.overnight_margin * min(summary.multiplier, REGULATION_T)),
        "effective_buying_power": power,
        "non_marginable_buying_power": cents(summary.overnight_margin),
        "options_buying_power": cents(summary.overnight_margin),
        "cash": cents(summary.cash),
        "accrued_fees": "0",
        "pending_reg_taf_fees": "0",
        "portfolio_value": cents(summary.equity),
        "position_market_value": cents(summary.long_value + summary.short_value),
        "equity": cents(summary.equity),
        "last_equity": plain(last_equity),
        "long_market_value": cents(summary.long_value),
        "short_market_value": cents(summary.short_value),
        "initial_margin": cents(summary.initial_margin + summary.held_margin),
        "maintenance_margin": cents(summary.maintenance_margin),
        "last_maintenance_margin": "0" if close is None else cents(close.maintenance_margin),
        "sma": cents(summary.equity),
        "multiplier": plain(summary.multiplier),
        "shorting_enabled": summary.may_short and not settings.no_shorting,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": settings.suspend_trade,
        "created_at": created,
        "balance_asof": created[:10] if close is None else close.day,
        "crypto_tier": 1,
        "options_approved_level": 3,
        "options_trading_level": 3,
        "intraday_adjustments": "0",
        "admin_configurations": {},
        "user_configurations": None,
    }


def position_symbol(asset: Asset) -> str:
    """Return the symbol of a position: a pair without its slash (BTCUSD), though its orders say BTC/USD.

    Reported by clients of Alpaca: alpaca-py's issues 490 and 537.
    """
    return asset.symbol.replace("/", "")


def position_json(
    position: Position, price: Decimal | None, open_orders: list[Order], close: DayClose | None = None
) -> dict[str, Any]:
    """Return one position at a price; without one it counts at cost. A short has a negative quantity.

    `close` is the last day's. Within a day, what was held before counts from the close, the rest from cost.
    """
    asset, qty, cost = position.asset, position.qty, position.cost_basis
    closing = "sell" if qty > 0 else "buy"
    held = sum((order.reserved_qty for order in open_orders if order.ticket.side == closing), ZERO)
    free = max(ZERO, abs(qty) - held)
    current = position.avg_entry_price if price is None else price
    last_price = _last_price(position, close)
    profit = qty * current - cost
    day_cost = _day_cost(position, last_price, close)
    day_profit = qty * current - day_cost
    return {
        "asset_id": asset.id,
        "symbol": position_symbol(asset),
        "exchange": asset.exchange,
        "asset_class": asset.asset_class,
        "asset_marginable": asset.is_marginable,
        "qty": plain(qty),
        "qty_available": plain(free if qty > 0 else -free),
        "avg_entry_price": _millionths(position.avg_entry_price),
        "side": "long" if qty > 0 else "short",
        "market_value": _millionths(qty * current),
        "cost_basis": _millionths(cost),
        "unrealized_pl": _millionths(profit),
        "unrealized_plpc": _share(profit, cost),
        "unrealized_intraday_pl": _millionths(day_profit),
        "unrealized_intraday_plpc": _share(day_profit, day_cost),
        "current_price": plain(current),
        "lastday_price": plain(last_price),
        "change_today": _share(current - last_price, last_price),
    }


def _last_price(position: Position, close: DayClose | None) -> Decimal:
    opening = Decimal(position.asset.opening_price_cents) / 100
    return opening if close is None else close.prices.get(position.asset.symbol, opening)


def _day_cost(position: Position, last_price: Decimal, close: DayClose | None) -> Decimal:
    """Return what today's profit is measured against; sales close today's purchases first."""
    before = ZERO if close is None else close.quantities.get(position.asset.symbol, ZERO)
    if before * position.qty <= 0:
        return position.cost_basis
    kept = min(abs(before), abs(position.qty)).copy_sign(position.qty)
    return kept * last_price + (position.qty - kept) * position.avg_entry_price


def _millionths(amount: Decimal) -> str:
    return plain(amount.quantize(_MILLIONTH, ROUND_HALF_UP))


def _share(part: Decimal, whole: Decimal) -> str:
    return _millionths(part / abs(whole) if whole else ZERO)
