"""Corporate actions over REST: there are none in this market, no splits, dividends or mergers."""

from aiohttp import web

from sim.rest import data_query
from sim.rest.data_query import PAGED
from sim.rest.json_bodies import answer


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/corporate-actions", corporate_actions)]


async def corporate_actions(request: web.Request) -> web.Response:
    """GET /v1/corporate-actions: empty, for every kind."""
    query = request.query
    data_query.check_names(query, (*PAGED, "cusips", "types", "ids"))
    data_query.limit(query, most=1_000)
    data_query.is_descending(query)
    return answer({"corporate_actions": {}, "next_page_token": None})
