"""Algorithms that ordered the same again and again: each is halted until a named person lifts that. Pure."""

from dataclasses import dataclass

from bus.control_messages import Halt
from bus.halt_state import HaltState
from bus.order_events import OrderRefused

# The code of the refusal by which an algorithm is found to have run away.
REPEATED = "repeated_order"


@dataclass(slots=True)
class Runaway:
    """Why an algorithm is to be halted. Mutable: whether that was seen in force."""

    reason: str
    is_halted: bool = False


class Runaways:
    """Those that were not resumed since, as the journal tells. Mutable, all by its events.

    A halt is written outside of the journal: one that was not seen in force yet is asked for again, so that a
    crash in between lets nothing go on.
    """

    def __init__(self) -> None:
        self._by_algorithm: dict[str, Runaway] = {}

    def __repr__(self) -> str:
        return f"<ran away: {', '.join(self._by_algorithm) or 'none'}>"

    def refused(self, event: OrderRefused) -> None:
        """Take in a refusal: it may be that of one order too many."""
        for reason in event.reasons:
            if reason.code == REPEATED:
                self._by_algorithm.setdefault(event.algorithm, Runaway(reason.message))

    def halts_read(self, halts: HaltState) -> None:
        """Take in a halt state: who was halted in it, and is not any more, was resumed by somebody."""
        if not halts.known:
            return
        for algorithm, runaway in list(self._by_algorithm.items()):
            is_halted = isinstance(halts.scopes.get(f"algorithm:{algorithm}"), Halt)
            if runaway.is_halted and not is_halted:
                del self._by_algorithm[algorithm]
            runaway.is_halted = is_halted

    def reason(self, algorithm: str) -> str | None:
        """Why this algorithm may not order; None where it may."""
        runaway = self._by_algorithm.get(algorithm)
        return None if runaway is None else runaway.reason

    def to_halt(self, now_ns: int) -> list[Halt]:
        """The halts that are still to be written."""
        return [
            Halt(scope=f"algorithm:{algorithm}", reason=one.reason, by="oms", at_ns=now_ns, latched=True)
            for algorithm, one in self._by_algorithm.items()
            if not one.is_halted
        ]

    def comparable(self) -> list[tuple[str, str, bool]]:
        """What tells two of them apart."""
        return sorted((name, one.reason, one.is_halted) for name, one in self._by_algorithm.items())
