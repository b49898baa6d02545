"""What the OMS says of itself in its heartbeat. Pure."""

from bus.codec import Message
from bus.heartbeat import OmsCounters, OmsDetails, State, StateReason
from bus.order_messages import (
    EntryDeadLettered,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from oms.amounts import text
from oms.engine import Engine

_COUNTED: dict[type[Message], str] = {
    OrderApproved: "approved",
    OrderRefused: "refused",
    OrderSent: "sent",
    OrderUncertain: "uncertain",
    OrderUpdated: "updates",
    OrderFilled: "fills",
    EntryDeadLettered: "dead",
}


def state(engine: Engine) -> tuple[State, *tuple[StateReason, ...]]:
    """The heartbeat's state, and why it is not `ready`."""
    why = engine.not_ready
    if why is None:
        return (State.READY,)
    reason = StateReason(why.code, why.message)
    if engine.observed.stopping:
        return State.STOPPING, reason
    return (State.DEGRADED if engine.observed.started else State.STARTING), reason


def details(
    engine: Engine, *, ready: bool, leads: bool, budget: int, commits: int, digest: str, digest_at: str
) -> OmsDetails:
    """How orders stand: holdings by algorithm, halts by scope, refusals by code.

    `digest_at` is the journal's id at which the state had this digest.
    """
    state, observed = engine.state, engine.observed
    return OmsDetails(
        ready=ready,
        leads=leads,
        account_number="" if state.pinned is None else state.pinned.number,
        trading="" if state.pinned is None else state.pinned.trading,
        open_orders=state.book.open_count(),
        positions={
            name: {symbol: text(size) for symbol, size in held.items()}
            for name, held in state.book.positions().items()
        },
        cash=text(state.book.cash()),
        reserved=text(state.book.reserved()),
        halts={scope: type(mode).__name__ for scope, mode in state.halts.scopes.items()},
        halts_known=state.halts.known,
        budget=budget,
        refused=dict(observed.refused),
        uncertain_now=len(observed.doubts),
        commits=commits,
        digest=digest,
        digest_at=digest_at,
        limits_version=0 if state.limits is None else state.limits.version,
        counters=OmsCounters(
            **{_COUNTED[kind]: count for kind, count in observed.events.items() if kind in _COUNTED},
            **observed.counts,
        ),
    )
