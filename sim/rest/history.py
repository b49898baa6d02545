"""Past trades, quotes and bars over REST, in pages: of many symbols, or of one share."""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from sim.exchange.market_messages import Message
from sim.exchange.timeframes import timeframe
from sim.rest import data_query
from sim.rest.data_query import OF_STOCKS, PAGED, Query, Window
from sim.rest.json_bodies import answer
from sim.rest.market_json import message_json
from sim.rest.market_reader import MarketReader
from sim.rest.pages import select

CHANNELS = ("trades", "quotes", "bars")
_OF_STOCK_BARS = ("timeframe", "adjustment")
_ALONE = tuple(name for name in PAGED if name != "symbols")


class HistoryRoutes:
    """The handlers."""

    def __init__(self, data: MarketReader) -> None:
        self._data = data

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        found: list[web.RouteDef] = []
        for channel in CHANNELS:
            found += [
                web.get(f"/v2/stocks/{channel}", self._of_stocks(channel)),
                web.get(f"/v2/stocks/{{symbol}}/{channel}", self._of_one_stock(channel)),
                web.get(f"/v1beta3/crypto/{{place}}/{channel}", self._of_coins(channel)),
            ]
        return found

    def _of_stocks(self, channel: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            query = request.query
            data_query.check_names(query, PAGED + OF_STOCKS + (_OF_STOCK_BARS if channel == "bars" else ()))
            symbols = self._data.stocks(data_query.required(query, "symbols"))
            shown, token = self._page(channel, symbols, query, self._data.stock_window(query))
            return answer({channel: shown, "next_page_token": token} | data_query.said_currency(query))

        return handle

    def _of_one_stock(self, channel: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            query = request.query
            data_query.check_names(query, _ALONE + OF_STOCKS + (_OF_STOCK_BARS if channel == "bars" else ()))
            (symbol,) = self._data.stocks(data_query.alone(request.match_info["symbol"]))
            shown, token = self._page(channel, [symbol], query, self._data.stock_window(query))
            # Without messages Alpaca answers null for one symbol, and an empty map for many.
            body = {channel: shown.get(symbol), "symbol": symbol, "next_page_token": token}
            return answer(body | data_query.said_currency(query))

        return handle

    def _of_coins(self, channel: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            query = request.query
            data_query.check_place(request.match_info["place"])
            data_query.check_names(query, (*PAGED, "timeframe") if channel == "bars" else PAGED)
            symbols = self._data.coins(data_query.required(query, "symbols"))
            shown, token = self._page(channel, symbols, query, self._data.coin_window(query))
            return answer({channel: shown, "next_page_token": token})

        return handle

    def _page(
        self, channel: str, symbols: list[str], query: Query, window: Window
    ) -> tuple[dict[str, Any], str | None]:
        page, token = select(
            symbols,
            self._kept(channel, query),
            window,
            data_query.limit(query),
            is_descending=data_query.is_descending(query),
            token=query.get("page_token"),
        )
        return {symbol: [self._shown(message) for message in part] for symbol, part in page.items()}, token

    def _kept(self, channel: str, query: Query) -> Callable[[str], Sequence[Message]]:
        """Return the function that reads a symbol's messages."""
        history = self._data.history
        if channel == "bars":
            asked = timeframe(data_query.required(query, "timeframe"))
            data_query.check_adjustment(query)
            return lambda symbol: history.bars(symbol, asked)
        return history.quotes if channel == "quotes" else history.trades

    def _shown(self, message: Message) -> dict[str, Any]:
        change = self._data.history.change_of(message)
        return message_json(message) if change is None else message_json(message) | {"u": change}
