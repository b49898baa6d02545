"""The account itself over REST."""

from aiohttp import web

from sim.accounts.desk import Desks
from sim.broker.account_json import account_json
from sim.rest.door import ACCOUNT, answer


class AccountRoutes:
    """The handlers; each request is about the account it came from."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [web.get("/v2/account", self.account)]

    async def account(self, request: web.Request) -> web.Response:
        """GET /v2/account."""
        desk = self._desks.of(request[ACCOUNT])
        return answer(account_json(desk.brokerage))
