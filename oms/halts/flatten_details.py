"""What is said of flattens under way: whose, since when, what is left and what it waits for. Pure."""

from bus.halt_state import covers
from bus.heartbeat import FlattenDetails
from oms.amounts import ZERO, text
from oms.book.flattens import Flatten
from oms.state.observed import Closing, Observed
from oms.state.state import State

# A heartbeat is small: it says no more than somebody can look at.
_MOST_SHOWN = 20


def flatten_details(account: str, state: State, observed: Observed) -> tuple[FlattenDetails, ...]:
    """Each flatten, with a line for each symbol that it is not done with."""
    return tuple(
        FlattenDetails(
            scope=flatten.begun.scope,
            by=flatten.begun.by,
            reason=flatten.begun.reason,
            since_ns=flatten.begun.at_ns,
            left=tuple(_left(account, state, observed, flatten)[:_MOST_SHOWN]),
        )
        for flatten in state.flattens.under_way.values()
    )


def _left(account: str, state: State, observed: Observed, flatten: Flatten) -> list[str]:
    begun = flatten.begun
    symbols = {symbol for entry_id, symbol in observed.closing if entry_id == begun.entry_id}
    symbols |= {symbol for held in begun.positions.values() for symbol in held}
    lines = []
    for symbol in sorted(symbols - flatten.outcomes.keys()):
        holders = state.book.holders(symbol).items()
        held = [size for name, size in holders if covers(begun.scope, account, name, symbol)]
        closing = observed.closing.get((begun.entry_id, symbol))
        lines.append(f"{symbol}: {text(sum(held, ZERO))} left; {_awaited(state, flatten, symbol, closing)}")
    return lines


def _awaited(state: State, flatten: Flatten, symbol: str, closing: Closing | None) -> str:
    """What has to happen next in a symbol."""
    own = [state.book.orders[order_id] for order_id in flatten.orders.get(symbol, ())]
    if working := [order for order in own if order.open]:
        return ", ".join(
            f"its order {order.client_order_id} is {order.status}, {text(order.filled)} filled"
            for order in working
        )
    canceled = len(closing.canceled) if closing is not None else 0
    if canceled and not own:
        return f"{canceled} orders are being canceled"
    if closing is not None and closing.for_nothing:
        return f"{closing.for_nothing} orders in a row came to nothing, the last was {own[-1].status}"
    return "the broker is being asked what it holds"
