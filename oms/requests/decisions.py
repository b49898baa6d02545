"""What a request leads to: an order approved or refused, a cancel passed on, or nothing new. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from bus.errors import Unreadable
from bus.order_events import LeaseRetired, OrderRefused
from bus.order_messages import (
    CancelRequest,
    OrderRequest,
    Reason,
    ReplaceRequest,
    Request,
    ShutdownAcknowledged,
)
from oms.book.orders import ID_CONFLICT, REFUSED
from oms.prices.reference_price import Known
from oms.requests import cancels, shadow, unreadable
from oms.requests.grouped_refusals import GroupedRefusals
from oms.requests.readiness import not_ready
from oms.risk.approval import Refused, basis_without_price, check
from oms.risk.preconditions import Context, unmet
from oms.state.inputs import RequestsRead
from oms.state.step import Step


def take_requests(step: Step, read: RequestsRead) -> None:
    """Decide on requests in their order; each is acknowledged with the events that answer it."""
    contexts: dict[str, Context] = {}
    counts = step.observed.counts
    grouped: GroupedRefusals | None = None
    for request in read.requests:
        message, name = request.message, request.algorithm
        context = contexts.get(name)
        if context is None:
            context = contexts[name] = context_of(step, name, control_fresh=read.control_fresh)
        if grouped is not None and grouped.untold:
            grouped.settle(_ids(message))
        match message:
            case ReplaceRequest() if _must_wait(step, message, name):
                # Its order is on its way to the broker, and can be replaced once that has answered.
                step.observed.replaces_waiting.setdefault(message.replaces, []).append(request)
                continue
            case OrderRequest() | ReplaceRequest():
                counts["requests"] += 1
                step.observed.requests.came(name, step.now_ns)
                refused = _decide(step, message, read.prices, context, request.late)
                if refused is not None:
                    grouped = grouped or GroupedRefusals(step)
                    grouped.refuse(message, refused)
                    if _halt_if_it_ran_away(step, refused):
                        contexts.pop(name)
            case CancelRequest():
                counts["cancel_requests"] += 1
                step.observed.requests.came(name, step.now_ns)
                message = _of_what_stands(step, message, context)
                cancels.take_request(step, request.delivery, message, context)
                continue
            case ShutdownAcknowledged():
                if step.state.retired.get(name) != message.lease:
                    step.record(LeaseRetired(algorithm=name, lease=message.lease, at_ns=step.now_ns))
                contexts.pop(name)
            case _:
                step.keep(request.delivery, message)
                step.observed.refusals_of[name] += 1
                answer = unreadable.answer(
                    request, message, lambda one: step.book.order(one) is not None, step.now_ns
                )
                if answer is not None:
                    step.record(answer)
        step.effects.acknowledge.append(request.delivery)
    if grouped is not None:
        grouped.settle()


def _ids(message: Request | Unreadable) -> Sequence[str] | None:
    """The orders on which a decision on this request depends; None where that is not known."""
    match message:
        case ReplaceRequest():
            return message.client_order_id, message.replaces
        case OrderRequest() | CancelRequest():
            return (message.client_order_id,)
    return None


def read_waiting_again(step: Step) -> None:
    """Have replaces read again whose order the broker has answered."""
    waiting = step.observed.replaces_waiting
    for client_order_id in list(waiting):
        if step.book.orders[client_order_id].answered:
            step.effects.read_again += [request.delivery for request in waiting.pop(client_order_id)]


def _decide(
    step: Step,
    request: OrderRequest | ReplaceRequest,
    prices: Mapping[str, Known],
    context: Context,
    late: Reason | None,
) -> OrderRefused | None:
    """Decide on an order or a replace; returns the refusal, which is still to be recorded.

    The same client id with the same terms was answered before: nothing is decided again. With other terms it
    is a conflict, refused and never taken for a duplicate.
    """
    known = step.order(request.client_order_id)
    if known is None and late is not None:
        return _refused(step, request, context, late)
    if known is None and isinstance(request, ReplaceRequest) and _is_being_canceled(step, request.replaces):
        return _refused(step, request, context, _being_canceled(request))
    if known is None:
        verdict = check(request, step.book, step.state.limits, prices, context)
        if isinstance(verdict, Refused):
            return _refusal(request, verdict, context)
        if step.state.limits_in_force.shadows:
            shadow.look(step, request, prices, context)
        step.record(verdict.event)
        step.effects.send.append(verdict)
        step.observed.under_way.add(request.client_order_id)
        return None
    replaces = request.replaces if isinstance(request, ReplaceRequest) else None
    # Of one that was refused the book does not remember what it was to replace.
    same_place = known.replaces == replaces or (known.status == REFUSED and known.replaces is None)
    same_terms = known.terms == request.terms or step.book.put_away.has_terms(
        request.client_order_id, request.terms
    )
    if known.algorithm == context.algorithm and same_terms and same_place:
        step.observed.counts["duplicates"] += 1
        return None
    conflict = Reason(
        code=ID_CONFLICT,
        message=f"client id {request.client_order_id} stands for another order already",
        value=request.client_order_id,
    )
    return _refused(step, request, context, conflict, *unmet(request, context))


def _is_being_canceled(step: Step, client_order_id: str) -> bool:
    observed = step.observed
    return client_order_id in observed.cancels_waiting or client_order_id in observed.cancels_under_way


def _being_canceled(request: ReplaceRequest) -> Reason:
    message = f"{request.replaces} cannot be replaced: it is being canceled"
    return Reason(code="not_replaceable", message=message)


def _must_wait(step: Step, request: ReplaceRequest, algorithm: str) -> bool:
    old = step.order(request.replaces)
    is_known = step.book.knows(request.client_order_id)
    return old is not None and old.algorithm == algorithm and not old.answered and not is_known


def _of_what_stands(step: Step, cancel: CancelRequest, context: Context) -> CancelRequest:
    """The cancel of a replacement that still waits is one of the order that it was to replace."""
    for replaced_id, waiting in step.observed.replaces_waiting.items():
        for request in waiting:
            message = request.message
            if not isinstance(message, ReplaceRequest) or message.client_order_id != cancel.client_order_id:
                continue
            if request.algorithm != context.algorithm or not cancels.may_cancel(cancel, context):
                return cancel
            waiting.remove(request)
            step.effects.acknowledge.append(request.delivery)
            step.record(_refused(step, message, context, cancels.CANCELED_UNSENT))
            return msgspec.structs.replace(cancel, client_order_id=replaced_id)
    return cancel


def _refused(
    step: Step, request: OrderRequest | ReplaceRequest, context: Context, *reasons: Reason
) -> OrderRefused:
    """The refusal for reasons to which no price matters."""
    basis = basis_without_price(request, step.state.limits, context)
    return _refusal(request, Refused(reasons, basis), context)


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
        basis=verdict.basis,
        replaces=request.replaces if isinstance(request, ReplaceRequest) else None,
        changes=request.changes if isinstance(request, ReplaceRequest) else None,
    )


def _halt_if_it_ran_away(step: Step, refused: OrderRefused) -> bool:
    """Have an algorithm halted that has ordered the same too often; returns whether it has."""
    for reason in refused.reasons:
        if reason.code == "repeated_order":
            scope = f"algorithm:{refused.algorithm}"
            step.halt(
                scope, reason.code, reason.message, reason.limit or "", reason.value or "", latched=True
            )
            return True
    return False


def context_of(step: Step, algorithm: str, *, control_fresh: bool) -> Context:
    """What a decision on an order of this algorithm depends on now."""
    flattens = step.state.flattens
    return Context(
        account=step.account,
        algorithm=algorithm,
        now_ns=step.now_ns,
        halts=step.state.halts,
        control_fresh=control_fresh,
        not_ready=not_ready(step.state, step.observed),
        lease=step.observed.leases.get(algorithm, ""),
        retired_lease=step.state.retired.get(algorithm, ""),
        flattens=flattens if flattens.under_way else None,
        spending_power=step.observed.spending_power,
        declared=step.state.registered.get(algorithm),
        assets=step.observed.assets,
        market_open=step.observed.market_clock.is_open(step.now_ns),
        requests=step.observed.requests,
    )
