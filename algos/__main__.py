"""`python -m algos path/to/file.py:Class`: run one algorithm as a process of its own."""

import argparse
import os
import sys
from collections.abc import Sequence

from algos.algorithm import session_of
from algos.connections import connections
from algos.loading import default_name, load_class, make, parameters_given
from algos.parameters import read_parameters
from algos.runner import Runner
from algos.settings import AlgoSettings
from algos.subscription import streams_of, subscriptions_of
from bus.connection import require_servers, until_required
from bus.logs import set_up
from bus.service import Service, live, run
from bus.settings import load
from bus.streams import checked_name
from bus.variables import help_text

EXAMPLE = """\
example:
  backbone algo strategies/cross.py:MovingAverageCross --symbols AAPL,MSFT --param fast=5

Parameters may also be given as BACKBONE_PARAM_<NAME>; --param wins. The servers are MD_REDIS_URL and
ORDERS_REDIS_URL; where neither is set, those of the `backbone demo` or `backbone up` that runs here.
Exit code: 0 after a shutdown, 1 after a failure, 2 for input that is wrong.
"""


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    made = argparse.ArgumentParser(
        prog="backbone algo",
        description="Run one algorithm.",
        epilog=f"{help_text(AlgoSettings, 'algo')}\n\n{EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("target", metavar="FILE:CLASS", help="path/to/file.py:Class or package.module:Class")
    made.add_argument(
        "--symbols",
        default="",
        metavar="A,B",
        help="such as AAPL,MSFT; * is all; default: the class's",
    )
    made.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter; may be repeated"
    )
    made.add_argument("--name", help="what it is called; default: from the class's name")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run an algorithm until it is stopped; returns the exit code."""
    arguments = parser().parse_args(argv)
    return run(lambda: _run(arguments))


async def _run(arguments: argparse.Namespace) -> None:
    settings = load(AlgoSettings)
    found = load_class(arguments.target)
    name = checked_name(arguments.name) if arguments.name else default_name(found)
    parameters = read_parameters(found, parameters_given(arguments.param), os.environ)
    symbols = [symbol.strip() for symbol in arguments.symbols.split(",") if symbol.strip()]
    algorithm = make(found, symbols, parameters)
    process = f"algo-{name}"
    set_up(process, level=settings.log_level)
    urls = settings.md_redis_url, settings.orders_redis_url
    await until_required(lambda: require_servers(*urls, name=f"{process}-check"))
    service = Service(process, settings.account)
    subscriptions = subscriptions_of(found, algorithm.symbols)
    runner = Runner(
        session_of(algorithm, name),
        connections(settings, name, streams_of(subscriptions), service.clock),
        service,
        account=settings.account,
        symbols=algorithm.symbols,
        subscriptions=subscriptions,
        trigger_max_age_s=settings.algo_trigger_max_age_s,
        shutdown_grace_s=settings.algo_shutdown_grace_s,
    )
    # The runner ends in time by itself and says who was late; two seconds more are for closing.
    await live(service, settings.orders_redis_url, runner.run, grace_s=settings.algo_shutdown_grace_s + 2)


if __name__ == "__main__":
    sys.exit(main())
