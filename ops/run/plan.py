"""The plan of a run: everything that is decided before anything starts."""

from dataclasses import dataclass
from pathlib import Path

from bus.symbols import checked_symbol
from ops.run.processes import PlannedAlgorithm
from ops.running import Servers

DEFAULT_SYMBOLS = "AAPL,MSFT,SPY,TSLA"


@dataclass(frozen=True)
class Plan:
    """What to run, on which servers, against which broker, and for how long.

    `servers` None starts two of our own, with their data in `data_directory`, or for this run only.
    `simulator` holds the simulator's arguments; None is Alpaca. The run ends after `seconds`, with the
    recorded data, or when it is told to. `halted`: it starts with trading halted.
    """

    command: str
    account: str
    symbols: tuple[str, ...]
    algorithms: tuple[PlannedAlgorithm, ...]
    servers: Servers | None = None
    data_directory: Path | None = None
    simulator: tuple[str, ...] | None = None
    ends_with_data: bool = False
    seconds: float | None = None
    limits: Path | None = None
    is_live: bool = False
    shared: bool = False
    halted: bool = False

    @property
    def title(self) -> str:
        """The run's name on screen."""
        return f"backbone {self.command}{' LIVE' if self.is_live else ''}"


def split(symbols: str) -> tuple[str, ...]:
    """Split `AAPL,MSFT` into symbols, each once. Raises InvalidInput for what is no symbol."""
    parts = (part.strip() for part in symbols.split(","))
    return tuple(dict.fromkeys(checked_symbol(part) for part in parts if part))
