"""The rules under which orders are taken: halts, limits, leases, what the broker trades, as read. Pure."""

from bus.account_messages import HaltsRead
from bus.control_messages import Halt
from bus.limit_messages import LimitsChanged
from bus.order_events import Registered
from oms.halts import automatic_halts
from oms.limits.limit_places import flat, place_text, value_text
from oms.limits.limit_strictness import absent, is_looser
from oms.risk.assets import MarketClock
from oms.state.inputs import (
    AssetRead,
    HaltStateRead,
    LeasesRead,
    LimitsEdited,
    LimitsRead,
    MarketClockRead,
)
from oms.state.step import Step


def take_halts(step: Step, read: HaltStateRead) -> None:
    """Journal a halt state that differs from the last, and let go of entries that waited for a halt."""
    known, halts = step.state.halts_read, read.halts
    if (known.known, known.scopes) != (halts.known, halts.scopes):
        step.record(HaltsRead(known=halts.known, scopes=dict(halts.scopes), at_ns=step.now_ns))
        automatic_halts.take_lifted(step)
    acknowledge_unreadable(step)


def acknowledge_unreadable(step: Step) -> None:
    """Acknowledge what could not be read once the account is halted for it; one that may reduce is not.

    Not before: a crash in between must not leave the account open.
    """
    scopes = step.state.halts_read.scopes
    halted = any(isinstance(scopes.get(scope), Halt) for scope in (f"account:{step.account}", "all"))
    if step.observed.unreadable and halted:
        step.effects.acknowledge += step.observed.unreadable
        step.observed.unreadable = []


def take_limits(step: Step, read: LimitsRead) -> None:
    """Put a file's limits into force, with a new version where it says anything else than before."""
    known = step.state.limits_in_force
    shown = read.limits.as_dict()
    if known.limits is not None and known.file == flat(shown):
        return
    before = known.values()
    step.record(
        LimitsChanged(
            limits_version=known.version + 1,
            limits=shown,
            source=read.source,
            by=read.by,
            at_ns=step.now_ns,
        )
    )
    # A start is not asked for `--loosen`: who changed the file has decided. It is said all the same.
    after = known.values()
    for place, was in sorted(before.items()):
        will = after.get(place)
        if is_looser(place[1], was, will, absent(place, after)):
            step.warn(
                "a limit is looser than before",
                limit=place_text(place),
                was=value_text(was),
                now=value_text(will),
            )


def take_limits_edited(step: Step, edited: LimitsEdited) -> None:
    """Say that the limits file was edited: who tightened a limit there believes that it holds."""
    step.observed.limits_edited = edited.sentence
    if edited.sentence:
        step.warn("the limits file was edited", limits=edited.sentence)


def take_leases(step: Step, read: LeasesRead) -> None:
    """Remember who leads each algorithm, and tell those that are new that their requests are read.

    An algorithm that was started with other symbols is told so too.
    """
    step.observed.leases = read.leases
    known = step.state.registered
    for name, lease in read.leases.items():
        declared = read.declared.get(name)
        # One that had said that it stopped, and leads anew, is awaited again.
        is_back = bool(lease) and name in step.state.stopped and step.state.retired[name] != lease
        if name not in known or known[name] != declared or is_back:
            symbols = None if declared is None else tuple(sorted(declared))
            step.record(Registered(algorithm=name, at_ns=step.now_ns, symbols=symbols))


def take_asset(step: Step, read: AssetRead) -> None:
    """Remember what the broker says of a symbol."""
    step.observed.assets[read.symbol] = read.asset


def take_market_clock(step: Step, read: MarketClockRead) -> None:
    """Remember whether the market is open."""
    step.observed.market_clock = MarketClock.told(read.is_open, step.now_ns)
