"""The screener: the shares traded most today, and the symbols that moved most since the day before."""

from typing import Any

from aiohttp import web

from sim.rest import data_query
from sim.rest.data_query import refused
from sim.rest.json_bodies import answer
from sim.rest.market_reader import MarketReader
from sim.times import rfc3339

DEFAULT_TOP = 10
MOST_ACTIVES = 100
MOST_MOVERS = 50


class ScreenerRoutes:
    """The handlers, on the daily bars of everything that trades."""

    def __init__(self, data: MarketReader) -> None:
        self._data = data

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1beta1/screener/stocks/most-actives", self.most_actives),
            web.get("/v1beta1/screener/{market_type}/movers", self.movers),
        ]

    async def most_actives(self, request: web.Request) -> web.Response:
        """GET /v1beta1/screener/stocks/most-actives: by volume, or by the number of trades."""
        data_query.check_names(request.query, ("by", "top"))
        by = request.query.get("by", "volume")
        if by not in ("volume", "trades"):
            raise refused(f"invalid by: {by}")
        found: list[dict[str, Any]] = []
        for symbol in self._data.symbols(is_crypto=False):
            day, _ = self._data.history.latest_days(symbol)
            if day is not None:
                found.append({"symbol": symbol, "volume": day.volume, "trade_count": day.trade_count})
        field = "volume" if by == "volume" else "trade_count"
        found.sort(key=lambda stock: (-stock[field], stock["symbol"]))
        top = data_query.limit(request.query, DEFAULT_TOP, MOST_ACTIVES, name="top")
        return answer({"most_actives": found[:top], "last_updated": self._now()})

    async def movers(self, request: web.Request) -> web.Response:
        """GET /v1beta1/screener/{stocks or crypto}/movers: since the day before, or the day's opening."""
        market_type = request.match_info["market_type"]
        if market_type not in ("stocks", "crypto"):
            raise refused(f"invalid market_type: {market_type}")
        data_query.check_names(request.query, ("top",))
        top = data_query.limit(request.query, DEFAULT_TOP, MOST_MOVERS, name="top")
        moved = [
            mover
            for symbol in self._data.symbols(is_crypto=market_type == "crypto")
            if (mover := self._moved(symbol)) is not None
        ]
        moved.sort(key=lambda mover: (-mover["percent_change"], mover["symbol"]))
        gainers = [mover for mover in moved if mover["change"] > 0]
        losers = [mover for mover in reversed(moved) if mover["change"] < 0]
        body = {"gainers": gainers[:top], "losers": losers[:top], "market_type": market_type}
        return answer(body | {"last_updated": self._now()})

    def _moved(self, symbol: str) -> dict[str, Any] | None:
        day, before = self._data.history.latest_days(symbol)
        if day is None:
            return None
        reference = day.open if before is None else before.close
        change = day.close - reference
        return {
            "symbol": symbol,
            "percent_change": round(100 * change / reference, 2),
            "change": round(change, 4),
            "price": day.close,
        }

    def _now(self) -> str:
        return rfc3339(self._data.clock.now_ns())
