"""`backbone drill`: what is promised for the worst day, tried on a simulator and measured."""

import typer

from ops.drill.ingest_commands import kill_ingest, outage, retention
from ops.drill.oms_commands import archive, halt, kill_oms, recovery, takeover

_HELP = """Try what is promised for the worst day, on servers and a simulator of its own, and measure it.

Example: backbone drill takeover --times 10
"""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.callback(help=_HELP)(_drills)
    group.command()(takeover)
    group.command()(halt)
    group.command()(recovery)
    group.command()(archive)
    group.command("kill-oms")(kill_oms)
    group.command()(retention)
    group.command("kill-ingest")(kill_ingest)
    group.command()(outage)
    app.add_typer(group, name="drill")


def _drills() -> None:
    """Without a command it says what there are."""
