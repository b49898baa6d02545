"""How the run stands, over the control endpoint."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from sim.rest.json_bodies import answer


def routes(state: Callable[[], dict[str, Any]]) -> list[web.RouteDef]:
    """GET /state: what `state` tells."""

    async def handle(request: web.Request) -> web.Response:
        return answer(state())

    return [web.get("/state", handle)]
