"""An HTTP server that answers every order with the same bytes: the least that an aiohttp server does."""

import asyncio
import json
import socket
import sys

import uvloop
from aiohttp import web

BODY = json.dumps(
    {"id": "00000000-0000-0000-0000-000000000000", "status": "pending_new", "filler": "x" * 900}
)


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text=BODY, content_type="application/json")


async def _serve() -> None:
    app = web.Application()
    app.add_routes([web.post("/v2/orders", _answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    bound = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, bound).start()
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{bound.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as started:
        started.run(_serve())
