"""Decides whether an order fills, at what price and how much of it, from the quote and the last trade."""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

from sim.amounts import SMALLEST_QTY
from sim.broker.orders import Order, Ticket
from sim.exchange.touch import Touch

PARTIAL_CHANCE = 0.1  # Alpaca's paper accounts fill a random part one time in ten


def follow(order: Order, traded_at: Decimal) -> None:
    """Move a trailing stop with a trade: the highest price counts for a sell, the lowest for a buy."""
    if order.ticket.type != "trailing_stop":
        return
    best = order.high_water_mark
    is_better = best is None or (traded_at < best if order.ticket.side == "buy" else traded_at > best)
    if is_better:
        order.high_water_mark = traded_at


def is_triggered(order: Order, traded_at: Decimal) -> bool:
    """Return whether a trade at this price triggers the order's stop."""
    stop = order.stop_price
    if stop is None:
        return False
    return traded_at >= stop if order.ticket.side == "buy" else traded_at <= stop


def is_outside(touch: Touch | None, traded_at: Decimal) -> bool:
    """Return whether a trade lies outside the quote: it triggers no stop (Order Handling Standards)."""
    if touch is None:
        return False
    is_below = touch.bid is not None and traded_at < touch.bid
    return is_below or (touch.ask is not None and traded_at > touch.ask)


def collar(stop_price: Decimal) -> Decimal:
    """Return the limit that Alpaca puts on a buy stop: 4 % above a stop below $50, else 2.5 %."""
    return stop_price * (Decimal("1.04") if stop_price < 50 else Decimal("1.025"))


def limit_price(order: Order) -> Decimal | None:
    """Return the worst price at which it may fill: its limit, or a buy stop's collar; None for any price."""
    ticket = order.ticket
    if ticket.type == "stop" and ticket.side == "buy" and ticket.stop_price is not None:
        return collar(ticket.stop_price)
    return ticket.limit_price


def fill_price(order: Order, touch: Touch) -> Decimal | None:
    """Return the far side of the quote if the order's limit allows it, else None."""
    if order.waits_for_trigger:
        return None
    is_buy = order.ticket.side == "buy"
    price, limit = touch.ask if is_buy else touch.bid, limit_price(order)
    if price is None or limit is None:
        return price
    is_good_enough = price <= limit if is_buy else price >= limit
    return price if is_good_enough else None


def fill_qty(order: Order, price: Decimal, draw: Callable[[], float], partial_chance: float) -> Decimal:
    """Return how much fills at this price: all that is left, or now and then a random part of it.

    `draw` returns the next random number of [0, 1). Orders by notional and fill-or-kill orders fill
    completely. A whole number of shares stays whole.
    """
    ticket = order.ticket
    if ticket.notional is not None:
        return (ticket.notional / price).quantize(SMALLEST_QTY, ROUND_DOWN)
    left = order.remaining_qty
    step = Decimal(1) if left % 1 == 0 else SMALLEST_QTY
    if ticket.time_in_force == "fok" or left <= step or draw() >= partial_chance:
        return left
    part = (left * Decimal(str(draw()))).quantize(step, ROUND_DOWN)
    return min(max(part, step), left)


def protective_price(ticket: Ticket, touch: Touch | None) -> Decimal:
    """Return the price per share at which buying power is reserved for the order.

    Sells count 3 % above the ask, which is what a short may cost; a buy stop counts at its collar, and a
    trailing buy at its present stop price.
    """
    if ticket.side == "buy":
        if ticket.limit_price is not None:
            return ticket.limit_price
        if ticket.stop_price is not None:
            return collar(ticket.stop_price)
        asked = _asked(ticket, touch)
        return asked + (ticket.trail_price or asked * (ticket.trail_percent or Decimal(0)) / 100)
    return max(_asked(ticket, touch) * Decimal("1.03"), ticket.limit_price or ticket.stop_price or Decimal(0))


def _asked(ticket: Ticket, touch: Touch | None) -> Decimal:
    """Return the ask; without one the bid, and without a quote the asset's opening price."""
    quoted = None if touch is None else touch.ask if touch.ask is not None else touch.bid
    return Decimal(ticket.asset.opening_price_cents) / 100 if quoted is None else quoted
