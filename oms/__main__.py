"""Run the OMS: `python -m oms`. Wires settings, limits and the broker by plain arguments."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from bus import logs
from bus.clock import SystemClock
from bus.connection import require_orders_server, until_required
from bus.service import Service, live, run
from bus.settings import load
from bus.variables import help_text
from oms import startup
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.protocol import Broker
from oms.journal.journal import Journal
from oms.limits.limits_file import read_limits
from oms.service import Oms
from oms.settings import DEFAULT_LIMITS, OmsSettings

log = structlog.get_logger()

_EXAMPLE = """\
example:
  ORDERS_REDIS_URL=redis://127.0.0.1:6380/0 MD_REDIS_URL=redis://127.0.0.1:6379/0 \\
  ALPACA_API_KEY_FILE=key ALPACA_SECRET_KEY_FILE=secret backbone oms --limits limits.toml
"""


def main(argv: list[str] | None = None) -> int:
    """Run the OMS until it is stopped; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="backbone oms",
        description="Check each order request against limits and halts, journal it, send what is approved.",
        epilog=f"{help_text(OmsSettings, 'oms')}\n\n{_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--limits",
        metavar="FILE",
        type=Path,
        help=f"risk limits as TOML (default: {DEFAULT_LIMITS.name} of this package, made for paper)",
    )
    arguments = parser.parse_args(argv)
    return start(arguments.limits, alpaca)


def start(
    limits_file: Path | None,
    make_broker: Callable[[OmsSettings], Broker],
    make_journal: Callable[..., Journal] = Journal,
) -> int:
    """Run an OMS with this broker and journal; returns the exit code."""

    async def body() -> None:
        settings = load(OmsSettings, oms_limits=limits_file)
        logs.set_up("oms", level=settings.log_level)
        limits = read_limits(settings.oms_limits)
        service = Service("oms", settings.account)

        def make_oms() -> Oms:
            return Oms(service, settings, limits, make_broker(settings), make_journal)

        # Before a server is asked for: keys that are missing are the first to be told of.
        oms = make_oms()
        urls = settings.md_redis_url, settings.orders_redis_url
        if away := await until_required(lambda: require_orders_server(*urls, name="oms-check")):
            # It orders nothing without prices; cancels, and flattens, need none.
            log.warning("no market data", error=away)
        await live(service, settings.orders_redis_url, lambda: startup.lead_in_turn(oms, make_oms))

    return run(body)


def alpaca(settings: OmsSettings) -> AlpacaBroker:
    """The broker of these settings. Raises InvalidInput where keys are missing."""
    key, secret = settings.keys()
    return AlpacaBroker(
        key,
        secret,
        SystemClock(),
        paper=settings.trading == "paper",
        url=settings.trading_api_url,
        timeout_s=settings.oms_send_timeout_s,
    )


if __name__ == "__main__":
    sys.exit(main())
