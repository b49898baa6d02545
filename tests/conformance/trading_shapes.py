"""The shapes of the trading API's objects, every key of them, as recorded of a paper account."""

from shapes import (
    ANY_OBJECT,
    BOOLEAN,
    DAY,
    ID,
    NULL,
    NUMBER,
    NUMBER_TEXT,
    TEXT,
    TIME,
    UTC_TIME,
    WHOLE,
    WORD,
    ListOf,
    MayLack,
    OrNull,
    Shape,
    one_of,
)

ASSET_CLASS = one_of("us_equity", "crypto")
STATUSES = one_of(
    "new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced", "pending_cancel",
    "pending_replace", "accepted", "pending_new", "accepted_for_bidding", "stopped", "rejected", "suspended",
    "calculated", "held",
)  # fmt: skip
EVENTS = one_of(
    "new", "fill", "partial_fill", "canceled", "expired", "done_for_day", "replaced", "accepted", "rejected",
    "pending_new", "stopped", "pending_cancel", "pending_replace", "calculated", "suspended",
    "order_replace_rejected", "order_cancel_rejected", "restated", "held", "pending_review",
)  # fmt: skip
TYPES = one_of("market", "limit", "stop", "stop_limit", "trailing_stop")

_ORDER: dict[str, Shape] = {
    "id": ID,
    "client_order_id": WORD,
    "created_at": UTC_TIME,
    "updated_at": UTC_TIME,
    "submitted_at": UTC_TIME,
    "filled_at": OrNull(UTC_TIME),
    "expired_at": OrNull(UTC_TIME),
    "expires_at": OrNull(UTC_TIME),
    "canceled_at": OrNull(UTC_TIME),
    "failed_at": OrNull(UTC_TIME),
    "replaced_at": OrNull(UTC_TIME),
    "replaced_by": OrNull(ID),
    "replaces": OrNull(ID),
    "asset_id": ID,
    "symbol": WORD,
    "asset_class": ASSET_CLASS,
    "notional": OrNull(NUMBER_TEXT),
    "qty": OrNull(NUMBER_TEXT),
    "filled_qty": NUMBER_TEXT,
    "filled_avg_price": OrNull(NUMBER_TEXT),
    "order_class": one_of("", "simple", "bracket", "oco", "oto", "mleg"),
    "order_type": TYPES,
    "type": TYPES,
    "side": one_of("buy", "sell"),
    "time_in_force": one_of("day", "gtc", "opg", "cls", "ioc", "fok"),
    "limit_price": OrNull(NUMBER_TEXT),
    "stop_price": OrNull(NUMBER_TEXT),
    "status": STATUSES,
    "extended_hours": BOOLEAN,
    "trail_percent": OrNull(NUMBER_TEXT),
    "trail_price": OrNull(NUMBER_TEXT),
    "hwm": OrNull(NUMBER_TEXT),
    "position_intent": OrNull(one_of("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")),
    "subtag": OrNull(TEXT),
    "source": OrNull(TEXT),
}
ORDER: dict[str, Shape] = _ORDER | {"legs": NULL}
ORDER_WITH_LEGS: dict[str, Shape] = _ORDER | {"legs": OrNull(ListOf(ORDER))}

ACCOUNT: dict[str, Shape] = {
    "id": ID,
    "account_number": WORD,
    "status": one_of("ACTIVE"),
    "crypto_status": one_of("ACTIVE"),
    "currency": one_of("USD"),
    **dict.fromkeys(
        (
            "buying_power", "regt_buying_power", "effective_buying_power", "non_marginable_buying_power",
            "options_buying_power", "cash", "accrued_fees", "pending_reg_taf_fees", "portfolio_value",
            "position_market_value", "equity", "last_equity", "long_market_value", "short_market_value",
            "initial_margin", "maintenance_margin", "last_maintenance_margin", "sma", "multiplier",
        ),
        NUMBER_TEXT,
    ),
    **dict.fromkeys(
        (
            "shorting_enabled", "trading_blocked", "transfers_blocked", "account_blocked",
            "trade_suspended_by_user",
        ),
        BOOLEAN,
    ),
    "created_at": UTC_TIME,
    "balance_asof": DAY,
    "crypto_tier": WHOLE,
    "options_approved_level": WHOLE,
    "options_trading_level": WHOLE,
    "intraday_adjustments": NUMBER_TEXT,
    "admin_configurations": ANY_OBJECT,
    "user_configurations": OrNull(ANY_OBJECT),
}  # fmt: skip
# Taken out of the account in July 2026, when the rule on day trading went.
GONE_FROM_THE_ACCOUNT = ("pattern_day_trader", "daytrade_count", "daytrading_buying_power")

POSITION: dict[str, Shape] = {
    "asset_id": ID,
    "symbol": WORD,
    "exchange": TEXT,
    "asset_class": ASSET_CLASS,
    "asset_marginable": BOOLEAN,
    "side": one_of("long", "short"),
    **dict.fromkeys(
        (
            "qty", "qty_available", "avg_entry_price", "market_value", "cost_basis", "unrealized_pl",
            "unrealized_plpc", "unrealized_intraday_pl", "unrealized_intraday_plpc", "current_price",
            "lastday_price", "change_today",
        ),
        NUMBER_TEXT,
    ),
}  # fmt: skip

STOCK_ASSET: dict[str, Shape] = {
    "id": ID,
    "class": one_of("us_equity"),
    "exchange": WORD,
    "symbol": WORD,
    "name": TEXT,
    "status": one_of("active", "inactive"),
    **dict.fromkeys(("tradable", "marginable", "shortable", "easy_to_borrow", "fractionable"), BOOLEAN),
    "borrow_status": WORD,
    "maintenance_margin_requirement": NUMBER,
    "margin_requirement_long": NUMBER_TEXT,
    "margin_requirement_short": NUMBER_TEXT,
    "attributes": ListOf(WORD),
}
COIN_ASSET: dict[str, Shape] = STOCK_ASSET | {
    "class": one_of("crypto"),
    "borrow_status": MayLack(OrNull(TEXT)),
    "min_order_size": NUMBER_TEXT,
    "min_trade_increment": NUMBER_TEXT,
    "price_increment": NUMBER_TEXT,
}

CLOCK: dict[str, Shape] = {"timestamp": TIME, "is_open": BOOLEAN, "next_open": TIME, "next_close": TIME}
CALENDAR_DAY: dict[str, Shape] = {
    "date": DAY, "open": WORD, "close": WORD, "session_open": WORD, "session_close": WORD,
    "settlement_date": DAY,
}  # fmt: skip

FILL_ACTIVITY: dict[str, Shape] = {
    "activity_type": one_of("FILL"),
    "id": WORD,
    "order_id": ID,
    "order_status": STATUSES,
    "type": one_of("fill", "partial_fill"),
    "symbol": WORD,
    "side": one_of("buy", "sell", "sell_short"),
    **dict.fromkeys(("price", "qty", "cum_qty", "leaves_qty"), NUMBER_TEXT),
    "transaction_time": UTC_TIME,
}
PORTFOLIO_HISTORY: dict[str, Shape] = {
    "timestamp": ListOf(WHOLE),
    "equity": ListOf(OrNull(NUMBER)),
    "profit_loss": ListOf(OrNull(NUMBER)),
    "profit_loss_pct": ListOf(OrNull(NUMBER)),
    "base_value": NUMBER,
    "base_value_asof": MayLack(DAY),
    "timeframe": one_of("1Min", "5Min", "15Min", "1H", "1D"),
    "cashflow": MayLack(ANY_OBJECT),
}
CONFIGURATIONS: dict[str, Shape] = {
    **dict.fromkeys(
        ("fractional_trading", "no_shorting", "suspend_trade", "ptp_no_exception_entry"), BOOLEAN
    ),
    "max_margin_multiplier": NUMBER_TEXT,
    "trade_confirm_email": one_of("all", "none"),
    "max_options_trading_level": MayLack(OrNull(WHOLE)),
    "disable_overnight_trading": MayLack(BOOLEAN),
}

CANCELED: dict[str, Shape] = {"id": ID, "status": WHOLE, "body": MayLack(ANY_OBJECT)}
SHORTAGE: dict[str, Shape] = {
    "available": NUMBER_TEXT, "code": WHOLE, "existing_qty": NUMBER_TEXT, "held_for_orders": NUMBER_TEXT,
    "message": WORD, "symbol": WORD, "related_orders": MayLack(ListOf(ID)),
}  # fmt: skip
CLOSED: dict[str, Shape] = {"symbol": WORD, "status": WHOLE, "body": ORDER}
NOT_CLOSED: dict[str, Shape] = {"symbol": WORD, "status": WHOLE, "body": SHORTAGE}

UPDATE: dict[str, Shape] = {
    "event": EVENTS,
    "execution_id": ID,
    "order": ORDER_WITH_LEGS,
    "timestamp": UTC_TIME,
}
FILL_UPDATE: dict[str, Shape] = UPDATE | dict.fromkeys(("price", "qty", "position_qty"), NUMBER_TEXT)
