"""`backbone sim | ingest | oms | algo`: one service in this terminal."""

import os
import sys
from collections.abc import Callable

import typer

# The service reads its own arguments, `--help` included.
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

SERVICES = {
    "sim": ("sim", "Run the Alpaca look-alike alone."),
    "ingest": ("ingest", "Run ingest: Alpaca's streams into Redis Streams."),
    "oms": ("oms", "Run the OMS: check, journal and send orders."),
    "algo": ("algos", "Run one algorithm from a file."),
}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, (package, text) in SERVICES.items():
        app.command(name, help=text, context_settings=_PASSED_ON, add_help_option=False)(_runner(package))


def _runner(package: str) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        environment = dict(os.environ)
        if package == "algos":
            environment |= _joined()
        # The process becomes the service: signals reach it directly, and nothing of ours stays in its memory.
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, "-m", package, *context.args], environment)

    return command


def _joined() -> dict[str, str]:
    """Return variables that name the servers of what runs here; none where the environment names any.

    Ingest and the OMS hold a broker's keys: they never join servers that nobody named.
    """
    from bus.settings import BusSettings, load
    from ops import running

    found = None if running.are_named() else running.read(load(BusSettings))
    if found is None:
        return {}
    servers = found.servers
    return {
        "MD_REDIS_URL": servers.market,
        "ORDERS_REDIS_URL": servers.orders,
        "BACKBONE_ACCOUNT": servers.account,
    }
