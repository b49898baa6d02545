"""An account's configurations over REST."""

from aiohttp import web

from sim.accounts.trading_account import TradingAccounts
from sim.broker.configurations import ConfigurationsRequest, changed, configurations_json
from sim.rest.json_bodies import answer, body_as
from sim.rest.middleware import ACCOUNT


class ConfigurationRoutes:
    """The handlers; each request is about the authenticated account."""

    def __init__(self, accounts: TradingAccounts) -> None:
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v2/account/configurations", self.show),
            web.patch("/v2/account/configurations", self.change),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """GET /v2/account/configurations."""
        account = self._accounts.of(request[ACCOUNT]).brokerage.account
        return answer(configurations_json(account.configurations))

    async def change(self, request: web.Request) -> web.Response:
        """PATCH /v2/account/configurations: the given settings hold from the next order on."""
        account = self._accounts.of(request[ACCOUNT]).brokerage.account
        wanted = body_as(ConfigurationsRequest, await request.read())
        account.configurations = changed(account.configurations, wanted)
        return answer(configurations_json(account.configurations))
