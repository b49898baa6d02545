"""The endpoint of a websocket: a path of its own, or one that it shares with plain HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SocketResource(web.PlainResource):
    """The resource of a websocket; where it `shares_path`, it takes handshakes only."""

    def __init__(self, path: str, shares_path: bool) -> None:
        super().__init__(path)
        self._shares_path = shares_path

    async def resolve(self, request: web.Request) -> Any:
        """Return the route of the request, in the form that aiohttp expects."""
        if self._shares_path and request.headers.get("Upgrade", "").lower() != "websocket":
            return None, set()
        return await super().resolve(request)


class SocketEndpoint(web.AbstractRouteDef):
    """A websocket among an application's routes; it comes before those that share its path."""

    def __init__(self, path: str, handler: Handler, shares_path: bool = False) -> None:
        self._path = path
        self._handler = handler
        self._shares_path = shares_path

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        """Add it to the routes."""
        resource = SocketResource(self._path, self._shares_path)
        router.register_resource(resource)
        return [resource.add_route("GET", self._handler)]
