"""What an order at the broker tells the book: whose it is, and the events that bring the book level. Pure."""

from decimal import Decimal

from bus.codec import Message
from bus.order_events import (
    ExternalOrderFound,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderSent,
    OrderUpdated,
)
from bus.order_id import algorithm_of
from bus.streams import EXTERNAL
from oms.amounts import ZERO, minus, quotient_nearest, times
from oms.book.book import Book
from oms.book.fees import fee_of
from oms.book.orders import SENT, TERMINAL, Order, advances, assumed_execution_id, differs
from oms.broker.alpaca_orders import role_of, side_of, terms_of
from oms.broker.protocol import BrokerOrder

ADOPTED = "adopted"

# Alpaca's averages have at least so many places, whatever zeros it leaves away.
_FEWEST_PLACES = 4


def owner(client_order_id: str, replaces: str | None, book: Book) -> str:
    """Whose order this is: by the form of its id, or as that of the order whose place it takes.

    `replaces` is the broker's id of that one: somebody may change an order of ours at the broker's own front
    end. `external` for any other.
    """
    algorithm = algorithm_of(client_order_id)
    if algorithm is not None:
        return algorithm
    replaced = None if replaces is None else book.by_broker_id.get(replaces)
    return EXTERNAL if replaced is None else replaced.algorithm


def adopted(order: BrokerOrder, book: Book, at_ns: int) -> list[Message]:
    """The events that bring an order into a journal that lacks it.

    There are none for an external one that came to nothing. Raises Unreadable for terms without words here.
    """
    if (leg := leg_found(order, book, at_ns)) is not None:
        return [leg]
    algorithm = owner(order.client_order_id, order.replaces, book)
    if algorithm == EXTERNAL:
        came_to_nothing = order.status in TERMINAL and not order.filled_quantity
        return [] if came_to_nothing else [_found_elsewhere(order, at_ns)]
    price = order.limit_price or order.stop_price or order.filled_average_price or ZERO
    replaced = None if order.replaces is None else book.by_broker_id.get(order.replaces)
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
            replaces=None if replaced is None else replaced.client_order_id,
        ),
        found(algorithm, order, at_ns, at_ns),
    ]


def leg_found(order: BrokerOrder, book: Book, at_ns: int) -> LegFound | None:
    """That the broker shows an order as an exit of one that the book knows; None where that is no news.

    Raises Unreadable for terms without words here.
    """
    parent, known = book.orders.get(order.parent), book.order(order.client_order_id)
    if parent is None or (known is not None and known.parent == order.parent):
        return None
    if order.client_order_id in book.put_away:
        return None  # It ended long ago and is booked; that it is an exit does not matter any more.
    if known is not None and known.algorithm != parent.algorithm:
        return None
    return LegFound(
        algorithm=parent.algorithm,
        client_order_id=order.client_order_id,
        broker_order_id=order.id,
        parent=parent.client_order_id,
        role=role_of(order),
        terms=terms_of(order),
        # As it was before it was filled, or ended: that is told on its own.
        status=SENT if known is None else known.status,
        at_ns=at_ns,
    )


def _found_elsewhere(order: BrokerOrder, at_ns: int) -> ExternalOrderFound:
    """An order made elsewhere, as it was before it was filled: its fills are told on their own."""
    return ExternalOrderFound(
        algorithm=EXTERNAL,
        client_order_id=order.client_order_id,
        broker_order_id=order.id,
        symbol=order.symbol,
        side=side_of(order.side),
        type=order.type,
        time_in_force=order.time_in_force,
        status=SENT,
        quantity=order.quantity,
        notional=order.notional if order.quantity is None else None,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        reserve_price=order.limit_price or order.stop_price or order.filled_average_price or ZERO,
        at_ns=at_ns,
    )


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


def caught_up(known: Order, order: BrokerOrder, at_ns: int) -> list[Message]:
    """What the broker's order says beyond what the book knows: a missed fill, then a missed change of state.

    The missed part gets the price that makes the broker's average come out right, where that is known well
    enough.
    """
    algorithm, filled, paid = known.algorithm, known.filled, known.paid
    events: list[Message] = []
    missed = minus(order.filled_quantity, filled)
    if missed > 0:
        price = _price_of_missed(known, order, missed, paid)
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
                fee=fee_of(order.symbol, side_of(order.side), missed, price),
                role=known.role,
                parent=known.parent,
            )
        )
    if (missed <= 0 and advances(known, order.status)) or _differs(known, order):
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


def _price_of_missed(known: Order, order: BrokerOrder, missed: Decimal, paid: Decimal) -> Decimal:
    """What a missed part was filled for.

    The average is rounded: of a small part it says nothing, and then the part is booked at the average. No
    price is worse than the order's limit.
    """
    average, limit = order.filled_average_price, order.limit_price
    if not average:
        return limit or known.reserve_price
    price = quotient_nearest(minus(times(average, order.filled_quantity), paid), missed)
    places = max(_FEWEST_PLACES, -int(average.as_tuple().exponent))
    error = times(Decimal(5).scaleb(-places - 1), order.filled_quantity)
    if known.filled and times(error, Decimal(1000)) > times(average, missed):
        price = average
    if limit is not None:
        price = min(price, limit) if side_of(order.side) == "buy" else max(price, limit)
    return price
