"""The servers of a run: sockets bound first, then everything until a signal."""

import asyncio
import socket
from dataclasses import dataclass

from aiohttp import web

from bus.errors import InvalidInput
from sim.settings import Settings
from sim.simulator import Simulator

LOOPBACK = "127.0.0.1"
GRACE_S = 1.0  # how long requests may finish after the signal


@dataclass(frozen=True, slots=True)
class Sockets:
    """The two listening sockets."""

    public: socket.socket
    control: socket.socket


def bind(settings: Settings) -> Sockets:
    """Take the ports before anything else; raises InvalidInput if one is not to be had."""
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


def addresses(settings: Settings, sockets: Sockets) -> dict[str, str]:
    """Where everything is, and the keys to it."""
    host = {"0.0.0.0": LOOPBACK, "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    public = f"{host}:{sockets.public.getsockname()[1]}"
    return {
        "trading_url": f"http://{public}",
        "trading_stream_url": f"ws://{public}/stream",
        "data_url": f"http://{public}",
        "stocks_stream_url": f"ws://{public}/v2/iex",
        "crypto_stream_url": f"ws://{public}/v1beta3/crypto/us",
        "control_url": f"http://{LOOPBACK}:{sockets.control.getsockname()[1]}",
        "key": settings.key,
        "secret": settings.secret,
    }


async def serve(simulator: Simulator, sockets: Sockets, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then end every connection and return."""
    runners = [
        web.AppRunner(simulator.application(), access_log=None, shutdown_timeout=GRACE_S),
        web.AppRunner(simulator.control(), access_log=None, shutdown_timeout=GRACE_S),
    ]
    working = [asyncio.create_task(simulator.play()), asyncio.create_task(simulator.rework())]
    stopping = asyncio.create_task(stop.wait())
    try:
        for runner, bound in zip(runners, (sockets.public, sockets.control), strict=True):
            await runner.setup()
            await web.SockSite(runner, bound).start()
        # An error of the market or of the broker ends the simulator and is seen; the end of a tape is none.
        while not stopping.done():
            running = [task for task in working if not task.done()]
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in working:
                if task.done():
                    task.result()
    finally:
        stopping.cancel()
        for task in working:
            task.cancel()
        await simulator.end_streams()
        for runner in runners:
            await runner.cleanup()
