"""Watchlists over REST, by id and by name."""

from uuid import UUID

import msgspec
from aiohttp import web

from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.broker.watchlists import Watchlist, Watchlists, watchlist_json
from sim.exchange.assets import Asset, Assets, asset_json
from sim.refusals import malformed
from sim.rest.assets import known
from sim.rest.json_bodies import answer, body_as
from sim.rest.middleware import ACCOUNT

_BY_NAME = "/v2/watchlists:by_name"
_BY_ID = "/v2/watchlists/{watchlist_id}"


class WatchlistRequest(msgspec.Struct, frozen=True):
    """The body of POST and PUT; a null symbol is ignored."""

    name: str | None = None
    symbols: list[str | None] | None = None


class SymbolRequest(msgspec.Struct, frozen=True):
    """The body of POST to one list."""

    symbol: str | None = None


class WatchlistRoutes:
    """The handlers; each request is about the lists of the authenticated account."""

    def __init__(self, accounts: TradingAccounts, assets: Assets) -> None:
        self._accounts = accounts
        self._assets = assets
        self._lists = {account.key: Watchlists() for account in accounts.all()}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; a pair such as BTC/USD stands in the path with its slash."""
        found = [web.get("/v2/watchlists", self.watchlists), web.post("/v2/watchlists", self.create)]
        for path in (_BY_NAME, _BY_ID):
            found += [
                web.get(path, self.watchlist),
                web.put(path, self.update),
                web.post(path, self.add),
                web.delete(path, self.delete),
            ]
        return [*found, web.delete(_BY_ID + "/{symbol:.+}", self.remove)]

    async def watchlists(self, request: web.Request) -> web.Response:
        """GET /v2/watchlists: all, without their assets."""
        account, lists = self._of(request)
        return answer([watchlist_json(one, account.brokerage.account_id) for one in lists.all()])

    async def watchlist(self, request: web.Request) -> web.Response:
        """GET one list."""
        account, lists = self._of(request)
        return _shown(account, _named(request, lists))

    async def create(self, request: web.Request) -> web.Response:
        """POST /v2/watchlists."""
        account, lists = self._of(request)
        wanted = body_as(WatchlistRequest, await request.read())
        assets = self._all(wanted.symbols or [])
        return _shown(account, lists.create(account.new_id(), wanted.name, assets, account.clock.now_ns()))

    async def update(self, request: web.Request) -> web.Response:
        """PUT one list: its name, its assets or both."""
        account, lists = self._of(request)
        watchlist = _named(request, lists)
        wanted = body_as(WatchlistRequest, await request.read())
        assets = None if wanted.symbols is None else self._all(wanted.symbols)
        lists.update(watchlist, wanted.name, assets, account.clock.now_ns())
        return _shown(account, watchlist)

    async def add(self, request: web.Request) -> web.Response:
        """POST to one list: add an asset."""
        account, lists = self._of(request)
        watchlist = _named(request, lists)
        wanted = body_as(SymbolRequest, await request.read())
        if not wanted.symbol:
            raise malformed("symbol is required")
        lists.add(watchlist, known(self._assets, wanted.symbol), account.clock.now_ns())
        return _shown(account, watchlist)

    async def remove(self, request: web.Request) -> web.Response:
        """DELETE one of a list's assets."""
        account, lists = self._of(request)
        watchlist = _named(request, lists)
        lists.remove(watchlist, known(self._assets, request.match_info["symbol"]), account.clock.now_ns())
        return _shown(account, watchlist)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE one list: 204."""
        _, lists = self._of(request)
        lists.delete(_named(request, lists))
        return web.Response(status=204)

    def _of(self, request: web.Request) -> tuple[TradingAccount, Watchlists]:
        account = self._accounts.of(request[ACCOUNT])
        return account, self._lists[account.key]

    def _all(self, symbols: list[str | None]) -> list[Asset]:
        return [known(self._assets, symbol) for symbol in symbols if symbol is not None]


def _named(request: web.Request, lists: Watchlists) -> Watchlist:
    text = request.match_info.get("watchlist_id")
    if text is None:
        name = request.query.get("name")
        if not name:
            raise malformed("name is required")
        return lists.find_by_name(name)
    try:
        return lists.find(str(UUID(text)))
    except ValueError as error:
        raise malformed("watchlist_id is missing") from error


def _shown(account: TradingAccount, watchlist: Watchlist) -> web.Response:
    body = watchlist_json(watchlist, account.brokerage.account_id)
    return answer(body | {"assets": [asset_json(asset) for asset in watchlist.assets]})
