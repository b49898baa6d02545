"""The clock on the control endpoint: show the time, and advance virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
from aiohttp import web

from bus.errors import InvalidInput
from sim.clock import Clock, VirtualClock
from sim.control.bad_input import body_as
from sim.rest.json_bodies import answer
from sim.times import SECOND_NS, rfc3339

LONGEST_ADVANCE_S = 400 * 86_400


class AdvanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /clock."""

    seconds: Decimal


class ClockRoutes:
    """The handlers; `wait_for_readers` returns when readers have kept up with virtual time."""

    def __init__(self, clock: Clock, wait_for_readers: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._wait_for_readers = wait_for_readers
        self._advancing = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/clock", self.time), web.post("/clock", self.advance)]

    async def time(self, request: web.Request) -> web.Response:
        """GET /clock."""
        now_ns = self._clock.now_ns()
        return answer({"now": rfc3339(now_ns), "is_virtual": isinstance(self._clock, VirtualClock)})

    async def advance(self, request: web.Request) -> web.Response:
        """POST /clock: advance virtual time; answers when everything due on the way is done."""
        wanted = await body_as(AdvanceRequest, request, "{seconds}")
        if not isinstance(self._clock, VirtualClock):
            raise InvalidInput("the clock is the wall's, which cannot be advanced; start with --virtual-time")
        if not wanted.seconds.is_finite() or not 0 <= wanted.seconds <= LONGEST_ADVANCE_S:
            raise InvalidInput(f"seconds is {wanted.seconds}; allowed: 0 to {LONGEST_ADVANCE_S}")
        async with self._advancing:
            until_ns = self._clock.now_ns() + int(wanted.seconds * SECOND_NS)
            await self._clock.advance(until_ns, self._wait_for_readers)
        return await self.time(request)
