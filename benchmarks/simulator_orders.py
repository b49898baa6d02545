"""The simulator's orders: accepted, filled and told of, for each second of its CPU.

Many connections send market orders as fast as they are answered, and one listens to trade updates until the
last fill is told. The limit answers the same requests with a constant.
"""

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import psutil
import uvloop

from benchmarks.processes import process, simulator
from benchmarks.row import Row

CONNECTIONS = 20
ORDERS = 4_000
LIMIT_REQUESTS = 20_000
WARM_UP = 400
BAR = 0.10
FLOOR = 500
ARGUMENTS = (
    "--requests-per-minute",
    "9000000",
    "--cash",
    "1000000000",
    "--symbols",
    "AAPL,MSFT",
    "--rate",
    "200",
)
ORDER = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
_FILL = b'"event":"fill"'


def measure(directory: Path) -> Row:
    """Orders filled for each CPU second of the simulator; a second of the wall, where that is slow."""
    with simulator(directory, *ARGUMENTS) as (started, environment), _runner() as runner:
        orders, cpu_s, elapsed_s = runner.run(_trade(environment, started.pid))
    with process("benchmarks.constant_server", directory=directory) as server, _runner() as runner:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        answered, limit_cpu_s = runner.run(_ask(url, server.pid))
    sustained = orders / elapsed_s
    return Row(
        name="sim_orders",
        value=orders / cpu_s if sustained >= FLOOR else sustained,
        unit="orders per CPU s",
        limit=answered / limit_cpu_s,
        limit_is="an aiohttp server that answers a constant, per CPU s",
        bar=BAR,
        rule="at_least",
        floor=FLOOR,
    )


def _runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _trade(environment: dict[str, str], pid: int) -> tuple[int, float, float]:
    """Orders filled, the simulator's CPU seconds, and the seconds from the first order to the last fill."""
    key, secret = environment["ALPACA_API_KEY"], environment["ALPACA_SECRET_KEY"]
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    url, watched = environment["BACKBONE_TRADING_URL"], psutil.Process(pid)
    async with (
        _session(headers) as session,
        session.ws_connect(environment["BACKBONE_TRADING_STREAM_URL"]) as updates,
    ):
        await updates.send_json({"action": "authenticate", "data": {"key_id": key, "secret_key": secret}})
        await updates.receive()
        await updates.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
        await updates.receive()
        await _filled(session, updates, url, WARM_UP)
        cpu_before, began = sum(watched.cpu_times()[:2]), time.monotonic()
        await _filled(session, updates, url, ORDERS)
        elapsed_s = time.monotonic() - began
        return ORDERS, sum(watched.cpu_times()[:2]) - cpu_before, elapsed_s


async def _filled(
    session: aiohttp.ClientSession, updates: aiohttp.ClientWebSocketResponse, url: str, count: int
) -> None:
    fills = asyncio.create_task(_fills(updates, count))
    await _post(session, url, count)
    await fills


async def _ask(url: str, pid: int) -> tuple[int, float]:
    """Requests answered, and the server's CPU seconds."""
    watched = psutil.Process(pid)
    async with _session({}) as session:
        await _post(session, url, WARM_UP)
        cpu_before = sum(watched.cpu_times()[:2])
        await _post(session, url, LIMIT_REQUESTS)
        return LIMIT_REQUESTS, sum(watched.cpu_times()[:2]) - cpu_before


def _session(headers: dict[str, str]) -> aiohttp.ClientSession:
    # One more for the updates.
    return aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=CONNECTIONS + 1))


async def _post(session: aiohttp.ClientSession, url: str, count: int) -> None:
    """So many orders over all connections; a refusal ends the benchmark."""
    waiting = iter(range(count))

    async def work() -> None:
        for _ in waiting:
            async with session.post(f"{url}/v2/orders", json=ORDER) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


async def _fills(updates: aiohttp.ClientWebSocketResponse, count: int) -> None:
    """Return once so many orders are told to be filled."""
    told = 0
    while told < count:
        message = await updates.receive()
        told += _FILL in message.data
