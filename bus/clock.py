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


# A stamp that is to differ from the last one runs ahead of the clock by less than this. Where the clock is
# further behind it was set back, and is believed: stamps that only grew would say the wrong time until the
# clock is there again, and what is priced by them would look old, or not of this world.
SET_BACK_NS = 1_000_000_000


def next_stamp_ns(now_ns: int, last_ns: int) -> int:
    """A stamp for now that is not the last one; after it, unless the clock was set back."""
    return last_ns + 1 if last_ns - SET_BACK_NS <= now_ns <= last_ns else now_ns


class GrowingTime:
    """Wall time that only grows, for what happens at instants, each of them once.

    It follows a clock that is set forward; where that is set back it goes on as time passes. Mutable: the
    time that it gave last.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now_ns, self._monotonic_ns = clock.now_ns(), clock.monotonic_ns()

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, never less than what it gave before."""
        monotonic_ns = self._clock.monotonic_ns()
        passed_ns, self._monotonic_ns = monotonic_ns - self._monotonic_ns, monotonic_ns
        self._now_ns = max(self._clock.now_ns(), self._now_ns + passed_ns)
        return self._now_ns


class ManualClock:
    """A clock that stands still until it is told otherwise.

    Mutable: both times, by `advance`, and the first by `set_back`.
    """

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
        """Move both clocks forward. Raises ValueError for a negative step."""
        if nanoseconds < 0:
            raise ValueError(f"a clock advances by a positive step, not by {nanoseconds} ns")
        self._now_ns += nanoseconds
        self._monotonic_ns += nanoseconds

    def set_back(self, nanoseconds: int) -> None:
        """Set the wall clock back, as an operator or a time server does."""
        self._now_ns -= nanoseconds
