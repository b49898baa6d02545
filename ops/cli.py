"""The `backbone` command; what one of its commands needs is loaded when that command runs."""

import signal
import sys
from types import FrameType

import typer

from bus.errors import BackboneError, InvalidInput

app = typer.Typer(
    name="backbone",
    help="A message-bus trading backbone for Alpaca on Redis Streams.",
    epilog="Start with `backbone demo`: it needs no keys and no servers.",
    # Messages are for people: plain sentences, without boxes, colours or tracebacks in frames.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

BAD_INPUT = 2


def with_commands() -> typer.Typer:
    """Add every group of commands to the application and return it."""
    from ops import cancel_all, dead, halt, services
    from ops.account import command as account
    from ops.backfill import command as backfill
    from ops.book import command as book
    from ops.doctor import command as doctor
    from ops.drill import command as drill
    from ops.flatten import command as flatten
    from ops.journal import command as journal
    from ops.limits import command as limits
    from ops.order import command as order
    from ops.risk import command as risk
    from ops.run import demo, up
    from ops.status import command as status
    from ops.tail import command as tail

    for group in (
        demo, up, services, status, tail, halt, cancel_all, flatten, book, limits, risk, dead, account,
        journal, order, backfill, doctor, drill,
    ):  # fmt: skip
        group.add_to(app)
    return app


def _end_as_with_ctrl_c(number: int, frame: FrameType | None) -> None:
    """Whoever ends a command by SIGTERM finds nothing of it left running either."""
    signal.raise_signal(signal.SIGINT)


def main() -> None:
    """Run the command line; bad input is one sentence on stderr and exit code 2."""
    # A shell without job control starts what it puts into the background with SIGINT ignored. asyncio would
    # leave it so, and what ends a command would be raised in whatever task is at work.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end_as_with_ctrl_c)
    try:
        with_commands()()
    except BackboneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT if isinstance(error, InvalidInput) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
