"""An account over the control endpoint: its ledger, and trades behind everybody's back."""

from decimal import Decimal

import msgspec
from aiohttp import web

from bus.errors import InvalidInput
from sim.accounts.desk import Desk, Desks
from sim.amounts import SMALLEST_QTY, is_finer
from sim.broker.ledger import Ledger
from sim.broker.ledger_json import ledger_json
from sim.broker.order_rules import MOST
from sim.broker.orders import Ticket
from sim.control.door import body_as
from sim.rest.door import answer


class TradeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /trades; without a price the trade happens at the quote in force."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal | None = None
    account: str | None = None


class AccountRoutes:
    """The handlers; what is asked without an `account`, an API key, concerns the first account."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self._ledgers = {desk.key: Ledger(desk.brokerage.opening_cash) for desk in desks.all()}

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [web.get("/ledger", self.ledger), web.post("/trades", self.trade)]

    async def ledger(self, request: web.Request) -> web.Response:
        """GET /ledger, whole or `?since` the number of a fill."""
        desk = self._desk(request.query.get("account"))
        most = len(desk.brokerage.fills)
        since = request.query.get("since", "0")
        # Digits beyond those of `most` are no number of a fill, and int() refuses thousands of them.
        if not (since.isascii() and since.isdecimal()) or len(since) > 20 or int(since) > most:
            raise InvalidInput(f"since is {since[:20]!r}; allowed: a whole number from 0 to {most}")
        return answer(ledger_json(desk.brokerage, self._ledgers[desk.key], int(since)))

    async def trade(self, request: web.Request) -> web.Response:
        """POST /trades: an order by the account itself, filled at once, whatever the account allows."""
        wanted = await body_as(TradeRequest, request, "{symbol, side, qty[, price][, account]}")
        desk = self._desk(wanted.account)
        now_ns = desk.clock.now_ns()
        ticket, price = _by_hand(desk, wanted, now_ns)
        updates = desk.brokerage.trade_by_hand(ticket, price, now_ns)
        desk.publish_soon(updates)
        return answer({"order": updates[-1].order})

    def _desk(self, account: str | None) -> Desk:
        desk = self._desks.first if account is None else self._desks.find(account)
        if desk is None:
            raise InvalidInput("account is unknown; allowed: the API key of an account of this simulator")
        return desk


def _by_hand(desk: Desk, wanted: TradeRequest, now_ns: int) -> tuple[Ticket, Decimal]:
    asset = desk.assets.find(wanted.symbol)
    if asset is None:
        raise InvalidInput(f"symbol is {wanted.symbol!r}; allowed: a symbol of GET /v2/assets")
    if wanted.side not in ("buy", "sell"):
        raise InvalidInput(f"side is {wanted.side!r}; allowed: buy, sell")
    for name, amount in (("qty", wanted.qty), ("price", wanted.price)):
        if amount is not None and not (amount.is_finite() and 0 < amount <= MOST):
            raise InvalidInput(f"{name} is {amount}; allowed: more than 0, at most {MOST}")
        if amount is not None and is_finer(amount, SMALLEST_QTY):
            raise InvalidInput(f"{name} is {amount}; allowed: at most nine decimals")
    desk.venue.ensure_quoted(asset, now_ns)
    touch = desk.venue.market.touch(asset.symbol)
    quoted = None if touch is None else touch.ask if wanted.side == "buy" else touch.bid
    price = wanted.price if wanted.price is not None else quoted
    if price is None:
        raise InvalidInput(f"{asset.symbol} has no quote yet; give a price")
    time_in_force = "gtc" if asset.is_crypto else "day"
    ticket = Ticket(desk.new_id(), asset, wanted.side, "market", time_in_force, wanted.qty)
    return ticket, price
