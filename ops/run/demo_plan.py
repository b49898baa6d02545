"""Makes the options of `backbone demo` into a plan, and refuses bad ones before anything starts."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bus.errors import InvalidInput
from bus.settings import BusSettings, load
from ops.run.plan import DEFAULT_SYMBOLS, Plan, split
from ops.run.processes import check_settings, planned_algorithms
from ops.running import given_servers

# Quotes and trades a second, all symbols together: enough to look at, and little load.
DEFAULT_RATE = 500


@dataclass(frozen=True)
class DemoOptions:
    """The options of the command line, as given."""

    symbols: str = ""
    data: Path | None = None
    speed: float | None = None
    keep_times: bool = False
    rate: float | None = None
    seed: int = 1
    seconds: float | None = None
    targets: tuple[str, ...] = ()
    shared: bool = False


def plan_demo(options: DemoOptions) -> Plan:
    """Make the plan. Raises InvalidInput that names the option, the symbol, the file or the variable."""
    # The simulator is a paper account, whatever is traded elsewhere.
    settings = load(BusSettings, trading="paper")
    check_settings(None)
    servers = given_servers(settings)
    if options.data is None:
        if options.speed is not None or options.keep_times:
            raise InvalidInput("--speed and --keep-times are about recorded data: give --data as well")
        symbols = _known(split(options.symbols or DEFAULT_SYMBOLS))
    else:
        if options.rate is not None:
            raise InvalidInput("--data brings its own rate: leave out --rate, or use --speed")
        symbols = _recorded(options.data, split(options.symbols))
    return Plan(
        command="demo",
        account=settings.account,
        symbols=symbols,
        algorithms=planned_algorithms(options.targets, symbols),
        servers=servers,
        simulator=_arguments(options, symbols),
        ends_with_data=options.data is not None,
        seconds=options.seconds,
        shared=options.shared,
    )


def _known(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols; raises InvalidInput for one that the simulator does not know."""
    from sim.exchange.assets import Assets

    assets = Assets()
    for symbol in symbols:
        asset = assets.find(symbol)
        if asset is None or asset.symbol != symbol:
            known = [asset.symbol for asset in assets.all()]
            near = get_close_matches(symbol, known, n=3, cutoff=0.4) or known[:6]
            raise InvalidInput(
                f"--symbols: the simulator does not know {symbol}; it knows {', '.join(near)} and others"
            )
    return symbols


def _recorded(data: Path, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols to trade, all of the file's where none are named; raises InvalidInput."""
    from sim.exchange.tape import read

    found = tuple(dict.fromkeys(message.symbol for message in read(data)))
    for symbol in wanted:
        if symbol not in found:
            raise InvalidInput(f"--symbols: {data} has no {symbol}; it has {', '.join(found[:20])}")
    return wanted or found


def _arguments(options: DemoOptions, symbols: tuple[str, ...]) -> tuple[str, ...]:
    arguments = ["--bar-seconds", "1", "--seed", str(options.seed)]
    if options.data is None:
        rate = DEFAULT_RATE if options.rate is None else options.rate
        arguments += ["--symbols", ",".join(symbols), "--rate", f"{rate:g}"]
    else:
        arguments += ["--data", str(options.data), "--speed", f"{options.speed or 1:g}"]
        if options.keep_times:
            arguments.append("--keep-times")
    return tuple(arguments)
