"""What every view of a run can do, and the view for logs and pipes: plain lines."""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import IO, Protocol, Self

from bus import streams
from ops.durations import duration
from ops.running import Servers
from ops.status.model import Status
from ops.status.totals import RunTotals


class View(Protocol):
    """Shows a run to somebody."""

    # Seconds between two looks at the whole.
    every_s: float

    def __enter__(self) -> Self: ...

    def __exit__(self, *ended: object) -> None: ...

    def say(self, text: str) -> None:
        """Tell something that happened."""
        ...

    def show(self, status: Status, totals: RunTotals) -> None:
        """Show how everything stands, and the totals of this run."""
        ...

    def hint(self, hints: list[tuple[str, str]]) -> None:
        """Show commands to try in another terminal, each with what it does."""
        ...


class PlainView:
    """Prints a line now and then, for logs and pipes. Mutable: whether any OMS was seen yet."""

    every_s = 5.0

    def __init__(self, to: IO[str]) -> None:
        self._to = to
        self._began = time.monotonic()
        self._has_oms = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._to.flush()

    def say(self, text: str) -> None:
        """Print one line with the time since the start."""
        print(f"{time.monotonic() - self._began:7.1f} s  {text}", file=self._to, flush=True)

    def show(self, status: Status, totals: RunTotals) -> None:
        """Print one line that sums up; before any OMS was seen, that it starts."""
        self._has_oms |= status.trading or status.oms is not None
        if not self._has_oms:
            self.say("starting: the OMS is not there yet")
            return
        rate = status.feed.ticks_per_second
        middle = status.latency_us["tick_to_approved"]["p50"]
        parts = [
            f"{rate or 0:,.0f} ticks/s",
            f"{totals.approved} approved",
            f"{totals.fills} fills",
            f"tick to order {duration(middle)}" if middle is not None else "",
            status.stands,
        ]
        self.say(", ".join(part for part in parts if part))

    def hint(self, hints: list[tuple[str, str]]) -> None:
        """Print the commands, one a line."""
        self.say("in another terminal:")
        for command, what in hints:
            self.say(f"  {command}    # {what}")


def hints(
    servers: Servers, ports: tuple[int, int] | None, symbols: Sequence[str], *, named: bool
) -> list[tuple[str, str]]:
    """List commands to try. `ports` are of market data and orders, where the servers are ours.

    `named`: other terminals find the servers by themselves.
    """
    command = command_name()
    if not named:
        command = f"MD_REDIS_URL={servers.market} ORDERS_REDIS_URL={servers.orders} {command}"
    symbol = symbols[0] if symbols else "journal"
    found = [
        (f"{command} halt --reason lunch", "no new orders until `backbone resume --reason back`"),
        (f"{command} tail {symbol} -f", "a stream, entry by entry"),
    ]
    if ports is not None and shutil.which("redis-cli"):
        raw = f"redis-cli -p {ports[0]} XREVRANGE md:{symbol}:trades + - COUNT 3"
        found.append((raw, "the same, as the server has it"))
        journal = f"redis-cli -p {ports[1]} XREVRANGE '{streams.journal(servers.account)}' + - COUNT 3"
        found.append((journal, "what became of orders"))
    return [*found, (f"{command} status", "every process, and how it stands")]


def command_name() -> str:
    """Return what to type for this command in this directory."""
    return "backbone" if shutil.which("backbone") else os.path.relpath(sys.argv[0])
