"""Market data over REST: the latest and the history of what was played, in pages."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from sim import refusals
from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.market_messages import Bar, Message
from sim.exchange.timeframes import aggregate, period
from sim.rest.door import answer
from sim.times import parse_ns, rfc3339
from sim.venue import Venue

CHANNELS = ("trades", "quotes", "bars")
DEFAULT_LIMIT = 1000
MOST = 10_000


def message_json(message: Message) -> dict[str, Any]:
    """A message as REST shows it: without type and symbol."""
    body: dict[str, Any] = msgspec.to_builtins(message)
    del body["T"], body["S"]
    body["t"] = rfc3339(message.time_ns)
    return body


class DataRoutes:
    """The handlers, on one venue and the assets that trade there."""

    def __init__(self, venue: Venue, assets: Assets, clock: Clock) -> None:
        self._venue = venue
        self._assets = assets
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """What is answered where; stocks and coins differ in the order of the path."""
        found = [
            web.get("/v2/stocks/snapshots", self.stock_snapshots),
            web.get("/v1beta3/crypto/us/snapshots", self.crypto_snapshots),
        ]
        for channel in CHANNELS:
            latest, history = self._latest(channel), self._history(channel)
            found += [
                web.get(f"/v2/stocks/{channel}/latest", latest),
                web.get(f"/v1beta3/crypto/us/latest/{channel}", latest),
                web.get(f"/v2/stocks/{channel}", history),
                web.get(f"/v1beta3/crypto/us/{channel}", history),
            ]
        return found

    def _latest(self, channel: str) -> Any:
        async def handle(request: web.Request) -> web.Response:
            found = {symbol: self._last(channel, symbol) for symbol in self._quoted(request.query)}
            shown = {symbol: message_json(last) for symbol, last in found.items() if last is not None}
            return answer({channel: shown})

        return handle

    def _history(self, channel: str) -> Any:
        async def handle(request: web.Request) -> web.Response:
            query = request.query
            if channel == "bars":
                length = period(query.get("timeframe", "1Min"))
                kept = {
                    symbol: list[Message](
                        aggregate([b for b in self._kept(channel, symbol) if isinstance(b, Bar)], length)
                    )
                    for symbol in self._quoted(query)
                }
            else:
                kept = {symbol: self._kept(channel, symbol) for symbol in self._quoted(query)}
            page, token = select(kept, query)
            shown = {symbol: [message_json(message) for message in part] for symbol, part in page.items()}
            return answer({channel: shown, "next_page_token": token})

        return handle

    async def stock_snapshots(self, request: web.Request) -> web.Response:
        """GET /v2/stocks/snapshots: a bare map by symbol."""
        return answer({symbol: self._snapshot(symbol) for symbol in self._quoted(request.query)})

    async def crypto_snapshots(self, request: web.Request) -> web.Response:
        """GET /v1beta3/crypto/us/snapshots."""
        return answer(
            {"snapshots": {symbol: self._snapshot(symbol) for symbol in self._quoted(request.query)}}
        )

    def _quoted(self, query: Mapping[str, str]) -> list[str]:
        """The symbols asked for; what is asked about trades from now on, if it did not before."""
        symbols = _symbols(query)
        for symbol in symbols:
            asset = self._assets.find(symbol)
            if asset is not None:
                self._venue.ensure_quoted(asset, self._clock.now_ns())
        return symbols

    def _snapshot(self, symbol: str) -> dict[str, Any]:
        trade, quote = self._last("trades", symbol), self._last("quotes", symbol)
        minute = self._last("bars", symbol)
        minutes = [bar for bar in self._kept("bars", symbol) if isinstance(bar, Bar)]
        days = aggregate(minutes or ([minute] if isinstance(minute, Bar) else []), period("1Day"))
        return {
            "latestTrade": None if trade is None else message_json(trade),
            "latestQuote": None if quote is None else message_json(quote),
            "minuteBar": None if minute is None else message_json(minute),
            "dailyBar": message_json(days[-1]) if days else None,
            "prevDailyBar": message_json(days[-2]) if len(days) > 1 else None,
        }

    def _last(self, channel: str, symbol: str) -> Message | None:
        if channel == "bars":
            return self._venue.latest_bar(symbol)
        return self._venue.market.latest(channel, symbol)

    def _kept(self, channel: str, symbol: str) -> list[Message]:
        kept = self._venue.market.history(channel, symbol)
        unfinished = self._venue.unfinished_bar(symbol) if channel == "bars" else None
        return kept if unfinished is None else [*kept, unfinished]


def select(
    kept: dict[str, list[Message]], query: Mapping[str, str]
) -> tuple[dict[str, list[Message]], str | None]:
    """One page: by symbol, then by time, both ends of the interval included; and the next page's token.

    The token says which symbol and time the page ended at, and how many messages of that very time it gave.
    """
    start_ns, end_ns = _moment(query, "start", 0), _moment(query, "end", 1 << 62)
    is_descending = query.get("sort", "asc") == "desc"
    left = _limit(query)
    after = _read_token(query.get("page_token"))
    page: dict[str, list[Message]] = {}
    for symbol in sorted(kept):
        if after is not None and symbol < after[0]:
            continue
        found = [message for message in kept[symbol] if start_ns <= message.time_ns <= end_ns]
        if is_descending:
            found.reverse()
        if after is not None and symbol == after[0]:
            found = _rest(found, after[1], after[2], is_descending)
        if not found:
            continue
        page[symbol] = found[:left]
        if len(found) > left:
            token = _token(found, left, after)
            return {s: part for s, part in page.items() if part}, token
        left -= len(found)
    return page, None


def _rest(found: list[Message], time_ns: int, given: int, is_descending: bool) -> list[Message]:
    if is_descending:
        later = [message for message in found if message.time_ns <= time_ns]
    else:
        later = [message for message in found if message.time_ns >= time_ns]
    return later[given:]


def _token(found: list[Message], given: int, after: tuple[str, int, int] | None) -> str:
    """The token of a page that gave the first `given` of these; if none, the next begins there."""
    last = found[max(given - 1, 0)]
    same = sum(message.time_ns == last.time_ns for message in found[:given])
    if after is not None and after[:2] == (last.symbol, last.time_ns):
        same += after[2]
    return base64.urlsafe_b64encode(f"{last.symbol}|{last.time_ns}|{same}".encode()).decode()


def _read_token(token: str | None) -> tuple[str, int, int] | None:
    if not token:
        return None
    try:
        symbol, time_ns, given = base64.urlsafe_b64decode(token).decode().split("|")
        return symbol, int(time_ns), int(given)
    except (binascii.Error, ValueError) as error:
        raise refusals.Refused(400, None, "invalid page_token") from error


def _symbols(query: Mapping[str, str]) -> list[str]:
    text = query.get("symbols", "")
    if not text:
        raise refusals.Refused(400, None, "symbols is required")
    return sorted(set(text.split(",")))


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise refusals.Refused(400, None, f"invalid limit {text}; allowed: 1 to {MOST}")
    return int(text)


def _moment(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if not text:
        return default
    try:
        return parse_ns(text)
    except ValueError as error:
        raise refusals.Refused(400, None, f"invalid {name} {text}; allowed: RFC 3339, or a date") from error
