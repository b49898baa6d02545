"""Puts every endpoint of the trading API together."""

from aiohttp import web

from sim.accounts.trading_account import TradingAccounts
from sim.accounts.valuation import Valuation
from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.hours import MarketHours
from sim.rest import announcements, options
from sim.rest.account import AccountRoutes
from sim.rest.activities import ActivityRoutes
from sim.rest.assets import AssetRoutes
from sim.rest.calendar import CalendarRoutes
from sim.rest.configurations import ConfigurationRoutes
from sim.rest.orders import OrderRoutes
from sim.rest.portfolio_history import PortfolioHistoryRoutes
from sim.rest.positions import PositionRoutes
from sim.rest.watchlists import WatchlistRoutes


def routes(
    accounts: TradingAccounts, assets: Assets, clock: Clock, hours: MarketHours, valuation: Valuation
) -> list[web.RouteDef]:
    """Return the routes; options come before positions, whose paths match any name."""
    return [
        *OrderRoutes(accounts).routes(),
        *AccountRoutes(accounts).routes(),
        *ConfigurationRoutes(accounts).routes(),
        *ActivityRoutes(accounts).routes(),
        *PortfolioHistoryRoutes(accounts, valuation, hours).routes(),
        *options.routes(),
        *PositionRoutes(accounts).routes(),
        *WatchlistRoutes(accounts, assets).routes(),
        *AssetRoutes(assets).routes(),
        *CalendarRoutes(clock, hours).routes(),
        *announcements.routes(),
    ]
