"""Puts every endpoint of market data together."""

from aiohttp import web

from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.news_archive import NewsArchive
from sim.exchange.venue import Venue
from sim.rest import codes, corporate_actions
from sim.rest.history import HistoryRoutes
from sim.rest.latest import LatestRoutes
from sim.rest.market_reader import MarketReader
from sim.rest.news import NewsRoutes
from sim.rest.screener import ScreenerRoutes
from sim.rest.snapshots import SnapshotRoutes


def routes(
    venue: Venue, assets: Assets, news_archive: NewsArchive, clock: Clock, is_free_plan: bool
) -> list[web.RouteDef]:
    """Return the routes; the free plan gets no consolidated tape of the last quarter of an hour."""
    reader = MarketReader(venue, assets, clock, is_free_plan)
    return [
        *LatestRoutes(reader).routes(),
        *SnapshotRoutes(reader).routes(),
        *HistoryRoutes(reader).routes(),
        *NewsRoutes(news_archive, clock).routes(),
        *ScreenerRoutes(reader).routes(),
        *corporate_actions.routes(),
        *codes.routes(),
    ]
