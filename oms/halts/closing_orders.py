"""The orders with which a flatten closes positions: sent, waited with, given up. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from bus.halt_state import covers
from bus.order_id import client_order_id
from bus.order_messages import OrderTerms
from oms.book.flattens import Flatten, trigger_of
from oms.book.orders import Order
from oms.requests import decisions
from oms.risk import approval as risk
from oms.state.observed import Closing
from oms.state.step import Step

# After an order that came to nothing the next is sent after this wait; each further one is twice as long.
_FIRST_WAIT_NS = 250_000_000
_MOST_DOUBLINGS = 7

# Whatever they came to nothing for may pass, such as shares that an order just canceled still holds. After so
# many in a row, 8 s and more, a person has to look. What never left the OMS does not count.
_MOST_FOR_NOTHING = 6


def send_closing_order(step: Step, flatten: Flatten, symbol: str, algorithm: str, quantity: Decimal) -> None:
    """Have a market order sent, under an id that is the same after a restart."""
    trigger, n = trigger_of(flatten.begun.entry_id), len(flatten.orders.get(symbol, ()))
    while (order_id := client_order_id(algorithm, "", trigger, symbol.encode(), n)) in step.book.orders:
        n += 1
    terms = OrderTerms(
        symbol=symbol,
        side="buy" if quantity > 0 else "sell",
        quantity=abs(quantity),
        time_in_force="gtc" if "/" in symbol else "day",
    )
    context = decisions.context_of(step, algorithm, control_fresh=True)
    approved = risk.approve_closing(order_id, terms, trigger, step.book, step.state.limits, context)
    step.record(approved.event)
    step.effects.send.append(approved)
    step.observed.under_way.add(order_id)


def not_before_ns(step: Step, flatten: Flatten, symbol: str, closing: Closing) -> int:
    """When the next order may be sent: at once, unless the one before came to nothing."""
    holders = {step.book.orders[one].algorithm for one in flatten.orders.get(symbol, ())}
    count = max((len(_for_nothing(step, flatten, symbol, name)) for name in holders), default=0)
    if count > closing.for_nothing:
        wait_ns = _FIRST_WAIT_NS << min(count - 1, _MOST_DOUBLINGS)
        closing.not_before_ns = step.observed.monotonic_ns + wait_ns
    closing.for_nothing = count
    return closing.not_before_ns


def why_given_up(step: Step, flatten: Flatten, symbol: str, orders: Mapping[str, Decimal]) -> str:
    """Why these orders are not sent: an operator canceled the ones before, or too many came to nothing."""
    last_of = {step.book.orders[one].algorithm: one for one in flatten.orders.get(symbol, ())}
    for name, last in last_of.items():
        order = step.book.orders[last]
        for cancel in flatten.cancels:
            in_scope = covers(cancel.scope, step.account, name, symbol)
            if in_scope and cancel.at_ns >= order.approved_ns and orders:
                return f"{cancel.by} had orders in {cancel.scope} canceled: {cancel.reason}"
        tried = [
            one
            for one in _for_nothing(step, flatten, symbol, name)
            if (refused := flatten.refusals.get(one.client_order_id)) is None or refused.by == "broker"
        ]
        if len(tried) >= _MOST_FOR_NOTHING:
            refusal = flatten.refusals.get(tried[0].client_order_id)
            words = "" if refusal is None else f": {'; '.join(reason.message for reason in refusal.reasons)}"
            return f"{len(tried)} orders in a row came to nothing, the last was {tried[0].status}{words}"
    return ""


def _for_nothing(step: Step, flatten: Flatten, symbol: str, algorithm: str) -> list[Order]:
    """The last orders of this holder, newest first, that came to nothing: no fill lies between."""
    found = []
    for order_id in reversed(flatten.orders.get(symbol, ())):
        order = step.book.orders[order_id]
        if order.algorithm == algorithm:
            if order.filled:
                break
            found.append(order)
    return found
