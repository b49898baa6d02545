"""The live view in a terminal: prices, algorithms, orders as they happen, processes, and the halt state."""

import time
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bus.codec import Message
from bus.order_messages import OrderApproved, OrderFilled, OrderRefused, OrderUncertain
from ops.message_lines import sentence
from ops.run.summary import duration
from ops.status.snapshot import Status, profit_of
from ops.status.totals import Tally

_NOTICES = 3

# Looks that the course of a price goes back, and the width from which there is room for it.
_COURSE = 12
_WIDE = 100
_BLOCKS = "▁▂▃▄▅▆▇█"

# What happens to orders, without the steps in between that only `tail journal` needs.
_SHOWN = (OrderApproved, OrderFilled, OrderRefused, OrderUncertain)
_STYLES: dict[type[Message], str] = {
    OrderFilled: "bold green",
    OrderRefused: "yellow",
    OrderUncertain: "bold magenta",
}
_STATE_STYLES = {
    # A child of the supervisor that has no heartbeat: a server, the simulator.
    "running": "green",
    "ready": "green",
    "leader": "green",
    "follower": "cyan",
    "degraded": "yellow",
    "waiting": "yellow",
    "unreadable": "bold red",
    "failed": "bold red",
    "aborted": "bold red",
    "restarting": "yellow",
}


class LiveView:
    """Redraws the whole at each look."""

    every_s = 0.5

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console()
        self._began = time.monotonic()
        self._first_prices: dict[str, Decimal] = {}
        self._prices_seen: dict[str, deque[Decimal]] = {}
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._hints: list[tuple[str, str]] = []
        # Drawn when told to, not by a thread of its own: this process forks, and threads and forks mix badly.
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._live.__exit__(None, None, None)
        for notice in self._notices:
            self._console.print(Text(notice, style="yellow"))

    def say(self, text: str) -> None:
        """Keep a notice in sight."""
        self._notices.append(f"{time.monotonic() - self._began:.0f} s: {text}")

    def hint(self, hints: list[tuple[str, str]]) -> None:
        """Commands for the foot of the screen."""
        self._hints = hints

    def show(self, status: Status, tally: Tally) -> None:
        """Draw."""
        self._live.update(self.drawn(status, tally), refresh=True)

    def drawn(self, status: Status, tally: Tally) -> RenderableType:
        """The whole screen."""
        for symbol, price in status.symbols.items():
            self._first_prices.setdefault(symbol, Decimal(price))
            self._prices_seen.setdefault(symbol, deque(maxlen=_COURSE)).append(Decimal(price))
        above = [self._head(status), *_halt_banner(status), *self._middle(status)]
        foot = self._foot()
        used = sum(len(self._console.render_lines(part, pad=False)) for part in (*above, *foot))
        rows = max(3, self._console.height - used - 3)
        return Group(*above, _orders(status, tally, rows), *foot)

    def _middle(self, status: Status) -> list[RenderableType]:
        if self._console.width < _WIDE:
            return [self._prices(status), _algorithms(status)]
        side_by_side = Table.grid(expand=True, padding=(0, 1))
        side_by_side.add_column(ratio=2)
        side_by_side.add_column(ratio=3)
        side_by_side.add_row(self._prices(status), Group(_algorithms(status), _processes(status)))
        return [side_by_side]

    def _head(self, status: Status) -> RenderableType:
        seconds = int(time.monotonic() - self._began)
        title = self._title if self._console.width >= _WIDE else self._title.removeprefix("backbone ")
        tick = status.latency_us["tick_to_approved"]
        latency = "-" if tick["p50"] is None else duration(tick["p50"])
        if tick["p99"] is not None and self._console.width >= _WIDE:
            latency += f" (p99 {duration(tick['p99'])})"
        grid = Table.grid(expand=True, padding=(0, 1))
        for justify in ("left", "center", "center", "center", "right"):
            grid.add_column(justify=justify, no_wrap=True)
        grid.add_row(
            Text(f"{title}  {seconds // 60:02d}:{seconds % 60:02d}", style="bold"),
            Text.assemble((f"{status.feed.ticks_per_second or 0:,.0f}", "bold cyan"), " ticks/s"),
            Text.assemble("tick → order ", (latency, "bold cyan")),
            Text.assemble("profit ", _money(profit_of(status.algorithms))),
            Text("● TRADING", style="bold green") if status.trading else Text("● HELD", style="bold red"),
        )
        return Panel(grid, border_style="green" if status.trading else "red")

    def _prices(self, status: Status) -> RenderableType:
        wide = self._console.width >= _WIDE
        table = _table("market", "symbol", "last", "change", *(("latest",) if wide else ()))
        for symbol, shown in status.symbols.items():
            price, seen = Decimal(shown), self._prices_seen[symbol]
            change = (price / self._first_prices[symbol] - 1) * 100
            style = "green" if change > 0 else "red" if change < 0 else "dim"
            course = (Text(sparkline(tuple(seen)), style=style),) if wide else ()
            table.add_row(symbol, f"{price:,.2f}", Text(f"{change:+.3f}%", style=style), *course)
        if not status.symbols:
            return Text("waiting for the first tick", style="dim")
        return table

    def _foot(self) -> list[RenderableType]:
        parts: list[RenderableType] = []
        if self._notices:
            parts.append(Text("\n".join(self._notices), style="yellow"))
        if self._hints:
            grid = Table.grid(padding=(0, 2))
            for command, what in self._hints:
                about = (Text(what, style="dim"),) if self._console.width >= _WIDE else ()
                grid.add_row(Text(f"$ {command}", style="bold"), *about)
            title = "try in another terminal  ·  Ctrl-C ends everything"
            parts.append(Panel(grid, title=title, title_align="left", border_style="dim"))
        return parts


def sparkline(prices: Sequence[Decimal]) -> str:
    """The course of a price in one line of blocks, the lowest and the highest being its ends."""
    low, high = min(prices), max(prices)
    if low == high:
        return _BLOCKS[0] * len(prices)
    return "".join(_BLOCKS[int((price - low) / (high - low) * (len(_BLOCKS) - 1))] for price in prices)


def still(status: Status) -> RenderableType:
    """The snapshot for one look: what `backbone status` prints."""
    word = Text("● TRADING", style="bold green")
    if not status.trading:
        word = Text(f"● HELD: {'; '.join(status.why_not) or 'not ready'}", style="bold red")
    processes = _table("processes", "name", "pid", "state", "restarts", "heartbeat")
    for name, process in sorted(status.processes.items()):
        age = "-" if process.age_ms is None else f"{process.age_ms} ms ago"
        state = Text(process.state, style=_STATE_STYLES.get(process.state, ""))
        processes.add_row(name, str(process.pid or "-"), state, str(process.restarts), age)
    latency = _table("latency", "from and to", "p50", "p99")
    for span, percentiles in status.latency_us.items():
        shown = [duration(value) if value is not None else "-" for value in percentiles.values()]
        latency.add_row(span.replace("_", " "), *shown)
    streams = _table("streams", "name", "entries")
    for name, size in status.streams.items():
        streams.add_row(name, f"{size:,}")
    parts = [word, *_halt_banner(status), processes, *_reasons(status), _algorithms(status), latency, streams]
    if status.simulator:
        parts.append(Text(f"what can go wrong, to try: curl {status.simulator}/faults", style="dim"))
    return Group(*parts)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="dim", expand=True, box=None, padding=(0, 1))
    for number, column in enumerate(columns):
        table.add_column(
            column,
            justify="left" if number == 0 else "right",
            header_style="dim",
            no_wrap=True,
            # What may be long gives way to the rest.
            ratio=1 if column == "position" else None,
        )
    return table


def _algorithms(status: Status) -> RenderableType:
    table = _table("algorithms", "name", "state", "lag", "position", "open", "profit")
    for name, algorithm in status.algorithms.items():
        held = ", ".join(f"{size} {symbol}" for symbol, size in sorted(algorithm.positions.items()))
        profit = Decimal(algorithm.profit) if algorithm.profit is not None else None
        table.add_row(
            Text(name, style="bold"),
            Text(algorithm.state, style=_STATE_STYLES.get(algorithm.state, "")),
            "-" if algorithm.lag is None else f"{algorithm.lag:,}",
            held or "flat",
            "-" if algorithm.open_orders is None else str(algorithm.open_orders),
            _money(profit),
        )
    failures = [f"{name}: {found.failure}" for name, found in status.algorithms.items() if found.failure]
    return Group(table, Text("\n".join(failures), style="bold red")) if failures else table


def _processes(status: Status) -> RenderableType:
    text = Text()
    for name, process in sorted(status.processes.items()):
        style = _STATE_STYLES.get(process.state, "")
        # Unbreakable spaces: a process stays on one line.
        text.append("●\N{NO-BREAK SPACE}", style=style or "green")
        text.append(name)
        text.append(f"\N{NO-BREAK SPACE}{process.pid or ''}", style="dim")
        if process.state not in ("running", "ready", "leader", "follower"):
            text.append(f"\N{NO-BREAK SPACE}{process.state}", style=style or "yellow")
        if process.restarts:
            text.append(f"\N{NO-BREAK SPACE}restarted\N{NO-BREAK SPACE}{process.restarts}x", style="yellow")
        text.append("   ")
    return Panel(text, title="processes", title_align="left", border_style="dim")


def _reasons(status: Status) -> list[RenderableType]:
    """Why processes are in their states, a line each; nothing where none says."""
    lines = [
        f"{name}: {reason.sentence}"
        for name, process in sorted(status.processes.items())
        for reason in process.reasons
    ]
    return [Text("\n".join(lines), style="yellow")] if lines else []


def _halt_banner(status: Status) -> list[RenderableType]:
    if not status.halts:
        return []
    lines = [
        f"{halted.mode.replace('_', ' ').upper()} {scope}: {halted.reason} (by {halted.by})"
        for scope, halted in status.halts.items()
    ]
    text = Text("\n".join(lines), style="bold white on red", justify="center")
    return [Panel(text, style="on red", border_style="red", subtitle="cancels still pass")]


def _orders(status: Status, tally: Tally, rows: int) -> RenderableType:
    """The latest, newest last."""
    shown = [(at_ms, message) for at_ms, message in status.recent if isinstance(message, _SHOWN)]
    text = Text(no_wrap=True, overflow="ellipsis")
    for at_ms, message in shown[-rows:]:
        moment = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
        text.append(f"{moment}.{at_ms % 1000:03d}  ", style="dim")
        text.append(f"{sentence(message)}\n", style=_STYLES.get(type(message), ""))
    refused = sum(tally.refused.values())
    title = (
        f"orders and fills  ·  {tally.approved:,} approved  ·  {refused:,} refused  ·  "
        f"{tally.fills:,} fills  ·  {status.open_orders} open"
    )
    if not shown:
        why = "; ".join(status.why_not)
        text = Text(f"none yet{f': {why}' if why else ''}", style="dim")
    return Panel(text, title=title, title_align="left", border_style="dim", height=rows + 2)


def _money(profit: Decimal | None) -> Text:
    if profit is None:
        return Text("-")
    style = "green" if profit > 0 else "red" if profit < 0 else ""
    return Text(f"{profit:+,.2f}", style=style)
