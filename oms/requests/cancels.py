"""Requests for a cancel: checked, passed on once the broker has the order, answered with its word. Pure."""

from bus.delivery import Delivery
from bus.order_events import CancelRefused
from bus.order_messages import CancelRequest, Reason
from oms.book.book import Book
from oms.book.orders import Order
from oms.broker.protocol import BrokerRefused
from oms.risk.preconditions import Context
from oms.state.effects import CancelOrder
from oms.state.inputs import CancelAnswered
from oms.state.step import Step

# Why an order is refused whose cancel came before it was sent.
CANCELED_UNSENT = Reason(code="canceled", message="canceled before it was sent")

# An algorithm that cancels whatever it does not know must not keep a position that an operator closes.
_CLOSES = Reason(code="flattening", message="it closes a position at the word of an operator")

_NOT_LEADER = Reason(
    code="not_leader",
    message="another instance leads this algorithm now: only the leader may cancel its orders",
)
_UNKNOWN_ORDER = Reason(code="unknown_order", message="there is no such order of this algorithm")


def take_request(step: Step, read: Delivery, request: CancelRequest, context: Context) -> None:
    """Check a cancel. Halts do not matter to it, nor prices, nor limits: it needs only the broker.

    The request is acknowledged with a refusal, or once the broker has answered. An order that was replaced,
    or is about to be, is canceled by canceling what takes its place: whoever is first, nothing works on.
    """
    order = newest(step.book, request.client_order_id)
    reason = None
    if not may_cancel(request, context):
        reason = _NOT_LEADER
    elif order is None or order.algorithm != context.algorithm:
        reason = _UNKNOWN_ORDER
    elif not order.open:
        reason = _not_open(order)
    elif step.state.flattens.own(order.client_order_id):
        reason = _CLOSES
    if reason is not None:
        step.effects.acknowledge.append(read)
        step.record(
            CancelRefused(
                algorithm=context.algorithm,
                client_order_id=request.client_order_id,
                reason=reason,
                at_ns=step.now_ns,
            )
        )
        return
    assert order is not None, "refused above"
    _pass_on(step, order, [read])


def may_cancel(request: CancelRequest, context: Context) -> bool:
    """Whether it was asked for by the process that leads now, or nobody leads.

    A lease's value is `<token>:<holder>:<mark>`. In an outage it runs out, and who takes it again has another
    token; holder and mark are those of one process all its life. Where nobody leads, whoever wrote the
    request led when it did: it may have ended since, and what it wanted canceled must not work on.
    """
    return not context.lease or _process(request.lease) == _process(context.lease)


def _process(lease: str) -> str:
    return lease.partition(":")[2]


def cancel(step: Step, order: Order) -> None:
    """Have an open order canceled at the word of an operator, and whatever is to take its place.

    It goes with the kill switch: no queue of requests delays it.
    """
    _pass_on(step, newest(step.book, order.client_order_id) or order, [], urgent=True)


def cancel_unasked(step: Step, order: Order, broker_order_id: str) -> None:
    """Cancel an order that nobody asked to cancel and that must not stand, once."""
    if order.client_order_id not in step.observed.cancels_under_way:
        _send(step, order, broker_order_id, [])


def go_on(step: Step) -> None:
    """Pass on cancels that waited for the broker's word on their order, where it has come.

    A replacement that came to nothing leaves the order in whose place it was to stand: that is canceled.
    """
    waiting = step.observed.cancels_waiting
    # Only what this step said can have changed an order: thousands may wait after a halt of everything.
    said = dict.fromkeys(getattr(event, "client_order_id", "") for event in step.effects.events)
    for client_order_id in [order_id for order_id in said if order_id in waiting]:
        order = step.book.orders[client_order_id]
        if not order.answered:
            continue
        reads = waiting.pop(client_order_id)
        urgent = client_order_id in step.observed.urgent_cancels
        step.observed.urgent_cancels.discard(client_order_id)
        old = step.book.replaced(order)
        if order.open:
            _pass_on(step, order, reads, urgent=urgent)
        elif order.never_came and old is not None and old.open:
            _pass_on(step, old, reads, urgent=urgent)
        else:
            if order.refusal != CANCELED_UNSENT.code:
                _refuse(step, order, _not_open(order))
            step.effects.acknowledge += reads


def _pass_on(step: Step, order: Order, reads: list[Delivery], *, urgent: bool = False) -> None:
    """Have an open order canceled as soon as the broker has it; before it leaves, it does not leave."""
    under_way = step.observed.cancels_under_way.get(order.client_order_id)
    if under_way is not None:
        # One that asks again and again must not spend the requests of all the others.
        under_way += reads
        if urgent:
            step.effects.hasten.append(order.broker_order_id)
    elif order.broker_order_id:
        _send(step, order, order.broker_order_id, reads, urgent=urgent)
    else:
        if urgent:
            step.observed.urgent_cancels.add(order.client_order_id)
        step.observed.cancels_waiting.setdefault(order.client_order_id, []).extend(reads)
        step.effects.withdraw.append(order.client_order_id)


def take_answer(step: Step, answered: CancelAnswered) -> None:
    """Acknowledge requests for a cancel that the broker took; refuse those that it did not."""
    reads = step.observed.cancels_under_way.pop(answered.client_order_id, [])
    step.effects.acknowledge += reads
    order = step.book.orders[answered.client_order_id]
    if answered.error is None:
        step.observed.counts["cancels"] += bool(reads)
    elif isinstance(answered.error, BrokerRefused):
        # It has most likely ended, and the update that says so may be lost.
        step.look_up(order.client_order_id)
        _refuse(step, order, Reason(code=f"broker_{answered.error.code}", message=answered.error.message))
    else:
        why = f"the broker did not answer the cancel: {answered.error}"
        _refuse(step, order, Reason(code="unanswered", message=why))


def newest(book: Book, client_order_id: str) -> Order | None:
    """The order, or the one that stands in its place or is about to."""
    order = book.order(client_order_id)
    if order is not None and client_order_id in book.put_away:
        order = _in_place_of(book, order)
    while order is not None and (replacement := book.replacement(order)) is not None:
        if replacement.never_came:
            break
        order = replacement
    return order


def _in_place_of(book: Book, gone: Order) -> Order:
    """What works in the place of an order that was put away; that order itself where nothing does."""
    for order in book.open_orders():
        link: Order | None = order
        while link is not None and link.replaces is not None:
            if link.replaces == gone.client_order_id:
                return order
            link = book.order(link.replaces)
    return gone


def _not_open(order: Order) -> Reason:
    """That it is too late; of an entry, which exits of it stand and can be canceled."""
    message = f"it is {order.status} already"
    exits = [] if order.group is None else [*order.group.take_profit, *order.group.stop_loss]
    if standing := [leg.client_order_id for leg in exits if leg.open]:
        message += f"; its exits stand ({', '.join(standing)}): cancel one, and both are canceled"
    return Reason(code="not_open", message=message, value=order.status)


def _send(
    step: Step, order: Order, broker_order_id: str, reads: list[Delivery], *, urgent: bool = False
) -> None:
    step.observed.cancels_under_way[order.client_order_id] = reads
    step.effects.cancel.append(CancelOrder(order.client_order_id, broker_order_id, order.algorithm, urgent))


def _refuse(step: Step, order: Order, reason: Reason) -> None:
    step.record(
        CancelRefused(
            algorithm=order.algorithm,
            client_order_id=order.client_order_id,
            reason=reason,
            at_ns=step.now_ns,
        )
    )
