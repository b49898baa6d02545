"""Trade updates as server-sent events: what happened since a moment or an event, then what happens."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, web

from sim.broker.event_log import Event, EventLog, is_ulid, moment_ns
from sim.clock import Clock
from sim.desk import Desk, Desks
from sim.refusals import malformed
from sim.rest import query as asked
from sim.rest.door import ACCOUNT
from sim.rest.query import Query
from sim.streams.updates_socket import update_json
from sim.times import SECOND_NS, rfc3339

HEARTBEAT_NS = 15 * SECOND_NS  # Alpaca does not say how often; its clients must not rely on it
_AT_ONCE = 100  # events, of about 1.5 kB each
_LOOK_S = 0.5  # how often to look whether who listens is still there

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}

PATHS = ("/v2/events/trades", "/v2beta1/events/trades")


@dataclass(frozen=True, slots=True)
class Range:
    """Where a stream begins, as a place in the log, and what ends it: a moment, an event, or nothing."""

    begin: int
    until_ns: int | None
    until_id: str | None

    def includes(self, event: Event) -> bool:
        """Whether the event comes before the end."""
        if self.until_id is not None:
            return event.id <= self.until_id
        return self.until_ns is None or event.at_ns <= self.until_ns


class EventRoutes:
    """The handlers; each request hears of the account it came from."""

    def __init__(self, desks: Desks, clock: Clock) -> None:
        self._desks = desks
        self._clock = clock
        self._logs = {desk.key: _log(desk) for desk in desks.all()}
        self._listeners: set[_Listener] = set()

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [web.get(path, self.trades, allow_head=False) for path in PATHS]

    async def trades(self, request: web.Request) -> web.StreamResponse:
        """GET /v2/events/trades: an endless answer, unless its end is given."""
        desk = self._desks.of(request[ACCOUNT])
        log = self._logs[desk.key]
        wanted = _range(request.query, log)
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        listener = _Listener(request, response, desk, log, wanted, self._clock)
        self._listeners.add(listener)
        desk.watchers.append(listener.wake)
        try:
            await listener.run()
        except ClientConnectionResetError:
            return response  # who listened has left
        finally:
            desk.watchers.remove(listener.wake)
            self._listeners.discard(listener)
        await response.write_eof()
        return response

    def close(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.end()


class _Listener:
    """One connection: sends what the log holds from its place on, a heartbeat in between, until its end."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        desk: Desk,
        log: EventLog,
        wanted: Range,
        clock: Clock,
    ) -> None:
        self._request = request
        self._response = response
        self._account_id = desk.brokerage.account_id
        self._log = log
        self._wanted = wanted
        self._clock = clock
        self._place = wanted.begin
        self._woken = asyncio.Event()
        self._heartbeats = 0
        self._beat_ns = clock.now_ns() + HEARTBEAT_NS
        self._is_ending = False

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    def end(self) -> None:
        """Nothing more is to be sent."""
        self._is_ending = True
        self.wake()

    async def run(self) -> None:
        """Send until the end; raises ClientConnectionResetError where nobody is there any more."""
        self._tick_later()
        try:
            while not await self._send():
                await self._wait()
        finally:
            self._is_ending = True

    async def _send(self) -> bool:
        """Send what is due; whether that was the last."""
        self._woken.clear()
        while part := self._due():
            await self._response.write(b"".join(part))
            # A long replay lets others have their turn.
            await asyncio.sleep(0)
        if self._heartbeats:
            await self._response.write(b":heartbeat\n\n" * self._heartbeats)
            self._heartbeats = 0
        return self._is_ending or self._is_over()

    def _due(self) -> list[bytes]:
        """The next events that are due, as lines; none where there are none, or the end has come."""
        part: list[bytes] = []
        while self._place < len(self._log) and len(part) < _AT_ONCE and not self._is_ending:
            event = self._log[self._place]
            if not self._wanted.includes(event):
                self._is_ending = True
                break
            self._place += 1
            part.append(b"data: " + orjson.dumps(self._json(event)) + b"\n\n")
        return part

    async def _wait(self) -> None:
        while not self._woken.is_set():
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ClientConnectionResetError("who listened has left")
            try:
                await asyncio.wait_for(self._woken.wait(), _LOOK_S)
            except TimeoutError:
                continue

    def _is_over(self) -> bool:
        end_ns = self._end_ns()
        return end_ns is not None and self._clock.now_ns() > end_ns

    def _end_ns(self) -> int | None:
        if self._wanted.until_id is not None:
            return moment_ns(self._wanted.until_id) + SECOND_NS // 1000
        return self._wanted.until_ns

    def _tick_later(self) -> None:
        """Act at the next heartbeat, or at the end where that comes sooner."""
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

    def _json(self, event: Event) -> dict[str, Any]:
        body: dict[str, Any] = update_json(event.update)["data"]
        return body | {"account_id": self._account_id, "at": rfc3339(event.at_ns), "event_id": event.id}


def _log(desk: Desk) -> EventLog:
    """Chance comes from the account's identity: what is the same in every run has the same names in it."""
    draw: Callable[[int], int] = random.Random(f"events of {desk.brokerage.account_id}").getrandbits
    return EventLog(desk.history, draw)


def _range(query: Query, log: EventLog) -> Range:
    since_ns, until_ns = asked.moment_ns(query, "since"), asked.moment_ns(query, "until")
    since_id, until_id = _event_id(query, "since_id"), _event_id(query, "until_id")
    if since_ns is not None and since_id is not None:
        raise malformed("only one of since and since_id is allowed")
    if until_ns is not None and since_ns is None:
        raise malformed("since is required if until is given")
    if until_id is not None and since_id is None:
        raise malformed("since_id is required if until_id is given")
    if since_ns is not None:
        begin = log.since(since_ns)
    else:
        begin = len(log) if since_id is None else log.after(since_id)
    return Range(begin, until_ns, until_id)


def _event_id(query: Query, name: str) -> str | None:
    text = query.get(name)
    if text and not is_ulid(text.upper()):
        raise malformed(f"invalid {name} {text}; allowed: a ULID")
    return text.upper() if text else None
