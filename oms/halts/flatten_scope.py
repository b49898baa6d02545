"""What there is in the scope of a flatten: symbols, who holds them, orders that may still fill. Pure."""

from collections.abc import Iterator, Set
from decimal import Decimal
from itertools import chain

from bus.halt_state import covers
from bus.streams import EXTERNAL
from oms.book.flattens import Flatten
from oms.book.orders import Order
from oms.state.observed import Closing
from oms.state.step import Step


def symbols_of(step: Step, flatten: Flatten) -> list[str]:
    """Symbols that the flatten is about, those that it is done with too."""
    begun = flatten.begun
    found = {*flatten.outcomes, *flatten.orders}
    found |= {symbol for held in begun.positions.values() for symbol in held}
    found |= {step.book.orders[order_id].symbol for order_id in begun.orders}
    found |= {symbol for entry_id, symbol in step.observed.closing if entry_id == begun.entry_id}
    others = {*symbols_now(step), *step.state.differences} - found
    return sorted(found | {symbol for symbol in others if _concerns(step, begun.scope, symbol)})


def symbols_told(step: Step, flatten: Flatten) -> list[str]:
    """Symbols that the flatten is not done with, and of whose orders this step says something."""
    said = (step.order(getattr(event, "client_order_id", "")) for event in step.effects.events)
    found = dict.fromkeys(order.symbol for order in said if order is not None)
    entry_id = flatten.begun.entry_id
    return [symbol for symbol in found if (entry_id, symbol) in step.observed.closing]


def symbols_now(step: Step) -> set[str]:
    """Symbols that anybody holds, whatever the account as a whole does, or has an order in."""
    held = {symbol for holdings in step.book.positions().values() for symbol in holdings}
    ended = (step.book.orders.get(order_id) for order_id in step.observed.partly_told)
    return held | step.book.symbols() | {order.symbol for order in ended if order is not None}


def _concerns(step: Step, scope: str, symbol: str) -> bool:
    if symbol in step.state.differences and covers(scope, step.account, EXTERNAL, symbol):
        return True
    orders = chain(_open(step, scope, symbol), _partly_told(step, scope, symbol))
    return bool(holders_in(step, scope, symbol)) or any(orders)


def holders_in(step: Step, scope: str, symbol: str) -> dict[str, Decimal]:
    """Who in the scope holds how much of this symbol, without zeros."""
    holders = step.book.holders(symbol).items()
    return {name: size for name, size in holders if covers(scope, step.account, name, symbol)}


def _open(step: Step, scope: str, symbol: str) -> Iterator[Order]:
    """Orders of the scope in this symbol that may still fill."""
    for side in ("buy", "sell"):
        for order in step.book.open.on(symbol, side):
            if covers(scope, step.account, order.algorithm, symbol):
                yield order


def _partly_told(step: Step, scope: str, symbol: str, own: Set[str] = frozenset()) -> Iterator[Order]:
    """Orders of the scope, also its `own`, that ended with more than was told: it is held and not booked."""
    for order_id in own | step.observed.partly_told:
        order = step.book.orders.get(order_id)
        if order is None or order.symbol != symbol or order.open or not order.outstanding():
            continue
        if covers(scope, step.account, order.algorithm, symbol):
            yield order


def unsettled_orders(step: Step, flatten: Flatten, symbol: str, closing: Closing) -> Iterator[Order]:
    """Orders of the scope that may still fill, or of which a fill is still to be heard."""
    own = {*closing.canceled, *flatten.begun.orders, *flatten.orders.get(symbol, ())}
    yield from _open(step, flatten.begun.scope, symbol)
    yield from _partly_told(step, flatten.begun.scope, symbol, own)
