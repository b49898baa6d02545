"""The newest trades, quotes, bars and order books over REST."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from sim.exchange.market_messages import CryptoQuote, Message
from sim.exchange.order_books import whole_book
from sim.refusals import Refused
from sim.rest import data_query
from sim.rest.history import CHANNELS
from sim.rest.json_bodies import answer
from sim.rest.market_json import book_json, message_json
from sim.rest.market_reader import MarketReader

_OF_STOCKS = ("symbols", "feed", "currency")


class LatestRoutes:
    """The handlers."""

    def __init__(self, data: MarketReader) -> None:
        self._data = data

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; stocks and crypto pairs differ in the order of the path."""
        found = [web.get("/v1beta3/crypto/{place}/latest/orderbooks", self.books)]
        for channel in CHANNELS:
            found += [
                web.get(f"/v2/stocks/{channel}/latest", self._of_stocks(channel)),
                web.get(f"/v2/stocks/{{symbol}}/{channel}/latest", self._of_one_stock(channel)),
                web.get(f"/v1beta3/crypto/{{place}}/latest/{channel}", self._of_coins(channel)),
            ]
        return found

    def _of_stocks(self, channel: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            data_query.check_names(request.query, _OF_STOCKS)
            self._data.check_latest(request.query)
            symbols = self._data.stocks(data_query.required(request.query, "symbols"))
            return answer({channel: self._newest(channel, symbols)} | data_query.said_currency(request.query))

        return handle

    def _of_one_stock(self, channel: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            data_query.check_names(request.query, _OF_STOCKS[1:])
            self._data.check_latest(request.query)
            (symbol,) = self._data.stocks(data_query.alone(request.match_info["symbol"]))
            found = self._newest(channel, [symbol]).get(symbol)
            if found is None:
                raise Refused(404, None, f"no {channel[:-1]} found for {symbol}")
            return answer({"symbol": symbol, channel[:-1]: found} | data_query.said_currency(request.query))

        return handle

    def _of_coins(self, channel: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            return answer({channel: self._newest(channel, self._coins(request))})

        return handle

    async def books(self, request: web.Request) -> web.Response:
        """GET /v1beta3/crypto/us/latest/orderbooks: whole books, as the streams begin with."""
        found = {}
        for symbol in self._coins(request):
            quote = self._data.history.latest_quote(symbol)
            if isinstance(quote, CryptoQuote):
                found[symbol] = book_json(whole_book(quote, quote.time_ns))
        return answer({"orderbooks": found})

    def _coins(self, request: web.Request) -> list[str]:
        data_query.check_place(request.match_info["place"])
        data_query.check_names(request.query, ("symbols",))
        return self._data.coins(data_query.required(request.query, "symbols"))

    def _newest(self, channel: str, symbols: list[str]) -> dict[str, Any]:
        """Return the newest message by symbol; symbols without one are left out."""
        found = {symbol: self._last(channel, symbol) for symbol in symbols}
        return {symbol: message_json(last) for symbol, last in found.items() if last is not None}

    def _last(self, channel: str, symbol: str) -> Message | None:
        history = self._data.history
        if channel == "bars":
            return history.latest_minute(symbol)
        if channel == "quotes":
            return history.latest_quote(symbol)
        return history.latest_trade(symbol)
