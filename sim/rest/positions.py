"""Positions over REST: what is held, and closing it."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from aiohttp import web

from sim import refusals
from sim.accounts.desk import Desk, Desks
from sim.amounts import SMALLEST_QTY
from sim.broker import order_rules
from sim.broker.account_json import position_json, position_symbol
from sim.broker.order_requests import OrderRequest
from sim.broker.orders import Order, Ticket, order_json
from sim.broker.position import Position
from sim.refusals import Refused, malformed
from sim.rest import trading_query as asked
from sim.rest.assets import known
from sim.rest.door import ACCOUNT, answer
from sim.rest.trading_query import Query

_HUNDRED = Decimal(100)


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
        order = await desk.submit(_closing(desk, position, _part(position, request.query)))
        taken = order_json(order)
        await desk.let_updates_lead(order)
        return answer(taken)

    async def close_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions: 207 and one line for each position."""
        desk = self._desks.of(request[ACCOUNT])
        brokerage = desk.brokerage
        if asked.truth(request.query, "cancel_orders"):
            await _cancel_all(desk)
        done: list[dict[str, Any]] = []
        closing: list[Order] = []
        for _, position in sorted(brokerage.account.positions.items()):
            symbol = position_symbol(position.asset)
            try:
                order = await desk.submit(_closing(desk, position, abs(position.qty)))
            except Refused as refused:
                done.append({"symbol": symbol, "status": refused.status, "body": refused.body})
            else:
                done.append({"symbol": symbol, "status": 200, "body": order_json(order)})
                closing.append(order)
        await desk.let_updates_lead(*closing)
        return answer(done, 207)


async def _cancel_all(desk: Desk) -> None:
    """Cancel what is open; what turns out to be over needs no cancel any more."""
    for order in desk.brokerage.open_orders():
        try:
            await desk.cancel(order.id)
        except Refused:
            if order.is_open:
                raise


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


def _closing(desk: Desk, position: Position, qty: Decimal) -> Ticket:
    """A market order for so much of the position, under the rules of every other order."""
    request = OrderRequest(
        symbol=position.asset.symbol,
        qty=qty,
        side="sell" if position.qty > 0 else "buy",
        type="market",
        time_in_force="gtc" if position.asset.is_crypto else "day",
    )
    return order_rules.ticket(request, desk.assets, desk.new_id)


def _part(position: Position, query: Query) -> Decimal:
    """The quantity to close: all, `qty`, or `percentage` of it; whole shares stay whole."""
    held = abs(position.qty)
    qty, percentage = asked.amount(query, "qty"), asked.amount(query, "percentage", _HUNDRED)
    if qty is not None and percentage is not None:
        raise malformed("only one of qty or percentage is allowed")
    if qty is not None or percentage is None:
        return held if qty is None else qty
    stays_whole = held % 1 == 0 and not position.asset.is_crypto
    part = (held * percentage / _HUNDRED).quantize(Decimal(1) if stays_whole else SMALLEST_QTY, ROUND_DOWN)
    if part == 0:
        raise malformed(f"invalid percentage {percentage:f}; it is less than can be traded of {held:f}")
    return part
