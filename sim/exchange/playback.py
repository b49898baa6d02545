"""Plays a market step by step: each step sends what is due, and is short enough to block nothing."""

from collections.abc import Callable
from typing import Protocol

from sim.clock import Clock
from sim.exchange.generator import Generator
from sim.exchange.market_messages import Message
from sim.exchange.pace import Pace
from sim.times import SECOND_NS

STEP_NS = 2_000_000
AT_MOST = 500  # messages in one step: about 3 ms of work


class Source(Protocol):
    """A source of messages."""

    @property
    def is_finished(self) -> bool:
        """Whether no more messages will come."""

    def due(self, now_ns: int, at_most: int) -> list[Message]:
        """Return the messages that are due."""

    def next_ns(self, now_ns: int) -> int:
        """Return the earliest time at which another message may be due."""


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
        """Return the messages that the pace asks for since the last call."""
        if self._start_ns is None:
            self._start_ns = self._last_ns = now_ns
        count = min(self._pace.due((now_ns - self._start_ns) / SECOND_NS) - self._made, at_most)
        if count <= 0:
            return []
        made = self._generator.messages(count, self._last_ns, now_ns)
        self._made += count
        self._last_ns = now_ns
        return list(made)

    def next_ns(self, now_ns: int) -> int:
        """Return when a steady pace makes the next message due; with bursts, the next step."""
        if self._start_ns is None or self._pace.burst is not None:
            return now_ns
        if self._pace.rate == 0:
            return now_ns + SECOND_NS
        return self._start_ns + int((self._made + 1) / self._pace.rate * SECOND_NS)


class Playback:
    """Plays a source from `begin` until the source is finished.

    `publish` gets the messages of a step and its time; `finished` is called once, after the last. Late
    messages are sent in later steps, never dropped, so that the rate asked for is the rate played.
    """

    def __init__(
        self,
        source: Source,
        clock: Clock,
        publish: Callable[[list[Message], int], None],
        finished: Callable[[], None],
        longest_ns: int,
    ) -> None:
        self.has_begun = False
        self._source = source
        self._clock = clock
        self._publish = publish
        self._finished = finished
        self._longest_ns = longest_ns

    def begin(self) -> None:
        """Play from now on; does nothing if it plays already."""
        if not self.has_begun:
            self.has_begun = True
            self._step()

    def _step(self) -> None:
        now_ns = self._clock.now_ns()
        messages = self._source.due(now_ns, AT_MOST)
        self._publish(messages, now_ns)
        if self._source.is_finished:
            self._finished()
        elif len(messages) == AT_MOST:
            self._clock.call_at(now_ns, self._step)
        else:
            # However rare messages are, a bar is sent soon after its end: full multiples end a step.
            latest_ns = now_ns - now_ns % self._longest_ns + self._longest_ns
            self._clock.call_at(
                min(max(self._source.next_ns(now_ns), now_ns + STEP_NS), latest_ns), self._step
            )
