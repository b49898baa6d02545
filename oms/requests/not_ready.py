"""Every code for why the OMS takes no orders: its meaning, and what to do. Pure."""

from dataclasses import dataclass


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
