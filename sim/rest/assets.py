"""Assets over REST."""

from aiohttp import web

from sim import refusals
from sim.exchange.assets import Asset, Assets, asset_json
from sim.rest import trading_query as asked
from sim.rest.json_bodies import answer

CLASSES = ("us_equity", "us_option", "crypto", "crypto_perp")
EXCHANGES = (
    "AMEX", "ARCA", "ASCX", "BATS", "NYSE", "NASDAQ", "NYSEARCA", "FTXU", "CBSE", "GNSS", "ERSX", "OTC",
    "CRYPTO",
)  # fmt: skip


class AssetRoutes:
    """The handlers; assets are the same for every account."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; a pair such as BTC/USD stands in the path with its slash."""
        return [
            web.get("/v2/assets", self.assets),
            web.get("/v2/assets/{symbol:.+}", self.asset),
        ]

    async def assets(self, request: web.Request) -> web.Response:
        """GET /v2/assets: all of them, or those of a status, class, exchange or symbol.

        With `attributes`, those that have one of them.
        """
        query = request.query
        status = asked.one_of(query, "status", ("active", "inactive", "all"), "all")
        asset_class = asked.one_of(query, "asset_class", CLASSES, "")
        exchange = asked.one_of(query, "exchange", EXCHANGES, "")
        attributes = set(asked.several(query, "attributes"))
        bodies = [
            body
            for body in map(asset_json, self._assets.all())
            if status in ("all", body["status"])
            and asset_class in ("", body["class"])
            and exchange in ("", body["exchange"])
            and (not attributes or not attributes.isdisjoint(body["attributes"]))
        ]
        return answer(sorted(bodies, key=lambda body: (body["class"], body["exchange"], body["symbol"])))

    async def asset(self, request: web.Request) -> web.Response:
        """GET /v2/assets/{symbol or id}."""
        return answer(asset_json(known(self._assets, request.match_info["symbol"])))


def known(assets: Assets, name: str) -> Asset:
    """Return the asset of a symbol or an id. Raises Refused (404)."""
    asset = assets.find(name)
    if asset is None:
        raise refusals.not_found(f"asset not found for {name}")
    return asset
