"""Assets over REST."""

from aiohttp import web

from sim import refusals
from sim.exchange.assets import Asset, Assets, asset_json
from sim.rest.door import answer


class AssetRoutes:
    """The handlers; assets are the same for every account."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def routes(self) -> list[web.RouteDef]:
        """What is answered where; a pair such as BTC/USD stands in the path with its slash."""
        return [
            web.get("/v2/assets", self.assets),
            web.get("/v2/assets/{symbol:.+}", self.asset),
        ]

    async def assets(self, request: web.Request) -> web.Response:
        """GET /v2/assets with status, asset_class and exchange."""
        query = request.query
        chosen = [
            asset_json(asset)
            for asset in self._assets.all()
            if query.get("asset_class", asset.asset_class) == asset.asset_class
            and query.get("exchange", asset.exchange) == asset.exchange
            and query.get("status", "active") in ("active", "all", "")
        ]
        return answer(chosen)

    async def asset(self, request: web.Request) -> web.Response:
        """GET /v2/assets/{symbol or id}."""
        return answer(asset_json(known(self._assets, request.match_info["symbol"])))


def known(assets: Assets, name: str) -> Asset:
    """The asset of a symbol or an id; raises Refused (404)."""
    asset = assets.find(name)
    if asset is None:
        raise refusals.not_found(f"asset not found for {name}")
    return asset
