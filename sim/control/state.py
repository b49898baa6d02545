"""The state of the run on the control endpoint."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from sim.rest.json_bodies import answer


def routes(state: Callable[[], dict[str, Any]]) -> list[web.RouteDef]:
    """Return the route of GET /state, which answers what `state` returns."""

    async def handle(request: web.Request) -> web.Response:
        return answer(state())

    return [web.get("/state", handle)]
