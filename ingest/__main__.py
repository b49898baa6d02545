"""`python -m ingest`: listen to Alpaca's streams and write them to Redis."""

import argparse
import sys
from collections.abc import Sequence

from bus.errors import InvalidInput
from bus.logs import set_up
from bus.service import BAD_INPUT, run
from bus.settings import load
from bus.variables import help_text
from ingest.service import serve
from ingest.settings import IngestSettings

_EXAMPLE = """\
example:
  MD_REDIS_URL=redis://127.0.0.1:6379/0 ORDERS_REDIS_URL=redis://127.0.0.1:6380/0 backbone ingest --feed iex

It subscribes to what readers want: keys wants:<account>:<reader> on the orders server, such as
  SET wants:paper:me '{"trades": ["AAPL"], "bars": ["*"]}' PX 5000
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ingest to its end; returns the exit code: 0, 1 for a failure, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="backbone ingest",
        description="Listen to Alpaca's market data and trade updates; write them to Redis Streams.",
        epilog=f"{help_text(IngestSettings, 'ingest')}\n\n{_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--feed", help="the stock feed: iex, sip, delayed_sip, boats, overnight or test")
    parser.add_argument("--bar-seconds", type=float, help="how long a bar lasts (60 at Alpaca)")
    parser.add_argument("--hours", help="when shares are expected to trade: exchange (default) or always")
    arguments = parser.parse_args(argv)
    try:
        settings = load(
            IngestSettings,
            feed=arguments.feed,
            ingest_bar_seconds=arguments.bar_seconds,
            ingest_hours=arguments.hours,
        )
        settings.keys()
    except InvalidInput as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one sentence for whoever started us
        return BAD_INPUT
    set_up("ingest", level=settings.log_level)
    return run(lambda: serve(settings))


if __name__ == "__main__":
    sys.exit(main())
