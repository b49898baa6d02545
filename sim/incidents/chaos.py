"""Turns on the faults of a seeded schedule, each at its time, and keeps a record of them."""

import random
from collections.abc import Sequence
from typing import Any

from bus.errors import InvalidInput
from sim.clock import Clock
from sim.faults.schedule import Planned, schedule
from sim.incidents.fault_switch import FaultSwitch
from sim.times import MILLISECOND_NS, rfc3339

MOST_REMEMBERED = 10_000


class Chaos:
    """The schedule of one seed; the same seed, kinds, symbols and pace give the same schedule.

    Raises InvalidInput where every kind needs a symbol and there are none.
    """

    def __init__(
        self,
        fault_switch: FaultSwitch,
        clock: Clock,
        seed: int,
        names: Sequence[str],
        symbols: Sequence[str],
        every_ms: int,
    ) -> None:
        self._fault_switch = fault_switch
        self._clock = clock
        self._seed = seed
        self._names = names
        self._every_ms = every_ms
        self._schedule = schedule(random.Random(f"chaos {seed}"), names, symbols, every_ms)
        self._next = next(self._schedule)
        self._begun: list[tuple[int, Planned, str | None]] = []

    def begin(self) -> None:
        """Start the schedule; its times count from now."""
        self._await_next(self._clock.now_ns())

    def to_json(self) -> dict[str, Any]:
        """Return the seed, what is drawn from, and each fault so far, or why it could not begin."""
        return {
            "seed": self._seed,
            "every_seconds": self._every_ms / 1000,
            "faults": list(self._names),
            "schedule": [
                {
                    "at": rfc3339(at_ns),
                    "after_ms": planned.at_ms,
                    "fault": planned.fault,
                    "refused": refused,
                }
                for at_ns, planned, refused in self._begun
            ],
        }

    def _await_next(self, start_ns: int) -> None:
        planned = self._next
        at_ns = start_ns + planned.at_ms * MILLISECOND_NS

        def act() -> None:
            self._next = next(self._schedule)
            refused = self._refusal(planned)
            if len(self._begun) < MOST_REMEMBERED:
                self._begun.append((at_ns, planned, refused))
            self._await_next(start_ns)

        self._clock.call_at(at_ns, act)

    def _refusal(self, planned: Planned) -> str | None:
        """Begin a fault; returns why it cannot begin, such as no trade left to cancel, or None."""
        try:
            self._fault_switch.begin(planned.fault)
        except InvalidInput as error:
            return str(error)
        return None
