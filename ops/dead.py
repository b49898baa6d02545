"""`backbone dead`: look at what could not be handled, and put it back."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bus.connection import Client
    from bus.dead_letter import DeadLetter

_HELP = """List what could not be handled, or put it back.

Example: backbone dead list --count 5
"""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP)
    group.callback(invoke_without_command=True, help=_HELP)(_default)
    group.command("list")(list_)
    group.command("put-back")(put_back)
    app.add_typer(group, name="dead")


def _default(context: typer.Context) -> None:
    """List, where nothing else was asked for."""
    if context.invoked_subcommand is None:
        list_()


def list_(
    count: Annotated[int, typer.Option(min=1, help="so many of the latest of each kind")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """List entries that could not be handled, newest first, with where they stood and why.

    Example: backbone dead list --count 5
    """
    asyncio.run(_list(count, as_json))


def put_back(
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="the entry's id, as `list` shows it")],
    orders: Annotated[
        bool, typer.Option("--orders", help="an entry of order traffic (orders:{...}:dead)")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Append an entry to the stream it came from, and remove the dead letter.

    What cannot be put back is left as it is, and the reason said; `list` says it beforehand.

    Example: backbone dead put-back 1700000000000-0
    """
    asyncio.run(_put_back(entry_id, orders, as_json))


async def _list(count: int, as_json: bool) -> None:
    import msgspec
    import orjson

    from bus import streams
    from bus.dead_letters import dead_letters
    from ops.orders_server import orders_server

    none = True
    async with orders_server("ops-dead") as (client, account):
        for name in (streams.DEAD, streams.orders_dead(account)):
            for letter in await dead_letters(client, kept_in=name, count=count):
                none = False
                if as_json:
                    print(orjson.dumps({"in": name, **msgspec.structs.asdict(letter)}).decode())
                else:
                    print("\n    ".join(_lines(letter, name, orders=name != streams.DEAD)))
    if none and not as_json:
        print("Nothing is dead.")


def _lines(letter: "DeadLetter", name: str, *, orders: bool) -> list[str]:
    by = f", kept by {letter.by}" if letter.by else ""
    put_back = f"put it back with: backbone dead put-back {letter.id}{' --orders' if orders else ''}"
    return [
        f"{name}  {letter.id}  from {letter.stream} {letter.entry_id}: {letter.error}",
        str(letter.payload),
        f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(letter.kept_ns // 1_000_000_000))}{by}",
        f"cannot be put back: {letter.why_not_put_back}" if letter.why_not_put_back else put_back,
    ]


async def _put_back(entry_id: str, orders: bool, as_json: bool) -> None:
    import re

    import orjson

    from bus import dead_letters, streams
    from bus.errors import InvalidInput
    from ops.orders_server import orders_server

    if not re.fullmatch(r"\d+-\d+", entry_id):
        raise InvalidInput(f"ID {entry_id!r}: an entry's id is two numbers, such as 1700000000000-0")
    async with orders_server("ops-dead") as (client, account):
        name = streams.orders_dead(account) if orders else streams.DEAD
        letter = await dead_letters.dead_letter(client, entry_id, kept_in=name)
        if letter.stream.startswith("md"):
            new_id = await _put_back_market_data(client, entry_id, name)
        else:
            new_id = await dead_letters.put_back(client, entry_id, kept_in=name)
    if as_json:
        print(orjson.dumps({"stream": letter.stream, "id": new_id, "was": entry_id, "in": name}).decode())
    else:
        print(f"Put back as {new_id}.")


async def _put_back_market_data(client: "Client", entry_id: str, name: str) -> str:
    """Into the market-data server, where its stream is."""
    from bus.connection import connect, require_server
    from bus.dead_letters import put_back
    from ops.running import servers

    url = servers().market
    market = connect(url, name="ops-dead")
    try:
        await require_server(market, url, "MD_REDIS_URL")
        return await put_back(client, entry_id, kept_in=name, server=market)
    finally:
        await market.aclose()
