"""Canceling every open order of a scope, at the word of an operator. Pure."""

from bus.account_messages import OrdersCanceled
from bus.control_messages import CancelOrders
from bus.halt_state import covers
from oms import cancels
from oms.inputs import AllCancelsAnswered, ControlRead
from oms.orders import Order
from oms.step import Step


def take(step: Step, read: ControlRead) -> None:
    """Cancel what works in the scope, and keep from leaving what has not left.

    The whole account is canceled with one request to the broker: there may be more orders than the request
    budget lets through in a minute.
    """
    message = read.message
    found = [order for order in step.book.open_orders() if _concerns(step, message, order)]
    step.warn("canceling open orders", scope=message.scope, by=message.by, orders=str(len(found)))
    step.record(
        OrdersCanceled(
            entry_id=read.entry_id,
            scope=message.scope,
            reason=message.reason,
            by=message.by,
            orders=tuple(order.client_order_id for order in found),
            at_ns=step.now_ns,
        )
    )
    whole = message.scope in ("all", f"account:{step.account}")
    step.effects.cancel_all = whole
    for order in found:
        if not whole or not order.broker_order_id:
            cancels.cancel(step, order)


def take_answer(step: Step, answered: AllCancelsAnswered) -> None:
    """Where the one request for all came to nothing, cancel one by one."""
    if answered.error is None:
        return
    step.error("the broker did not cancel all orders at once", error=str(answered.error))
    for order in list(step.book.open_orders()):
        cancels.cancel(step, order)


def _concerns(step: Step, message: CancelOrders, order: Order) -> bool:
    return covers(message.scope, step.account, order.algorithm, order.symbol)
