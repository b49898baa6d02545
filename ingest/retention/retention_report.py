"""What people are told of what is kept and what was trimmed. Pure."""

from collections import Counter
from collections.abc import Mapping

from bus.entry_position import entry_position
from bus.heartbeat import RetentionDetails, StateReason
from bus.rfc3339 import written
from ingest.retention.retention import Policy

# That entries were cut which a live reader had yet to handle is said for so long.
SAID_FOR_S = 600

# So many streams are named with what was trimmed of them.
MOST_NAMED = 10

# The stream in which a reader stands behind, and the id of the oldest entry that it has yet to handle.
Behind = tuple[str, str]
Held = Mapping[str, Behind]


class Losses:
    """Entries that were cut before their readers had them. Mutable: counts by reader, and when a live one
    last lost some."""

    def __init__(self) -> None:
        self.by_reader: Counter[str] = Counter()
        self._alive_at_s: dict[str, float] = {}

    def add(self, reader: str, count: int, alive_at_s: float | None) -> None:
        """A reader lost so many; `alive_at_s` is now where it lives, None where it is away."""
        self.by_reader[reader] += count
        if alive_at_s is not None:
            self._alive_at_s[reader] = alive_at_s

    def told(self, now_s: float) -> list[str]:
        """Readers that lost entries a short while ago although they live."""
        return sorted(reader for reader, at_s in self._alive_at_s.items() if now_s - at_s < SAID_FOR_S)


def details(
    rule: Policy,
    *,
    used_bytes: int,
    kept_from_ms: int,
    streams: int,
    trimmed: Counter[str],
    removed: int,
    full_in_s: float | None,
    held: Held,
    losses: Losses,
) -> RetentionDetails:
    """The heartbeat's part on retention."""
    return RetentionDetails(
        budget_bytes=rule.budget_bytes,
        used_bytes=used_bytes,
        hours=rule.hours,
        quotes_hours=rule.quotes_hours,
        laggards=rule.laggards,
        oldest_ns=kept_from_ms * 1_000_000,
        streams=streams,
        trimmed=trimmed.total(),
        most_trimmed=dict(trimmed.most_common(MOST_NAMED)),
        removed=removed,
        full_in_s=full_in_s,
        held={reader: f"{stream} from {_time(next_id)}" for reader, (stream, next_id) in held.items()},
        lost=dict(losses.by_reader),
    )


def reasons(
    rule: Policy, used_bytes: int, held: Held, losses: Losses, now_s: float, *, spent: bool
) -> tuple[StateReason, ...]:
    """What somebody has to know: who holds the trim back, who was cut, and that nothing helps (`spent`)."""
    found: list[StateReason] = []
    for reader, (stream, next_id) in sorted(held.items()):
        until = f"until the market-data server holds {_mb(rule.held_bytes)} (now {_mb(used_bytes)})"
        kept = "however full the market-data server gets" if rule.laggards == "keep" else until
        behind = f"{reader} is behind: it has yet to handle {stream} from {_time(next_id)}"
        found.append(StateReason("reader_behind", f"{behind}, which is kept for it {kept}"))
    for reader in losses.told(now_s):
        sentence = f"{reader} is too far behind: {losses.by_reader[reader]:,} entries were cut unread"
        found.append(StateReason("reader_cut", f"{sentence}; its handlers hear of it (on_gap)"))
    if spent:
        held_now = f"the market-data server holds {_mb(used_bytes)}, the budget is {_mb(rule.budget_bytes)}"
        sentence = f"{held_now}, and what is left of market data is too new to go"
        found.append(StateReason("market_data_over_budget", sentence))
    return tuple(found)


def _time(entry_id: str) -> str:
    return written(entry_position(entry_id)[0] * 1_000_000)[:23] + "Z"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1024 / 1024:,.0f} MB"
