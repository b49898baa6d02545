"""`backbone backfill`: history from Alpaca, into streams or a file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ingest.settings import IngestSettings
    from ops.backfill.asked import Asked
    from ops.backfill.bringing import Brought
    from ops.backfill.destination import Destination
    from ops.backfill.progress import BackfillProgress


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backfill)


def backfill(
    symbols: Annotated[
        list[str], typer.Argument(metavar="SYMBOL...", help="stocks and pairs, such as AAPL BRK.B BTC/USD")
    ],
    since: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TIME",
            help="the beginning: 2026-11-27, 2026-11-27T09:30 (New York) or 2026-11-27T14:30:00Z",
        ),
    ],
    until: Annotated[
        str, typer.Option("--to", metavar="TIME", help="the end, not included; two minutes ago at the latest")
    ],
    channels: Annotated[
        str, typer.Option(help="of trades, quotes and bars (of a minute), with commas between them")
    ] = "trades",
    feed: Annotated[
        str | None, typer.Option(help="of stocks: iex, sip, boats or otc; by default that of BACKBONE_FEED")
    ] = None,
    into: Annotated[
        str | None, typer.Option(metavar="FILE.parquet", help="a file, in place of streams")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="the last part of the streams' names; by default the two times, in New York"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Bring history into streams, hist:<symbol>:<channel>:<name>, or into a Parquet file.

    Within Alpaca's rate limit, half of which is left to others with the same keys. Interrupted, it is run
    again with the same words, and goes on where it was.

    Example: backbone backfill AAPL MSFT --channels trades,bars --from 2026-11-27T09:30 --to 2026-11-27T16:00
    """
    from ops.backfill.bringing import GO_ON

    try:
        asyncio.run(_backfill(symbols, channels, since, until, feed, into, name, as_json))
    except KeyboardInterrupt:
        typer.echo(f"interrupted: {GO_ON}", err=True)
        raise typer.Exit(130) from None


async def _backfill(
    symbols: list[str],
    channels: str,
    since: str,
    until: str,
    feed: str | None,
    into: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    from bus import logs
    from bus.clock import SystemClock
    from bus.errors import InvalidInput
    from bus.feed_kinds import CRYPTO, STOCKS
    from bus.settings import load
    from ingest.data_api.alpaca_history import HISTORY_OF, History
    from ingest.data_api.request_budget import RequestBudget
    from ingest.settings import IngestSettings
    from ops.backfill.asked import asked, feed_of_setting
    from ops.backfill.bringing import Bringing
    from ops.backfill.progress import BackfillProgress

    logs.set_up("backfill", level="warning")
    if into is not None and name is not None:
        raise InvalidInput("--name is of streams: give it, or --into")
    settings, clock = load(IngestSettings), SystemClock()
    of_stocks = feed_of_setting(settings.feed, HISTORY_OF) if feed is None else feed
    what = asked(symbols, channels, since, until, of_stocks, name, clock.now_ns())
    # Ingest may ask at the same time with the same keys, and has the other half.
    budget = RequestBudget(settings.data_requests_per_minute // 2)
    histories = {
        of: History(kind, of, settings.data_api_url, *settings.keys(), budget, clock, leaves_half=True)
        for kind, of in ((STOCKS, of_stocks), (CRYPTO, CRYPTO))
    }
    progress = BackfillProgress(len(what.parts), what.until_ns, budget)
    async with _destination(what, into, settings, progress) as destination:
        with progress:
            brought = await Bringing(what, histories, destination, progress).run()
    _print(what, brought, as_json)


@asynccontextmanager
async def _destination(
    what: "Asked", into: str | None, settings: "IngestSettings", progress: "BackfillProgress"
) -> "AsyncIterator[Destination]":
    if into is not None:
        from ops.backfill.into_file import IntoFile

        yield IntoFile(into, list(dict.fromkeys(part.channel for part in what.parts)))
        return
    from bus.connection import connect
    from ops.backfill.into_streams import IntoStreams
    from ops.running import servers as known_servers
    from ops.servers import check

    servers = known_servers()
    await check(servers)
    client = connect(servers.market, name="ops-backfill")
    try:
        yield IntoStreams(client, what.name, settings, progress.tell)
    finally:
        await client.aclose()


def _print(what: "Asked", brought: "list[Brought]", as_json: bool) -> None:
    if as_json:
        import msgspec

        print(
            msgspec.json.encode(
                {"from_ns": what.since_ns, "to_ns": what.until_ns, "brought": brought}
            ).decode()
        )
        return
    from ops.backfill.moments import shown

    print(f"From {shown(what.since_ns)} to {shown(what.until_ns)} in New York:")
    for part in brought:
        new = f", {part.new:,} of them new" if part.new != part.messages else ""
        print(f"{part.where}: {part.messages:,} {part.channel} of {part.symbol} ({part.feed}){new}")
