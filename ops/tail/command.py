"""`backbone tail`: entries of streams, for people."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bus.connection import Client

_BLOCK_MS = 1000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tail)


def tail(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="STREAM-OR-SYMBOL...",
            help="AAPL (its trades and quotes), a stream's full name, journal, control, account, dead, "
            "events:<algorithm> or requests:<algorithm>",
        ),
    ],
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="so many of the latest entries")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="go on with what comes, until Ctrl-C")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Print the latest entries of streams, oldest first.

    Example: backbone tail AAPL journal --count 20 --follow
    """
    try:
        asyncio.run(_tail(names, count, follow, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _tail(names: list[str], count: int, follow: bool, as_json: bool) -> None:
    from bus.connection import connect
    from bus.streams import is_market_data
    from ops.running import servers as known_servers
    from ops.servers import check
    from ops.stream_sizes import stream_names
    from ops.tail import entries
    from ops.tail.names import resolve

    show = entries.as_json if as_json else entries.line
    servers = known_servers()
    await check(servers)
    market, orders = connect(servers.market, name="ops-tail"), connect(servers.orders, name="ops-tail")
    try:
        on_market, on_orders = await stream_names(market), await stream_names(orders)
        wanted = resolve(names, [*on_market, *on_orders], servers.account)
        parts = [
            (client, {name: "0-0" for name in wanted if is_market_data(name) is is_market})
            for client, is_market in ((market, True), (orders, False))
        ]
        await _latest(parts, count, show)
        if follow:
            await asyncio.gather(
                *(_follow(client, positions, show) for client, positions in parts if positions)
            )
    finally:
        await market.aclose()
        await orders.aclose()


type_of_show = Callable[[str, str, dict[bytes, bytes]], str]


async def _latest(parts: "list[tuple[Client, dict[str, str]]]", count: int, show: type_of_show) -> None:
    """Print the latest entries of all streams in order of time; positions are set to the last of each."""
    found: list[tuple[tuple[int, int], str, str, dict[bytes, bytes]]] = []
    for client, positions in parts:
        for name in positions:
            # One is read even where none is to be printed: following starts after it.
            page = await client.xrevrange(name, count=max(count, 1))
            if page:
                positions[name] = page[0][0].decode()
            for id_, fields in page[:count]:
                ms, _, number = id_.decode().partition("-")
                found.append(((int(ms), int(number)), name, id_.decode(), fields))
    for _, name, id_, fields in sorted(found, key=lambda entry: entry[0])[-count or len(found) :]:
        print(show(name, id_, fields))


async def _follow(client: "Client", positions: dict[str, str], show: type_of_show) -> None:
    while True:
        for name, page in await client.xread(positions, count=500, block=_BLOCK_MS):
            for id_, fields in page:
                print(show(name.decode(), id_.decode(), fields), flush=True)
                positions[name.decode()] = id_.decode()
