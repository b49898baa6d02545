"""Market data over REST: every endpoint of it, on one venue."""

from aiohttp import web

from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.rest.history import HistoryRoutes
from sim.rest.latest import LatestRoutes
from sim.rest.market_reader import MarketReader
from sim.rest.snapshots import SnapshotRoutes
from sim.venue import Venue


class DataRoutes:
    """The handlers of history, the newest, and snapshots; the free plan sees no consolidated tape of now."""

    def __init__(self, venue: Venue, assets: Assets, clock: Clock, is_free_plan: bool = False) -> None:
        self._reader = MarketReader(venue, assets, clock, is_free_plan)

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        rooms = (LatestRoutes(self._reader), SnapshotRoutes(self._reader), HistoryRoutes(self._reader))
        return [route for room in rooms for route in room.routes()]
