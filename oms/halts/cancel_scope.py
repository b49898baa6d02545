"""Canceling every open order of a scope, at the word of an operator. Pure."""

from bus.account_messages import OrdersCanceled
from bus.control_messages import CancelOrders
from bus.halt_state import covers
from oms.book.orders import Order
from oms.requests import cancels
from oms.state.inputs import AllCancelsAnswered, ControlRead
from oms.state.step import Step


def take(step: Step, read: ControlRead) -> None:
    """Cancel what works in the scope, and keep from leaving what has not left."""
    message = read.message
    assert isinstance(message, CancelOrders)
    found = open_in(step, message.scope)
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
    cancel(step, message.scope, found)


def open_in(step: Step, scope: str) -> list[Order]:
    """What works in a scope, oldest first."""
    return [
        order
        for order in step.book.open_orders()
        if covers(scope, step.account, order.algorithm, order.symbol)
    ]


def cancel(step: Step, scope: str, orders: list[Order], *, at_once: bool = True) -> None:
    """Cancel these orders, which are all of a scope.

    The whole account is canceled with one request to the broker: there may be more orders than the request
    budget lets through in a minute. Not `at_once` means that some of the account's orders are to stay.
    """
    whole = at_once and scope in ("all", f"account:{step.account}")
    if whole:
        step.effects.cancel_all = step.observed.canceling_all = True
    for order in orders:
        if not whole or not order.broker_order_id:
            cancels.cancel(step, order)


def take_answer(step: Step, answered: AllCancelsAnswered) -> None:
    """Where the one request for all came to nothing, cancel one by one."""
    step.observed.canceling_all = False
    if answered.error is None:
        return
    step.error("the broker did not cancel all orders at once", error=str(answered.error))
    for order in step.book.open_orders():
        if not step.state.flattens.own(order.client_order_id):
            cancels.cancel(step, order)
