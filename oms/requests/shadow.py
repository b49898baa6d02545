"""Limits in shadow: held against each order that is approved, counted, and told in sums. Pure."""

from collections.abc import Mapping

from bus.limit_messages import RefusedInShadow
from bus.order_messages import OrderRequest, Reason, ReplaceRequest
from bus.symbols import canonical_symbol
from oms.limits.limit_places import Place, value_text
from oms.limits.limits_in_force import LimitsInForce
from oms.prices.reference_price import Known
from oms.risk.approval import Refused, check
from oms.risk.limit_codes import CODES
from oms.risk.preconditions import Context
from oms.state.observed import InShadow
from oms.state.step import Step

# The first order that one would have refused is told at once, and what follows in sums so far apart: one that
# is far too tight would otherwise fill the journal.
TELL_EVERY_NS = 60 * 1_000_000_000


def look(
    step: Step, request: OrderRequest | ReplaceRequest, prices: Mapping[str, Known], context: Context
) -> None:
    """Count what limits in shadow have against an order that the limits in force approve."""
    force = step.state.limits_in_force
    sections = {
        "account",
        "each_algorithm",
        f"algorithm.{context.algorithm}",
        f"symbol.{canonical_symbol(request.terms.symbol)}",
    }
    places = [place for place in force.shadows if place[0] in sections or place[0].startswith("feed.")]
    if not places:
        return
    verdict = check(request, step.book, force.with_shadows, prices, context)
    if not isinstance(verdict, Refused):
        return
    for reason in verdict.reasons:
        for place in _responsible(force, places, reason):
            _count(step, place, context.algorithm, request.client_order_id, reason)


def tell(step: Step, *, everything: bool = False) -> None:
    """Journal what was counted since it was last told, where it is time to; or all of it."""
    for (section, name, algorithm), one in step.observed.in_shadow.items():
        if one.orders and one.reason is not None:
            if not everything and 0 <= step.now_ns - one.told_ns < TELL_EVERY_NS:
                continue
            step.record(
                RefusedInShadow(
                    section=section,
                    name=name,
                    whose=algorithm,
                    orders=one.orders,
                    first_order_id=one.first_order_id,
                    last_order_id=one.last_order_id,
                    reason=one.reason,
                    since_ns=one.since_ns,
                    at_ns=step.now_ns,
                )
            )
            one.orders, one.reason, one.told_ns = 0, None, step.now_ns


def refused(force: LimitsInForce, counted: Mapping[tuple[str, str, str], InShadow]) -> dict[Place, int]:
    """How many orders each limit in shadow would have refused since it was set, told or not."""
    found = {place: sum(one.refused.values()) for place, one in force.shadows.items()}
    for (section, name, _), one in counted.items():
        if (section, name) in found:
            found[section, name] += one.orders
    return found


def _responsible(force: LimitsInForce, places: list[Place], reason: Reason) -> list[Place]:
    """Which of them gave this reason: those with its limit, or where none has just that, all of its code."""
    of_code = [place for place in places if reason.code in CODES.get(place[1], ())]
    exactly = [place for place in of_code if value_text(force.shadows[place].value) == reason.limit]
    return exactly or of_code


def _count(step: Step, place: Place, algorithm: str, order_id: str, reason: Reason) -> None:
    key = (*place, algorithm)
    one = step.observed.in_shadow.get(key)
    if one is None:
        one = step.observed.in_shadow[key] = InShadow()
    if not one.orders:
        one.first_order_id, one.reason, one.since_ns = order_id, reason, step.now_ns
    one.orders += 1
    one.last_order_id = order_id
