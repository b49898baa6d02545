"""The rules under which orders are taken: halts, limits and leases, as they are read. Pure."""

from bus.order_messages import HaltsRead, LimitsChanged, Registered
from oms.inputs import HaltStateRead, LeasesRead, LimitsRead
from oms.turn import Turn


def take_halts(turn: Turn, read: HaltStateRead) -> None:
    """Journal a halt state that differs from the last, and let go of entries that waited for a halt."""
    known, halts = turn.state.halts, read.halts
    if (known.known, known.scopes) != (halts.known, halts.scopes):
        turn.record(HaltsRead(known=halts.known, scopes=dict(halts.scopes), at_ns=turn.now_ns))
    acknowledge_unreadable(turn)


def acknowledge_unreadable(turn: Turn) -> None:
    """Acknowledge what could not be read once the account is halted for it.

    Not before: a crash in between must not leave the account open.
    """
    scopes = turn.state.halts.scopes
    if turn.observed.unreadable and (f"account:{turn.account}" in scopes or "all" in scopes):
        turn.effects.acknowledge += turn.observed.unreadable
        turn.observed.unreadable = []


def take_limits(turn: Turn, read: LimitsRead) -> None:
    """Put limits into force, with a new version where they differ from those in force."""
    known = turn.state.limits
    shown = read.limits.as_dict()
    if known is not None and known.as_dict() == shown:
        return
    turn.record(
        LimitsChanged(
            limits_version=1 if known is None else known.version + 1,
            limits=shown,
            source=read.source,
            by=read.by,
            at_ns=turn.now_ns,
        )
    )


def take_leases(turn: Turn, read: LeasesRead) -> None:
    """Remember who leads each algorithm, and tell those that are new that their requests are read."""
    turn.observed.leases = read.leases
    for name in read.leases:
        if name not in turn.state.registered:
            turn.record(Registered(algorithm=name, at_ns=turn.now_ns))
