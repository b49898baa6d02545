"""When an order fills, at what price, and how much of it: decided from the quote and the trade in force."""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

from sim.amounts import SMALLEST_QTY
from sim.broker.orders import Order, Ticket
from sim.exchange.touch import Touch

PARTIAL_CHANCE = 0.1  # Alpaca's paper accounts fill a random part one time in ten


def is_triggered(ticket: Ticket, traded_at: Decimal) -> bool:
    """Whether a trade at this price wakes the order's stop."""
    assert ticket.stop_price is not None
    return traded_at >= ticket.stop_price if ticket.side == "buy" else traded_at <= ticket.stop_price


def fill_price(order: Order, touch: Touch) -> Decimal | None:
    """The price at which the order fills now: the other side's best, if its limit allows; else None."""
    ticket = order.ticket
    if ticket.stop_price is not None and not order.is_triggered:
        return None
    price = touch.ask if ticket.side == "buy" else touch.bid
    if price is None or ticket.limit_price is None:
        return price
    is_good_enough = price <= ticket.limit_price if ticket.side == "buy" else price >= ticket.limit_price
    return price if is_good_enough else None


def fill_qty(order: Order, price: Decimal, draw: Callable[[], float], partial_chance: float) -> Decimal:
    """How much fills at this price: all that is left, or now and then a random part of it.

    `draw` returns the next random number of [0, 1). Orders by value and fill-or-kill orders fill at once.
    A whole number of shares stays whole.
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
    """The price at which buying power is held for the order, per share.

    Sells count 3 % above the offer, which is what a short may cost; a stop that becomes a market order is
    held at the collar Alpaca puts on it: 4 % below $50, else 2.5 %.
    """
    if ticket.side == "buy":
        if ticket.limit_price is not None:
            return ticket.limit_price
        if ticket.stop_price is not None:
            return ticket.stop_price * (Decimal("1.04") if ticket.stop_price < 50 else Decimal("1.025"))
        return Decimal(0) if touch is None or touch.ask is None else touch.ask
    asked = Decimal(0) if touch is None or touch.ask is None else touch.ask * Decimal("1.03")
    return max(asked, ticket.limit_price or ticket.stop_price or Decimal(0))
