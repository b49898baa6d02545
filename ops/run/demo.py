"""`backbone demo`: everything on this machine, against the simulator."""

from pathlib import Path
from typing import Annotated

import typer

from ops.run.options import Algo, AsJson, Seconds, Shared, Symbols


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    symbols: Symbols = "",
    data: Annotated[
        Path | None, typer.Option(help="play a recorded .ndjson or .ndjson.gz file; the run ends with it")
    ] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="play the file so many times faster")] = None,
    keep_times: Annotated[
        bool,
        typer.Option(
            "--keep-times",
            help="keep the file's times; otherwise they become now. The OMS refuses orders on prices that "
            "are old by the market's time, unless BACKBONE_OMS_LIMITS lets them be so old",
        ),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="generated messages a second, all symbols together; default 500"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same market")] = 1,
    seconds: Seconds = None,
    algo: Algo = None,
    shared: Shared = False,
    as_json: AsJson = False,
) -> None:
    """Run everything here, against a simulated market.

    Two servers, the simulator, ingest, the OMS and two algorithms, each a process of its own.

    It needs no keys and no servers: it starts $BACKBONE_SERVER_BIN, or redis-server or valkey-server on PATH,
    or the one that was installed with it. With MD_REDIS_URL and ORDERS_REDIS_URL set it uses those servers
    and leaves the streams in them. At the end the OMS's book, the algorithms' positions and the simulator's
    ledger are compared; the exit code is 1 where they do not agree.

    Example: backbone demo --symbols AAPL,ETH/USD --seconds 30 --json
    """
    from ops.run.command import run_command
    from ops.run.demo_plan import DemoOptions, plan_demo

    options = DemoOptions(
        symbols=symbols,
        data=data,
        speed=speed,
        keep_times=keep_times,
        rate=rate,
        seed=seed,
        seconds=seconds,
        targets=tuple(algo or ()),
        shared=shared,
    )
    raise typer.Exit(run_command(lambda: plan_demo(options), prints_json=as_json))
