"""`backbone order`: what became of an order, from its request on, however long ago."""

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oms.journal.archive_segments import SUFFIX

if TYPE_CHECKING:
    from ops.order.story import Story


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(order)


def order(
    order_id: Annotated[
        str,
        typer.Argument(
            metavar="ORDER_ID", help="its client id or the broker's, or the last 8 characters or more"
        ),
    ],
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive", metavar="DIR", help="where archives are (default: BACKBONE_JOURNAL_ARCHIVE)"
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="look from the end of this day (UTC) back",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Tell the story of an order: what was asked, decided, sent, filled; who answers for it.

    The journal is looked through from its end back, then its archive, up to the order's decision; what its
    algorithm asked stands in between. Where an end names several orders it is the newest. Whether what stands
    there is what was written, `backbone journal verify` tells.

    Example: backbone order bb-ma-cross-5b1e6f2d8a9c47e0b3d4f6a1c2e8d907
    """
    from bus import logs
    from ops.order.finding import found_story

    logs.set_up("order", level="warning")
    found = asyncio.run(found_story(order_id, archive, None if until is None else until.date()))
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo(_told(found))


def _told(found: "Story") -> str:
    price = "" if found.average_price is None else f" at {found.average_price} on average"
    answers = found.responsible_person or "nobody, by the limits of that time"
    lines = [
        found.client_order_id,
        f"  {found.what or found.symbol}: {found.status}, {found.filled} filled{price}",
        f"  algorithm {found.algorithm}; answerable: {answers}",
    ]
    if found.broker_order_ids:
        lines.append(f"  at the broker: {', '.join(found.broker_order_ids)}")
    lines += [f"{_moment(one.id)}  {_place(one.where)}  {one.text}" for one in found.entries]
    if not found.is_whole:
        lines.append("NOT ALL OF IT: its decision was not found")
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join(lines)


def _place(where: str) -> str:
    """Of a file of the archive the name is in the JSON."""
    return "archive" if where.endswith(SUFFIX) else where


def _moment(entry_id: str) -> str:
    ms = int(entry_id.partition("-")[0])
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(ms // 1000))}.{ms % 1000:03d}Z"
