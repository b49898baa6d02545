"""Computes how many messages are due after so many seconds: a steady rate with bursts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Burst:
    """A rate of `rate` messages a second for `seconds`, which begins every `every_s` seconds."""

    rate: float
    seconds: float
    every_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages a second, all symbols together; during a burst the burst's rate holds instead."""

    rate: float
    burst: Burst | None = None

    def due(self, elapsed_s: float) -> int:
        """Return how many messages should have been played after `elapsed_s`."""
        if self.burst is None:
            return int(self.rate * elapsed_s)
        rounds, within_s = divmod(elapsed_s, self.burst.every_s)
        # The steady part comes first, so that a burst never meets a reader that is still connecting.
        steady_s = self.burst.every_s - self.burst.seconds
        in_burst_s = rounds * self.burst.seconds + max(0.0, within_s - steady_s)
        return int(self.rate * (elapsed_s - in_burst_s) + self.burst.rate * in_burst_s)
