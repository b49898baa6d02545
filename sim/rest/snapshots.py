"""Snapshots over REST: everything newest of a symbol; of shares a bare map, of pairs one under a name."""

from aiohttp import web

from sim.refusals import Refused
from sim.rest import data_query
from sim.rest.json_bodies import answer
from sim.rest.market_json import snapshot_json
from sim.rest.market_reader import MarketReader

_OF_STOCKS = ("symbols", "feed", "currency")


class SnapshotRoutes:
    """The handlers."""

    def __init__(self, data: MarketReader) -> None:
        self._data = data

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v2/stocks/snapshots", self.stocks),
            web.get("/v2/stocks/{symbol}/snapshot", self.one_stock),
            web.get("/v1beta3/crypto/{place}/snapshots", self.coins),
        ]

    async def stocks(self, request: web.Request) -> web.Response:
        """GET /v2/stocks/snapshots: a symbol without any data is null."""
        data_query.check_names(request.query, _OF_STOCKS)
        self._data.check_latest(request.query)
        symbols = self._data.stocks(data_query.required(request.query, "symbols"))
        return answer({symbol: snapshot_json(self._data.history, symbol) for symbol in symbols})

    async def one_stock(self, request: web.Request) -> web.Response:
        """GET /v2/stocks/{symbol}/snapshot: the same, flat, with the symbol beside it."""
        data_query.check_names(request.query, _OF_STOCKS[1:])
        self._data.check_latest(request.query)
        (symbol,) = self._data.stocks(data_query.alone(request.match_info["symbol"]))
        found = snapshot_json(self._data.history, symbol)
        if found is None:
            raise Refused(404, None, f"no snapshot found for {symbol}")
        return answer({"symbol": symbol} | found)

    async def coins(self, request: web.Request) -> web.Response:
        """GET /v1beta3/crypto/us/snapshots: a symbol without any data is left out."""
        data_query.check_place(request.match_info["place"])
        data_query.check_names(request.query, ("symbols",))
        symbols = self._data.coins(data_query.required(request.query, "symbols"))
        found = {symbol: snapshot_json(self._data.history, symbol) for symbol in symbols}
        return answer({"snapshots": {symbol: shown for symbol, shown in found.items() if shown is not None}})
