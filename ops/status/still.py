"""Draws the status once, for `backbone status`."""

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from ops.durations import duration
from ops.status.market_data_kept import market_data_kept, readers_behind
from ops.status.model import OmsStatus, Status
from ops.status.tables import (
    STATE_STYLES,
    algorithms_table,
    flatten_banner,
    halt_banner,
    lacking_banner,
    market_data_banner,
    money,
    protection_banner,
    reasons,
    spool_lines,
    table_of,
)


def still(status: Status) -> RenderableType:
    """Draw all of the status; the live view shows less, and moves."""
    word = Text("● TRADING", style="bold green")
    if status.stands != "trading":
        word = Text("● TRADING IN PART", style="bold yellow")
    if not status.trading:
        word = Text(f"● HELD: {'; '.join(status.why_not) or 'not ready'}", style="bold red")
    processes = table_of("processes", "name", "pid", "state", "restarts", "heartbeat")
    for name, process in sorted(status.processes.items()):
        age = "-" if process.age_ms is None else f"{process.age_ms} ms ago"
        state = Text(process.state, style=STATE_STYLES.get(process.state, ""))
        processes.add_row(name, str(process.pid or "-"), state, str(process.restarts), age)
    latency = table_of("latency", "from and to", "p50", "p99")
    for span, percentiles in status.latency_us.items():
        shown = [duration(value) if value is not None else "-" for value in percentiles.values()]
        latency.add_row(span.replace("_", " "), *shown)
    streams = table_of("streams", "name", "entries")
    for name, size in status.streams.items():
        streams.add_row(name, f"{size:,}")
    parts = [
        word,
        _account(status),
        *lacking_banner(status),
        *halt_banner(status),
        *flatten_banner(status),
        *market_data_banner(status),
        *protection_banner(status),
        processes,
        *reasons(status),
        *spool_lines(status),
        algorithms_table(status),
        *_books(status),
        *_book(status),
        *_made_elsewhere(status),
        *_market_data(status),
        latency,
        streams,
    ]
    if status.simulator:
        parts.append(Text(f"what can go wrong, to try: curl {status.simulator}/faults", style="dim"))
    return Group(*parts)


def _account(status: Status) -> Text:
    """The account's name, and which of the broker's accounts its journal belongs to."""
    oms = status.oms
    if oms is None or not oms.account_number:
        return Text(f"account {status.account}: which of Alpaca's it is, no OMS says now", style="dim")
    whose = f"Alpaca's {oms.trading.upper()} account {oms.account_number}"
    return Text(f"account {status.account}: {whose}", "bold red" if oms.trading == "live" else "")


def _book(status: Status) -> list[RenderableType]:
    if status.oms is None:
        return []
    oms = status.oms
    lines = (
        f"book: cash {oms.cash}, reserved {oms.reserved}, uncertain orders {oms.uncertain}, "
        f"limits version {oms.limits_version}",
        *(
            f"limit in shadow: {limit} would have refused {n} orders"
            for limit, n in oms.limits_in_shadow.items()
        ),
        *(f"limits DIFFER: {sentence}" for sentence in oms.limits_differ),
        f"digest {oms.digest} at journal entry {oms.digest_at}",
        f"compared with the broker: {_compared(status.at_ns, oms)}",
        f"requests to the broker: {_sending(oms)}",
    )
    return [Text("\n".join(lines), style="dim")]


def _market_data(status: Status) -> list[RenderableType]:
    """What is kept of it, and who is behind."""
    kept = status.feed.retention
    if kept is None:
        return []
    found = Text(f"market data: {market_data_kept(kept, status.at_ns)}", style="dim")
    return [found, *(Text(sentence, style="yellow") for sentence in readers_behind(kept))]


def _books(status: Status) -> list[RenderableType]:
    """What each algorithm and `external` has, and what nobody does."""
    if status.oms is None or not status.oms.books:
        return []
    table = table_of("books", "name", "position", "cash", "realized", "unrealized", "fees")
    for name, book in status.oms.books.items():
        held = ", ".join(
            f"{size} {symbol} at {book.average_prices[symbol]}" for symbol, size in book.positions.items()
        )
        unrealized = None if book.unrealized_profit is None else Decimal(book.unrealized_profit)
        table.add_row(
            Text(name, style="bold"),
            held or "flat",
            f"{Decimal(book.cash):,.2f}",
            money(Decimal(book.realized_profit)),
            money(unrealized),
            f"{Decimal(book.fees):,.2f}",
        )
    lost = [f"{what} {amount}" for what, amount in status.oms.unexplained.items()]
    unexplained = Text(f"unexplained: {', '.join(lost)}; see `backbone reconcile`", style="bold red")
    return [table, unexplained] if lost else [table]


def _compared(now_ns: int, oms: OmsStatus) -> str:
    """What the OMS found when it last asked the broker, and how long ago that was."""
    if oms.unexplained:
        found = {what: f"{amount} unexplained" for what, amount in oms.unexplained.items()} | oms.differences
        return "; ".join(f"{symbol} DIFFERS, {what}" for symbol, what in found.items())
    if not oms.agreed_ns:
        return "not yet since the start"
    return f"orders, positions and cash agreed {(now_ns - oms.agreed_ns) / 1e9:.0f} s ago"


def _sending(oms: OmsStatus) -> str:
    """What waits, and why nothing is sent where that is so."""
    sending = oms.sending
    waiting = ", ".join(f"{name or 'the OMS'} {count}" for name, count in sorted(sending.waiting.items()))
    parts = [f"waiting: {waiting}" if waiting else "none waits"]
    parts += [f"{name} is refused too often: {count} held back" for name, count in sending.held.items()]
    if sending.closed_s:
        parts.append(f"the broker takes no more for {sending.closed_s:.0f} s")
    if sending.broker_failing:
        parts.append(sending.broker_failing)
    return "; ".join(parts)


def _made_elsewhere(status: Status) -> list[RenderableType]:
    """What others have on the account: their open orders, and what the OMS cannot read."""
    if status.oms is None:
        return []
    lines = [f"made elsewhere: {order}" for order in status.oms.external_orders]
    lines += [f"not understood: {what}: {why}" for what, why in status.oms.not_understood.items()]
    return [Text("\n".join(lines), style="yellow")] if lines else []
