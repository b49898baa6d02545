"""The REST side's door: who may enter, the budget of requests, faults, and refusals as Alpaca words them."""

import asyncio
import base64
import binascii
import hmac
from typing import Any, TypeVar

import msgspec
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sim import refusals
from sim.desk import now_ns
from sim.faults.faults import Faults
from sim.refusals import Refused
from sim.rest.rate_limit import RateLimit

T = TypeVar("T")

_DATA = ("/v2/stocks/", "/v1beta3/")


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def body_as(kind: type[T], data: bytes) -> T:
    """The request's body as a typed message; raises Refused (422) naming what is wrong."""
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise refusals.malformed(f"request body format is invalid: {error}") from error


def is_true(text: str | None) -> bool:
    """A boolean of a query: alpaca-py writes True, others true."""
    return text is not None and text.lower() == "true"


def door(credentials: tuple[str, str], faults: Faults, trading: RateLimit, data: RateLimit) -> Middleware:
    """The middleware that every REST request passes; websockets authenticate by themselves."""

    @web.middleware
    async def enter(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await handler(request)
        is_data = request.path.startswith(_DATA)
        if not _may_enter(request, credentials):
            return answer({"message": "unauthorized"}, 401)
        limit = data if is_data else trading
        api = "data" if is_data else "trading"
        verdict = limit.exhausted(now_ns()) if faults.take("rate_limit", api) else limit.ask(now_ns())
        if not verdict.is_allowed:
            response: web.StreamResponse = answer({"code": 42910000, "message": "too many requests."}, 429)
        elif is_data:
            response = await _carried_out(request, handler)
        else:
            await asyncio.sleep(faults.latency_ms("request") / 1000)
            response = await _carried_out(request, handler)
            await asyncio.sleep(faults.latency_ms("response") / 1000)
        response.headers.update(verdict.headers())
        return response

    return enter


async def _carried_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return answer(refused.body, refused.status)
    except web.HTTPNotFound:
        return answer({"code": 40410000, "message": "endpoint not found."}, 404)
    except web.HTTPMethodNotAllowed:
        return answer({"code": 40510000, "message": "method not allowed."}, 405)


def _may_enter(request: web.Request, credentials: tuple[str, str]) -> bool:
    key, secret = _given(request)
    if key is None and secret is None:
        # Alpaca gives crypto data to everybody.
        return request.path.startswith("/v1beta3/crypto/")
    return hmac.compare_digest(f"{key}\n{secret}".encode(), "\n".join(credentials).encode())


def _given(request: web.Request) -> tuple[str | None, str | None]:
    """Key and secret from Alpaca's headers or from basic authentication."""
    headers = request.headers
    authorization = headers.get("Authorization", "")
    if authorization.startswith("Basic "):
        try:
            text = base64.b64decode(authorization[6:], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        key, _, secret = text.partition(":")
        return key, secret
    return headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")
