"""Trade updates as server-sent events: what happened since a moment or an event, then what happens."""

import random
from collections.abc import Callable

from aiohttp import ClientConnectionResetError, web

from sim.broker.event_log import EventLog, is_ulid
from sim.clock import Clock
from sim.desk import Desk, Desks
from sim.refusals import malformed
from sim.rest import query as asked
from sim.rest.door import ACCOUNT
from sim.rest.event_stream import EventStream, Range
from sim.rest.query import Query

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}

PATHS = ("/v2/events/trades", "/v2beta1/events/trades")


class EventRoutes:
    """The handlers; each request hears of the account it came from."""

    def __init__(self, desks: Desks, clock: Clock) -> None:
        self._desks = desks
        self._clock = clock
        self._logs = {desk.key: _log(desk) for desk in desks.all()}
        self._listeners: set[EventStream] = set()

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
        account_id = desk.brokerage.account_id
        listener = EventStream(request, response, account_id, log, wanted, self._clock)
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

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def close(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.end()


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
