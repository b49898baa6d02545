"""An account on the control endpoint: its ledger, and trades made by hand."""

from decimal import Decimal

import msgspec
from aiohttp import web

from bus.errors import InvalidInput
from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.amounts import SMALLEST_QTY, is_finer
from sim.broker.ledger import Ledger
from sim.broker.ledger_json import ledger_json
from sim.broker.order_rules import MOST
from sim.broker.orders import Ticket
from sim.control.bad_input import body_as
from sim.control.movements import MovementRoutes
from sim.rest.json_bodies import answer


class TradeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /trades; without a price the trade is made at the quote in force."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal | None = None
    account: str | None = None


class AccountRoutes:
    """The handlers; a request without `account`, an API key, is about the first account."""

    def __init__(self, accounts: TradingAccounts) -> None:
        self._accounts = accounts
        self._ledgers = {account.key: Ledger(account.brokerage.opening_cash) for account in accounts.all()}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/ledger", self.ledger),
            web.post("/trades", self.trade),
            *MovementRoutes(self._account).routes(),
        ]

    async def ledger(self, request: web.Request) -> web.Response:
        """GET /ledger: all of it, or from fill number `since` on."""
        account = self._account(request.query.get("account"))
        most = len(account.brokerage.fills)
        since = request.query.get("since", "0")
        # Digits beyond those of `most` are no number of a fill, and int() refuses thousands of them.
        if not (since.isascii() and since.isdecimal()) or len(since) > 20 or int(since) > most:
            raise InvalidInput(f"since is {since[:20]!r}; allowed: a whole number from 0 to {most}")
        return answer(ledger_json(account.brokerage, self._ledgers[account.key], int(since)))

    async def trade(self, request: web.Request) -> web.Response:
        """POST /trades: fill an order of the account at once, whatever the account allows."""
        wanted = await body_as(TradeRequest, request, "{symbol, side, qty[, price][, account]}")
        account = self._account(wanted.account)
        now_ns = account.clock.now_ns()
        ticket, price = _by_hand(account, wanted, now_ns)
        updates = account.brokerage.trade_by_hand(ticket, price, now_ns)
        account.publish_soon(updates)
        return answer({"order": updates[-1].order})

    def _account(self, key: str | None) -> TradingAccount:
        account = self._accounts.first if key is None else self._accounts.find(key)
        if account is None:
            raise InvalidInput("account is unknown; allowed: the API key of an account of this simulator")
        return account


def _by_hand(account: TradingAccount, wanted: TradeRequest, now_ns: int) -> tuple[Ticket, Decimal]:
    asset = account.assets.find(wanted.symbol)
    if asset is None:
        raise InvalidInput(f"symbol is {wanted.symbol!r}; allowed: a symbol of GET /v2/assets")
    if wanted.side not in ("buy", "sell"):
        raise InvalidInput(f"side is {wanted.side!r}; allowed: buy, sell")
    for name, amount in (("qty", wanted.qty), ("price", wanted.price)):
        if amount is not None and not (amount.is_finite() and 0 < amount <= MOST):
            raise InvalidInput(f"{name} is {amount}; allowed: more than 0, at most {MOST}")
        if amount is not None and is_finer(amount, SMALLEST_QTY):
            raise InvalidInput(f"{name} is {amount}; allowed: at most nine decimals")
    account.venue.ensure_quoted(asset, now_ns)
    touch = account.venue.market.touch(asset.symbol)
    quoted = None if touch is None else touch.ask if wanted.side == "buy" else touch.bid
    price = wanted.price if wanted.price is not None else quoted
    if price is None:
        raise InvalidInput(f"{asset.symbol} has no quote yet; give a price")
    time_in_force = "gtc" if asset.is_crypto else "day"
    ticket = Ticket(account.new_id(), asset, wanted.side, "market", time_in_force, wanted.qty)
    return ticket, price
