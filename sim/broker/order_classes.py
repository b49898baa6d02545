"""Makes the legs of brackets, one-cancels-other and one-triggers-other orders."""

from collections.abc import Callable
from decimal import Decimal

from sim.broker.order_requests import StopLoss, TakeProfit
from sim.broker.orders import Ticket
from sim.refusals import invalid, malformed

# Alpaca's internal names of the classes, as its refusals for crypto pairs show them.
_INNER_NAMES = {"bracket": "otoco", "oco": "oco", "oto": "oto"}


def leg_tickets(
    parent: Ticket,
    take_profit: TakeProfit | None,
    stop_loss: StopLoss | None,
    new_client_id: Callable[[], str],
) -> tuple[Ticket, ...]:
    """Return the tickets of the legs that this order's class needs. Raises Refused where one is missing.

    A bracket has both, the take-profit first. Of an OCO the order itself is the take-profit. An OTO has one.
    """
    order_class = parent.order_class
    if not order_class:
        if take_profit is not None or stop_loss is not None:
            raise malformed("simple orders must not have take_profit or stop_loss")
        return ()
    if parent.asset.is_crypto:
        raise invalid(f"crypto orders not allowed for advanced order_class: {_INNER_NAMES[order_class]}")
    if parent.type == "trailing_stop":
        raise invalid("trailing stop orders must be simple orders")
    profit_price = None if take_profit is None else take_profit.limit_price
    loss_price = None if stop_loss is None else stop_loss.stop_price
    if order_class in ("bracket", "oco"):
        if profit_price is None:
            raise malformed(f"{order_class} orders require take_profit.limit_price")
        if loss_price is None:
            raise malformed(f"{order_class} orders require stop_loss.stop_price")
    elif (profit_price is None) == (loss_price is None):
        raise malformed("oto orders require either take_profit or stop_loss")
    legs: list[Ticket] = []
    if profit_price is not None and order_class != "oco":
        legs.append(_leg(parent, "limit", profit_price, None, new_client_id))
    if loss_price is not None:
        limit_price = None if stop_loss is None else stop_loss.limit_price
        kind = "stop" if limit_price is None else "stop_limit"
        legs.append(_leg(parent, kind, limit_price, loss_price, new_client_id))
    return tuple(legs)


def check_legs(parent: Ticket) -> None:
    """Check that the take-profit lies on the profit side of the stop-loss. Raises Refused."""
    profit_price = take_profit_price(parent)
    loss_price = stop_loss_price(parent)
    if profit_price is None or loss_price is None:
        return
    leaves_long = parent.legs[0].side == "sell"
    if leaves_long and profit_price <= loss_price:
        raise invalid("take_profit.limit_price must be > stop_loss.stop_price")
    if not leaves_long and profit_price >= loss_price:
        raise invalid("take_profit.limit_price must be < stop_loss.stop_price")


def take_profit_price(parent: Ticket) -> Decimal | None:
    """Return the take-profit's limit price; None where there is none."""
    if parent.order_class == "oco":
        return parent.limit_price
    return next((leg.limit_price for leg in parent.legs if leg.type == "limit"), None)


def stop_loss_price(parent: Ticket) -> Decimal | None:
    """Return the stop-loss's stop price; None where there is none."""
    return next((leg.stop_price for leg in parent.legs if leg.stop_price is not None), None)


def _leg(
    parent: Ticket,
    kind: str,
    limit_price: Decimal | None,
    stop_price: Decimal | None,
    new_client_id: Callable[[], str],
) -> Ticket:
    leaves = parent.side if parent.order_class == "oco" else "sell" if parent.side == "buy" else "buy"
    return Ticket(
        client_order_id=new_client_id(),
        asset=parent.asset,
        side=leaves,
        type=kind,
        time_in_force=parent.time_in_force,
        qty=parent.qty,
        limit_price=limit_price,
        stop_price=stop_price,
        order_class=parent.order_class,
    )
