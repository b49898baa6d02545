"""Reads the market's history, the requested symbols, and the plan, for all endpoints of market data."""

from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.history import History
from sim.exchange.timeframes import zone_of
from sim.exchange.venue import Venue
from sim.rest import data_query
from sim.rest.data_query import Query, Window
from sim.times import MINUTE_NS

RECENT_NS = 15 * MINUTE_NS  # the part of the consolidated tape that the free plan does not get


class MarketReader:
    """One venue, its assets, and whether the plan includes the newest of the consolidated tape."""

    def __init__(self, venue: Venue, assets: Assets, clock: Clock, is_free_plan: bool) -> None:
        self.history = History(venue)
        self.clock = clock
        self._venue = venue
        self._assets = assets
        self._is_free_plan = is_free_plan

    def stocks(self, text: str) -> list[str]:
        """Return a list's shares; they trade from now on, if they did not before."""
        return self._quoted(data_query.stock_symbols(text, self._is_known))

    def coins(self, text: str) -> list[str]:
        """Return a list's crypto pairs; they trade from now on, if they did not before."""
        return self._quoted(data_query.coin_symbols(text, self._is_known))

    def symbols(self, *, is_crypto: bool) -> list[str]:
        """Return every share and pair that has been quoted or traded."""
        return [symbol for symbol in self._venue.market.symbols() if ("/" in symbol) == is_crypto]

    def stock_window(self, query: Query) -> Window:
        """Return the time asked for, for shares; dates are New York's. Checks feed, currency and asof."""
        feed = data_query.feed(query, "sip")
        data_query.currency(query)
        data_query.check_asof(query)
        delay_ns = RECENT_NS if self._is_free_plan and feed == "sip" else 0
        zone = zone_of("")
        return data_query.window(query, self.clock.now_ns(), zone, zone, delay_ns)

    def coin_window(self, query: Query) -> Window:
        """Return the time asked for, for crypto pairs; dates are UTC's (alpaca-py issue 169)."""
        return data_query.window(query, self.clock.now_ns(), zone_of("/"), None, 0)

    def check_latest(self, query: Query) -> None:
        """Check feed and currency of a request for the newest of a share; the free plan includes IEX only."""
        feed = data_query.feed(query, "iex" if self._is_free_plan else "sip")
        data_query.currency(query)
        if self._is_free_plan and feed == "sip":
            raise data_query.too_recent()

    def _is_known(self, symbol: str) -> bool:
        asset = self._assets.find(symbol)
        return asset is not None and asset.symbol == symbol

    def _quoted(self, symbols: list[str]) -> list[str]:
        for symbol in symbols:
            asset = self._assets.find(symbol)
            if asset is not None:
                self._venue.ensure_quoted(asset, self.clock.now_ns())
        return symbols
