"""The commands on limits."""

import typer

from ops.limits.change import load, set_limit, unset
from ops.limits.show import explain, show


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    limits = typer.Typer(help="The limits in force: shown, explained, changed.", no_args_is_help=True)
    limits.command()(show)
    limits.command()(explain)
    limits.command("set")(set_limit)
    limits.command()(unset)
    limits.command()(load)
    app.add_typer(limits, name="limits")
