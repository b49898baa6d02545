"""Clocks: the system's, and one that tests and replays set by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """What logic may know of time; it is always passed in."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps back."""
        return time.monotonic_ns()


class ManualClock:
    """A clock that stands still until it is told otherwise."""

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
