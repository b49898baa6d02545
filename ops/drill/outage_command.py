"""`backbone drill outage`: the market-data server stands still, and nothing is lost."""

import asyncio
import sys
from typing import Annotated

import typer


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
    import msgspec

    from ops.drill.outage import run

    found = asyncio.run(run(seconds, rate, _say, kill=kill, at_points=at_points))
    if as_json:
        print(msgspec.json.encode({"passed": found.passed, **msgspec.to_builtins(found)}).decode())
    else:
        print(
            f"all was written again {max(found.caught_up_s):.1f} s after the server was back at the most; "
            f"{found.most_on_disk:,} frames ({found.most_on_disk_bytes / 1024 / 1024:.1f} MB) waited on disk"
        )
        if found.deaths:
            print(f"ingest died {found.deaths} times; {found.recovered:,} frames were left and written after")
        print(f"{found.trades:,} trades, {found.backfilled:,} of them from history: ", end="")
        print("each once and in order" if found.passed else "NOT KEPT:")
        for sentence in found.differences:
            print(f"  {sentence}")
    raise typer.Exit(0 if found.passed else 1)


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)
