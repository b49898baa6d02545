"""The algorithms of a run, and how each of its processes is started."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from algos.loading import default_name, load_class, make
from algos.parameters import read_parameters
from algos.settings import AlgoSettings
from bus.settings import load
from ingest.settings import IngestSettings
from oms.limits.limits_file import read_limits
from oms.settings import OmsSettings
from ops.run.supervise import Spec, python
from ops.running import Servers

# The two worked examples, and the names they run under.
DEFAULTS = [
    ("algos.strategies.moving_average_cross:MovingAverageCross", "ma-cross"),
    ("algos.strategies.mean_reversion:MeanReversion", "mean-reversion"),
]


@dataclass(frozen=True)
class PlannedAlgorithm:
    """One algorithm: the class to run and the name it runs under."""

    target: str
    name: str

    @property
    def process(self) -> str:
        """The name of its process."""
        return f"algo-{self.name}"


def planned_algorithms(targets: Sequence[str], symbols: Sequence[str]) -> tuple[PlannedAlgorithm, ...]:
    """Choose the algorithms to run; each is loaded and made once, so that errors show before anything starts.

    Raises InvalidInput for a file or class that cannot be run. Two of one class get numbers.
    """
    found: list[PlannedAlgorithm] = []
    for target, given_name in [(target, "") for target in targets] or DEFAULTS:
        algorithm = load_class(target)
        make(algorithm, symbols, read_parameters(algorithm, {}, os.environ))
        name = base = given_name or default_name(algorithm)
        number = 2
        while name in {planned.name for planned in found}:
            name = f"{base[:28]}-{number}"
            number += 1
        found.append(PlannedAlgorithm(target, name))
    return tuple(found)


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Take the keys out of an environment, for a process that talks to no broker."""
    return {name: value for name, value in environment.items() if not name.startswith("ALPACA_")}


def with_servers(servers: Servers, environment: Mapping[str, str]) -> dict[str, str]:
    """Put the servers into an environment: on a command line everybody could read their passwords."""
    given = {"MD_REDIS_URL": servers.market, "ORDERS_REDIS_URL": servers.orders}
    if servers.halt_file:
        given["BACKBONE_HALT_FILE"] = servers.halt_file
    kept = {name: value for name, value in environment.items() if name.removesuffix("_FILE") not in given}
    return kept | given | {"BACKBONE_ACCOUNT": servers.account}


def algorithm_process(
    planned: PlannedAlgorithm, symbols: Sequence[str], environment: Mapping[str, str], directory: Path
) -> Spec:
    """Say how to start one algorithm; the run goes on when it ends for good."""
    arguments = ["-m", "algos", planned.target, "--name", planned.name]
    if symbols:
        arguments += ["--symbols", ",".join(symbols)]
    return python(planned.process, arguments, without_keys(environment), directory, essential=False)


def oms_process(environment: Mapping[str, str], directory: Path) -> Spec:
    """Say how to start the OMS."""
    return python("oms", ["-m", "oms"], environment, directory)


def spool_variable(environment: Mapping[str, str], place: Path | None) -> dict[str, str]:
    """Return the variable that has ingest spool beside the data of servers of our own, where none is given.

    What waits for a server whose data end with a run must not reach another one.
    """
    name = "BACKBONE_INGEST_SPOOL_DIR"
    return {} if place is None or environment.get(name) else {name: str(place / "spool")}


def ingest_process(environment: Mapping[str, str], directory: Path, *arguments: str) -> Spec:
    """Say how to start ingest."""
    return python("ingest", ["-m", "ingest", *arguments], environment, directory)


def check_settings(limits: Path | None) -> None:
    """Raise InvalidInput for settings or limits with which a service would not start."""
    load(IngestSettings)
    load(AlgoSettings)
    read_limits(load(OmsSettings, oms_limits=limits).oms_limits)


def limits_variable(path: Path | None) -> dict[str, str]:
    """Return the variable that names the limits file to the OMS; nothing for the OMS's own limits."""
    return {} if path is None else {"BACKBONE_OMS_LIMITS": str(path.resolve())}
