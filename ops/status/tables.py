"""Parts of the status as rich draws them, for the single look and the live view alike."""

from collections.abc import Mapping
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ops.status.model import AlgorithmStatus, Status
from ops.status.waiting import waiting_lines

STATE_STYLES = {
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


def table_of(title: str, *columns: str) -> Table:
    """A table in the style of all of ours; the first column is on the left."""
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


def algorithms_table(status: Status) -> RenderableType:
    """Every algorithm with its state, lag, position and profit, and why one failed."""
    table = table_of("algorithms", "name", "state", "lag", "position", "open", "profit")
    for name, algorithm in status.algorithms.items():
        held = ", ".join(f"{size} {symbol}" for symbol, size in sorted(algorithm.positions.items()))
        profit = Decimal(algorithm.profit) if algorithm.profit is not None else None
        table.add_row(
            Text(name, style="bold"),
            Text(algorithm.state, style=STATE_STYLES.get(algorithm.state, "")),
            "-" if algorithm.lag is None else f"{algorithm.lag:,}",
            held or "flat",
            "-" if algorithm.open_orders is None else str(algorithm.open_orders),
            money(profit),
        )
    failures = [f"{name}: {found.failure}" for name, found in status.algorithms.items() if found.failure]
    return Group(table, Text("\n".join(failures), style="bold red")) if failures else table


def processes_line(status: Status) -> RenderableType:
    """Every process on one line, with what is not as usual."""
    text = Text()
    for name, process in sorted(status.processes.items()):
        style = STATE_STYLES.get(process.state, "")
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


def reasons(status: Status) -> list[RenderableType]:
    """Why processes are in their states, a line each; nothing where none says."""
    lines = [
        f"{name}: {reason.sentence}"
        for name, process in sorted(status.processes.items())
        for reason in process.reasons
    ]
    return [Text("\n".join(lines), style="yellow")] if lines else []


def spool_lines(status: Status) -> list[RenderableType]:
    """What waits on disk to be written, and what of it was lost; nothing where all is written."""
    lines = list(waiting_lines(status.feed.feeds))
    return [Text("\n".join(lines), style="yellow")] if lines else []


def halt_banner(status: Status) -> list[RenderableType]:
    """What is halted, by whom and why; nothing where nothing is."""
    if not status.halts:
        return []
    lines = [
        f"{halted.mode.replace('_', ' ').upper()} {scope}: {halted.reason} (by {halted.by})"
        for scope, halted in status.halts.items()
    ]
    if status.oms is not None and status.oms.halt_file.scopes:
        lines.append(f"halts in {status.oms.halt_file.file}: {', '.join(status.oms.halt_file.scopes)}")
    text = Text("\n".join(lines), style="bold white on red", justify="center")
    return [Panel(text, style="on red", border_style="red", subtitle="cancels still pass")]


def flatten_banner(status: Status) -> list[RenderableType]:
    """Each flatten that is under way, with what is left; nothing where none is."""
    if status.oms is None:
        return []
    lines = []
    for one in status.oms.flattening:
        seconds = (status.at_ns - one.since_ns) / 1e9
        lines.append(f"FLATTENING {one.scope} for {seconds:.0f} s: {one.reason} (by {one.by})")
        lines += [f"  {left}" for left in one.left]
    return [Text("\n".join(lines), style="bold yellow")] if lines else []


def lacking_banner(status: Status) -> list[RenderableType]:
    """What does not trade, while the rest does; nothing where all does, or nothing."""
    if not status.trading or status.stands == "trading":
        return []
    return [Text(status.stands, style="bold yellow")]


def market_data_banner(status: Status) -> list[RenderableType]:
    """That the market-data server does not answer; nothing where it does."""
    if not status.market_data_away:
        return []
    return [Text(f"NO MARKET DATA: {status.market_data_away}", style="bold red")]


def protection_banner(status: Status) -> list[RenderableType]:
    """Positions without the stop-loss that they were to have; nothing where all have it."""
    if status.oms is None or not status.oms.unprotected:
        return []
    lines = [f"UNPROTECTED {whose}: {what}" for whose, what in status.oms.unprotected.items()]
    return [Text("\n".join(lines), style="bold red")]


def money(profit: Decimal | None) -> Text:
    """A profit or loss with its sign and colour."""
    if profit is None:
        return Text("-")
    style = "green" if profit > 0 else "red" if profit < 0 else ""
    return Text(f"{profit:+,.2f}", style=style)


def profit_of(algorithms: Mapping[str, AlgorithmStatus]) -> Decimal | None:
    """The profit of all algorithms together; None where none is known."""
    known = [Decimal(algorithm.profit) for algorithm in algorithms.values() if algorithm.profit is not None]
    return sum(known, Decimal(0)) if known else None
