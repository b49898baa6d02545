"""The commands on an account's book."""

import typer

from ops.book.corporate_action import corporate_action
from ops.book.positions import positions
from ops.book.reconcile import reconcile


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(reconcile)
    app.add_typer(positions, name="positions")
    app.add_typer(corporate_action, name="corporate-action")
