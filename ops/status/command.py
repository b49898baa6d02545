"""`backbone status`: how everything stands, once."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ops.status.model import Status


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Show how everything stands, once.

    Every process with pid and state, halts, algorithms, latencies and streams.

    Where the market-data server does not answer it shows the rest. Where no orders server answers it says
    what the halt file holds for the next start.

    It speaks to MD_REDIS_URL and ORDERS_REDIS_URL where these are set, else to what runs on this machine.

    Example: backbone status --json
    """
    found = asyncio.run(_ask())
    if as_json:
        print(found.as_json().decode())
        return
    from rich.console import Console

    from ops.status.still import still

    Console().print(still(found))


async def _ask() -> "Status":
    from bus.connection import connect, require_orders_server
    from bus.errors import InvalidInput
    from bus.settings import BusSettings, load
    from ops import halt_file
    from ops.running import known_servers
    from ops.running import servers as found_servers
    from ops.status.snapshot import snapshot

    try:
        servers = found_servers()
        away = await require_orders_server(servers.market, servers.orders, name="ops-check")
    except InvalidInput as error:
        settings = load(BusSettings)
        halted = halt_file.shown(settings, known_servers(settings))
        raise InvalidInput(f"{error}\n{halted}" if halted else str(error)) from error
    market, orders = connect(servers.market, name="ops-status"), connect(servers.orders, name="ops-status")
    try:
        now_ns = time.time_ns()
        return await snapshot(None if away else market, orders, servers.account, now_ns, market_away=away)
    finally:
        await market.aclose()
        await orders.aclose()
