"""The clock as the server shows it, which a fault may set wrong."""

from collections.abc import Callable

from sim.clock import Clock
from sim.faults.faults import Faults
from sim.faults.messages import skew_ns


class SkewedClock:
    """Shows another clock's time, skewed by the faults; actions are called at their true time."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults

    def now_ns(self) -> int:
        """Return the shown time in nanoseconds since 1970."""
        return self._clock.now_ns() + skew_ns(self._faults)

    def call_at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call the action at this true time."""
        self._clock.call_at(time_ns, action)
