"""The clock and the calendar over REST."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from aiohttp import web

from sim.clock import Clock
from sim.exchange.hours import MarketHours, Phase, new_york, trading_day
from sim.exchange.sessions import next_close, next_open
from sim.exchange.settlement import settlement_day
from sim.refusals import malformed
from sim.rest import trading_query as asked
from sim.rest.json_bodies import answer

FIRST = date(2016, 1, 1)  # earlier holidays are not known here; Alpaca's data begin in that year
LAST = date(2029, 12, 31)  # where Alpaca's calendar ends
_LONGEST_SETTLEMENT = timedelta(14)


class CalendarRoutes:
    """The handlers, on the simulator's time."""

    def __init__(self, clock: Clock, hours: MarketHours) -> None:
        self._clock = clock
        self._hours = hours

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v2/clock", self.clock), web.get("/v2/calendar", self.calendar)]

    async def clock(self, request: web.Request) -> web.Response:
        """GET /v2/clock: open and close are New York's next, even where this market never closes."""
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
        """GET /v2/calendar: New York's trading days, by default all that are known."""
        query = request.query
        start, end = asked.day(query, "start") or FIRST, asked.day(query, "end") or LAST
        if "start" in query and "end" in query and end < start:
            raise malformed("start must not be after end")
        date_type = asked.one_of(query, "date_type", ("TRADING", "SETTLEMENT"), "TRADING")
        if date_type == "TRADING":
            return answer(_days(start, end))
        earliest = max(start, FIRST) - _LONGEST_SETTLEMENT
        return answer(
            [
                day
                for day in _days(earliest, end)
                if start.isoformat() <= day["settlement_date"] <= end.isoformat()
            ]
        )


def _days(start: date, end: date) -> list[dict[str, Any]]:
    start, end = max(start, FIRST), min(end, LAST)
    found = (_day(start + timedelta(n)) for n in range((end - start).days + 1))
    return [day for day in found if day is not None]


@lru_cache(maxsize=(LAST - FIRST).days + 1)
def _day(day: date) -> dict[str, Any] | None:
    found = trading_day(day)
    if found is None:
        return None
    return {
        "date": day.isoformat(),
        "open": new_york(found.open_ns).strftime("%H:%M"),
        "close": new_york(found.close_ns).strftime("%H:%M"),
        "session_open": new_york(found.extended_open_ns).strftime("%H%M"),
        "session_close": new_york(found.extended_close_ns).strftime("%H%M"),
        "settlement_date": settlement_day(day).isoformat(),
    }
