"""The simulator's time: the machine's clock, from another start if wanted, or virtual time, set by hand."""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from sim.times import MILLISECOND_NS

_ACTIONS_AT_ONCE = 100  # after so many actions, readers are waited for


class Clock(Protocol):
    """Tells the time, and calls actions at their times."""

    def now_ns(self) -> int:
        """Return the time in nanoseconds since 1970."""

    def call_at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call the action at this time, or as soon as possible where it is past; earlier times come first."""


class WallClock:
    """The machine's clock, or one that shows `start_ns` when it is made and runs as fast."""

    def __init__(self, start_ns: int | None = None) -> None:
        self._offset_ns = 0 if start_ns is None else start_ns - time.time_ns()

    def now_ns(self) -> int:
        """Return the time in nanoseconds since 1970."""
        return time.time_ns() + self._offset_ns

    def call_at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call the action in the running event loop, up to a millisecond late."""
        # uvloop rounds to whole milliseconds, and less than half of one to none: an action that is early and
        # asks for the rest of its time would keep the loop spinning.
        delay_ms = math.ceil(max(0, time_ns - self.now_ns()) / MILLISECOND_NS)
        asyncio.get_running_loop().call_later(delay_ms / 1000, action)


class VirtualClock:
    """Stands still until it is advanced, and then calls all actions that are due on the way, in order."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns
        self._numbers = itertools.count()
        self._due: list[tuple[int, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        """Return the time in nanoseconds since 1970."""
        return self._now_ns

    def call_at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call the action when the clock is advanced to this time; of equal times, in the order of calls."""
        heapq.heappush(self._due, (max(time_ns, self._now_ns), next(self._numbers), action))

    async def advance(self, until_ns: int, wait_for_readers: Callable[[], Awaitable[None]]) -> None:
        """Let time pass, and await `wait_for_readers` every so often, so that readers keep up with it."""
        done = 0
        while self._due and self._due[0][0] <= until_ns:
            self._now_ns, _, action = heapq.heappop(self._due)
            action()
            done += 1
            if done % _ACTIONS_AT_ONCE == 0:
                await wait_for_readers()
        self._now_ns = max(self._now_ns, until_ns)
        await wait_for_readers()
