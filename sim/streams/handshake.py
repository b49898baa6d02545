"""What a client hears in place of a websocket's handshake."""

from http import HTTPStatus

from aiohttp import web


def refused(status: int) -> web.Response:
    """An HTTP answer of this status, in its own words."""
    return web.json_response({"message": HTTPStatus(status).phrase.lower()}, status=status)
