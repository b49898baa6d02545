"""Clocks: the system's, and one that tests and replays set by hand."""

import time
from typing import Protocol

# Linux's CLOCK_MONOTONIC, which time.monotonic reads, stands still while the machine is suspended: a lease
# that ran out meanwhile would still be held, and a halt state of before be fresh. Elsewhere it goes on.
_COUNTS_SUSPENSION: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What logic may know of time; it is always passed in."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps back, nor stands still while the machine is suspended.

        Only differences mean anything.
        """
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps back, nor stands still while the machine is suspended."""
        return time.clock_gettime_ns(_COUNTS_SUSPENSION)


class ManualClock:
    """A clock that stands still until it is told otherwise. Mutable: both times, by `advance`."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds that have been advanced so far."""
        return self._monotonic_ns

    def advance(self, nanoseconds: int) -> None:
        """Move both clocks forward.

        Raises ValueError for a negative step: time that goes back is another test.
        """
        if nanoseconds < 0:
            raise ValueError(f"a clock advances by a positive step, not by {nanoseconds} ns")
        self._now_ns += nanoseconds
        self._monotonic_ns += nanoseconds
