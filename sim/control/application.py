"""The control endpoint: everything that the person who runs a test may ask and do, put together."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sim.accounts.desk import Desks
from sim.clock import Clock
from sim.control import state as run_state
from sim.control.account import AccountRoutes
from sim.control.clock import ClockRoutes
from sim.control.door import say_what_is_wrong
from sim.control.faults import FaultRoutes
from sim.control.market import MarketRoutes
from sim.incidents.chaos import Chaos
from sim.incidents.director import Director
from sim.incidents.market_events import MarketEvents


def application(
    director: Director,
    chaos: Chaos | None,
    desks: Desks,
    clock: Clock,
    settle: Callable[[], Awaitable[None]],
    events: MarketEvents,
    state: Callable[[], dict[str, Any]],
) -> web.Application:
    """What is answered where; `settle` waits for slow readers, `state` tells how the run stands."""
    app = web.Application(middlewares=[say_what_is_wrong])
    app.add_routes(FaultRoutes(director, chaos).routes())
    app.add_routes(AccountRoutes(desks).routes())
    app.add_routes(ClockRoutes(clock, settle).routes())
    app.add_routes(MarketRoutes(events).routes())
    app.add_routes(run_state.routes(state))
    return app
