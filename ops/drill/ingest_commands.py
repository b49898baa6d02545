"""The drills of ingest and of the market-data server, as commands."""

import asyncio
from typing import Annotated

import typer

from ops.drill.verdict import conclude, say
from ops.sizes import megabytes


def kill_ingest(
    times: Annotated[int, typer.Option(min=1, help="how often the ingest that serves is killed")] = 10,
    rate: Annotated[float, typer.Option(min=10, max=100_000, help="messages a second")] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Kill the ingest that serves under load; its standby goes on, and fills what lies between.

    Each third time Alpaca refuses the standby's connection for four seconds, as one too many; each fourth it
    is not killed but stopped, and wakes once the standby serves: then it must write nothing. Live messages
    must be there within 3 s of the accepted connection, and at the end every trade of the simulator's tape in
    its stream, once and in order. Exit code 1 where any of it was not kept. Nothing of yours is touched.

    Example: backbone drill kill-ingest --times 20 --rate 5000
    """
    from ops.drill.kill_ingest import run

    found = asyncio.run(run(times, rate, say))

    def told() -> str:
        return (
            f"ended {len(found.after_kill_s)} times ({found.stopped} of them stopped until another served, "
            f"{found.refused} with the other's connection refused at first): live again "
            f"{max(found.after_accepted_s):.2f} s after the accepted connection at the most\n"
            f"{found.trades:,} trades, {found.backfilled:,} of them from history: "
        )

    conclude(found, as_json, told, kept="each once and in order", differences=found.differences)


def outage(
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="how long the server stands still")] = 30,
    rate: Annotated[float, typer.Option(min=10, max=100_000, help="messages a second")] = 5000,
    kill: Annotated[bool, typer.Option("--kill", help="kill ingest in the middle")] = False,
    at_points: Annotated[
        bool, typer.Option("--at-points", help="then have it die at each point of its spool, once each")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Have the market-data server stand still under load; ingest spools, and writes it when it is back.

    Within 15 s of its return all must be written, and at the end every trade of the simulator's tape in its
    stream, once and in order; none of them from history, unless ingest was killed. Exit code 1 where any of
    it was not kept. Nothing of yours is touched.

    Example: backbone drill outage --seconds 30 --rate 5000 --kill
    """
    from ops.drill.outage import run

    found = asyncio.run(run(seconds, rate, say, kill=kill, at_points=at_points))

    def told() -> str:
        waited = megabytes(found.most_on_disk_bytes, decimals=1)
        died = f"ingest died {found.deaths} times; {found.recovered:,} frames were left and written after\n"
        return (
            f"all was written again {max(found.caught_up_s):.1f} s after the server was back at the most; "
            f"{found.most_on_disk:,} frames ({waited}) waited on disk\n"
            f"{died if found.deaths else ''}"
            f"{found.trades:,} trades, {found.backfilled:,} of them from history: "
        )

    conclude(found, as_json, told, kept="each once and in order", differences=found.differences)


def retention(
    seconds: Annotated[float, typer.Option(min=5, max=86_400, help="how long messages come")] = 600,
    rate: Annotated[float, typer.Option(min=10, max=1_000_000, help="messages a second")] = 20_000,
    symbols: Annotated[int, typer.Option(min=1, max=10_000, help="how many symbols")] = 2000,
    maxmemory_mb: Annotated[int, typer.Option(min=16, help="what the market-data server may hold")] = 768,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Let quotes and trades of many symbols come, by `*`, for longer than their server has room.

    Each message is written twice, for its symbol and for all. Every one must reach a reader of all symbols,
    none may be cut before, and the server's memory must stay within its budget, 80 % of what it may hold.
    What a machine does not sustain waits in the simulator: see the rate. Exit code 1 where any of it was not
    kept. Nothing of yours is touched.

    Example: backbone drill retention --seconds 60 --rate 5000 --maxmemory-mb 256
    """
    from ops.drill.retention import run

    kept = asyncio.run(run(seconds, rate, symbols, maxmemory_mb, say))

    def told() -> str:
        return (
            f"{kept.messages:,} messages of {kept.symbols:,} symbols in {kept.seconds:.0f} s "
            f"({kept.rate:,.0f} a second), {kept.read:,} read by `*`; {kept.trimmed:,} of {kept.written:,} "
            f"entries trimmed, the last {kept.kept_s:.0f} s are there\n"
            f"memory: {max(one.used_mb for one in kept.samples):.0f} MB at the most, the budget is "
            f"{kept.budget_mb:.0f} MB: "
        )

    conclude(kept, as_json, told, kept="nothing was lost", differences=kept.differences)
