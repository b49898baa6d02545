"""What `backbone demo` was asked for, made into a plan; what is wrong is said before anything starts."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bus.errors import InvalidInput
from bus.settings import BusSettings, load
from ops.run.plan import DEFAULT_SYMBOLS, Plan, split
from ops.run.processes import check_settings, players
from ops.running import given_servers

# Quotes and trades a second, all symbols together: lively to look at, and no load.
DEFAULT_RATE = 500


@dataclass(frozen=True)
class Wishes:
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


def planned(wishes: Wishes) -> Plan:
    """The plan. Raises InvalidInput, naming the option, the symbol, the file or the variable."""
    settings = load(BusSettings)
    check_settings(None)
    servers = given_servers(settings)
    if wishes.data is None:
        if wishes.speed is not None or wishes.keep_times:
            raise InvalidInput("--speed and --keep-times are about recorded data: give --data as well")
        symbols = _known(split(wishes.symbols or DEFAULT_SYMBOLS))
    else:
        if wishes.rate is not None:
            raise InvalidInput("--data brings its own rate: leave out --rate, or use --speed")
        symbols = _recorded(wishes.data, split(wishes.symbols))
    return Plan(
        command="demo",
        account=settings.account,
        symbols=symbols,
        players=players(wishes.targets, symbols),
        servers=servers,
        simulator=_arguments(wishes, symbols),
        ends_with_data=wishes.data is not None,
        seconds=wishes.seconds,
        shared=wishes.shared,
    )


def _known(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """The symbols, all of which the simulator knows."""
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
    """The symbols to trade, which must be in the file; all of them where none are named."""
    from sim.exchange.tape import read

    found = tuple(dict.fromkeys(message.symbol for message in read(data)))
    for symbol in wanted:
        if symbol not in found:
            raise InvalidInput(f"--symbols: {data} has no {symbol}; it has {', '.join(found[:20])}")
    return wanted or found


def _arguments(wishes: Wishes, symbols: tuple[str, ...]) -> tuple[str, ...]:
    arguments = ["--bar-seconds", "1", "--seed", str(wishes.seed)]
    if wishes.data is None:
        rate = DEFAULT_RATE if wishes.rate is None else wishes.rate
        arguments += ["--symbols", ",".join(symbols), "--rate", f"{rate:g}"]
    else:
        arguments += ["--data", str(wishes.data), "--speed", f"{wishes.speed or 1:g}"]
        if wishes.keep_times:
            arguments.append("--keep-times")
    return tuple(arguments)
