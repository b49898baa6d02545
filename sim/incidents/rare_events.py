"""Makes mistakes of the tape and news at random moments, from a seed."""

import random
from collections.abc import Callable

from sim.clock import Clock
from sim.incidents.market_events import MarketEvents
from sim.times import SECOND_NS

MINUTE_S = 60


class RareEvents:
    """So many mistakes and news articles a minute, at random moments that follow from the seed."""

    def __init__(
        self, events: MarketEvents, clock: Clock, seed: int, mistakes_a_minute: float, news_a_minute: float
    ) -> None:
        self._clock = clock
        self._kinds = (
            (random.Random(f"mistakes of {seed}"), mistakes_a_minute, events.invent_mistake),
            (random.Random(f"news of {seed}"), news_a_minute, events.invent_report),
        )

    def begin(self) -> None:
        """Start them."""
        for rng, a_minute, happen in self._kinds:
            if a_minute > 0:
                self._plan(rng, a_minute, happen)

    def _plan(self, rng: random.Random, a_minute: float, happen: Callable[[random.Random], None]) -> None:
        wait_ns = int(rng.expovariate(a_minute / MINUTE_S) * SECOND_NS)

        def act() -> None:
            happen(rng)
            self._plan(rng, a_minute, happen)

        self._clock.call_at(self._clock.now_ns() + wait_ns, act)
