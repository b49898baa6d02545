"""What must never come of replacing: that an order and its replacement fill more than was asked for. Pure."""

from oms.amounts import plus
from oms.book.book import Book
from oms.book.orders import Order
from oms.requests import cancels
from oms.state.step import Step


def cancel_excess(step: Step, order: Order) -> None:
    """Cancel the end of a chain of replacements that could fill more than was asked for.

    A replacement is to have what is left of its order. Alpaca was seen to give it the whole quantity again
    (alpacahq/Alpaca-API#165): whatever filled before would be bought a second time.
    """
    end, too_much = order, False
    link: Order | None = order
    while link is not None and not link.never_came:
        end, too_much = link, too_much or _is_too_much(step.book, link)
        link = step.book.replacement(link)
    if too_much and end.open and end.broker_order_id:
        step.error(
            "replacement larger than what is left: canceled",
            client_order_id=end.client_order_id,
            broker_order_id=end.broker_order_id,
        )
        cancels.cancel_unasked(step, end, end.broker_order_id)


def _is_too_much(book: Book, order: Order) -> bool:
    old = book.replaced(order)
    if old is None or not order.told or order.most is None or order.working is None:
        return False
    if order.working.quantity is None:
        return False
    return plus(max(old.filled, old.reported), order.working.quantity) > order.most
