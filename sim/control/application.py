"""Puts the routes of the control endpoint together."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sim.accounts.trading_account import TradingAccounts
from sim.clock import Clock
from sim.control import state as run_state
from sim.control.account import AccountRoutes
from sim.control.bad_input import answer_bad_input
from sim.control.clock import ClockRoutes
from sim.control.faults import FaultRoutes
from sim.control.market import MarketRoutes
from sim.incidents.chaos import Chaos
from sim.incidents.fault_switch import FaultSwitch
from sim.incidents.market_events import MarketEvents


def application(
    fault_switch: FaultSwitch,
    chaos: Chaos | None,
    accounts: TradingAccounts,
    clock: Clock,
    wait_for_readers: Callable[[], Awaitable[None]],
    events: MarketEvents,
    state: Callable[[], dict[str, Any]],
) -> web.Application:
    """Return the application; `wait_for_readers` waits for slow readers, `state` returns the run's state."""
    app = web.Application(middlewares=[answer_bad_input])
    app.add_routes(FaultRoutes(fault_switch, chaos).routes())
    app.add_routes(AccountRoutes(accounts).routes())
    app.add_routes(ClockRoutes(clock, wait_for_readers).routes())
    app.add_routes(MarketRoutes(events).routes())
    app.add_routes(run_state.routes(state))
    return app
