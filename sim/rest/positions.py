"""Positions over REST: show and close them."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from aiohttp import web

from sim import refusals
from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.amounts import SMALLEST_QTY
from sim.broker import order_rules
from sim.broker.account_json import position_json, position_symbol
from sim.broker.order_requests import OrderRequest
from sim.broker.orders import Order, Ticket, order_json
from sim.broker.position import Position
from sim.refusals import Refused, malformed
from sim.rest import trading_query as asked
from sim.rest.assets import known
from sim.rest.json_bodies import answer
from sim.rest.middleware import ACCOUNT
from sim.rest.trading_query import Query

_HUNDRED = Decimal(100)


class PositionRoutes:
    """The handlers; each request is about the authenticated account."""

    def __init__(self, accounts: TradingAccounts) -> None:
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; a pair such as BTC/USD stands in the path with its slash."""
        return [
            web.get("/v2/positions", self.positions),
            web.get("/v2/positions/{symbol:.+}", self.position),
            web.delete("/v2/positions", self.close_all),
            web.delete("/v2/positions/{symbol:.+}", self.close),
        ]

    async def positions(self, request: web.Request) -> web.Response:
        """GET /v2/positions."""
        account = self._accounts.of(request[ACCOUNT])
        held = account.brokerage.account.positions
        return answer([_position_json(account, held[symbol]) for symbol in sorted(held)])

    async def position(self, request: web.Request) -> web.Response:
        """GET /v2/positions/{symbol}."""
        account = self._accounts.of(request[ACCOUNT])
        return answer(_position_json(account, _held(account, request.match_info["symbol"])))

    async def close(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions/{symbol}: a market order for all, a quantity or a percentage of it."""
        account = self._accounts.of(request[ACCOUNT])
        position = _held(account, request.match_info["symbol"])
        order = await account.submit(_closing(account, position, _part(position, request.query)))
        taken = order_json(order)
        await account.send_updates_first(order)
        return answer(taken)

    async def close_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/positions: 207 and one line for each position."""
        account = self._accounts.of(request[ACCOUNT])
        brokerage = account.brokerage
        if asked.truth(request.query, "cancel_orders"):
            await _cancel_all(account)
        done: list[dict[str, Any]] = []
        closing: list[Order] = []
        for _, position in sorted(brokerage.account.positions.items()):
            symbol = position_symbol(position.asset)
            try:
                order = await account.submit(_closing(account, position, abs(position.qty)))
            except Refused as refused:
                done.append({"symbol": symbol, "status": refused.status, "body": refused.body})
            else:
                done.append({"symbol": symbol, "status": 200, "body": order_json(order)})
                closing.append(order)
        await account.send_updates_first(*closing)
        return answer(done, 207)


async def _cancel_all(account: TradingAccount) -> None:
    """Cancel the open orders; one that has ended meanwhile needs no cancel."""
    for order in account.brokerage.open_orders():
        try:
            await account.cancel(order.id)
        except Refused:
            if order.is_open:
                raise


def _held(account: TradingAccount, name: str) -> Position:
    asset = known(account.assets, name)
    position = account.brokerage.account.positions.get(asset.symbol)
    if position is None:
        raise refusals.not_found("position does not exist")
    return position


def _position_json(account: TradingAccount, position: Position) -> dict[str, Any]:
    brokerage, symbol = account.brokerage, position.asset.symbol
    close = brokerage.account.last_close
    return position_json(position, brokerage.mark(symbol), brokerage.open_orders(symbol), close)


def _closing(account: TradingAccount, position: Position, qty: Decimal) -> Ticket:
    """Return a market order for so much of the position, under the rules of every other order."""
    request = OrderRequest(
        symbol=position.asset.symbol,
        qty=qty,
        side="sell" if position.qty > 0 else "buy",
        type="market",
        time_in_force="gtc" if position.asset.is_crypto else "day",
    )
    return order_rules.ticket(request, account.assets, account.new_id)


def _part(position: Position, query: Query) -> Decimal:
    """Return the quantity to close: all, `qty`, or `percentage` of it; whole shares stay whole."""
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
