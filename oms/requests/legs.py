"""Exits of orders of ours, under ids that the broker made: known by the order that they belong to. Pure.

An update of an exit does not name that order. So an update of an order that nobody knows waits while the
exits of an order of ours are unknown which it may be one of; they are asked for.
"""

from bus.errors import Unreadable
from oms.book.orders import Order, is_another
from oms.broker.broker_orders import caught_up, leg_found
from oms.broker.protocol import BrokerOrder
from oms.state.observed import Waiting
from oms.state.step import Step

# Where the broker does not show the exits of an order, it is asked again after so long, then half as often.
_FIRST_WAIT_NS = 1_000_000_000


def take(step: Step, order: BrokerOrder) -> None:
    """Take in the exits that the broker shows with an order, and what it says of them."""
    for leg in order.legs:
        try:
            found = leg_found(leg, step.book, step.now_ns)
            if found is not None:
                step.record(found)
            known = step.order(leg.client_order_id)
            if known is not None and known.parent is not None and not is_another(known, leg.id):
                step.record(*caught_up(known, leg, step.now_ns))
        except Unreadable as error:
            # It stays unknown, and is asked for: where it is listed the account is halted for it.
            step.error("exit at the broker not understood", order=leg.id, error=str(error))


def ask_for_missing(step: Step) -> None:
    """Ask for orders that the broker has and whose exits are not known yet."""
    awaited = [order for order in step.book.open_groups.awaiting_legs() if order.broker_order_id]
    waits = step.observed.legs_asked
    for gone in waits.keys() - {order.client_order_id for order in awaited}:
        del waits[gone]
    for order in awaited:
        _ask(step, order)


def _ask(step: Step, order: Order) -> None:
    order_id, now_ns = order.client_order_id, step.observed.monotonic_ns
    if order_id in step.observed.under_way:
        return  # The answer to sending it shows them.
    wait = step.observed.legs_asked.setdefault(order_id, Waiting(now_ns, _FIRST_WAIT_NS))
    if now_ns >= wait.until_monotonic_ns:
        step.look_up(order_id)
        wait.until_monotonic_ns = now_ns + wait.next_ns
        wait.next_ns *= 2
