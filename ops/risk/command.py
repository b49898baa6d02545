"""The commands on risk's decisions."""

import typer

from ops.risk.explain import explain


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    risk = typer.Typer(help="Decisions on orders, explained.", no_args_is_help=True)
    # With a callback it stays a group of commands, though it has one alone.
    risk.callback()(lambda: None)
    risk.command()(explain)
    app.add_typer(risk, name="risk")
