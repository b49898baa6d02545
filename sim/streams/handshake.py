"""Refuses a websocket's handshake."""

from http import HTTPStatus

from aiohttp import web


def refused(status: int) -> web.Response:
    """Return an HTTP answer of this status in the status's own words."""
    return web.json_response({"message": HTTPStatus(status).phrase.lower()}, status=status)
