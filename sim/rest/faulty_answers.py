"""Carries out what a fault decided about a request: another answer than the true one, or none at all."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import orjson
from aiohttp import web

from sim.faults.requests import RequestOutcome

_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends a reset and drops what was not read yet


async def faulty_answer(
    outcome: RequestOutcome, request: web.Request, carry_out: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Return the answer to a request that a fault decided about."""
    # The body is read in any case, so that the next request on the connection can be read.
    response = await carry_out() if outcome.is_carried_out else web.Response(body=await request.read())
    if outcome.wait_ms:
        await asyncio.sleep(outcome.wait_ms / 1000)
    if outcome.reset:
        reset(request)
    if outcome.status is None:
        return response
    body = outcome.body
    if isinstance(body, str):
        return web.Response(status=outcome.status, text=body, content_type="text/html")
    return web.Response(status=outcome.status, body=orjson.dumps(body), content_type="application/json")


def reset(request: web.Request) -> None:
    """End the connection at once; the client sees a reset."""
    transport = request.transport
    if transport is None:
        return
    bound = transport.get_extra_info("socket")
    if bound is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def cut_short(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Send the head and half of the body, and end the connection there."""
    body = cast(bytes, response.body) if isinstance(response, web.Response) else b""
    if response.prepared or not body:
        reset(request)
        return response
    broken = web.StreamResponse(status=response.status, headers=response.headers)
    broken.content_length = len(body)
    await broken.prepare(request)
    await broken.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return broken


async def dripped(request: web.Request, response: web.StreamResponse, ms: float) -> web.StreamResponse:
    """Send the whole answer, its head too, byte by byte, and end the connection."""
    body = cast(bytes, response.body or b"") if isinstance(response, web.Response) else b""
    head = [f"HTTP/1.1 {response.status} {response.reason}"]
    head += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
    if response.status != HTTPStatus.NO_CONTENT:
        head.append(f"Content-Length: {len(body)}")
    head.append("Connection: close")
    for byte in "\r\n".join([*head, "", ""]).encode() + body:
        if request.transport is None or request.transport.is_closing():
            break
        request.transport.write(bytes([byte]))
        await asyncio.sleep(ms / 1000)
    if request.transport is not None:
        request.transport.close()
    return response
