"""What a request leads to: a verdict of risk, a cancel to pass on, or nothing new."""

from collections.abc import Mapping
from dataclasses import dataclass

from bus.codec import Message
from bus.order_messages import (
    CancelRefused,
    CancelRequest,
    OrderRefused,
    OrderRequest,
    Reason,
    ReplaceRequest,
)
from oms.book import Book
from oms.gate import Context, Price, gate
from oms.limits import Limits
from oms.orders import Order
from oms.risk import Approved, Refused, check


@dataclass(frozen=True, slots=True)
class Decision:
    """The event to journal, if any, and what is to be done once it is durable."""

    event: Message | None = None
    approved: Approved | None = None
    cancel: Order | None = None


_NOTHING_NEW = Decision()


def decide(
    request: OrderRequest | ReplaceRequest,
    book: Book,
    limits: Limits | None,
    prices: Mapping[str, Price],
    context: Context,
) -> Decision:
    """Judge an order or a replace.

    The same client id with the same terms was answered before: nothing is decided again. With other terms it
    is a conflict, refused and never taken for a duplicate.
    """
    known = book.orders.get(request.client_order_id)
    if known is None:
        verdict = check(request, book, limits, prices, context)
        if isinstance(verdict, Approved):
            return Decision(event=verdict.event, approved=verdict)
        return Decision(event=_refusal(request, verdict, context))
    replaces = request.replaces if isinstance(request, ReplaceRequest) else None
    if known.algorithm == context.algorithm and known.terms == request.terms and known.replaces == replaces:
        return _NOTHING_NEW
    conflict = Reason(
        code="id_conflict",
        message=f"client id {request.client_order_id} stands for another order already",
        value=request.client_order_id,
    )
    return Decision(event=_refusal(request, Refused((conflict, *gate(request, context))), context))


def decide_cancel(request: CancelRequest, book: Book, context: Context) -> Decision:
    """Judge a cancel. Halts do not matter to it, nor prices, nor limits: it needs only the broker."""
    order = book.orders.get(request.client_order_id)
    reason = None
    if not context.lease or request.lease != context.lease:
        reason = Reason(code="not_leader", message="only the leader of an algorithm may cancel its orders")
    elif order is None or order.algorithm != context.algorithm:
        reason = Reason(code="unknown_order", message="there is no such order of this algorithm")
    elif not order.open:
        reason = Reason(code="not_open", message=f"it is {order.status} already", value=order.status)
    if reason is None:
        return Decision(cancel=order)
    return Decision(
        event=CancelRefused(
            algorithm=context.algorithm,
            client_order_id=request.client_order_id,
            reason=reason,
            at_ns=context.now_ns,
        )
    )


def _refusal(request: OrderRequest | ReplaceRequest, verdict: Refused, context: Context) -> OrderRefused:
    # A request of someone who does not lead says nothing of the leader's own under the same id: without
    # terms the book does not remember it.
    entitled = all(reason.code != "not_leader" for reason in verdict.reasons)
    return OrderRefused(
        algorithm=context.algorithm,
        client_order_id=request.client_order_id,
        by="risk",
        reasons=verdict.reasons,
        at_ns=context.now_ns,
        terms=request.terms if entitled else None,
    )
