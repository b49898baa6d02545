"""How much of a position at the broker nothing explains, between which bounds. Pure.

Orders are listed directly before positions are asked for and again directly after. Whatever an order was
filled for in between, it was at least what the book knew when the broker was asked, and the first list says;
and at most what the book knows by now, or the second list says.
"""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from bus.symbols import canonical_symbol
from oms.amounts import ZERO, minus, plus
from oms.book.book import Book
from oms.book.fees import fee_of
from oms.book.orders import Order, is_another
from oms.broker.protocol import BrokerOrder, UnreadableOrder

# At least, and at most.
Span = tuple[Decimal, Decimal]

NOTHING: Span = (ZERO, ZERO)

_Listed = Iterable[BrokerOrder | UnreadableOrder]


def overlap(one: Span, other: Span) -> Span | None:
    """What both allow; None where nothing is allowed by both."""
    least, most = max(one[0], other[0]), min(one[1], other[1])
    return (least, most) if least <= most else None


def unbooked(
    book: Book, before: _Listed, after: _Listed, filled_before: Mapping[str, Decimal], unseen: Collection[str]
) -> dict[str, Span]:
    """What executions may have brought by the moment of the positions, beyond the book as it is, by symbol.

    `filled_before` has, of orders that were filled since the broker was asked, what was booked by then.
    `unseen` are orders that may be at the broker although no list shows them: any part of them may be filled.
    """
    listed_before, listed_after = _by_client_id(before), _by_client_id(after)
    spans: dict[str, Span] = {}
    for order_id in {*listed_before, *listed_after, *filled_before, *unseen}:
        known = book.order(order_id)
        was, now = listed_before.get(order_id), listed_after.get(order_id)
        listed = now or was
        if known is not None and listed is not None and is_another(known, listed.id):
            continue  # It is in nobody's book: its position shows.
        booked = ZERO if known is None else known.filled
        least = max(filled_before.get(order_id, booked), ZERO if was is None else was.filled_quantity)
        most = max(least, booked)
        if now is not None:
            most = max(most, now.filled_quantity)
        elif was is not None or order_id in unseen:
            most = max(most, _whole(known, was))
        if most != booked or least != booked:
            symbol, side = _symbol_and_side(known, listed)
            span = _bought(symbol, minus(least, booked), minus(most, booked), side == "buy")
            so_far = spans.get(symbol, NOTHING)
            spans[symbol] = plus(so_far[0], span[0]), plus(so_far[1], span[1])
    return spans


def _by_client_id(orders: _Listed) -> dict[str, BrokerOrder]:
    return {order.client_order_id: order for order in orders if isinstance(order, BrokerOrder)}


def _whole(known: Order | None, was: BrokerOrder | None) -> Decimal:
    """All that an order that left the lists, or never was in one, may have been filled for."""
    if known is not None:
        return known.wanted()
    return ZERO if was is None or was.quantity is None else was.quantity


def _symbol_and_side(known: Order | None, listed: BrokerOrder | None) -> tuple[str, str]:
    if known is not None:
        return known.symbol, known.side
    assert listed is not None, "it is in the book or in a list"
    return canonical_symbol(listed.symbol), listed.side


def _bought(symbol: str, least: Decimal, most: Decimal, is_purchase: bool) -> Span:
    """What that many more leave of the symbol: of a purchase of coins the broker may keep up to its fee."""
    if not is_purchase:
        return -most, -least
    fee = fee_of(symbol, "buy", least, ZERO) if least > 0 else ZERO
    return minus(least, fee), most
