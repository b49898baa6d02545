"""The clock as the server shows it, which a fault may set wrong."""

from collections.abc import Callable

from sim.clock import Clock
from sim.faults.faults import Faults
from sim.faults.messages import skew_ns


class SkewedClock:
    """Another clock, off by what the faults say; what is to happen at a time happens at the true one."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults

    def now_ns(self) -> int:
        """Nanoseconds since 1970, as shown."""
        return self._clock.now_ns() + skew_ns(self._faults)

    def call_at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Act at this true time."""
        self._clock.call_at(time_ns, action)
