"""Sends what was decided: two lanes, the rate budget, a few threads, and each outcome back in the loop."""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bus.clock import Clock
from bus.errors import BackboneError
from bus.order_messages import Reason
from oms.broker import NotPermitted, RateLimited
from oms.budget import Bucket, Lane

# One thread is kept for cancels, however slow the broker is with orders.
THREADS = 4

# An order that waited longer was decided on prices of another time: it is refused rather than sent late.
LONGEST_WAIT_S = 5.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Job:
    """One request to the broker: `work` runs in a thread, `done` in the loop with what came of it."""

    lane: Lane
    work: Callable[[], Any]
    done: Callable[[Any], None]
    key: str = ""
    until_ns: int | None = None


class Sender:
    """Takes jobs in the loop, works them in threads. Cancels go first; orders wait a bounded time."""

    def __init__(
        self, bucket: Bucket, clock: Clock, *, threads: int = THREADS, longest_wait_s: float = LONGEST_WAIT_S
    ) -> None:
        self.bucket = bucket
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._longest_wait_ns = int(longest_wait_s * 1_000_000_000)
        self._lanes: dict[Lane, deque[Job]] = {"cancel": deque(), "order": deque()}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._to_threads: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._finished: deque[tuple[Job, Any]] = deque()
        self._woken = False
        self._under_way: dict[Lane, int] = {"cancel": 0, "order": 0}
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"oms-send-{number}", daemon=True)
            for number in range(max(2, threads))
        ]

    def __repr__(self) -> str:
        waiting = {lane: len(jobs) for lane, jobs in self._lanes.items()}
        return f"<sender: {waiting['order']} orders and {waiting['cancel']} cancels waiting, {self.bucket}>"

    @property
    def waiting(self) -> int:
        """Jobs that wait for the budget or a thread."""
        return sum(len(jobs) for jobs in self._lanes.values())

    @property
    def busy(self) -> bool:
        """Whether anything waits or is under way."""
        return self.waiting > 0 or any(self._under_way.values())

    async def idle(self) -> None:
        """Return once nothing waits and nothing is under way."""
        while self.busy:
            self._idle.clear()
            await self._idle.wait()

    async def orders_done(self) -> None:
        """Return once no order waits or is under way; other requests may."""
        while self._lanes["order"] or self._under_way["order"]:
            self._idle.clear()
            await self._idle.wait()

    def put(self, job: Job) -> None:
        """Take a job; an order's waiting time begins now."""
        if job.lane == "order" and job.until_ns is None:
            job.until_ns = self._clock.monotonic_ns() + self._longest_wait_ns
        self._lanes[job.lane].append(job)
        self._changed.set()

    def count_lookup(self) -> None:
        """Count a request that a thread makes on its own; may be called from any thread."""
        self._loop.call_soon_threadsafe(lambda: self.bucket.spend(self._clock.monotonic_ns()))

    async def call(self, work: Callable[[], Result]) -> Result:
        """Ask the broker something and wait for it: goes before orders, raises what the broker raises."""
        answer: asyncio.Future[Result] = self._loop.create_future()

        def done(result: Any) -> None:
            if answer.done():
                return
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        self.put(Job("cancel", work, done))
        return await answer

    def withdraw(self, key: str) -> bool:
        """Take back an order that still waits; False where it is under way or done."""
        for job in self._lanes["order"]:
            if job.key == key:
                self._lanes["order"].remove(job)
                self._changed.set()
                return True
        return False

    async def run(self) -> None:
        """Hand jobs to threads until cancelled. Raises what a thread failed with unexpectedly."""
        for thread in self._threads:
            thread.start()
        try:
            while True:
                wait_s = self._dispatch()
                # Jobs also end here, or before: by waiting too long, or by being withdrawn.
                self._idle.set()
                try:
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                self._changed.clear()
                if self._failure is not None:
                    raise self._failure
        finally:
            for _ in self._threads:
                self._to_threads.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for threads to end what they were doing, for so long in all. Blocks."""
        until_ns = self._clock.monotonic_ns() + int(timeout_s * 1_000_000_000)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, (until_ns - self._clock.monotonic_ns()) / 1e9))

    def _dispatch(self) -> float | None:
        """Start what may start now; returns the seconds until more may."""
        now_ns = self._clock.monotonic_ns()
        self._expire(now_ns)
        waits_ns = []
        for lane in ("cancel", "order"):
            jobs = self._lanes[lane]
            most = len(self._threads) - (lane == "order")
            while jobs and self._total() < most:
                wait_ns = self.bucket.wait_ns(lane, now_ns)
                if wait_ns:
                    waits_ns.append(wait_ns)
                    break
                self.bucket.take(lane, now_ns)
                self._under_way[lane] += 1
                self._to_threads.put(jobs.popleft())
        orders = self._lanes["order"]
        if orders and orders[0].until_ns is not None:
            waits_ns.append(orders[0].until_ns - now_ns)
        return min(waits_ns) / 1e9 if waits_ns else None

    def _total(self) -> int:
        return self._under_way["cancel"] + self._under_way["order"]

    def _expire(self, now_ns: int) -> None:
        orders = self._lanes["order"]
        while orders and orders[0].until_ns is not None and orders[0].until_ns <= now_ns:
            seconds = self._longest_wait_ns / 1e9
            orders.popleft().done(
                NotPermitted(
                    Reason(
                        code="rate_budget",
                        message=f"the request budget did not allow it within {seconds:g} s: not sent",
                        limit=f"{seconds:g}",
                    )
                )
            )

    def _work(self) -> None:
        while (job := self._to_threads.get()) is not None:
            try:
                result = job.work()
            except BaseException as error:  # noqa: BLE001 - handed to the loop, which sorts it
                result = error
            self._finished.append((job, result))
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._drain)
                except RuntimeError:
                    return  # The loop has ended: recovery will ask what became of it.

    def _drain(self) -> None:
        self._woken = False
        while self._finished:
            job, result = self._finished.popleft()
            self._under_way[job.lane] -= 1
            if isinstance(result, RateLimited):
                # Certainly not carried out, so the same job may go again, while its time lasts.
                self.bucket.limited(job.lane, self._clock.monotonic_ns())
                self._lanes[job.lane].appendleft(job)
            elif isinstance(result, BaseException) and not isinstance(result, BackboneError):
                self._failure = result
                job.done(result)
            else:
                job.done(result)
        self._changed.set()
        self._idle.set()
