"""The clock and the calendar over REST."""

from collections.abc import Mapping
from datetime import date

from aiohttp import web

from sim import refusals
from sim.clock import Clock
from sim.exchange.hours import MarketHours, Phase, new_york
from sim.exchange.sessions import next_close, next_open, sessions
from sim.rest.door import answer


class CalendarRoutes:
    """The handlers, on the simulator's time."""

    def __init__(self, clock: Clock, hours: MarketHours) -> None:
        self._clock = clock
        self._hours = hours

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [web.get("/v2/clock", self.clock), web.get("/v2/calendar", self.calendar)]

    async def clock(self, request: web.Request) -> web.Response:
        """GET /v2/clock: open and close are New York's next, also where this market never closes."""
        now_ns = self._clock.now_ns()
        now = new_york(now_ns)
        return answer(
            {
                "timestamp": now.isoformat(),
                "is_open": self._hours.phase(now_ns) is Phase.REGULAR,
                "next_open": next_open(now).isoformat(),
                "next_close": next_close(now).isoformat(),
            }
        )

    async def calendar(self, request: web.Request) -> web.Response:
        """GET /v2/calendar: New York's sessions, by default of this year."""
        today = new_york(self._clock.now_ns()).date()
        start = _day(request.query, "start", date(today.year, 1, 1))
        end = _day(request.query, "end", date(today.year, 12, 31))
        return answer(
            [
                {
                    "date": session.day.isoformat(),
                    "open": session.opens_at.strftime("%H:%M"),
                    "close": session.closes_at.strftime("%H:%M"),
                    "session_open": "0400",
                    "session_close": "2000",
                }
                for session in sessions(start, end)
            ]
        )


def _day(query: Mapping[str, str], name: str, default: date) -> date:
    text = query.get(name)
    if not text:
        return default
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise refusals.invalid(f"invalid {name} {text}; allowed: a date such as 2026-01-31") from error
