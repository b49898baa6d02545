"""Bringing the book level with the broker, at start and after each break of its stream. Pure."""

from collections.abc import Sequence

from bus.errors import Unreadable
from bus.order_messages import OrderFilled
from bus.streams import EXTERNAL
from oms import sent_orders
from oms.amounts import minus
from oms.broker import BrokerOrder
from oms.external_orders import adopted, caught_up, found
from oms.inputs import (
    AccountListed,
    Answered,
    EntryRead,
    FindOrder,
    ListAccount,
    ListOrders,
    Started,
    Unanswered,
)
from oms.observed import CatchingUp
from oms.orders import TERMINAL, assumed_execution_id
from oms.turn import Turn

# Clocks differ, and an order may be stamped before we wrote it down.
_MARGIN_NS = 60 * 1_000_000_000


def take_started(turn: Turn, started: Started) -> None:
    """Begin: a new journal takes over what the account holds, one with a past is brought level."""
    observed = turn.observed
    observed.first_ns, observed.last_ns = started.first_ns, started.last_ns
    observed.behind = True
    if started.first_ns is None:
        # Orders that ended just now are within the reach of a later catching up: they are booked here, so
        # that their fills are not counted again beside the positions they led to.
        observed.first_ns = observed.last_ns = turn.now_ns
        turn.ask(ListAccount(turn.now_ns - 2 * _MARGIN_NS))
    else:
        sent_orders.remember_given_up(turn)
        _begin(turn, at_start=True)


def reconnected(turn: Turn, connected: EntryRead, heard_before_ns: int) -> None:
    """The broker's stream is back: what it did not tell must be found before orders are taken again.

    The entry that says so is acknowledged once that is booked.
    """
    turn.observed.breaks[connected] = heard_before_ns
    turn.observed.behind = True


def take_unanswered(turn: Turn, unanswered: Unanswered) -> None:
    """Remember why the broker's orders are not known."""
    if not isinstance(unanswered.question, FindOrder) or turn.observed.catching_up is not None:
        turn.observed.trouble = unanswered.why


def take_answer(turn: Turn, answered: Answered) -> None:
    """Take an answer to what was asked to become level."""
    turn.observed.trouble = ""
    if isinstance(answered.answer, AccountListed):
        _take_over(turn, answered.answer)
        return
    catching_up = turn.observed.catching_up
    if catching_up is None:
        return
    if isinstance(answered.question, FindOrder):
        catching_up.awaited.discard(answered.question.client_order_id)
        assert isinstance(answered.answer, BrokerOrder | None)
        _take_single(turn, answered.question.client_order_id, answered.answer)
    else:
        assert isinstance(answered.answer, list | tuple)
        _take_list(turn, catching_up, answered.answer)


def go_on(turn: Turn) -> None:
    """Begin to catch up, ask what is still to be asked, or end."""
    observed = turn.observed
    catching_up = observed.catching_up
    if not observed.started and catching_up is None:
        return
    if catching_up is None:
        _begin(turn, at_start=False)
    elif not catching_up.listed:
        _ask(turn, catching_up)
    elif not catching_up.awaited:
        turn.effects.acknowledge += catching_up.breaks
        observed.catching_up = None
        observed.started = True
        # A break that came meanwhile is caught up with next.
        observed.behind = bool(observed.breaks)
        if observed.behind:
            _begin(turn, at_start=False)


def _begin(turn: Turn, *, at_start: bool) -> None:
    breaks, turn.observed.breaks = turn.observed.breaks, {}
    turn.observed.catching_up = CatchingUp(at_start, breaks)
    _ask(turn, turn.observed.catching_up)


def _ask(turn: Turn, catching_up: CatchingUp) -> None:
    """Ask for the broker's orders since the last moment at which the book was certainly level."""
    observed = turn.observed
    if observed.under_way and not catching_up.at_start:
        return  # An order whose answer is still to come may have been filled while nobody listened.
    if any(isinstance(question, ListOrders) for question in observed.asked):
        return
    assert observed.first_ns is not None, "told with Started"
    assert observed.last_ns is not None, "told with Started"
    times_ns = [observed.last_ns]
    times_ns += [heard_ns or observed.first_ns for heard_ns in catching_up.breaks.values()]
    times_ns += [order.approved_ns for order in turn.book.open_orders() if order.approved_ns]
    turn.ask(ListOrders(max(0, min(times_ns) - _MARGIN_NS)))


def _take_list(turn: Turn, catching_up: CatchingUp, orders: Sequence[BrokerOrder]) -> None:
    """Compare each order, and ask one by one for those that the book has open and the list does not show.

    At start an approved order that is not found is in doubt; later such orders are the sender's, or in doubt.
    """
    catching_up.listed = True
    found_ids = set()
    for order in orders:
        found_ids.add(order.client_order_id)
        known = turn.order(order.client_order_id)
        if catching_up.at_start or known is None or known.answered:
            _compare(turn, order)
    for known in list(turn.book.open_orders()):
        if known.client_order_id not in found_ids and (catching_up.at_start or known.answered):
            catching_up.awaited.add(known.client_order_id)
            turn.ask(FindOrder(known.client_order_id))


def _take_single(turn: Turn, client_order_id: str, at_broker: BrokerOrder | None) -> None:
    order = turn.book.orders[client_order_id]
    if at_broker is not None:
        _compare(turn, at_broker)
    elif not order.answered:
        sent_orders.doubt(turn, order, "approved before a restart; the broker does not know it yet")


def _compare(turn: Turn, order: BrokerOrder) -> None:
    """Book whatever the broker's order says beyond what the book knows."""
    known = turn.order(order.client_order_id)
    try:
        if known is None:
            events = adopted(order, turn.now_ns)
            if events:
                turn.warn("order adopted", client_order_id=order.client_order_id)
                turn.record(*events)
                known = turn.book.orders[order.client_order_id]
            elif not order.filled_quantity and order.status in ("canceled", "expired", "rejected"):
                return
        elif not known.broker_order_id:
            turn.record(found(known.algorithm, order, known.approved_ns, turn.now_ns))
        turn.record(*caught_up(known, order, turn.now_ns))
    except Unreadable as error:
        # An order of a kind that this OMS has no words for was made elsewhere: its fills will be booked.
        turn.error("order at the broker not understood", order=order.id, error=str(error))


def _take_over(turn: Turn, account: AccountListed) -> None:
    """Take over what the account holds: positions of before belong to `external`, orders to whom they name.

    Where it holds nothing, nobody can have halted anything on it.
    """
    for order in account.orders:
        _compare(turn, order)
    for position in account.positions:
        missing = minus(position.quantity, turn.book.position(position.symbol))
        if not missing:
            continue
        name = f"opening-{position.symbol}"
        turn.record(
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
                at_ns=turn.now_ns,
            )
        )
    still_open = any(order.status not in TERMINAL for order in account.orders)
    turn.effects.first_halt_state = not (still_open or account.positions)
    turn.observed.started = True
    turn.observed.behind = bool(turn.observed.breaks)
