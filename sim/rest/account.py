"""The account over REST: balances, positions and closing them, assets, clock, calendar."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from sim import refusals
from sim.amounts import SMALLEST_QTY
from sim.broker.account import Position
from sim.broker.account_json import account_json, position_json
from sim.broker.orders import Ticket, order_json
from sim.desk import Desk
from sim.exchange.assets import Asset, asset_json
from sim.exchange.sessions import NEW_YORK, next_close, next_open, sessions
from sim.refusals import Refused
from sim.rest.door import answer, is_true


class AccountRoutes:
    """The handlers, on one desk."""

    def __init__(self, desk: Desk, created_ns: int) -> None:
        self._desk = desk
        self._created_ns = created_ns
        self._account_id = desk.new_id()

    def routes(self) -> list[web.RouteDef]:
        """What is answered where; a pair such as BTC/USD stands in the path with its slash."""
        return [
            web.get("/v2/account", self.account),
            web.get("/v2/positions", self.positions),
            web.get("/v2/positions/{symbol:.+}", self.position),
            web.delete("/v2/positions", self.close_all),
            web.delete("/v2/positions/{symbol:.+}", self.close),
            web.get("/v2/assets", self.assets),
            web.get("/v2/assets/{symbol:.+}", self.asset),
            web.get("/v2/clock", self.clock),
            web.get("/v2/calendar", self.calendar),
        ]

    async def account(self, request: web.Request) -> web.Response:
        """GET /v2/account."""
        brokerage = self._desk.brokerage
        return answer(
            account_json(self._account_id, self._created_ns, brokerage.opening_cash, brokerage.summary())
        )

    async def positions(self, request: web.Request) -> web.Response:
        """GET /v2/positions."""
        held = self._desk.brokerage.account.positions
        return answer([self._position_json(held[symbol]) for symbol in sorted(held)])

    async def position(self, request: web.Request) -> web.Response:
        """GET /v2/positions/{symbol}."""
        return answer(self._position_json(self._held(request.match_info["symbol"])))

    async def close(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions/{symbol}: a market order for all, a quantity or a percentage of it."""
        position = self._held(request.match_info["symbol"])
        order = await self._desk.submit(self._closing(position, request.query))
        taken = order_json(order)
        await self._desk.let_updates_lead()
        return answer(taken)

    async def close_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions: 207 and one line for each position."""
        brokerage = self._desk.brokerage
        if is_true(request.query.get("cancel_orders")):
            for order in brokerage.open_orders():
                await self._desk.cancel(order.id)
        done: list[dict[str, Any]] = []
        for symbol, position in sorted(brokerage.account.positions.items()):
            try:
                order = await self._desk.submit(self._closing(position, {}))
            except Refused as refused:
                done.append({"symbol": symbol, "status": refused.status, "body": refused.body})
            else:
                done.append({"symbol": symbol, "status": 200, "body": order_json(order)})
        await self._desk.let_updates_lead()
        return answer(done, 207)

    async def assets(self, request: web.Request) -> web.Response:
        """GET /v2/assets with status, asset_class and exchange."""
        query = request.query
        chosen = [
            asset_json(asset)
            for asset in self._desk.assets.all()
            if query.get("asset_class", asset.asset_class) == asset.asset_class
            and query.get("exchange", asset.exchange) == asset.exchange
            and query.get("status", "active") in ("active", "all", "")
        ]
        return answer(chosen)

    async def asset(self, request: web.Request) -> web.Response:
        """GET /v2/assets/{symbol or id}."""
        return answer(asset_json(self._known(request.match_info["symbol"])))

    async def clock(self, request: web.Request) -> web.Response:
        """GET /v2/clock: this market never closes; open and close are New York's next."""
        now = datetime.now(UTC).astimezone(NEW_YORK)
        return answer(
            {
                "timestamp": now.isoformat(),
                "is_open": True,
                "next_open": next_open(now).isoformat(),
                "next_close": next_close(now).isoformat(),
            }
        )

    async def calendar(self, request: web.Request) -> web.Response:
        """GET /v2/calendar: New York's sessions, by default of this year."""
        today = datetime.now(UTC).astimezone(NEW_YORK).date()
        start = _day(request.query, "start", date(today.year, 1, 1))
        end = _day(request.query, "end", date(today.year, 12, 31))
        return answer(
            [
                {
                    "date": session.day.isoformat(),
                    "open": session.opens_at.strftime("%H:%M"),
                    "close": session.closes_at.strftime("%H:%M"),
                    "session_open": "0400",
                    "session_close": "2000",
                }
                for session in sessions(start, end)
            ]
        )

    def _known(self, name: str) -> Asset:
        asset = self._desk.assets.find(name)
        if asset is None:
            raise refusals.not_found(f"asset not found for {name}")
        return asset

    def _held(self, name: str) -> Position:
        asset = self._known(name)
        position = self._desk.brokerage.account.positions.get(asset.symbol)
        if position is None:
            raise refusals.not_found("position does not exist")
        return position

    def _position_json(self, position: Position) -> dict[str, Any]:
        brokerage, symbol = self._desk.brokerage, position.asset.symbol
        return position_json(position, brokerage.mark(symbol), brokerage.open_orders(symbol))

    def _closing(self, position: Position, query: Mapping[str, str]) -> Ticket:
        qty = _part(abs(position.qty), query)
        return Ticket(
            client_order_id=self._desk.new_id(),
            asset=position.asset,
            side="sell" if position.qty > 0 else "buy",
            type="market",
            time_in_force="gtc" if position.asset.is_crypto else "day",
            qty=qty,
        )


def _part(held: Decimal, query: Mapping[str, str]) -> Decimal:
    """The quantity to close: all, `qty`, or `percentage` of it."""
    if "qty" in query and "percentage" in query:
        raise refusals.malformed("only one of qty or percentage is allowed")
    try:
        if "qty" in query:
            part = Decimal(query["qty"])
        else:
            part = held * Decimal(query.get("percentage", "100")) / 100
    except InvalidOperation as error:
        raise refusals.malformed("qty and percentage must be numbers") from error
    if not part.is_finite() or part <= 0:
        raise refusals.malformed("qty and percentage must be > 0")
    if part > held:
        raise refusals.invalid(f"qty must not be more than the position's {held:f}")
    return part.quantize(SMALLEST_QTY, ROUND_DOWN)


def _day(query: Mapping[str, str], name: str, default: date) -> date:
    text = query.get(name)
    if not text:
        return default
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise refusals.invalid(f"invalid {name} {text}; allowed: a date such as 2026-01-31") from error
