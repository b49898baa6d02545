"""The clock over REST, New York's time with the offset of the season; and over the control endpoint."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from sim.clock import VirtualClock
from sim.control.bad_input import answer_bad_input
from sim.control.clock import ClockRoutes
from sim.exchange.hours import MarketHours
from sim.rest.calendar import CalendarRoutes
from sim.times import parse_ns


async def shown(moment: str, never_closes: bool = False) -> dict[str, Any]:
    routes = CalendarRoutes(VirtualClock(parse_ns(moment)), MarketHours(never_closes))
    response = await routes.clock(make_mocked_request("GET", "/v2/clock"))
    assert isinstance(response.body, bytes)
    found: dict[str, Any] = orjson.loads(response.body)
    return found


@pytest.mark.parametrize(
    ("moment", "body"),
    [
        (  # the Friday before New York's clocks go forward
            "2026-03-06T20:30:00Z",
            (True, "2026-03-06T15:30:00-05:00", "2026-03-09T09:30:00-04:00", "2026-03-06T16:00:00-05:00"),
        ),
        (  # the Friday before they go back
            "2026-10-30T20:30:00Z",
            (False, "2026-10-30T16:30:00-04:00", "2026-11-02T09:30:00-05:00", "2026-11-02T16:00:00-05:00"),
        ),
        (  # an early close
            "2026-11-27T18:00:00Z",
            (False, "2026-11-27T13:00:00-05:00", "2026-11-30T09:30:00-05:00", "2026-11-30T16:00:00-05:00"),
        ),
        (
            "2026-01-05T14:30:00.5Z",
            (
                True,
                "2026-01-05T09:30:00.500000-05:00",
                "2026-01-06T09:30:00-05:00",
                "2026-01-05T16:00:00-05:00",
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_clock_is_new_yorks(moment: str, body: tuple[bool, str, str, str]) -> None:
    found = await shown(moment)
    assert (found["is_open"], found["timestamp"], found["next_open"], found["next_close"]) == body


async def test_a_market_that_never_closes_is_open_on_sundays() -> None:
    found = await shown("2026-01-04T15:00:00Z", never_closes=True)
    assert found["is_open"]
    assert found["next_close"] == "2026-01-05T16:00:00-05:00"


@pytest.mark.parametrize("seconds", [-1, 1e12, "NaN", "sNaN", "Infinity", "soon", None])
async def test_time_that_cannot_pass_is_refused(seconds: object) -> None:
    async def no_readers() -> None:
        return

    clock = VirtualClock(0)
    app = web.Application(middlewares=[answer_bad_input])
    app.add_routes(ClockRoutes(clock, no_readers).routes())
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/clock", json={"seconds": seconds})
        assert answer.status == 400
        assert "seconds" in (await answer.json())["message"]
    assert clock.now_ns() == 0
