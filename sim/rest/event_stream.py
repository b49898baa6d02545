"""One client's stream of an account's events: from a place in the log, with heartbeats, to an end."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, web

from sim.broker.event_log import Event, EventLog, moment_ns
from sim.clock import Clock
from sim.times import SECOND_NS

HEARTBEAT_NS = 15 * SECOND_NS  # Alpaca does not say how often; its clients must not rely on it
_AT_ONCE = 100  # events, of about 1.5 kB each
_LOOK_S = 0.5  # how often to test whether the client is still connected


@dataclass(frozen=True, slots=True)
class Range:
    """Where a stream begins, as an index of the log, and what ends it: a moment, an event, or nothing."""

    begin: int
    until_ns: int | None
    until_id: str | None

    def includes(self, event: Event) -> bool:
        """Return whether the event comes before the end."""
        if self.until_id is not None:
            return event.id <= self.until_id
        return self.until_ns is None or event.at_ns <= self.until_ns


class EventStream:
    """Sends events to one client as fast as it reads: they stay in the log until then, so none is dropped."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        log: EventLog,
        body: Callable[[Event], dict[str, Any]],
        wanted: Range,
        clock: Clock,
    ) -> None:
        self._request = request
        self._response = response
        self._log = log
        self._body = body
        self._wanted = wanted
        self._clock = clock
        self._place = wanted.begin
        self._woken = asyncio.Event()
        self._heartbeats = 0
        self._beat_ns = clock.now_ns() + HEARTBEAT_NS
        self._is_ending = False

    def wake(self) -> None:
        """Look for new events to send."""
        self._woken.set()

    def end(self) -> None:
        """End the stream: send nothing more."""
        self._is_ending = True
        self.wake()

    async def run(self) -> None:
        """Send until the end. Raises ClientConnectionResetError where the client has left."""
        self._tick_later()
        try:
            while not await self._send():
                await self._wait()
        finally:
            self._is_ending = True

    async def _send(self) -> bool:
        """Send what is due; returns whether that was the last."""
        self._woken.clear()
        while part := self._due():
            await self._response.write(b"".join(part))
            # A long replay must not block other tasks.
            await asyncio.sleep(0)
        if self._heartbeats:
            await self._response.write(b":heartbeat\n\n" * self._heartbeats)
            self._heartbeats = 0
        return self._is_ending or self._is_over()

    def _due(self) -> list[bytes]:
        """Return the next events that are due, as lines; empty where there are none or the end has come."""
        part: list[bytes] = []
        while self._place < len(self._log) and len(part) < _AT_ONCE and not self._is_ending:
            event = self._log[self._place]
            if not self._wanted.includes(event):
                self._is_ending = True
                break
            self._place += 1
            part.append(b"data: " + orjson.dumps(self._body(event)) + b"\n\n")
        return part

    async def _wait(self) -> None:
        while not self._woken.is_set():
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ClientConnectionResetError("who listened has left")
            # Not wait_for: up to Python 3.11 it swallows a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._woken.wait()

    def _is_over(self) -> bool:
        end_ns = self._end_ns()
        return end_ns is not None and self._clock.now_ns() > end_ns

    def _end_ns(self) -> int | None:
        if self._wanted.until_id is not None:
            return moment_ns(self._wanted.until_id) + SECOND_NS // 1000
        return self._wanted.until_ns

    def _tick_later(self) -> None:
        """Set the next heartbeat, or the end where that comes sooner."""
        next_ns, end_ns = self._beat_ns, self._end_ns()
        if end_ns is not None and end_ns >= self._clock.now_ns():
            next_ns = min(next_ns, end_ns + 1)
        self._clock.call_at(next_ns, self._tick)

    def _tick(self) -> None:
        if self._is_ending:
            return
        now_ns = self._clock.now_ns()
        if now_ns >= self._beat_ns:
            self._heartbeats += 1
            self._beat_ns = now_ns + HEARTBEAT_NS
        self.wake()
        self._tick_later()
