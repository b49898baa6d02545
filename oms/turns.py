"""Who may send next: two lanes, the rate budget and so many requests at once; cancels before orders."""

import asyncio
from bisect import insort
from collections import deque
from dataclasses import dataclass

from bus.clock import Clock
from bus.order_messages import Reason
from oms.budget import Bucket, Lane

# Event loops round timers to milliseconds; a shorter one would be due at once, again and again.
_SHORTEST_TIMER_S = 0.001

_NS = 1_000_000_000


@dataclass(slots=True, eq=False)
class Turn:
    """A request that waits. `until_ns`: how long it may (monotonic). `name` is for taking it back."""

    lane: Lane
    granted: "asyncio.Future[Reason | None]"
    name: str = ""
    until_ns: int | None = None


class Turns:
    """Grants turns within a lane in the order in which their time ends, or else of asking.

    Each is to be given back once its request has ended.

    At most `connections` orders are under way at once, and one request more that is no order. Mutable:
    the two queues, the counts of turns under way, and one timer for what waits for the budget or too
    long. `too_late` is what an order hears that waited longer than it may.
    """

    def __init__(self, bucket: Bucket, clock: Clock, connections: int, too_late: Reason) -> None:
        self._bucket = bucket
        self._clock = clock
        self._connections = connections
        self._too_late = too_late
        self._waiting: dict[Lane, deque[Turn]] = {"cancel": deque(), "order": deque()}
        self._under_way: dict[Lane, int] = {"cancel": 0, "order": 0}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0

    def __repr__(self) -> str:
        orders, others = self.waiting("order"), self.waiting("cancel")
        under_way = sum(self._under_way.values())
        return f"{orders} orders and {others} cancels and questions waiting, {under_way} under way"

    def waiting(self, lane: Lane) -> int:
        """How many requests of a lane wait."""
        return len(self._waiting[lane])

    async def take(self, lane: Lane, *, name: str = "", until_ns: int | None = None) -> Reason | None:
        """Wait for a turn; None once it is granted, or why there will be none."""
        turns = self._waiting[lane]
        if not turns and self._free(lane):
            now_ns = self._clock.monotonic_ns()
            if (until_ns is None or now_ns < until_ns) and self._bucket.take(lane, now_ns):
                self._under_way[lane] += 1
                return None
        turn = Turn(lane, asyncio.get_running_loop().create_future(), name, until_ns)
        if until_ns is not None and turns and _end_ns(turns[-1]) > until_ns:
            # One that goes again: those whose time ends first stay first.
            insort(turns, turn, key=_end_ns)
        else:
            turns.append(turn)
        # Behind others it changes nothing: a turn that is given back, or the timer, grants in their order.
        if turns[0] is turn:
            self._grant()
        try:
            return await turn.granted
        except asyncio.CancelledError:
            if turn in turns:
                turns.remove(turn)
            elif not turn.granted.cancelled() and turn.granted.result() is None:
                self.give_back(lane)
            raise

    def give_back(self, lane: Lane) -> None:
        """End a turn that was granted."""
        self._under_way[lane] -= 1
        if self._waiting["cancel"] or self._waiting["order"]:
            self._grant()

    def withdraw(self, name: str, why: Reason) -> bool:
        """Take back an order that still waits: it hears why. False where it is under way or done."""
        for turn in self._waiting["order"]:
            if turn.name == name and not turn.granted.done():
                self._waiting["order"].remove(turn)
                turn.granted.set_result(why)
                return True
        return False

    def _free(self, lane: Lane) -> bool:
        orders = self._under_way["order"]
        if lane == "order" and orders >= self._connections:
            return False
        return orders + self._under_way["cancel"] <= self._connections

    def _grant(self) -> None:
        """Grant what may be granted now, refuse what waited too long, and set the timer for the rest."""
        now_ns = self._clock.monotonic_ns()
        self._expire(now_ns)
        waits_ns = []
        lanes: tuple[Lane, Lane] = ("cancel", "order")
        for lane in lanes:
            turns = self._waiting[lane]
            while turns and self._free(lane):
                if turns[0].granted.done():
                    turns.popleft()  # Its task was cancelled and has not run since.
                    continue
                if not self._bucket.take(lane, now_ns):
                    waits_ns.append(self._bucket.wait_ns(lane, now_ns))
                    break
                self._under_way[lane] += 1
                turns.popleft().granted.set_result(None)
        orders = self._waiting["order"]
        if orders and orders[0].until_ns is not None:
            waits_ns.append(orders[0].until_ns - now_ns)
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

    def _expire(self, now_ns: int) -> None:
        orders = self._waiting["order"]
        while orders and orders[0].until_ns is not None and orders[0].until_ns <= now_ns:
            turn = orders.popleft()
            if not turn.granted.done():
                turn.granted.set_result(self._too_late)


def _end_ns(turn: Turn) -> float:
    return float("inf") if turn.until_ns is None else turn.until_ns
