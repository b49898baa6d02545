"""Why no orders are taken, if so: closed by default, from what is journalled and what is observed. Pure."""

from dataclasses import dataclass

from bus.order_messages import Reason
from oms.state.observed import Observed
from oms.state.state import State


@dataclass(frozen=True, slots=True)
class NotReady:
    """One code for why the OMS takes no orders, and what to do now."""

    code: str
    meaning: str
    do_now: str


NOT_READY: tuple[NotReady, ...] = (
    NotReady("starting", "the OMS reads its journal and asks the broker for orders", "wait"),
    NotReady("stopping", "the OMS is told to end", "start it again, or let another instance take over"),
    NotReady(
        "catching_up",
        "trade updates may have been missed, and the broker is asked for what happened",
        "wait; where it stays, look at the OMS's log",
    ),
    NotReady(
        "halting",
        "the broker said what cannot be read, and the account is being halted",
        "see `backbone dead` for the entry, look at the account, then `backbone resume --reason ...`",
    ),
    NotReady(
        "broker_unreachable",
        "the broker does not say which orders it has",
        "see `backbone doctor`; it passes once the broker answers",
    ),
    NotReady(
        "newer_journal",
        "the journal holds events that this version does not know, which may be fills or halts",
        "start the version that wrote them; cancels and the halt work meanwhile",
    ),
)

STARTING = Reason(code="starting", message="orders are not taken yet: the OMS is starting")
STOPPING = Reason(code="stopping", message="orders are not taken any more: the OMS is stopping")
HALTING = Reason(
    code="halting",
    message="orders are not taken: the broker said what cannot be read, and the account is being halted",
)
CATCHING_UP = Reason(
    code="catching_up", message="orders are not taken: the OMS is catching up with the broker"
)


def not_ready(state: State, observed: Observed) -> Reason | None:
    """Why no orders are taken; None while they are."""
    if observed.stopping:
        return STOPPING
    if state.unknown:
        return _newer_journal(state)
    if observed.unreadable:
        return HALTING
    if observed.trouble and (observed.behind or not observed.started):
        return Reason(
            code="broker_unreachable",
            message=f"orders are not taken: the broker's orders are not known: {observed.trouble}",
        )
    if not observed.started:
        return STARTING
    return CATCHING_UP if observed.behind else None


def _newer_journal(state: State) -> Reason:
    """What a newer version journalled may be a fill or a halt: nobody may trade on a book without it."""
    count, kinds = sum(state.unknown.values()), ", ".join(sorted(state.unknown))
    return Reason(
        code="newer_journal",
        message=f"orders are not taken: {count} entries of the journal are of a newer version ({kinds}): "
        "start the version that wrote them",
    )
