"""Reads bodies of the control endpoint, and answers bad input with 400 and a sentence."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from bus.errors import InvalidInput
from sim.rest.connection import refusal
from sim.rest.json_bodies import answer

T = TypeVar("T")


async def body_as(kind: type[T], request: web.Request, shape: str) -> T:
    """Return the request's body as a typed message. Raises InvalidInput naming the error and the shape."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body should be {shape}: {error}") from error


@web.middleware
async def answer_bad_input(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Answer InvalidInput with 400 and its sentence."""
    try:
        response: web.StreamResponse = await handler(request)
    except InvalidInput as error:
        return answer({"message": str(error)}, 400)
    except web.HTTPException as error:
        return refusal(error)
    return response
