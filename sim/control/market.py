"""The market on the control endpoint: halts, corrections, canceled and late trades, imbalances, news."""

from typing import Annotated, Any

import msgspec
from aiohttp import web

from sim.control.bad_input import body_as
from sim.incidents.market_events import MarketEvents
from sim.rest.json_bodies import answer
from sim.times import rfc3339

_Price = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
_Size = Annotated[int, msgspec.Meta(gt=0, le=10**9)] | Annotated[float, msgspec.Meta(gt=0, le=1e9)]
# So short that every article fits into the largest frame that all clients accept.
_Line = Annotated[str, msgspec.Meta(max_length=1_000)]
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_Symbols = Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=100)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class HaltRequest(_Request, frozen=True):
    """The body of POST /halts; `*` means every share, as in a market-wide circuit breaker."""

    symbol: str
    reason: str = "news_pending"


class ResumeRequest(_Request, frozen=True):
    """The body of POST /resumes; `*` means every halted share."""

    symbol: str


class CorrectionRequest(_Request, frozen=True):
    """The body of POST /corrections; without an id it is the symbol's last trade."""

    symbol: str
    id: int | None = None
    price: _Price | None = None
    size: _Size | None = None


class CancelRequest(_Request, frozen=True):
    """The body of POST /cancels; without an id it is the symbol's last trade."""

    symbol: str
    id: int | None = None
    is_error: bool = False


class LateTradeRequest(_Request, frozen=True):
    """The body of POST /late_trades."""

    symbol: str
    price: _Price | None = None
    size: _Size = 100


class ImbalanceRequest(_Request, frozen=True):
    """The body of POST /imbalances."""

    symbol: str
    price: _Price


class NewsRequest(_Request, frozen=True):
    """The body of POST /news."""

    headline: _Line
    symbols: _Symbols = []
    summary: _Text = ""
    author: _Line = "Nora Wire"
    content: _Text = ""


class MarketRoutes:
    """The handlers; each answers with the messages that the streams got."""

    def __init__(self, events: MarketEvents) -> None:
        self._events = events

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/halts", self.halt),
            web.post("/resumes", self.resume),
            web.post("/corrections", self.correct),
            web.post("/cancels", self.cancel),
            web.post("/late_trades", self.trade_late),
            web.post("/imbalances", self.imbalance),
            web.post("/news", self.report),
        ]

    async def halt(self, request: web.Request) -> web.Response:
        """POST /halts: halt trading in a share."""
        wanted = await body_as(HaltRequest, request, "{symbol[, reason]}")
        return _told(*self._events.halt(wanted.symbol, wanted.reason))

    async def resume(self, request: web.Request) -> web.Response:
        """POST /resumes: resume trading in a halted share."""
        wanted = await body_as(ResumeRequest, request, "{symbol}")
        return _told(*self._events.resume(wanted.symbol))

    async def correct(self, request: web.Request) -> web.Response:
        """POST /corrections: correct a past trade."""
        wanted = await body_as(CorrectionRequest, request, "{symbol[, id][, price][, size]}")
        return _told(self._events.correct(wanted.symbol, wanted.id, wanted.price, wanted.size))

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /cancels: cancel a past trade."""
        wanted = await body_as(CancelRequest, request, "{symbol[, id][, is_error]}")
        return _told(self._events.cancel(wanted.symbol, wanted.id, wanted.is_error))

    async def trade_late(self, request: web.Request) -> web.Response:
        """POST /late_trades: report a trade after its bar has ended."""
        wanted = await body_as(LateTradeRequest, request, "{symbol[, price][, size]}")
        return _told(self._events.trade_late(wanted.symbol, wanted.price, wanted.size))

    async def imbalance(self, request: web.Request) -> web.Response:
        """POST /imbalances: report orders without a counterpart."""
        wanted = await body_as(ImbalanceRequest, request, "{symbol, price}")
        return _told(self._events.imbalance(wanted.symbol, wanted.price))

    async def report(self, request: web.Request) -> web.Response:
        """POST /news: publish an article."""
        shape = "{headline[, symbols][, summary][, author][, content]}"
        wanted = await body_as(NewsRequest, request, shape)
        article = self._events.report(
            wanted.headline, wanted.summary, wanted.author, wanted.content, wanted.symbols
        )
        return answer({"id": article.id})


def _told(*messages: msgspec.Struct) -> web.Response:
    return answer({"told": [_json(message) for message in messages]})


def _json(message: msgspec.Struct) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(message)
    return body | {"t": rfc3339(body["t"])}
