"""What an order at the broker tells the book: whose it is, and the events that bring the book level. Pure."""

import re

from bus.codec import Message
from bus.order_messages import OrderApproved, OrderFilled, OrderSent, OrderUpdated
from bus.streams import EXTERNAL
from oms.alpaca_orders import side_of, terms_of
from oms.amounts import ZERO, minus, quotient_nearest, times
from oms.broker import BrokerOrder
from oms.orders import Order, advances, assumed_execution_id, differs

ADOPTED = "adopted"

_OURS = re.compile(r"bb-([a-z0-9-]{1,32})-[0-9a-f]{32}")


def owner(client_order_id: str) -> str:
    """The algorithm whose id this is by its form; `external` for any other."""
    match = _OURS.fullmatch(client_order_id)
    return match.group(1) if match else EXTERNAL


def adopted(order: BrokerOrder, at_ns: int) -> list[Message]:
    """The events that bring an order of ours into a journal that lacks it. None for an external one.

    Raises Unreadable where its terms have no words here.
    """
    algorithm = owner(order.client_order_id)
    if algorithm == EXTERNAL:
        return []
    price = order.limit_price or order.stop_price or order.filled_average_price or ZERO
    return [
        OrderApproved(
            algorithm=algorithm,
            client_order_id=order.client_order_id,
            terms=terms_of(order),
            reserve_price=price,
            trigger=ADOPTED,
            received_ns=at_ns,
            requested_ns=at_ns,
            approved_ns=at_ns,
        ),
        found(algorithm, order, at_ns, at_ns),
    ]


def found(algorithm: str, order: BrokerOrder, approved_ns: int, at_ns: int) -> OrderSent:
    """That the broker turned out to have an order; when exactly it was sent is not known any more."""
    return OrderSent(
        algorithm=algorithm,
        client_order_id=order.client_order_id,
        broker_order_id=order.id,
        approved_ns=approved_ns,
        sent_ns=at_ns,
        acknowledged_ns=at_ns,
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
    )


def caught_up(known: Order | None, order: BrokerOrder, at_ns: int) -> list[Message]:
    """What the broker's order says beyond what the book knows: a missed fill, then a missed change of state.

    The missed part gets the price that makes the broker's average come out right.
    """
    algorithm = known.algorithm if known is not None else owner(order.client_order_id)
    filled, paid = (ZERO, ZERO) if known is None else (known.filled, known.paid)
    events: list[Message] = []
    missed = minus(order.filled_quantity, filled)
    if missed > 0:
        average = order.filled_average_price or ZERO
        price = quotient_nearest(minus(times(average, order.filled_quantity), paid), missed)
        events.append(
            OrderFilled(
                algorithm=algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=order.id,
                execution_id=assumed_execution_id(order.id, order.filled_quantity),
                symbol=order.symbol,
                side=side_of(order.side),
                quantity=missed,
                price=price,
                filled_quantity=order.filled_quantity,
                status=order.status,
                at_ns=at_ns,
            )
        )
    is_news = known is None or advances(known, order.status)
    if (missed <= 0 and is_news) or (known is not None and _differs(known, order)):
        events.append(
            OrderUpdated(
                algorithm=algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=order.id,
                symbol=order.symbol,
                event=order.status,
                status=order.status,
                filled_quantity=order.filled_quantity,
                at_ns=at_ns,
                replaced_by=order.replaced_by,
                quantity=order.quantity,
                limit_price=order.limit_price,
                stop_price=order.stop_price,
            )
        )
    return events


def _differs(known: Order, order: BrokerOrder) -> bool:
    return differs(known, order.quantity, order.limit_price, order.stop_price)
