"""Positions without the stop-loss that they were to have: found, told once, and told when it is over. Pure.

An exit works once its entry is filled completely, ends with the other exit, and a day's exit with the
day: each leaves a position that the algorithm believes to be protected.
"""

from collections.abc import Collection
from decimal import Decimal

from bus.order_events import PositionProtected, PositionUnprotected
from bus.streams import EXTERNAL
from oms.amounts import ZERO, minus, plus, text
from oms.book.book import Book
from oms.book.groups import Group
from oms.state.step import Step

# How long news may be on its way from the broker: an entry is filled and its exits are taken in that time.
SETTLED_AFTER_NS = 2_000_000_000

_STOPS = ("stop", "stop_limit", "trailing_stop")

_Unprotected = dict[tuple[str, str], tuple[Decimal, Group]]


def look(step: Step) -> None:
    """Tell of positions that have been without their stop-loss for a while, and that have it again."""
    observed, known = step.observed, step.state.unprotected
    if not observed.started or observed.behind:
        return
    found = _unprotected(step.book)
    for key in known.keys() - found.keys():
        algorithm, symbol = key
        step.warn("position protected again, or closed", algorithm=algorithm, symbol=symbol)
        step.record(PositionProtected(algorithm=algorithm, symbol=symbol, at_ns=step.now_ns))
    news = {
        key: (quantity, group)
        for key, (quantity, group) in found.items()
        if key not in known or known[key].quantity != quantity
    }
    since = observed.unprotected_since
    for key in since.keys() - news.keys():
        del since[key]
    for key, (quantity, group) in news.items():
        if observed.monotonic_ns - since.setdefault(key, observed.monotonic_ns) >= SETTLED_AFTER_NS:
            del since[key]
            _tell(step, key, quantity, group)


def _unprotected(book: Book) -> _Unprotected:
    """By algorithm and symbol: the quantity without a stop-loss, and the last group that was to have one."""
    found: _Unprotected = {}
    for algorithm, symbol, groups in book.open_groups:
        if algorithm == EXTERNAL:
            continue
        quantity, last = _of_position(book, algorithm, symbol, groups)
        if last is not None and quantity > 0:
            found[algorithm, symbol] = quantity, last
    return found


def _of_position(
    book: Book, algorithm: str, symbol: str, groups: Collection[Group]
) -> tuple[Decimal, Group | None]:
    held = book.position(symbol, algorithm)
    side = "sell" if held > 0 else "buy"
    wanted, standing, last = ZERO, ZERO, None
    for group in groups:
        if group.closing_side != side:
            continue
        standing = plus(standing, group.protected())
        if group.has_stop_loss and (unclosed := group.unclosed()) > 0:
            wanted, last = plus(wanted, unclosed), group
    for order in book.open.on(symbol, side):
        if order.algorithm == algorithm and not order.role and order.broker_order_id:
            working = order.working
            if working is not None and working.type in _STOPS:
                standing = plus(standing, order.leaves())
    return minus(min(wanted, abs(held)), standing), last


def _tell(step: Step, key: tuple[str, str], quantity: Decimal, group: Group) -> None:
    algorithm, symbol = key
    why = _why(group)
    step.error(
        "position without its stop-loss",
        algorithm=algorithm,
        symbol=symbol,
        quantity=text(quantity),
        order=group.first.client_order_id,
        why=why,
    )
    step.record(
        PositionUnprotected(
            algorithm=algorithm,
            symbol=symbol,
            quantity=quantity,
            client_order_id=group.first.client_order_id,
            why=why,
            at_ns=step.now_ns,
        )
    )


def _why(group: Group) -> str:
    open_entry = next((order for order in group.entry if order.open), None)
    if open_entry is not None:
        return (
            f"{text(group.opened())} of its entry are filled and {text(open_entry.leaves())} are not: its "
            "exits stand once all are"
        )
    if not group.stop_loss:
        return "the broker has shown no stop-loss of it"
    stop = group.stop_loss[-1]
    if stop.open:
        return f"its stop-loss {stop.client_order_id} is for {text(stop.leaves())}"
    return f"its stop-loss {stop.client_order_id} is {stop.status}"
