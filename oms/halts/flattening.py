"""Bringing positions to zero at the word of an operator: cancel, wait, sell, until all is closed.

Each symbol goes through the same questions as often as it takes: is an order open that could fill, was every
fill heard of, what does the broker hold; then market orders, or the end. So a fill that comes late, a partial
one, a restart in the middle and an order that came to nothing need no paths of their own. Pure.
"""

from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from itertools import chain

from bus.control_messages import Flatten as FlattenMessage
from bus.flatten_messages import (
    FlattenBegun,
    FlattenEnded,
    FlattenOutcome,
    SymbolFlattenEnded,
)
from bus.halt_state import covers
from bus.order_id import client_order_id
from bus.order_messages import OrderTerms
from bus.streams import EXTERNAL
from oms.amounts import ZERO, text
from oms.book.flattens import Flatten, trigger_of
from oms.book.orders import Order
from oms.broker.protocol import BrokerPosition, UnreadablePosition
from oms.halts import cancel_scope, netting
from oms.prices.reference_price import Price
from oms.requests import decisions
from oms.risk import approval as risk
from oms.state.inputs import AccountListed, Answered, ControlRead, FindOrder, ListPositions, Unanswered
from oms.state.observed import Closing
from oms.state.step import Step

_SECOND_NS = 1_000_000_000

# Where nothing is heard of an order, it is asked for, and its cancel asked for again, after so long.
_LOOK_NS = 1 * _SECOND_NS
_CANCEL_AGAIN_NS = 5 * _SECOND_NS

# An order that waits for its market may be open for days: it is not asked for every second.
_LONGEST_LOOK_NS = 60 * _SECOND_NS

# After an order that came to nothing the next is sent after this wait; each further one is twice as long.
_FIRST_WAIT_NS = _SECOND_NS // 4
_MOST_DOUBLINGS = 7

# Whatever they came to nothing for may pass, such as shares that an order just canceled still holds. After so
# many in a row, 8 s and more, a person has to look. What never left the OMS does not count.
_MOST_FOR_NOTHING = 6

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
    for symbol in sorted(_symbols_now(step)):
        holders = _holders(step, scope, symbol)
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
            for symbol in _symbols_told(step, flatten):
                _close(step, flatten, symbol)
            if len(flatten.outcomes) == done:
                continue
        _cancel(step, flatten)
        symbols = _symbols(step, flatten)
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


def _symbols(step: Step, flatten: Flatten) -> list[str]:
    """Symbols that the flatten is about, those that it is done with too."""
    begun = flatten.begun
    found = {*flatten.outcomes, *flatten.orders}
    found |= {symbol for held in begun.positions.values() for symbol in held}
    found |= {step.book.orders[order_id].symbol for order_id in begun.orders}
    found |= {symbol for entry_id, symbol in step.observed.closing if entry_id == begun.entry_id}
    others = {*_symbols_now(step), *step.state.differences} - found
    return sorted(found | {symbol for symbol in others if _concerns(step, begun.scope, symbol)})


def _symbols_told(step: Step, flatten: Flatten) -> list[str]:
    """Symbols that the flatten is not done with, and of whose orders this step says something."""
    said = (step.order(getattr(event, "client_order_id", "")) for event in step.effects.events)
    found = dict.fromkeys(order.symbol for order in said if order is not None)
    entry_id = flatten.begun.entry_id
    return [symbol for symbol in found if (entry_id, symbol) in step.observed.closing]


def _symbols_now(step: Step) -> set[str]:
    """Symbols that anybody holds, whatever the account as a whole does, or has an order in."""
    held = {symbol for holdings in step.book.positions().values() for symbol in holdings}
    ended = (step.book.orders.get(order_id) for order_id in step.observed.partly_told)
    return held | step.book.symbols() | {order.symbol for order in ended if order is not None}


def _concerns(step: Step, scope: str, symbol: str) -> bool:
    if symbol in step.state.differences and covers(scope, step.account, EXTERNAL, symbol):
        return True
    orders = chain(_open(step, scope, symbol), _partly_told(step, scope, symbol))
    return bool(_holders(step, scope, symbol)) or any(orders)


def _close(step: Step, flatten: Flatten, symbol: str) -> None:
    """Take one symbol as far as it goes now."""
    closing = _closing(step, flatten.begun.entry_id, symbol)
    if next(_unsettled(step, flatten, symbol, closing), None) is not None:
        closing.asks, closing.at_broker = False, None
        _look(step, flatten, symbol, closing)
        return
    if _awaits_exits(step, flatten.begun.scope, symbol, closing):
        return
    holders = _holders(step, flatten.begun.scope, symbol)
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
    if why := _gave_up(step, flatten, symbol, orders):
        _done(step, flatten, symbol, sum(holders.values(), ZERO), why)
    elif orders:
        if step.observed.canceling_all or _now(step) < _not_before_ns(step, flatten, symbol, closing):
            return
        for name, quantity in orders.items():
            _send(step, flatten, symbol, name, quantity)
        closing.at_broker = closing.doubted = None
    elif _confirmed(step, closing):
        left = closing.at_broker if whole else sum(holders.values(), ZERO)
        why = f"the account holds {text(booked)} by the book and {text(closing.at_broker)} at the broker"
        _done(step, flatten, symbol, left, why)


def _not_before_ns(step: Step, flatten: Flatten, symbol: str, closing: Closing) -> int:
    """When the next order may be sent: at once, unless the one before came to nothing."""
    holders = {step.book.orders[one].algorithm for one in flatten.orders.get(symbol, ())}
    count = max((len(_for_nothing(step, flatten, symbol, name)) for name in holders), default=0)
    if count > closing.for_nothing:
        closing.not_before_ns = _now(step) + (_FIRST_WAIT_NS << min(count - 1, _MOST_DOUBLINGS))
    closing.for_nothing = count
    return closing.not_before_ns


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


def _send(step: Step, flatten: Flatten, symbol: str, algorithm: str, quantity: Decimal) -> None:
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


def _gave_up(step: Step, flatten: Flatten, symbol: str, orders: Mapping[str, Decimal]) -> str:
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


def _unsettled(step: Step, flatten: Flatten, symbol: str, closing: Closing) -> Iterator[Order]:
    """Orders of the scope that may still fill, or of which a fill is still to be heard."""
    own = {*closing.canceled, *flatten.begun.orders, *flatten.orders.get(symbol, ())}
    yield from _open(step, flatten.begun.scope, symbol)
    yield from _partly_told(step, flatten.begun.scope, symbol, own)


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
        unsettled = _unsettled(step, flatten, symbol, closing)
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


def _holders(step: Step, scope: str, symbol: str) -> dict[str, Decimal]:
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


def _closing(step: Step, entry_id: str, symbol: str) -> Closing:
    return step.observed.closing.setdefault((entry_id, symbol), Closing())


def _now(step: Step) -> int:
    return step.observed.monotonic_ns
