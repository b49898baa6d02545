"""Binds the sockets of a run, serves until a signal, and ends every connection."""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bus.errors import InvalidInput
from sim.rest.connection import Connection
from sim.settings import Settings
from sim.simulator import Simulator

LOOPBACK = "127.0.0.1"
GRACE_S = 0.3  # how long requests have to finish after the signal


@dataclass(frozen=True, slots=True)
class Sockets:
    """The two listening sockets."""

    public: socket.socket
    control: socket.socket


def bind(settings: Settings) -> Sockets:
    """Take the ports before anything else. Raises InvalidInput if one cannot be had."""
    public = _bound("--port", settings.host, settings.port)
    try:
        return Sockets(public, _bound("--control-port", LOOPBACK, settings.control_port))
    except InvalidInput:
        public.close()
        raise


def _bound(name: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise InvalidInput(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with {name}, or 0 for any"
        ) from error
    return made


def addresses(settings: Settings, sockets: Sockets) -> dict[str, Any]:
    """Return every address, and the keys; where there are several accounts, those of each."""
    host = {"0.0.0.0": LOOPBACK, "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    public = f"{host}:{sockets.public.getsockname()[1]}"
    found: dict[str, Any] = {
        "trading_url": f"http://{public}",
        "trading_stream_url": f"ws://{public}/stream",
        "data_url": f"http://{public}",
        "market_stream_url": f"ws://{public}",
        "stocks_stream_url": f"ws://{public}/v2/iex",
        "crypto_stream_url": f"ws://{public}/v1beta3/crypto/us",
        "options_stream_url": f"ws://{public}/v1beta1/indicative",
        "news_stream_url": f"ws://{public}/v1beta1/news",
        "test_stream_url": f"ws://{public}/v2/test",
        "control_url": f"http://{LOOPBACK}:{sockets.control.getsockname()[1]}",
        "key": settings.keys[0].key,
        "secret": settings.keys[0].secret,
    }
    if len(settings.keys) > 1:
        found["accounts"] = [{"key": one.key, "secret": one.secret} for one in settings.keys]
    return found


class Server:
    """Serves an application on a socket that is bound already. Mutable: that socket, and who listens."""

    def __init__(self, app: web.Application, bound: socket.socket, grace_s: float) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=grace_s)
        self._bound = bound
        self._address = bound.getsockname()
        self._listening: asyncio.Server | None = None
        self._listens_again: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start serving."""
        await self._runner.setup()
        await self._listen()

    async def _listen(self) -> None:
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None, "made by setup"
        self._listening = await loop.create_server(
            lambda: Connection(server, loop=loop), sock=self._bound, backlog=128
        )

    def refuse_connections(self, refused: bool) -> None:
        """Have new connections refused, and end those that wait for a request; or take them again.

        They are taken at the same address: from this moment they wait to be.
        """
        if not refused:
            self._bound = _bound("--port", *self._address[:2])
            self._listens_again = asyncio.ensure_future(self._listen())
        elif self._listening is not None and self._runner.server is not None:
            self._listening.close()
            for connection in self._runner.server.connections:
                assert isinstance(connection, Connection), "all are made by _listen"
                connection.end()

    async def stop(self) -> None:
        """Take no more connections, let requests finish, and end."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()


async def serve(simulator: Simulator, sockets: Sockets, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then end every connection and return.

    An error in a timed action (of the market, of a broker) ends the simulator and is raised: a market that
    goes on without its broker would be worse.
    """
    servers = [
        Server(simulator.application(), sockets.public, GRACE_S),
        Server(simulator.control(), sockets.control, GRACE_S),
    ]
    failures: list[BaseException] = []

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "handle" in context and isinstance(context.get("exception"), Exception):
            failures.append(context["exception"])
            stop.set()
        else:
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(fail)
    simulator.refuse_connections = servers[0].refuse_connections
    try:
        for server in servers:
            await server.start()
        simulator.begin()
        await stop.wait()
    finally:
        await simulator.end_streams()
        for server in servers:
            await server.stop()
    if failures:
        raise failures[0]
