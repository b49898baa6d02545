"""What is done when a trading day ends: orders that had ended a day before leave memory. Pure."""

from bus.journal_messages import OrdersPutAway
from bus.trading_day import trading_day
from oms.state.observed import Observed
from oms.state.step import Step


def look(step: Step) -> None:
    """Put orders away where another trading day has begun; not while the book is brought level anyway."""
    observed = step.observed
    if not observed.started or observed.behind or observed.stopping:
        return
    if step.state.flattens.under_way or observed.legs_asked or observed.may_be_legs or observed.canceling_all:
        return
    today = trading_day(step.now_ns)
    if observed.day is None:
        observed.day = today if observed.last_ns is None else trading_day(observed.last_ns)
    if today <= observed.day:
        return
    observed.day = today
    if len(step.book.orders) > step.book.open_count():
        kept = tuple(sorted(_named(observed) & step.book.orders.keys()))
        step.record(OrdersPutAway(day=today.isoformat(), kept=kept, at_ns=step.now_ns))


def _named(observed: Observed) -> set[str]:
    """Orders with which something is still to happen."""
    return set().union(
        observed.under_way,
        observed.doubts,
        observed.given_up,
        observed.looked_up,
        observed.suspected,
        observed.cancels_waiting,
        observed.cancels_under_way,
        observed.replaces_waiting,
        () if observed.catching_up is None else observed.catching_up.awaited,
    )
