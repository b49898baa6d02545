"""JSON bodies of requests and answers."""

from typing import Any, TypeVar

import msgspec
import orjson
from aiohttp import web

from sim import refusals

T = TypeVar("T")


def answer(body: Any, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def body_as(kind: type[T], data: bytes) -> T:
    """Return the request's body as a typed message. Raises Refused (422) naming what is wrong."""
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refusals.malformed(f"request body format is invalid: {error}") from error
