"""A decision of the past, looked at again: which rules it met, from what its event says it saw. Pure."""

from bus.order_events import OrderApproved, OrderRefused
from bus.order_messages import OrderRequest, OrderTerms, ReplaceRequest
from oms.book.orders import Order
from oms.risk.explanation import Rule, explained
from oms.risk.preconditions import Context
from oms.risk.replacements import worked_out
from oms.risk.subject import subject_of
from oms.risk.tightened import price_seen
from oms.state.state import State

# Codes of rules that looked at what the journal does not say: only where one refused is it known what it saw.
NOT_IN_THE_JOURNAL = ("buying_power", "market_closed", "message_rate", "untradable", "not_shortable")

# What refuses before any rule is asked, and what a rule refuses for where there is no price.
_BEFORE_RULES = frozenset({"no_limits", "bad_terms", "unreadable_request"})
_WITHOUT_A_PRICE = frozenset({"no_price", "market_halted"})


def rules(state: State, account: str, event: OrderApproved | OrderRefused) -> list[Rule]:
    """Each rule as the decision met it; `state` is that of just before. Empty where no rule was asked."""
    basis, limits = event.basis, state.limits
    if basis is None or limits is None or event.terms is None or not _were_asked(event):
        return []
    now_ns = event.approved_ns if isinstance(event, OrderApproved) else event.at_ns
    context = Context(
        account=account,
        algorithm=event.algorithm,
        now_ns=now_ns,
        halts=state.halts,
        control_fresh=basis.control_fresh,
        not_ready=None,
        lease=basis.lease,
        declared=state.registered.get(event.algorithm),
    )
    request = _request(event, event.terms, basis.lease, now_ns)
    replaced = None if event.replaces is None else state.book.orders.get(event.replaces)
    terms = _working(event, request, replaced) or event.terms
    effective = limits.effective(event.algorithm, terms.symbol)
    price = price_seen(basis, effective.band[1] if effective.band is not None else 0)
    subject = subject_of(request, terms, replaced, state.book, effective, price, context)
    return explained(subject, state.book, context, limits)


def _working(
    event: OrderApproved | OrderRefused, request: OrderRequest | ReplaceRequest, replaced: Order | None
) -> OrderTerms | None:
    """What was to stand in the place of the order that is replaced; None where there is none."""
    if isinstance(event, OrderApproved):
        return event.working
    if not isinstance(request, ReplaceRequest) or replaced is None:
        return None
    replacement = worked_out(request, replaced)
    return None if replacement is None else replacement.working


def _were_asked(event: OrderApproved | OrderRefused) -> bool:
    """Whether rules were asked at all: not of an operator's order that closes a position, for which no price
    matters, nor of what was refused before, such as for an id in use."""
    priced = event.basis is not None and event.basis.price is not None
    if isinstance(event, OrderApproved):
        return priced
    codes = {reason.code for reason in event.reasons}
    return codes.isdisjoint(_BEFORE_RULES) and (priced or not codes.isdisjoint(_WITHOUT_A_PRICE))


def _request(
    event: OrderApproved | OrderRefused, terms: OrderTerms, lease: str, at_ns: int
) -> OrderRequest | ReplaceRequest:
    """The request, as far as what is decided on depends on it."""
    order_id, replaces = event.client_order_id, event.replaces
    if replaces is None:
        return OrderRequest(
            client_order_id=order_id,
            terms=terms,
            lease=lease,
            trigger="",
            received_ns=at_ns,
            requested_ns=at_ns,
        )
    return ReplaceRequest(
        client_order_id=order_id,
        replaces=replaces,
        terms=terms,
        lease=lease,
        trigger="",
        received_ns=at_ns,
        requested_ns=at_ns,
        changes=event.changes if isinstance(event, OrderRefused) else None,
    )
