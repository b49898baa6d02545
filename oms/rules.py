"""The rules under which orders are taken: halts, limits and leases, as they are read. Pure."""

from bus.account_messages import HaltsRead, LimitsChanged
from bus.control_messages import Halt
from bus.order_events import Registered
from oms.inputs import HaltStateRead, LeasesRead, LimitsRead
from oms.step import Step


def take_halts(step: Step, read: HaltStateRead) -> None:
    """Journal a halt state that differs from the last, and let go of entries that waited for a halt."""
    known, halts = step.state.halts, read.halts
    if (known.known, known.scopes) != (halts.known, halts.scopes):
        step.record(HaltsRead(known=halts.known, scopes=dict(halts.scopes), at_ns=step.now_ns))
    acknowledge_unreadable(step)


def acknowledge_unreadable(step: Step) -> None:
    """Acknowledge what could not be read once the account is halted for it; one that may reduce is not.

    Not before: a crash in between must not leave the account open.
    """
    scopes = step.state.halts.scopes
    halted = any(isinstance(scopes.get(scope), Halt) for scope in (f"account:{step.account}", "all"))
    if step.observed.unreadable and halted:
        step.effects.acknowledge += step.observed.unreadable
        step.observed.unreadable = []


def take_limits(step: Step, read: LimitsRead) -> None:
    """Put limits into force, with a new version where they differ from those in force."""
    known = step.state.limits
    shown = read.limits.as_dict()
    if known is not None and known.as_dict() == shown:
        return
    step.record(
        LimitsChanged(
            limits_version=1 if known is None else known.version + 1,
            limits=shown,
            source=read.source,
            by=read.by,
            at_ns=step.now_ns,
        )
    )


def take_leases(step: Step, read: LeasesRead) -> None:
    """Remember who leads each algorithm, and tell those that are new that their requests are read."""
    step.observed.leases = read.leases
    for name in read.leases:
        if name not in step.state.registered:
            step.record(Registered(algorithm=name, at_ns=step.now_ns))
