"""The automatic halts in force, and from what a day's loss is counted: a fold of the journal. Pure."""

from decimal import Decimal

from bus.account_messages import HaltsRead
from bus.control_messages import Halt
from bus.halt_messages import HaltEvent, HaltLifted, HaltTriggered, Market, TradingDayBegun
from bus.halt_state import HaltState


def halt_of(event: HaltTriggered) -> Halt:
    """An automatic halt as the halt key has it."""
    return Halt(scope=event.scope, reason=event.reason, by="oms", at_ns=event.at_ns, latched=event.latched)


class HaltTriggers:
    """Mutable, all by `apply`: `in_force` by scope; `seen`, those that the halt key has had; the `days` that
    have begun, by market; `accepted`, losses of these days that a resume accepted, by scope and market.

    What is in force and was never seen is still to be written: a crash may have come between.
    """

    def __init__(self) -> None:
        self.in_force: dict[str, HaltTriggered] = {}
        self.seen: set[str] = set()
        self.days: dict[Market, TradingDayBegun] = {}
        self.accepted: dict[tuple[str, Market], Decimal] = {}

    def __repr__(self) -> str:
        return f"<automatic halts: {', '.join(self.in_force) or 'none'}>"

    def apply(self, event: HaltEvent) -> None:
        """Take in one event of the journal."""
        match event:
            case HaltTriggered():
                self.in_force[event.scope] = event
                self.seen.discard(event.scope)
            case HaltLifted():
                self.in_force.pop(event.scope, None)
                self.seen.discard(event.scope)
                for market, loss in event.loss.items():
                    self.accepted[event.scope, market] = loss
            case TradingDayBegun():
                self.days[event.market] = event
                for key in [key for key in self.accepted if key[1] == event.market]:
                    del self.accepted[key]
            case HaltsRead():
                self.seen |= {scope for scope in self.in_force if isinstance(event.scopes.get(scope), Halt)}

    def pending(self, *, key_known: bool = True) -> dict[str, Halt]:
        """Those that the halt key does not have yet, as they go into it; all where the key was lost."""
        return {
            scope: halt_of(event)
            for scope, event in self.in_force.items()
            if scope not in self.seen or not key_known
        }

    def lifted(self, halts: HaltState) -> list[HaltTriggered]:
        """Those that somebody has lifted, by what the halt key says now; none where it is not known."""
        if not halts.known:
            return []
        return [
            event
            for scope, event in self.in_force.items()
            if scope in self.seen and not isinstance(halts.scopes.get(scope), Halt)
        ]

    def comparable(self) -> list[object]:
        """What tells two apart, in an order of its own."""
        return [
            sorted((scope, event.code, event.reason) for scope, event in self.in_force.items()),
            sorted(self.seen),
            sorted((day.market, day.day, day.account) for day in self.days.values()),
            sorted((*key, loss) for key, loss in self.accepted.items()),
        ]
