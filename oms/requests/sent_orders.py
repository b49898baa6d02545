"""What comes of sending an order: sent, refused, or uncertain and looked for until it is known. Pure."""

from bus.errors import Unreadable
from bus.order_events import OrderRefused, OrderSent, OrderUncertain
from bus.order_messages import Reason
from bus.trading_day import trading_day
from oms.book.orders import ID_CONFLICT, Order
from oms.broker.broker_orders import caught_up, found
from oms.broker.protocol import (
    Accepted,
    BrokerOrder,
    Rejected,
    UnreadableOrder,
    same_order,
    same_symbol_and_side,
)
from oms.broker.split_order import after_split, split_told
from oms.requests import cancels, excess, legs
from oms.state.inputs import Answered, FindOrder, ListOpenOrders, OrderAnswered
from oms.state.observed import Doubt
from oms.state.step import Step

# Why an order is refused of which the broker knows nothing long after it was, perhaps, sent.
NEVER_SENT = "never_sent"

_SECOND_NS = 1_000_000_000

# An order whose answer was lost is looked for at once, and again while the broker may still be writing it;
# then once a second.
_LOOK_AGAIN_NS = (250_000_000, _SECOND_NS)

# Asked this often after the last request that could have carried it, with "not found" each time, an order was
# never sent.
_ENOUGH_ANSWERS = 2

# How often orders that were given up are looked for among the broker's open ones, and for how long.
_LOOK_FOR_GIVEN_UP_NS = 30 * _SECOND_NS
_GIVEN_UP_FOR_NS = 24 * 3600 * _SECOND_NS


def take_outcome(step: Step, answered: OrderAnswered) -> None:
    """Write down what came of sending an order."""
    step.observed.under_way.discard(answered.client_order_id)
    order, outcome = step.book.orders[answered.client_order_id], answered.outcome
    if isinstance(outcome, Accepted):
        step.record(
            OrderSent(
                algorithm=order.algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=outcome.order.id,
                approved_ns=order.approved_ns,
                sent_ns=outcome.sent_ns,
                acknowledged_ns=outcome.acknowledged_ns,
                quantity=outcome.order.quantity,
                limit_price=outcome.order.limit_price,
                stop_price=outcome.order.stop_price,
            )
        )
        if outcome.order.legs:
            legs.take(step, outcome.order)
        if step.book.is_in_chain(order):
            excess.cancel_excess(step, order)
    elif order.broker_order_id:
        return  # The broker's own update came first and says that it has the order.
    elif isinstance(outcome, Rejected):
        _refuse(step, order, outcome)
    else:
        doubt(step, order, outcome.why)
        step.ask(FindOrder(order.client_order_id))


def doubt(step: Step, order: Order, why: str) -> None:
    """Nobody knows whether the broker has this order: look for it until that is known."""
    step.warn("order uncertain", client_order_id=order.client_order_id, why=why)
    step.record(
        OrderUncertain(
            algorithm=order.algorithm, client_order_id=order.client_order_id, why=why, at_ns=step.now_ns
        )
    )
    step.observed.doubts.setdefault(order.client_order_id, Doubt())


def take_found(step: Step, answered: Answered) -> None:
    """Take the answer to a look-up of an order in doubt."""
    assert isinstance(answered.question, FindOrder)
    order_id = answered.question.client_order_id
    order, in_doubt = step.book.orders[order_id], step.observed.doubts[order_id]
    if order.answered:
        del step.observed.doubts[order_id]
    elif isinstance(answered.answer, BrokerOrder):
        _found(step, order, answered.answer)
    elif in_doubt.counts_from_monotonic_ns is None:
        return
    elif answered.asked_monotonic_ns >= in_doubt.counts_from_monotonic_ns:
        in_doubt.not_found += 1
        if in_doubt.not_found >= _ENOUGH_ANSWERS:
            message = "the broker does not have it, long after the last request that could have carried it"
            _refuse(step, order, Rejected("oms", Reason(code=NEVER_SENT, message=message)))
            del step.observed.doubts[order_id]
            step.observed.given_up.add(order_id)


def look_after_doubts(step: Step, longest_send_ns: int) -> None:
    """Ask again about orders in doubt that are due, and now and then for those that were given up.

    A "not found" counts only when the last request that could have carried the order must have ended,
    `longest_send_ns` after the doubt arose.
    """
    now_ns = step.observed.monotonic_ns
    for order_id, in_doubt in list(step.observed.doubts.items()):
        if step.book.orders[order_id].answered:
            del step.observed.doubts[order_id]
            continue
        if in_doubt.counts_from_monotonic_ns is None or in_doubt.next_question_monotonic_ns is None:
            in_doubt.counts_from_monotonic_ns = now_ns + longest_send_ns
        elif now_ns < in_doubt.next_question_monotonic_ns:
            continue
        else:
            step.ask(FindOrder(order_id))
        wait_ns = _LOOK_AGAIN_NS[min(in_doubt.asked, len(_LOOK_AGAIN_NS) - 1)]
        in_doubt.next_question_monotonic_ns = now_ns + wait_ns
        in_doubt.asked += 1
    if step.observed.given_up and now_ns - step.observed.looked_monotonic_ns >= _LOOK_FOR_GIVEN_UP_NS:
        step.observed.looked_monotonic_ns = now_ns
        step.ask(ListOpenOrders())


def remember_given_up(step: Step) -> None:
    """After a start: look again for what earlier runs of the last day gave up."""
    step.observed.given_up |= {
        order.client_order_id
        for order in step.book.orders.values()
        if order.refusal == NEVER_SENT and order.approved_ns >= step.now_ns - _GIVEN_UP_FOR_NS
    }


def take_open_orders(step: Step, answered: Answered) -> None:
    """Cancel orders that were given up and stand among the broker's open ones."""
    assert isinstance(answered.answer, list | tuple)
    for at_broker in answered.answer:
        if isinstance(at_broker, UnreadableOrder):
            continue
        order = step.order(at_broker.client_order_id)
        if order is None or at_broker.client_order_id not in step.observed.given_up:
            continue
        try:
            step.record(*caught_up(order, at_broker, step.now_ns))
        except Unreadable as error:
            step.error("order at the broker not understood", order=at_broker.id, error=str(error))
        cancel_given_up(step, order, at_broker.id)


def cancel_given_up(step: Step, order: Order, broker_order_id: str) -> None:
    """Cancel an order that was given up as never sent and has appeared at the broker."""
    step.observed.counts["found_after_given_up"] += 1
    step.error("order given up as never sent is at the broker", client_order_id=order.client_order_id)
    cancels.cancel_unasked(step, order, broker_order_id)


def _found(step: Step, order: Order, at_broker: BrokerOrder) -> None:
    if not is_ours(step, order, at_broker):
        message = f"it has another order, {at_broker.id}, under client id {order.client_order_id}"
        step.error("client id in use for another order", client_order_id=order.client_order_id)
        _refuse(step, order, Rejected("broker", Reason(code=ID_CONFLICT, message=message)))
    else:
        step.record(found(order.algorithm, at_broker, order.approved_ns, step.now_ns))
        try:
            step.record(*caught_up(order, at_broker, step.now_ns))
        except Unreadable as error:
            step.error("order at the broker not understood", order=at_broker.id, error=str(error))
        legs.take(step, at_broker)
    del step.observed.doubts[order.client_order_id]


def is_ours(step: Step, order: Order, at_broker: BrokerOrder) -> bool:
    """Whether what the broker has under our client id is what was approved, or what a split made of it.

    Of an order that took another's place only symbol and side are compared: its size is the broker's word.
    So is that of an OCO, which shrinks by what its other exit is filled for.
    A split is told by an operator, or by the broker's own numbers of an order that is older than the day.
    """
    terms = order.terms
    if terms is None:
        return True
    if order.replaces is not None or terms.order_class == "oco":
        return same_symbol_and_side(terms, at_broker)
    if same_order(terms, at_broker):
        return True
    if trading_day(order.approved_ns) < trading_day(step.now_ns) and split_told(terms, at_broker):
        return True
    return any(
        after_split(terms, at_broker, new, old)
        for (symbol, new_symbol, new, old), booked_ns in step.state.corporate_actions.items()
        if symbol == new_symbol == order.symbol and booked_ns >= order.approved_ns
    )


def _refuse(step: Step, order: Order, outcome: Rejected) -> None:
    step.record(
        OrderRefused(
            algorithm=order.algorithm,
            client_order_id=order.client_order_id,
            by=outcome.by,
            reasons=(outcome.reason,),
            at_ns=step.now_ns,
            terms=order.terms,
        )
    )
