"""Grants requests their turns: as the fair queue, the budget and so many requests at once allow."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bus.clock import Clock
from bus.order_messages import Reason
from oms.broker.budget import Bucket, Lane
from oms.broker.fair_queue import KINDS, FairQueue, Kind, Waiting

# Event loops round timers to milliseconds; a shorter one would be due at once, again and again.
_SHORTEST_TIMER_S = 0.001

_NS = 1_000_000_000

_LANES: tuple[Lane, ...] = ("urgent", "doubt", "shared")
_CANCELS: tuple[Kind, ...] = ("cancel",)


@dataclass(slots=True, eq=False)
class Turn(Waiting, ABC):
    """A request that waits for its turn. Mutable: `asked_ns`, when it was first asked for (monotonic)."""

    asked_ns: int = 0

    @abstractmethod
    def told(self, refused: Reason | None) -> None:
        """It is granted (None), or this is why it is not."""


class _Awaited(Turn):
    """A turn that somebody awaits for as long as it takes. Mutable: `granted`, and `turns`' count of it."""

    __slots__ = ("granted", "turns")

    def __init__(self, turns: "Turns", lane: Lane, algorithm: str, kind: Kind, name: str) -> None:
        super().__init__(lane, algorithm, kind, name)
        self.turns = turns
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(self, refused: Reason | None) -> None:
        """It is granted: nothing else is ever said of it."""
        if self.granted.done():
            self.turns.give_back(self)  # Its task was canceled and has not run since.
        else:
            self.granted.set_result(None)


class Turns:
    """Each turn that is granted is to be given back once its request has ended.

    At most `connections` orders and queries are under way at once, and one request more that is a cancel or a
    look-up; the kill switch has as many connections again of its own. Mutable: the queue, the counts of turns
    under way, and one timer for what waits for the budget or too long. `too_late` says why an order is
    refused that waited longer than it may, or that cannot go in time.
    """

    def __init__(
        self, bucket: Bucket, clock: Clock, connections: int, too_late: Callable[[Turn, int], Reason]
    ) -> None:
        self.queue: FairQueue[Turn] = FairQueue()
        self._bucket = bucket
        self._clock = clock
        self._connections = connections
        self._too_late = too_late
        self._orders = 0
        self._others = 0
        self._urgent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._is_closed = False

    def __repr__(self) -> str:
        return f"{self.queue!r}, {self._orders + self._others + self._urgent} under way"

    def ask(self, turn: Turn) -> None:
        """Have a turn granted as soon as it may be, or refused; at once where it cannot go in time."""
        now_ns = self._clock.monotonic_ns()
        turn.asked_ns = now_ns
        is_free = not (self._is_closed or self.queue.size) and turn.kind in self._may_start(turn.lane)
        if is_free and self._bucket.take(turn.lane, now_ns):
            self._count(turn, 1)
            turn.told(None)
            return
        if turn.until_ns is not None and self._is_hopeless(turn, turn.until_ns, now_ns):
            turn.told(self._too_late(turn, now_ns))
            return
        self.queue.add(turn)
        # Behind others of its kind it changes nothing: a turn that is given back, or the timer, grants it.
        is_first = self.queue.kinds[turn.kind] == 1 or turn.until_ns == self.queue.ends_ns
        if turn.lane != "shared" or is_first:
            self._grant()

    async def take(self, lane: Lane, algorithm: str, kind: Kind, name: str = "") -> Turn:
        """Wait for a turn, for as long as it takes."""
        turn = _Awaited(self, lane, algorithm, kind, name)
        self.ask(turn)
        try:
            await turn.granted
        except asyncio.CancelledError:
            if not self.queue.remove(turn) and turn.granted.done() and not turn.granted.cancelled():
                self.give_back(turn)
            raise
        return turn

    def give_back(self, turn: Turn) -> None:
        """End a turn that was granted."""
        self._count(turn, -1)
        if self.queue.size:
            self._grant()

    def again(self, turn: Turn) -> None:
        """End a turn whose request was not carried out, and have it granted again, in its old place."""
        self.queue.add(turn)
        self.give_back(turn)

    def hasten(self, name: str) -> None:
        """Have a request that still waits go with the urgent ones."""
        self.queue.hasten(name)
        if self.queue.waits("urgent"):
            self._grant()

    def refuse_orders(self, why: Reason) -> int:
        """Refuse every order that waits in the shared lane; returns how many."""
        orders = self.queue.take_orders()
        for turn in orders:
            turn.told(why)
        return len(orders)

    def withdraw(self, name: str, why: Reason) -> bool:
        """Take back a request that still waits: it hears why. False where it is under way or done."""
        turn = self.queue.named(name)
        if turn is None:
            return False
        self.queue.remove(turn)
        turn.told(why)
        return True

    def close(self) -> None:
        """Grant no more turns."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _is_hopeless(self, turn: Turn, until_ns: int, now_ns: int) -> bool:
        """Whether it could not go in time even if nobody else asked for anything."""
        if until_ns <= max(now_ns, self._bucket.closed_until_ns(turn.lane, now_ns)):
            return True
        return self.queue.ahead_of(turn) > self._bucket.most_within(turn.lane, until_ns - now_ns)

    def _count(self, turn: Turn, one: int) -> None:
        if turn.lane == "urgent":
            self._urgent += one
        elif turn.lane == "shared" and turn.kind != "cancel":
            self._orders += one
        else:
            self._others += one

    def _may_start(self, lane: Lane) -> Iterable[Kind]:
        """The kinds of requests for which there is a connection."""
        if lane == "urgent":
            return KINDS if self._urgent < self._connections else ()
        if self._orders + self._others > self._connections:
            return ()
        return KINDS if lane == "doubt" or self._orders < self._connections else _CANCELS

    def _grant(self) -> None:
        """Grant what may be granted now, refuse what waited too long, and set the timer for the rest."""
        if self._is_closed:
            return
        now_ns = self._clock.monotonic_ns()
        for turn in self.queue.expire(max(now_ns, self._bucket.closed_until_ns("shared", now_ns))):
            turn.told(self._too_late(turn, now_ns))
        waits_ns: list[int] = []
        for lane in _LANES:
            while self.queue.waits(lane) and (kinds := self._may_start(lane)):
                if kinds is _CANCELS and lane == "shared" and not self.queue.kinds["cancel"]:
                    break
                if not self._bucket.take(lane, now_ns):
                    waits_ns.append(self._bucket.wait_ns(lane, now_ns))
                    break
                granted = self.queue.take(lane, kinds)
                assert granted is not None, "one was counted"
                self._count(granted, 1)
                granted.told(None)
        if self.queue.size and self.queue.ends_ns is not None:
            waits_ns.append(self.queue.ends_ns - now_ns)
        if waits_ns:
            self._wake_in(min(waits_ns), now_ns)

    def _wake_in(self, wait_ns: int, now_ns: int) -> None:
        """Have turns granted again after this time; a timer that is due sooner does, and sets the next."""
        if self._timer is not None:
            if self._timer_ns <= now_ns + wait_ns:
                return
            self._timer.cancel()
        self._timer_ns = now_ns + wait_ns
        wait_s = max(_SHORTEST_TIMER_S, wait_ns / _NS)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._grant()
