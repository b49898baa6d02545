"""Whether a feed is silent, or a stream in it: quieter than it lately was by more than chance explains. Pure.

Slices are seconds in which the feed is connected and subscribed and its market open. A silence of a chance
below one in a million is taken for none: one false alarm in a million seconds, which are two months of
regular sessions, and fewer the busier a feed is: nothing is called silent before `patience` slices.

What was learned holds within one session of the market: the last minute before the open says nothing of the
first one after it. It holds through reconnects, and not through restarts.
"""

import math
from collections import Counter
from collections.abc import Collection, Container
from dataclasses import dataclass

from bus.streams import market
from ingest.silence.flow import BLOCK, Flow, log_chance_of_silence
from ingest.silence.market_hours import Hours
from ingest.streams.subscription import Pair
from ingest.wants import Subscription

# Of all streams of a feed together, however many they are.
_LOG_FALSE_ALARM = -math.log(1_000_000)

# Where nothing was heard yet there is no rate to go by. A connection then gets so many times the patience, in
# the sessions in which a market surely says something.
FIRST_PATIENCE = 12
_SPEAKS_SURELY = ("regular", "always")

# Each connection that stays silent is waited for twice as long as the one before, up to this; until something
# came in so many slices.
LONGEST_WAIT = 3600
FLOWS_AGAIN = 60

# Of the other channels nothing may come for days: halts, corrections, a bar of the whole day.
_EXPECTED = ("trades", "quotes", "bars", "orderbooks")

# Everything that a feed sends, watched as one stream: what depends on one another is not counted twice.
_WHOLE = ""


def expected_streams(wanted: Subscription, refused: Container[Pair] = ()) -> frozenset[str]:
    """The streams of what is `wanted`, and not `refused`, of which something is expected."""
    return frozenset(
        market(symbol, channel)
        for channel in _EXPECTED
        for symbol in wanted.get(channel, ())
        if (channel, symbol) not in refused
    )


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is too quiet: the whole feed, and streams while others flow. Who is halted has a right to be."""

    whole: bool = False
    streams: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.whole or bool(self.streams)


class Silence:
    """Watches one feed; `patience` is the fewest slices after which it may be called silent.

    Mutable: what was learned in the present session, and what is silent: `is_silent` from an alarm until
    something comes, `alarms` the number of them in a row, `streams` those that are silent while others flow.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.is_silent = False
        self.alarms = 0
        self.streams: frozenset[str] = frozenset()
        self._hours: Hours = "closed"
        self._connection = 0
        self._expected: frozenset[str] = frozenset()
        self._excused: frozenset[str] = frozenset()
        self._wait = patience
        self._flowed = 0
        self._begin()

    def __repr__(self) -> str:
        return f"{self.run} slices without anything, {len(self.streams)} streams silent while others flow"

    def _begin(self) -> None:
        self._number = 0
        self._quiet_from = 0
        self._present: Counter[str] = Counter()
        self._flows = {_WHOLE: Flow(0, 0)}
        # Before a block is over: from which slice the whole is watched, and in how many something came.
        self._since, self._came = 1, 0
        self._watched: frozenset[str] = frozenset()
        self.streams = frozenset()

    @property
    def run(self) -> int:
        """For how many slices nothing has come at all."""
        return self._number - self._flows[_WHOLE].last

    @property
    def share(self) -> float | None:
        """The share of slices in which something came before; None where that is not known."""
        whole = self._flows[_WHOLE]
        if self._came and whole.share is None:
            return self._came / (whole.last - self._since + 1)
        return whole.share

    def tick(
        self,
        *,
        hours: Hours,
        connection: int,
        expected: frozenset[str],
        came: bool,
        seen: Collection[str],
    ) -> Suspicion:
        """A slice is over: which streams were `seen`, and whether anything `came` at all.

        `expected` are the streams subscribed to of which something is expected, `connection` is the number of
        the connection that is up. What is suspected is to be excused, or told by `alarm` and `name`.
        """
        if self._excused:
            self._excused -= frozenset(seen)
            expected -= self._excused
        if not expected:
            self.is_silent, self.streams = False, frozenset()
            if came:
                self._flows[_WHOLE].last = self._number
            return Suspicion()
        if hours != self._hours:
            self._hours = hours
            self._begin()
        if hours == "closed":
            self.is_silent = False
            return Suspicion()
        if connection != self._connection:
            self._connection, self._quiet_from = connection, self._number
        self._watch(expected)
        self._number += 1
        self._count(came, seen)
        streams = self._end_block() if self._number % BLOCK == 0 else frozenset()
        return Suspicion(self._is_too_quiet(), streams)

    def excuse(self, streams: Collection[str]) -> bool:
        """These have a right to be quiet until something comes on them; False where that was known."""
        before, self._excused = self._excused, self._excused.union(streams)
        return before != self._excused

    def alarm(self) -> None:
        """The whole is silent, and connected anew for it."""
        quiet = self._quiet
        self.is_silent = True
        self.alarms += 1
        self._wait = min(2 * max(self._wait, quiet), LONGEST_WAIT)
        self._flowed = 0
        self._quiet_from = self._number

    def name(self, streams: Collection[str]) -> None:
        """These are silent, until something comes on them."""
        self.streams = self.streams.union(streams)

    @property
    def _quiet(self) -> int:
        """For how many slices nothing has come on this connection."""
        return self._number - max(self._flows[_WHOLE].last, self._quiet_from)

    @property
    def _next_block(self) -> int:
        """The next block of which every slice is still to come."""
        return -(-self._number // BLOCK)

    def _watch(self, expected: frozenset[str]) -> None:
        if expected == self._watched:
            return
        gone = self._watched - expected
        for stream in gone:
            del self._flows[stream], self._present[stream]
        for stream in expected - self._watched:
            self._flows[stream] = Flow(self._number, self._next_block)
        if gone:
            # What is left may be quieter.
            self._flows[_WHOLE] = Flow(self._flows[_WHOLE].last, self._next_block)
            self._since, self._came = self._number + 1, 0
        self._watched = expected
        self.streams &= expected

    def _count(self, came: bool, seen: Collection[str]) -> None:
        found = self._watched.intersection(seen)
        self._present.update(found)
        for stream in found:
            self._flows[stream].last = self._number
        if not self.streams.isdisjoint(found):
            self.streams -= found
        if not came:
            return
        self._flows[_WHOLE].last = self._number
        self._present[_WHOLE] += 1
        self._came += 1
        self._flowed += 1
        if self.is_silent:
            self.is_silent, self._quiet_from = False, self._number
            for flow in self._flows.values():
                flow.resume(self._next_block)
        if self._flowed == FLOWS_AGAIN:
            self._wait, self.alarms = self.patience, 0

    def _end_block(self) -> frozenset[str]:
        """Learn from a block; returns the streams that are too quiet while the others flow."""
        block, present = self._number // BLOCK - 1, self._present
        for stream, flow in self._flows.items():
            flow.add(block, present[stream])
        present.clear()
        if self.run >= self.patience:
            return frozenset()
        least = _LOG_FALSE_ALARM - math.log(len(self._flows))
        return frozenset(
            stream
            for stream in self._watched - self.streams
            if (run := self._number - max(self._flows[stream].last, self._quiet_from)) >= self.patience
            and self._flows[stream].log_chance(run) < least
        )

    def _is_too_quiet(self) -> bool:
        quiet = self._quiet
        if quiet < self._wait:
            return False
        log_chance = self._log_chance()
        if log_chance is not None:
            return log_chance < _LOG_FALSE_ALARM
        first = max(FIRST_PATIENCE * self.patience, self._wait)
        return self._hours in _SPEAKS_SURELY and quiet >= first

    def _log_chance(self) -> float | None:
        """That of nothing at all for so long; None where nothing is known.

        Until a minute of the whole is over it is no rarer than the busiest stream, nor than what came so far.
        """
        whole, run = self._flows[_WHOLE], self.run
        if whole.share is not None:
            return whole.log_chance(run)
        several = math.log(len(self._flows))
        known = [flow.log_chance(run) + several for flow in self._flows.values() if flow.share is not None]
        if self._came:
            slices = whole.last - self._since + 1
            known.append(log_chance_of_silence(slices - self._came, slices, run))
        return min(known, default=None)
