"""Positions over REST: what is held, and closing it."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from sim import refusals
from sim.amounts import SMALLEST_QTY
from sim.broker.account import Position
from sim.broker.account_json import position_json
from sim.broker.orders import Order, Ticket, order_json
from sim.desk import Desk, Desks
from sim.refusals import Refused
from sim.rest.assets import known
from sim.rest.door import ACCOUNT, answer, is_true


class PositionRoutes:
    """The handlers; each request is about the account it came from."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    def routes(self) -> list[web.RouteDef]:
        """What is answered where; a pair such as BTC/USD stands in the path with its slash."""
        return [
            web.get("/v2/positions", self.positions),
            web.get("/v2/positions/{symbol:.+}", self.position),
            web.delete("/v2/positions", self.close_all),
            web.delete("/v2/positions/{symbol:.+}", self.close),
        ]

    async def positions(self, request: web.Request) -> web.Response:
        """GET /v2/positions."""
        desk = self._desks.of(request[ACCOUNT])
        held = desk.brokerage.account.positions
        return answer([_position_json(desk, held[symbol]) for symbol in sorted(held)])

    async def position(self, request: web.Request) -> web.Response:
        """GET /v2/positions/{symbol}."""
        desk = self._desks.of(request[ACCOUNT])
        return answer(_position_json(desk, _held(desk, request.match_info["symbol"])))

    async def close(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions/{symbol}: a market order for all, a quantity or a percentage of it."""
        desk = self._desks.of(request[ACCOUNT])
        position = _held(desk, request.match_info["symbol"])
        order = await desk.submit(_closing(desk, position, request.query))
        taken = order_json(order)
        await desk.let_updates_lead(order)
        return answer(taken)

    async def close_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions: 207 and one line for each position."""
        desk = self._desks.of(request[ACCOUNT])
        brokerage = desk.brokerage
        if is_true(request.query.get("cancel_orders")):
            for order in brokerage.open_orders():
                await desk.cancel(order.id)
        done: list[dict[str, Any]] = []
        closing: list[Order] = []
        for symbol, position in sorted(brokerage.account.positions.items()):
            try:
                order = await desk.submit(_closing(desk, position, {}))
            except Refused as refused:
                done.append({"symbol": symbol, "status": refused.status, "body": refused.body})
            else:
                done.append({"symbol": symbol, "status": 200, "body": order_json(order)})
                closing.append(order)
        await desk.let_updates_lead(*closing)
        return answer(done, 207)


def _held(desk: Desk, name: str) -> Position:
    asset = known(desk.assets, name)
    position = desk.brokerage.account.positions.get(asset.symbol)
    if position is None:
        raise refusals.not_found("position does not exist")
    return position


def _position_json(desk: Desk, position: Position) -> dict[str, Any]:
    brokerage, symbol = desk.brokerage, position.asset.symbol
    close = brokerage.account.last_close
    return position_json(position, brokerage.mark(symbol), brokerage.open_orders(symbol), close)


def _closing(desk: Desk, position: Position, query: Mapping[str, str]) -> Ticket:
    qty = _part(abs(position.qty), query)
    return Ticket(
        client_order_id=desk.new_id(),
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
