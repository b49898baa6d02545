"""The codes with which limits refuse an order. Pure."""

from oms.risk.refusal import Refusal

_FILE = "the limits file"


def _limit(code: str, names: str, meaning: str, do_now: str) -> Refusal:
    """Describe the code of limits that stand in the limits file.

    From the OMS itself: they became stricter between approval and sending.
    """
    limits = tuple(names.split())
    written = " and ".join(f"`{name}`" for name in limits)
    return Refusal(code, ("risk", "oms"), meaning, f"{written} of {_FILE}", do_now, limits)


LIMITS = (
    _limit(
        "order_quantity", "order_quantity", "one order's quantity is above the limit", "order less at once"
    ),
    _limit(
        "order_value", "order_value", "one order's value in dollars is above the limit", "order less at once"
    ),
    _limit(
        "position_quantity",
        "position_quantity",
        "the position that this order and all open ones on its side may lead to is above the limit",
        "cancel open orders or reduce the position",
    ),
    _limit(
        "position_value",
        "position_value",
        "the same position at the reference price, in dollars, is above the limit",
        "cancel open orders or reduce the position",
    ),
    _limit(
        "open_orders",
        "open_orders",
        "more orders than the limit would be open at once",
        "cancel orders that are not needed any more",
    ),
    _limit(
        "order_rate",
        "orders_per_second",
        "more orders than the limit would be approved within one second",
        "ask less often; see whether the algorithm asks in a loop",
    ),
    _limit(
        "price_collar",
        "price_collar_percent",
        "the limit price reaches too far beyond the reference price: too high a purchase, too low a sale",
        "correct the price; `limit` is the furthest that is let through",
    ),
    _limit("restricted", "restricted", "the symbol is on the restricted list", "trade another symbol"),
    _limit(
        "stale_price",
        "price_age_seconds",
        "the market's last price of the symbol is too old, by the market's time or by when it was received",
        "see with `backbone status` whether ingest is connected; the message names the section that refused",
    ),
    _limit(
        "gross_exposure",
        "gross_exposure",
        "all positions without their signs, with the open orders that lead furthest, would be worth more "
        "than the limit; each symbol counts at the price of the last decision in it",
        "reduce positions or cancel open orders",
    ),
    _limit(
        "net_exposure",
        "net_exposure",
        "long positions less short ones, with all open orders on this order's side, would be worth more "
        "than the limit",
        "reduce positions or cancel open orders on this side",
    ),
    _limit(
        "unexecuted_value",
        "unexecuted_value",
        "what all open orders may still trade would be worth more than the limit, at their reserve prices",
        "wait for fills, or cancel open orders",
    ),
    _limit(
        "duplicate_request",
        "duplicate_seconds",
        "exactly the same order, under another id, was approved a moment ago",
        "see whether the algorithm asks twice for one signal; where it means to, it waits `limit` seconds",
    ),
    _limit(
        "repeated_order",
        "repeated_orders repeated_seconds",
        "the same symbol, side and size was ordered `limit` times within the time, and no fill reversed it: "
        "the algorithm is halted",
        "look at what it did, then `backbone resume --algo ... --by NAME --reason ...`",
    ),
    _limit(
        "message_rate",
        "messages_per_minute",
        "more requests than the limit came within a minute; cancels count, and always pass",
        "ask less often; see whether the algorithm cancels and replaces in a loop",
    ),
    _limit(
        "price_band",
        "price_band_percent price_band_minutes",
        "the price is too far beyond the market's of some minutes ago; `limit` is the furthest let through",
        "see what moved the price, and whether it was the algorithm itself",
    ),
    _limit(
        "symbol_not_allowed",
        "symbols",
        "the algorithm's section names the symbols that it may trade, and not this one",
        "add the symbol there, or correct the algorithm",
    ),
    _limit(
        "short_sale",
        "short_sales",
        "the sale could take a position below zero, and short sales are switched off",
        "sell at most what is held",
    ),
    _limit(
        "market_closed",
        "orders_while_closed",
        "the market is closed, and the order would wait at the broker at a price of now; `value` is the "
        "phase of the day",
        "ask again when it opens, or for the extended hours with a limit order",
    ),
)
