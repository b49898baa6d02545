"""The account over REST."""

from aiohttp import web

from sim.accounts.trading_account import TradingAccounts
from sim.broker.account_json import account_json
from sim.rest.json_bodies import answer
from sim.rest.middleware import ACCOUNT


class AccountRoutes:
    """The handlers; each request is about the authenticated account."""

    def __init__(self, accounts: TradingAccounts) -> None:
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v2/account", self.account)]

    async def account(self, request: web.Request) -> web.Response:
        """GET /v2/account."""
        account = self._accounts.of(request[ACCOUNT])
        return answer(account_json(account.brokerage))
