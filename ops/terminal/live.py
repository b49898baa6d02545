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
from bus.order_events import OrderApproved, OrderFilled, OrderRefused, OrdersRefused, OrderUncertain
from ops.durations import duration
from ops.message_lines import message_line
from ops.status.model import Status
from ops.status.tables import (
    algorithms_table,
    flatten_banner,
    halt_banner,
    lacking_banner,
    money,
    processes_line,
    profit_of,
    protection_banner,
    table_of,
)
from ops.status.totals import RunTotals

_NOTICES = 3

# How many looks back a sparkline goes, and the width from which there is room for it.
_SPARKLINE_LOOKS = 12
_WIDE = 100
_BLOCKS = "▁▂▃▄▅▆▇█"

# What happens to orders, without the steps in between that only `tail journal` needs.
_SHOWN = (OrderApproved, OrderFilled, OrderRefused, OrdersRefused, OrderUncertain)
_STYLES: dict[type[Message], str] = {
    OrderFilled: "bold green",
    OrderRefused: "yellow",
    OrdersRefused: "yellow",
    OrderUncertain: "bold magenta",
}


class LiveView:
    """Draws the whole screen anew at each look.

    Mutable: prices seen, notices and hints.
    """

    every_s = 0.5

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console()
        self._began = time.monotonic()
        self._first_prices: dict[str, Decimal] = {}
        self._prices_seen: dict[str, deque[Decimal]] = {}
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._hints: list[tuple[str, str]] = []
        # Drawn on demand, without a thread of rich's: this process forks, and a fork copies no thread.
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._live.__exit__(None, None, None)
        for notice in self._notices:
            self._console.print(Text(notice, style="yellow"))

    def say(self, text: str) -> None:
        """Show a notice until newer ones take its place."""
        self._notices.append(f"{time.monotonic() - self._began:.0f} s: {text}")

    def hint(self, hints: list[tuple[str, str]]) -> None:
        """Show these commands at the foot of the screen."""
        self._hints = hints

    def show(self, status: Status, totals: RunTotals) -> None:
        """Draw the screen."""
        self._live.update(self.drawn(status, totals), refresh=True)

    def drawn(self, status: Status, totals: RunTotals) -> RenderableType:
        """Compose the whole screen."""
        for symbol, price in status.symbols.items():
            self._first_prices.setdefault(symbol, Decimal(price))
            self._prices_seen.setdefault(symbol, deque(maxlen=_SPARKLINE_LOOKS)).append(Decimal(price))
        banners = [
            *lacking_banner(status),
            *halt_banner(status),
            *flatten_banner(status),
            *protection_banner(status),
        ]
        above = [self._head(status), *banners, *self._middle(status)]
        foot = self._foot()
        used = sum(len(self._console.render_lines(part, pad=False)) for part in (*above, *foot))
        rows = max(3, self._console.height - used - 3)
        return Group(*above, _orders(status, totals, rows), *foot)

    def _middle(self, status: Status) -> list[RenderableType]:
        if self._console.width < _WIDE:
            return [self._prices(status), algorithms_table(status)]
        side_by_side = Table.grid(expand=True, padding=(0, 1))
        side_by_side.add_column(ratio=2)
        side_by_side.add_column(ratio=3)
        side_by_side.add_row(self._prices(status), Group(algorithms_table(status), processes_line(status)))
        return [side_by_side]

    def _head(self, status: Status) -> RenderableType:
        seconds = int(time.monotonic() - self._began)
        title = self._title if self._console.width >= _WIDE else self._title.removeprefix("backbone ")
        tick = status.latency_us["tick_to_approved"]
        latency = "-" if tick["p50"] is None else duration(tick["p50"])
        if tick["p99"] is not None and self._console.width >= _WIDE:
            latency += f" (p99 {duration(tick['p99'])})"
        style = "red" if not status.trading else "green" if status.stands == "trading" else "yellow"
        shown = {"red": "● HELD", "green": "● TRADING", "yellow": "● IN PART"}
        word = Text(shown[style], style=f"bold {style}")
        grid = Table.grid(expand=True, padding=(0, 1))
        for justify in ("left", "center", "center", "center", "right"):
            grid.add_column(justify=justify, no_wrap=True)
        grid.add_row(
            Text(f"{title}  {seconds // 60:02d}:{seconds % 60:02d}", style="bold"),
            Text.assemble((f"{status.feed.ticks_per_second or 0:,.0f}", "bold cyan"), " ticks/s"),
            Text.assemble("tick → order ", (latency, "bold cyan")),
            Text.assemble("profit ", money(profit_of(status.algorithms))),
            word,
        )
        return Panel(grid, border_style=style)

    def _prices(self, status: Status) -> RenderableType:
        wide = self._console.width >= _WIDE
        table = table_of("market", "symbol", "last", "change", *(("latest",) if wide else ()))
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
    """Draw prices as one line of blocks, from the lowest price to the highest."""
    low, high = min(prices), max(prices)
    if low == high:
        return _BLOCKS[0] * len(prices)
    return "".join(_BLOCKS[int((price - low) / (high - low) * (len(_BLOCKS) - 1))] for price in prices)


def _orders(status: Status, totals: RunTotals, rows: int) -> RenderableType:
    """List the latest events of orders, newest last."""
    shown = [(at_ms, message) for at_ms, message in status.recent if isinstance(message, _SHOWN)]
    text = Text(no_wrap=True, overflow="ellipsis")
    for at_ms, message in shown[-rows:]:
        moment = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
        text.append(f"{moment}.{at_ms % 1000:03d}  ", style="dim")
        text.append(f"{message_line(message)}\n", style=_STYLES.get(type(message), ""))
    refused = sum(totals.refused.values())
    title = (
        f"orders and fills  ·  {totals.approved:,} approved  ·  {refused:,} refused  ·  "
        f"{totals.fills:,} fills  ·  {status.open_orders} open"
    )
    if not shown:
        why = "; ".join(status.why_not)
        text = Text(f"none yet{f': {why}' if why else ''}", style="dim")
    return Panel(text, title=title, title_align="left", border_style="dim", height=rows + 2)
