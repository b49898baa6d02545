"""`backbone up`: everything on this machine, against Alpaca."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.run.options import Algo, AsJson, Seconds, Shared, Symbols

if TYPE_CHECKING:
    from ops.run.plan import Plan


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    symbols: Symbols = "",
    algo: Algo = None,
    limits: Annotated[Path | None, typer.Option(help="risk limits as TOML")] = None,
    seconds: Seconds = None,
    shared: Shared = False,
    halted: Annotated[
        bool, typer.Option("--halted", help="with trading halted, until `backbone resume`")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run everything here, against Alpaca paper.

    It needs ALPACA_API_KEY and ALPACA_SECRET_KEY (or ..._FILE: files that hold them).

    Servers of our own keep their data under $BACKBONE_HOME (~/.backbone), a directory for each account,
    unless MD_REDIS_URL and ORDERS_REDIS_URL name others; BACKBONE_SERVER_BIN is the program that they run.
    Paper is the default; BACKBONE_TRADING=live trades with real money, under the account name live unless
    BACKBONE_ACCOUNT names another. A journal belongs to the account of Alpaca's that it began with: keys of
    another are refused.

    With --halted nothing is ordered until `backbone resume --reason ...`, also after further starts.

    Example: backbone up --algo my_algorithm.py:Mine --symbols AAPL,MSFT --limits limits.toml
    """
    from ops.run.command import run_command

    raise typer.Exit(
        run_command(
            lambda: _planned(symbols, tuple(algo or ()), limits, seconds, shared, halted), prints_json=as_json
        )
    )


def _planned(
    symbols: str,
    targets: tuple[str, ...],
    limits: Path | None,
    seconds: float | None,
    shared: bool,
    halted: bool,
) -> "Plan":
    from bus.settings import AlpacaSettings, load
    from ops.run.plan import DEFAULT_SYMBOLS, Plan, split
    from ops.run.processes import check_settings, planned_algorithms
    from ops.running import data_directory, given_servers

    settings = load(AlpacaSettings)
    # Only to refuse missing keys now: the services read them for themselves.
    settings.keys()
    servers = given_servers(settings)
    chosen = split(symbols or DEFAULT_SYMBOLS)
    check_settings(limits)
    return Plan(
        command="up",
        account=settings.account,
        symbols=chosen,
        algorithms=planned_algorithms(targets, chosen),
        servers=servers,
        data_directory=data_directory(settings.account) if servers is None else None,
        seconds=seconds,
        limits=limits,
        shared=shared,
        halted=halted,
        is_live=settings.trading == "live",
    )
