"""Refuses orders that could trade with an open order of the same account."""

from collections.abc import Iterable

from sim import refusals
from sim.broker.orders import Order, Ticket

_MARKET = frozenset({"market", "stop"})  # they take any price


def check(ticket: Ticket, open_orders: Iterable[Order]) -> None:
    """Raise Refused if the order could trade with one of these, all of the ticket's symbol.

    Alpaca's table (User Protection, Preventing Wash Trades): beside a market or stop order of the other side
    every order is refused, and every market or stop order beside any; two limits only if they cross.
    Brackets, OCO and OTO orders and trailing stops are exempt.
    """
    if _is_exempt(ticket):
        return
    for order in open_orders:
        if (
            order.ticket.side != ticket.side
            and not _is_exempt(order.ticket)
            and _may_trade(ticket, order.ticket)
        ):
            raise refusals.wash_trade(order.id, _reason(ticket, order.ticket))


def _is_exempt(ticket: Ticket) -> bool:
    return bool(ticket.order_class) or ticket.type == "trailing_stop"


def _may_trade(new: Ticket, old: Ticket) -> bool:
    if new.type in _MARKET or old.type in _MARKET:
        return True
    assert new.limit_price is not None
    assert old.limit_price is not None
    if new.side == "buy":
        return new.limit_price >= old.limit_price
    return old.limit_price >= new.limit_price


def _reason(new: Ticket, old: Ticket) -> str:
    if old.type in _MARKET:
        return "opposite side market/stop order exists"
    if new.type in _MARKET:
        return "opposite side limit order exists. use complex/limit/stop_limit orders"
    return "opposite side limit order exists"
