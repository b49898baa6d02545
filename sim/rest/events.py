"""An account's updates and activities as server-sent events: past ones on request, then new ones."""

import random
from collections.abc import Callable
from typing import Any

from aiohttp import ClientConnectionResetError, web

from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.broker.activities import activity_event_json
from sim.broker.event_log import Event, EventLog, is_ulid
from sim.broker.update_json import update_json
from sim.clock import Clock
from sim.refusals import malformed
from sim.rest import trading_query as asked
from sim.rest.event_stream import EventStream, Range
from sim.rest.middleware import ACCOUNT
from sim.rest.trading_query import Query
from sim.times import rfc3339

TRADES = ("/v2/events/trades", "/v2beta1/events/trades")  # the second is the older path
ACTIVITIES = "/v2beta1/events/activities"
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


class EventRoutes:
    """The handlers; each request gets events of the authenticated account."""

    def __init__(self, accounts: TradingAccounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._trades = {account.key: _log(account, "events", fills_only=False) for account in accounts.all()}
        self._activities = {
            account.key: _log(account, "activities", fills_only=True) for account in accounts.all()
        }
        self._streams: set[EventStream] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            *(web.get(path, self.trades, allow_head=False) for path in TRADES),
            web.get(ACTIVITIES, self.activities, allow_head=False),
        ]

    async def trades(self, request: web.Request) -> web.StreamResponse:
        """GET /v2/events/trades: an endless answer, unless its end is given."""
        account = self._accounts.of(request[ACCOUNT])
        account_id = account.brokerage.account_id

        def body(event: Event) -> dict[str, Any]:
            return update_json(event.update) | {"account_id": account_id} | _own(event)

        return await self._listen(request, account, self._trades[account.key], body)

    async def activities(self, request: web.Request) -> web.StreamResponse:
        """GET /v2beta1/events/activities: the same, of fills alone."""

        def body(event: Event) -> dict[str, Any]:
            return activity_event_json(event.update) | _own(event)

        account = self._accounts.of(request[ACCOUNT])
        return await self._listen(request, account, self._activities[account.key], body)

    @property
    def listeners(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    def close(self) -> None:
        """End every stream."""
        for stream in self._streams:
            stream.end()

    async def _listen(
        self,
        request: web.Request,
        account: TradingAccount,
        log: EventLog,
        body: Callable[[Event], dict[str, Any]],
    ) -> web.StreamResponse:
        wanted = _range(request.query, log)
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        stream = EventStream(request, response, log, body, wanted, self._clock)
        self._streams.add(stream)
        account.watchers.append(stream.wake)
        try:
            await stream.run()
        except ClientConnectionResetError:
            return response  # the client has left
        finally:
            account.watchers.remove(stream.wake)
            self._streams.discard(stream)
        await response.write_eof()
        return response


def _own(event: Event) -> dict[str, Any]:
    return {"at": rfc3339(event.at_ns), "event_id": event.id}


def _log(account: TradingAccount, name: str, fills_only: bool) -> EventLog:
    """Return a log whose random bits follow from the account's id, so that equal runs have equal ids."""
    rng = random.Random(f"{name} of {account.brokerage.account_id}")
    return EventLog(account.history, rng.getrandbits, fills_only)


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
