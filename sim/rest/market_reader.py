"""What the endpoints of market data share: the market's history, the symbols asked for, and the plan."""

from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.history import History
from sim.exchange.timeframes import zone_of
from sim.exchange.venue import Venue
from sim.rest import data_query
from sim.rest.data_query import Query, Window
from sim.times import MINUTE_NS

RECENT_NS = 15 * MINUTE_NS  # how much of the consolidated tape the free plan does not see


class MarketReader:
    """One venue, the assets that trade there, and whether the plan sees the consolidated tape of now."""

    def __init__(self, venue: Venue, assets: Assets, clock: Clock, is_free_plan: bool) -> None:
        self.history = History(venue)
        self.clock = clock
        self._venue = venue
        self._assets = assets
        self._is_free_plan = is_free_plan

    def stocks(self, text: str) -> list[str]:
        """The shares of a list; what is asked about trades from now on, if it did not before."""
        return self._quoted(data_query.stock_symbols(text, self._is_known))

    def coins(self, text: str) -> list[str]:
        """The pairs of a list; what is asked about trades from now on, if it did not before."""
        return self._quoted(data_query.coin_symbols(text, self._is_known))

    def symbols(self, *, is_crypto: bool) -> list[str]:
        """Everything that has been quoted or traded, shares or coins."""
        return [symbol for symbol in self._venue.market.symbols() if ("/" in symbol) == is_crypto]

    def stock_window(self, query: Query) -> Window:
        """From when to when, for shares; a date means New York's. Feed, currency and asof are checked."""
        feed = data_query.feed(query, "sip")
        data_query.currency(query)
        data_query.check_asof(query)
        delay_ns = RECENT_NS if self._is_free_plan and feed == "sip" else 0
        zone = zone_of("")
        return data_query.window(query, self.clock.now_ns(), zone, zone, delay_ns)

    def coin_window(self, query: Query) -> Window:
        """From when to when, for coins: a date means UTC's (alpaca-py issue 169)."""
        return data_query.window(query, self.clock.now_ns(), zone_of("/"), None, 0)

    def check_latest(self, query: Query) -> None:
        """Check feed and currency of a question for the newest of a share; the free plan asks IEX."""
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
