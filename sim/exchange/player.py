"""The task that plays the market: at each step what is due, and no step so long that others starve."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from sim.exchange.generator import Generator
from sim.exchange.market_messages import Message
from sim.exchange.pace import Pace
from sim.exchange.tape import Tape
from sim.times import SECOND_NS

STEP_S = 0.002
AT_MOST = 500  # messages in one step: about 3 ms of work


class Source(Protocol):
    """Where messages come from."""

    @property
    def is_finished(self) -> bool:
        """Whether there will never be more."""

    def due(self, now_ns: int, at_most: int) -> list[Message]:
        """The messages whose moment has come."""


class GeneratedSource:
    """A generator at a pace."""

    def __init__(self, generator: Generator, pace: Pace) -> None:
        self._generator = generator
        self._pace = pace
        self._start_ns: int | None = None
        self._last_ns = 0
        self._made = 0
        self.is_finished = False

    def due(self, now_ns: int, at_most: int) -> list[Message]:
        """As many messages as the pace asks for since the last time."""
        if self._start_ns is None:
            self._start_ns = self._last_ns = now_ns
        count = min(self._pace.due((now_ns - self._start_ns) / SECOND_NS) - self._made, at_most)
        if count <= 0:
            return []
        made = self._generator.messages(count, self._last_ns, now_ns)
        self._made += count
        self._last_ns = now_ns
        return list(made)


async def play(
    source: Source | Tape, begin: asyncio.Event, publish: Callable[[list[Message], int], None]
) -> None:
    """Play from the moment `begin` is set until the source is finished; `publish` gets messages and the time.

    Late messages are caught up with, never dropped: a rate asked for is the rate played.
    """
    await begin.wait()
    while not source.is_finished:
        now_ns = time.time_ns()
        messages = source.due(now_ns, AT_MOST)
        publish(messages, now_ns)
        await asyncio.sleep(0 if len(messages) == AT_MOST else STEP_S)
