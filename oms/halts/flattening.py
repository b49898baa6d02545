"""Bringing positions to zero at the word of an operator: cancel, wait, sell, until all is closed.

Each symbol goes through the same questions as often as it takes: is an order open that could fill, was every
fill heard of, what does the broker hold; then market orders, or the end. So a fill that comes late, a partial
one, a restart in the middle and an order that came to nothing need no paths of their own. Pure.
"""

from decimal import Decimal

from bus.control_messages import Flatten as FlattenMessage
from bus.flatten_messages import (
    FlattenBegun,
    FlattenEnded,
    FlattenOutcome,
    SymbolFlattenEnded,
)
from bus.halt_state import covers
from bus.streams import EXTERNAL
from oms.amounts import ZERO, text
from oms.book.flattens import Flatten
from oms.broker.protocol import BrokerPosition, UnreadablePosition
from oms.halts import cancel_scope, netting
from oms.halts.closing_orders import not_before_ns, send_closing_order, why_given_up
from oms.halts.flatten_scope import holders_in, symbols_now, symbols_of, symbols_told, unsettled_orders
from oms.prices.reference_price import Price
from oms.state.inputs import AccountListed, Answered, ControlRead, FindOrder, ListPositions, Unanswered
from oms.state.observed import Closing
from oms.state.step import Step

_SECOND_NS = 1_000_000_000

# Where nothing is heard of an order, it is asked for, and its cancel asked for again, after so long.
_LOOK_NS = 1 * _SECOND_NS
_CANCEL_AGAIN_NS = 5 * _SECOND_NS

# An order that waits for its market may be open for days: it is not asked for every second.
_LONGEST_LOOK_NS = 60 * _SECOND_NS

# How long news may be on its way from the broker.
_NEWS_NS = 2 * _SECOND_NS


def take(step: Step, read: ControlRead) -> None:
    """Begin: nothing new is taken in the scope from here on, and all that is open there is canceled."""
    message = read.message
    assert isinstance(message, FlattenMessage)
    scope = message.scope
    orders = cancel_scope.open_in(step, scope)
    positions: dict[str, dict[str, Decimal]] = {}
    prices: dict[str, Decimal] = {}
    for symbol in sorted(symbols_now(step)):
        holders = holders_in(step, scope, symbol)
        for name, size in holders.items():
            positions.setdefault(name, {})[symbol] = size
        known = read.prices.get(symbol)
        if isinstance(known, Price) and len({size > 0 for size in holders.values()}) > 1:
            prices[symbol] = known.price
    step.warn("flattening", scope=scope, by=message.by, orders=str(len(orders)))
    step.record(
        FlattenBegun(
            entry_id=read.entry_id,
            scope=scope,
            reason=message.reason,
            by=message.by,
            orders=tuple(order.client_order_id for order in orders),
            positions=positions,
            prices=prices,
            at_ns=step.now_ns,
        )
    )
    _cancel(step, step.state.flattens.under_way[read.entry_id], begins=True)


def go_on(step: Step, *, wholly: bool) -> None:
    """Take every flatten as far as it goes now; not `wholly`: in the symbols of which something was said.

    Thousands of orders may end one by one, and each must not lead to a look at all the others.
    """
    if not step.observed.started or step.observed.stopping or step.observed.behind:
        return
    for flatten in list(step.state.flattens.under_way.values()):
        done = len(flatten.outcomes)
        if not wholly:
            for symbol in symbols_told(step, flatten):
                _close(step, flatten, symbol)
            if len(flatten.outcomes) == done:
                continue
        _cancel(step, flatten)
        symbols = symbols_of(step, flatten)
        for symbol in symbols:
            if symbol not in flatten.outcomes:
                _close(step, flatten, symbol)
        if all(symbol in flatten.outcomes for symbol in symbols) and not step.observed.canceling_all:
            _end(step, flatten)
    due = {key for key, one in step.observed.closing.items() if one.asks and _now(step) >= one.ask_from_ns}
    if due and ListPositions() not in step.observed.asked:
        step.observed.positions_asked_for = due
        step.ask(ListPositions())


def take_positions(step: Step, answered: Answered) -> None:
    """Take what the broker holds of the symbols in which nothing was open when it was asked."""
    assert isinstance(answered.answer, AccountListed)
    positions = answered.answer.positions or ()
    held = {one.symbol: one.quantity for one in positions if isinstance(one, BrokerPosition)}
    not_said = {one.symbol for one in positions if isinstance(one, UnreadablePosition)}
    for key in step.observed.positions_asked_for:
        if key[1] in not_said:
            _go_by_the_book(step, key)
        else:
            _take_position(step, key, held.get(key[1], ZERO))
    step.observed.positions_asked_for = set()
    for flatten in step.state.flattens.under_way.values():
        for symbol in held:
            if symbol not in flatten.outcomes and covers(flatten.begun.scope, step.account, EXTERNAL, symbol):
                # One of which the book knows nothing is looked at too.
                _closing(step, flatten.begun.entry_id, symbol)


def take_unanswered(step: Step, unanswered: Unanswered) -> None:
    """Go by the book where the broker does not say what it holds."""
    del unanswered
    for key in step.observed.positions_asked_for:
        _go_by_the_book(step, key)


def _go_by_the_book(step: Step, key: tuple[str, str]) -> None:
    """Take what the book holds of a symbol, unless that is known to differ from what the broker does."""
    if key[1] not in step.state.differences:
        _take_position(step, key, step.book.position(key[1]))


def _take_position(step: Step, key: tuple[str, str], at_broker: Decimal) -> None:
    closing = step.observed.closing.get(key)
    if closing is not None and closing.asks:
        closing.asks, closing.at_broker = False, at_broker


def _close(step: Step, flatten: Flatten, symbol: str) -> None:
    """Take one symbol as far as it goes now."""
    closing = _closing(step, flatten.begun.entry_id, symbol)
    if next(unsettled_orders(step, flatten, symbol, closing), None) is not None:
        closing.asks, closing.at_broker = False, None
        _look(step, flatten, symbol, closing)
        return
    if _awaits_exits(step, flatten.begun.scope, symbol, closing):
        return
    holders = holders_in(step, flatten.begun.scope, symbol)
    if not holders and flatten.of_one_algorithm:
        _done(step, flatten, symbol, ZERO, "")
    elif closing.at_broker is None:
        closing.asks = True
    elif holders:
        _trade(step, flatten, symbol, closing, holders)
    elif not closing.at_broker or _confirmed(step, closing):
        left = closing.at_broker
        why = f"the broker holds {text(left)}, of which the book knows nothing: see `backbone status`"
        _done(step, flatten, symbol, left, why if left else "")


def _confirmed(step: Step, closing: Closing) -> bool:
    """Whether a second look, some time later, found the same: news may be on its way from the broker."""
    if closing.doubted == closing.at_broker:
        return True
    closing.doubted, closing.at_broker = closing.at_broker, None
    closing.asks, closing.ask_from_ns = True, _now(step) + _NEWS_NS
    return False


def _trade(step: Step, flatten: Flatten, symbol: str, closing: Closing, holders: dict[str, Decimal]) -> None:
    """Send what closes these holders, settle among them what no order can, or say why neither goes."""
    assert closing.at_broker is not None, "asked before"
    whole = not flatten.of_one_algorithm
    if whole and not sum(holders.values(), ZERO):
        netting.settle(step, flatten, symbol, holders)
        _close(step, flatten, symbol)
        return
    booked = step.book.position(symbol)
    orders = netting.closing(holders, booked, closing.at_broker, whole=whole)
    if why := why_given_up(step, flatten, symbol, orders):
        _done(step, flatten, symbol, sum(holders.values(), ZERO), why)
    elif orders:
        if step.observed.canceling_all or _now(step) < not_before_ns(step, flatten, symbol, closing):
            return
        for name, quantity in orders.items():
            send_closing_order(step, flatten, symbol, name, quantity)
        closing.at_broker = closing.doubted = None
    elif _confirmed(step, closing):
        left = closing.at_broker if whole else sum(holders.values(), ZERO)
        why = f"the account holds {text(booked)} by the book and {text(closing.at_broker)} at the broker"
        _done(step, flatten, symbol, left, why)


def _awaits_exits(step: Step, scope: str, symbol: str, closing: Closing) -> bool:
    """Whether the broker is being asked for exits that the book does not know: they hold what is to be sold.

    It is asked once: an order that ended in part may have none.
    """
    for order in step.book.open_groups.awaiting_legs():
        group, order_id = order.group, order.client_order_id
        if order.symbol != symbol or not covers(scope, step.account, order.algorithm, symbol):
            continue
        if order.broker_order_id and group is not None and group.unclosed() and order_id not in closing.exits:
            closing.exits.add(order_id)
            step.look_up(order_id)
    return any(FindOrder(order_id) in step.observed.asked for order_id in closing.exits)


def _cancel(step: Step, flatten: Flatten, *, begins: bool = False) -> None:
    """Have canceled what works in the scope, where nobody has asked for that, or long ago and in vain.

    When it `begins`, also where nothing is known to work: the broker may have what the book cannot read.
    """
    orders = cancel_scope.open_in(step, flatten.begun.scope)
    # Those of this flatten, and of one that began earlier, close positions.
    others = [order for order in orders if not step.state.flattens.own(order.client_order_id)]
    due = []
    for order in others:
        closing = _closing(step, flatten.begun.entry_id, order.symbol)
        asked_ns = closing.canceled.get(order.client_order_id)
        if asked_ns is None or _now(step) >= asked_ns + _CANCEL_AGAIN_NS:
            closing.canceled[order.client_order_id] = _now(step)
            due.append(order)
    if due or begins:
        cancel_scope.cancel(step, flatten.begun.scope, due, at_once=len(others) == len(orders))


def _look(step: Step, flatten: Flatten, symbol: str, closing: Closing) -> None:
    """Now and then ask for an order of which nothing is heard."""
    if closing.look_ns is None:
        closing.look_ns = _now(step) + _LOOK_NS
    elif _now(step) >= closing.look_ns:
        waited_ns = step.now_ns - flatten.begun.at_ns
        closing.look_ns = _now(step) + max(_LOOK_NS, min(_LONGEST_LOOK_NS, waited_ns // 4))
        unsettled = unsettled_orders(step, flatten, symbol, closing)
        if known := next((order for order in unsettled if order.answered), None):
            step.look_up(known.client_order_id)


def _done(step: Step, flatten: Flatten, symbol: str, left: Decimal, why: str) -> None:
    outcome = FlattenOutcome(symbol=symbol, left=left, why=why)
    if why:
        step.error("not flat", symbol=symbol, left=text(left), why=why)
    entry_id = flatten.begun.entry_id
    step.observed.closing.pop((entry_id, symbol), None)
    step.record(SymbolFlattenEnded(entry_id=entry_id, outcome=outcome, at_ns=step.now_ns))


def _end(step: Step, flatten: Flatten) -> None:
    begun = flatten.begun
    outcomes = tuple(outcome for _, outcome in sorted(flatten.outcomes.items()))
    step.record(
        FlattenEnded(entry_id=begun.entry_id, scope=begun.scope, outcomes=outcomes, at_ns=step.now_ns)
    )


def _closing(step: Step, entry_id: str, symbol: str) -> Closing:
    return step.observed.closing.setdefault((entry_id, symbol), Closing())


def _now(step: Step) -> int:
    return step.observed.monotonic_ns
