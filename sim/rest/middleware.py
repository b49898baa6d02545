"""The middleware of REST: authentication, request budgets, faults, and refusals in Alpaca's words."""

import asyncio
import base64
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sim.clock import Clock
from sim.faults.faults import Faults
from sim.faults.messages import skew_ns
from sim.faults.requests import RequestOutcome, groups, latency_ms, outcome_of
from sim.keys import OAUTH, Keyring
from sim.refusals import Refused
from sim.rest.connection import refusal
from sim.rest.faulty_answers import cut_short, dripped, faulty_answer
from sim.rest.json_bodies import answer
from sim.rest.rate_limit import RateLimit
from sim.streams.socket_endpoint import SocketResource
from sim.times import SECOND_NS

ACCOUNT = web.RequestKey("account", str)  # the API key that the request came with
ANONYMOUS = ""

_DATA = ("/v2/stocks/", "/v1beta3/", "/v1beta1/", "/v1/corporate-actions")


class RestMiddleware:
    """The middleware of every REST request; websockets authenticate by themselves.

    Each account has two budgets of requests a minute, for trading and data; requests without a key share one
    of each.
    """

    def __init__(
        self,
        keyring: Keyring,
        faults: Faults,
        clock: Clock,
        trading_per_minute: int,
        data_per_minute: int,
    ) -> None:
        self._keyring = keyring
        self._faults = faults
        self._clock = clock
        self._trading_per_minute = trading_per_minute
        self._data_per_minute = data_per_minute
        self._limits: dict[tuple[str, str], RateLimit] = {}

    def as_aiohttp(self) -> Middleware:
        """Return the middleware in the form that aiohttp takes."""

        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            # Other paths take no upgrade: their requests are plain, whatever their headers say.
            if isinstance(resource, SocketResource):
                if not request.headers.get("Sec-WebSocket-Key", "").isascii():
                    return refusal(web.HTTPBadRequest(text="Sec-WebSocket-Key is no base64"))
                return await _carried_out(request, handler)
            response, outcome = await self._answer(request, handler)
            if outcome.drip_ms:
                return await dripped(request, response, outcome.drip_ms)
            return await cut_short(request, response) if outcome.cut else response

        return handle

    async def stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the simulator's time as the date of an answer, also of a websocket's handshake."""
        response.headers["Date"] = _http_date(self._clock.now_ns() + skew_ns(self._faults))

    async def _answer(
        self, request: web.Request, handler: Handler
    ) -> tuple[web.StreamResponse, RequestOutcome]:
        account = self._account(request)
        if account is None:
            return answer({"message": "unauthorized"}, 401), RequestOutcome()
        request[ACCOUNT] = account
        api = "data" if request.path.startswith(_DATA) else "trading"
        limit = self._limit(api, account)
        now_ns, faults = self._clock.now_ns(), self._faults
        struck = None if faults.is_quiet else faults.find("rate_limit", api=api, account=account)
        if struck is None:
            verdict = limit.ask(now_ns)
        else:
            faults.hit(struck)
            verdict = limit.exhausted(now_ns, struck.ends_ns)
        outcome = RequestOutcome()
        if not verdict.is_allowed:
            response: web.StreamResponse = answer({"code": 42910000, "message": "too many requests."}, 429)
        elif faults.is_quiet:
            response = await _carried_out(request, handler)
        else:
            called = groups(request.method, request.path, api)
            await asyncio.sleep(latency_ms(faults, called, account, "request") / 1000)
            outcome = outcome_of(faults, called, account)
            response = await faulty_answer(outcome, request, lambda: _carried_out(request, handler))
            await asyncio.sleep(latency_ms(faults, called, account, "response") / 1000)
        if not response.prepared:
            response.headers.update(verdict.headers())
        return response, outcome

    def _limit(self, api: str, account: str) -> RateLimit:
        limit = self._limits.get((api, account))
        if limit is None:
            per_minute = self._data_per_minute if api == "data" else self._trading_per_minute
            limit = self._limits[api, account] = RateLimit(per_minute)
        return limit

    def _account(self, request: web.Request) -> str | None:
        """Return the account's key, ANONYMOUS where no key is needed, or None where authentication fails."""
        key, secret = _given(request)
        if key is None and secret is None:
            # Alpaca serves crypto data without a key.
            return ANONYMOUS if request.path.startswith("/v1beta3/crypto/") else None
        return self._keyring.account(key, secret)


def _http_date(now_ns: int) -> str:
    """Return the simulator's time, not the machine's: the same in two runs of virtual time."""
    return format_datetime(datetime.fromtimestamp(now_ns // SECOND_NS, UTC), usegmt=True)


async def _carried_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return answer(refused.body, refused.status)
    except web.HTTPNotFound:
        return answer({"code": 40410000, "message": "endpoint not found."}, 404)
    except web.HTTPMethodNotAllowed:
        return answer({"code": 40510000, "message": "method not allowed."}, 405)
    except web.HTTPException as error:
        return refusal(error)


def _given(request: web.Request) -> tuple[str | None, str | None]:
    """Return key and secret from Alpaca's headers, from basic authentication, or an OAuth token."""
    headers = request.headers
    authorization = headers.get("Authorization", "")
    if authorization.startswith("Basic "):
        try:
            text = base64.b64decode(authorization[6:], validate=True).decode()
        except ValueError:  # not base64, or not text
            return "", ""
        key, _, secret = text.partition(":")
        return key, secret
    if authorization.startswith("Bearer "):
        return OAUTH, authorization[7:]
    return headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")
