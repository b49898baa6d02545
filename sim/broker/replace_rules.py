"""Checks what a replace request changes, and makes the ticket of the order that takes the old one's place."""

from dataclasses import replace
from decimal import Decimal

from sim.broker.order_requests import ReplaceRequest
from sim.broker.order_rules import checked, time_in_force
from sim.broker.orders import Order, Ticket
from sim.refusals import Refused, invalid


def check_replaceable(order: Order) -> None:
    """Raise Refused where the order's status does not allow a replacement."""
    if order.status == "replaced":
        raise invalid("order already replaced")
    if not order.is_open:
        raise not_open(order.status)
    if order.status == "accepted":  # it waits for its session; a pending order was put to work before this
        raise invalid(f"cannot replace order in {order.status} status")


def not_open(status: str) -> Refused:
    """Return 422: the order has ended and can be neither canceled nor replaced."""
    return invalid(f'order is already in "{status}" state')


def replaced(order: Order, request: ReplaceRequest, new_client_id: str) -> Ticket:
    """Return the ticket of the order that replaces `order`, for what is left of it. Raises Refused.

    A new `qty` includes what is filled already, as in FIX and as Alpaca's refusal of less says.
    """
    old = order.ticket
    had_trail = old.trail_price if old.trail_price is not None else old.trail_percent
    asked = [
        (request.qty, old.qty),
        (request.limit_price, old.limit_price),
        (request.stop_price, old.stop_price),
        (request.trail, had_trail),
        (request.time_in_force, old.time_in_force),
    ]
    if not any(_differs(wanted, had) for wanted, had in asked):
        raise invalid("order parameters are not changed")
    if old.order_class:
        # Parent and legs share quantity and time in force: only prices can be changed.
        if _differs(request.qty, old.qty):
            raise invalid("qty cannot be changed for advanced orders")
        if _differs(request.time_in_force, old.time_in_force):
            raise invalid("time_in_force cannot be changed for advanced orders")
    if request.trail is not None and old.type != "trailing_stop":
        raise invalid(f"{old.type.replace('_', ' ')} orders must not have trail")
    trails_by_price = old.trail_price is not None
    changed = replace(
        old,
        client_order_id=request.client_order_id or new_client_id,
        time_in_force=time_in_force(request.time_in_force or old.time_in_force, old.asset),
        qty=_remaining(order, request.qty),
        limit_price=_either(request.limit_price, old.limit_price),
        stop_price=_either(request.stop_price, old.stop_price),
        trail_price=_either(request.trail, old.trail_price) if trails_by_price else None,
        trail_percent=None if trails_by_price else _either(request.trail, old.trail_percent),
        position_intent=None,
    )
    return checked(changed)


def _differs(wanted: Decimal | str | None, had: Decimal | str | None) -> bool:
    """Return whether the value changes; a signaling NaN, which a body may hold, cannot be compared."""
    if isinstance(wanted, Decimal) and not wanted.is_finite():
        return True
    return wanted is not None and wanted != had


def _either(wanted: Decimal | None, had: Decimal | None) -> Decimal | None:
    return had if wanted is None else wanted


def _remaining(order: Order, wanted: Decimal | None) -> Decimal | None:
    old = order.ticket
    is_by_shares = old.qty is not None and (old.asset.is_crypto or not old.is_fractional)
    if wanted is not None and not is_by_shares:
        raise invalid("qty cannot be changed for notional or fractional orders")
    if old.qty is None:
        return None
    total = old.qty if wanted is None else wanted
    if not total.is_finite() or total <= order.filled_qty:
        raise invalid("qty must be > filled_qty")
    return total - order.filled_qty
