"""Bringing the book level with the broker, at start and after each break of its stream. Pure."""

from collections.abc import Iterable, Sequence

from bus.book_messages import CashOpened
from bus.errors import Unreadable
from bus.order_events import OrderFilled, OrderNotUnderstood
from bus.streams import EXTERNAL
from oms.amounts import minus
from oms.book.orders import ID_CONFLICT, TERMINAL, Order, assumed_execution_id, is_another
from oms.broker.broker_orders import adopted, caught_up, found, owner
from oms.broker.protocol import BrokerOrder, UnreadableOrder
from oms.reconciliation import activities, holdings
from oms.requests import legs, sent_orders
from oms.state.inputs import (
    AccountListed,
    Answered,
    BrokerMessageRead,
    FindOrder,
    ListAccount,
    ListOrders,
    Started,
    Unanswered,
)
from oms.state.observed import CatchingUp
from oms.state.step import Step

# Clocks differ, and an order may be stamped before we wrote it down.
_MARGIN_NS = 60 * 1_000_000_000

# So many orders of which a list says nothing are asked for one by one; more, and the list is read from
# further back: a page of it has 500 orders.
_MOST_ASKED_SINGLY = 20


def take_started(step: Step, started: Started) -> None:
    """Begin: a new journal takes over what the account holds, one with a past is brought level."""
    observed = step.observed
    observed.first_ns, observed.last_ns = started.first_ns, started.last_ns
    observed.activities_ns = step.now_ns if started.last_ns is None else min(started.last_ns, step.now_ns)
    observed.behind = True
    if started.first_ns is None:
        # Orders that ended just now are within the reach of a later catching up: they are booked here, so
        # that their fills are not counted again beside the positions they led to.
        observed.first_ns = observed.last_ns = step.now_ns
        step.ask(ListAccount(step.now_ns - 2 * _MARGIN_NS, activities.since_ns(step)))
    else:
        sent_orders.remember_given_up(step)
        observed.partly_told |= {
            order.client_order_id
            for order in step.book.orders.values()
            if not order.open and order.outstanding()
        }
        _begin(step, at_start=True)


def reconnected(step: Step, connected: BrokerMessageRead) -> None:
    """The broker's stream is back: what it did not tell must be found before orders are taken again.

    The entry that says so is acknowledged once that is booked.
    """
    step.observed.breaks[connected.delivery.id] = connected
    step.observed.behind = True


def take_unanswered(step: Step, unanswered: Unanswered) -> None:
    """Remember why the broker's orders are not known."""
    if not isinstance(unanswered.question, FindOrder) or step.observed.catching_up is not None:
        step.observed.trouble = unanswered.why


def take_answer(step: Step, answered: Answered) -> None:
    """Take an answer to what was asked to become level."""
    step.observed.trouble = ""
    if isinstance(answered.answer, AccountListed):
        take_over(step, answered.answer)
        return
    catching_up = step.observed.catching_up
    if catching_up is None:
        _take_found_later(step, answered)
        return
    if isinstance(answered.question, FindOrder):
        _take_found(step, catching_up, answered)
    else:
        assert isinstance(answered.answer, list | tuple)
        _take_list(step, catching_up, understood(step, answered.answer))


def go_on(step: Step) -> None:
    """Begin to catch up, ask what is still to be asked, or end."""
    observed = step.observed
    catching_up = observed.catching_up
    if not observed.started and catching_up is None:
        return
    if catching_up is None:
        _begin(step, at_start=False)
    elif not catching_up.listed:
        _ask(step, catching_up)
    elif not catching_up.awaited:
        step.effects.acknowledge += [one.delivery for one in catching_up.breaks.values()]
        observed.catching_up = None
        observed.started = True
        # A break that came meanwhile is caught up with next.
        observed.behind = bool(observed.breaks)
        if observed.behind:
            _begin(step, at_start=False)


def _begin(step: Step, *, at_start: bool) -> None:
    breaks, step.observed.breaks = step.observed.breaks, {}
    step.observed.catching_up = CatchingUp(at_start, breaks)
    _ask(step, step.observed.catching_up)


def _ask(step: Step, catching_up: CatchingUp) -> None:
    """Ask for the broker's open orders, and for all since the book was last certainly level."""
    observed = step.observed
    if observed.under_way and not catching_up.at_start:
        return  # An order whose answer is still to come may have been filled while nobody listened.
    if any(isinstance(question, ListOrders) for question in observed.asked):
        return
    assert observed.first_ns is not None, "told with Started"
    assert observed.last_ns is not None, "told with Started"
    # A journal that was written while the clock was ahead ends in the future, and nothing is submitted there.
    times_ns = [min(observed.last_ns, step.now_ns)]
    times_ns += [one.heard_before_ns or observed.first_ns for one in catching_up.breaks.values()]
    if catching_up.further_back_ns is not None:
        times_ns.append(catching_up.further_back_ns)
    step.ask(ListOrders(max(0, min(times_ns) - _MARGIN_NS)))


def _take_list(step: Step, catching_up: CatchingUp, orders: Sequence[BrokerOrder]) -> None:
    """Compare each order, and find those that the book has open and the list does not show.

    At start an approved order that is not found is in doubt; later such orders are the sender's, or in doubt.
    """
    found_ids = set()
    for order in orders:
        found_ids.add(order.client_order_id)
        known = step.order(order.client_order_id)
        if catching_up.at_start or known is None or known.answered:
            compare(step, order)
    missing = [
        known
        for known in step.book.open_orders()
        if known.client_order_id not in found_ids and (catching_up.at_start or known.answered)
    ]
    times_ns = [known.approved_ns for known in missing if known.approved_ns]
    if len(missing) > _MOST_ASKED_SINGLY and times_ns and catching_up.further_back_ns is None:
        catching_up.further_back_ns = min(times_ns)
        _ask(step, catching_up)
        return
    catching_up.listed = True
    for known in missing:
        question = FindOrder(known.client_order_id)
        catching_up.awaited.add(known.client_order_id)
        if question in step.observed.asked:
            catching_up.asked_before.add(known.client_order_id)
        step.ask(question)


def _take_found(step: Step, catching_up: CatchingUp, answered: Answered) -> None:
    """Take the answer to a question after one order, where it is awaited and not older than the break."""
    question = answered.question
    assert isinstance(question, FindOrder)
    assert isinstance(answered.answer, BrokerOrder | None)
    if question.client_order_id not in catching_up.awaited:
        _take_found_later(step, answered)
        return
    if question.client_order_id in catching_up.asked_before:
        catching_up.asked_before.discard(question.client_order_id)
        step.ask(question)
        return
    catching_up.awaited.discard(question.client_order_id)
    _take_single(step, question.client_order_id, answered.answer)


def _take_found_later(step: Step, answered: Answered) -> None:
    """Take the answer to a question that nothing waits for: what it says beyond the book is booked."""
    question = answered.question
    if isinstance(question, FindOrder) and question.client_order_id in step.observed.looked_up:
        assert isinstance(answered.answer, BrokerOrder | None)
        step.observed.looked_up.discard(question.client_order_id)
        _take_single(step, question.client_order_id, answered.answer)


def _take_single(step: Step, client_order_id: str, at_broker: BrokerOrder | None) -> None:
    order = step.book.orders[client_order_id]
    if at_broker is not None:
        compare(step, at_broker)
    elif not order.answered:
        sent_orders.doubt(step, order, "approved before a restart; the broker does not know it yet")
    else:
        step.error("the broker does not know an order that it had taken", client_order_id=client_order_id)


def compare(step: Step, order: BrokerOrder) -> None:
    """Book whatever the broker's order says beyond what the book knows."""
    known = step.order(order.client_order_id)
    if known is not None and is_another(known, order.id) and not _was_split(step, known, order):
        return  # Its position shows.
    try:
        if known is None:
            events = adopted(order, step.book, step.now_ns)
            if not events:
                return
            step.warn("order adopted", client_order_id=order.client_order_id)
            step.record(*events)
            known = step.book.orders[order.client_order_id]
        elif not known.broker_order_id:
            # Of one that was taken for another's it is the word that it is ours.
            step.record(found(known.algorithm, order, known.approved_ns, step.now_ns))
        step.record(*caught_up(known, order, step.now_ns))
        legs.take(step, order)
    except Unreadable as error:
        not_understood(step, UnreadableOrder(order.id, order.client_order_id, str(error)))


def _was_split(step: Step, known: Order, order: BrokerOrder) -> bool:
    """Whether one that was taken for another's is ours, by what has been said of its symbol since.

    Of one that was put away there are no terms any more to compare with.
    """
    is_conflict = known.refusal == ID_CONFLICT and known.terms is not None
    return is_conflict and sent_orders.is_ours(step, known, order)


def understood(step: Step, orders: Iterable[BrokerOrder | UnreadableOrder]) -> list[BrokerOrder]:
    """Those orders of a list that can be read; the others are named."""
    found = []
    for order in orders:
        if isinstance(order, UnreadableOrder):
            not_understood(step, order)
        else:
            found.append(order)
    return found


def not_understood(step: Step, order: UnreadableOrder) -> None:
    """Name an order that cannot be read, once. One of ours halts the account: it may have been filled."""
    if f"order {order.id}" in step.state.not_understood:
        return
    algorithm = owner(order.client_order_id, None, step.book)
    step.error("order at the broker not understood", order=order.id, error=order.why)
    step.record(
        OrderNotUnderstood(
            algorithm=algorithm,
            client_order_id=order.client_order_id,
            broker_order_id=order.id,
            error=order.why,
            at_ns=step.now_ns,
        )
    )
    if algorithm != EXTERNAL:
        step.halt_account("unreadable", f"order {order.client_order_id} of ours cannot be read: {order.why}")


def take_over(step: Step, account: AccountListed) -> None:
    """Take over what the account holds: positions of before belong to `external`, orders to whom they name.

    Where it holds nothing, nobody can have halted anything on it.
    """
    orders = understood(step, account.orders)
    for order in orders:
        compare(step, order)
    assert account.positions is not None, "a first start asks until they belong together"
    for position in holdings.understood(step, account.positions):
        missing = minus(position.quantity, step.book.position(position.symbol))
        if not missing:
            continue
        name = f"opening-{position.symbol}"
        step.record(
            OrderFilled(
                algorithm=EXTERNAL,
                client_order_id=name,
                broker_order_id=name,
                execution_id=assumed_execution_id(name, abs(missing)),
                symbol=position.symbol,
                side="buy" if missing > 0 else "sell",
                quantity=abs(missing),
                price=position.average_price,
                filled_quantity=abs(missing),
                status="filled",
                at_ns=step.now_ns,
            )
        )
    if account.account is not None:
        ids = tuple(one.id for one in account.activities)
        step.record(CashOpened(cash=account.account.cash, activities=ids, at_ns=step.now_ns))
    holdings.remember_money(step, account)
    unread = len(orders) < len(account.orders)
    still_open = any(order.status not in TERMINAL for order in orders)
    step.effects.first_halt_state = not (unread or still_open or account.positions)
    step.observed.started = True
    step.observed.behind = bool(step.observed.breaks)
