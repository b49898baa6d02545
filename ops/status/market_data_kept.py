"""Says in a sentence what is kept of market data."""

from datetime import UTC, datetime

from bus.heartbeat import RetentionDetails
from ops.durations import long_duration
from ops.sizes import megabytes


def market_data_kept(kept: RetentionDetails, now_ns: int) -> str:
    """How much the server holds of its budget, since when, and when the budget is full."""
    parts = [megabytes(kept.used_bytes)]
    if kept.budget_bytes:
        parts[0] += f" of {megabytes(kept.budget_bytes)}"
    if kept.oldest_ns:
        since = datetime.fromtimestamp(kept.oldest_ns // 1_000_000_000, UTC)
        parts.append(
            f"from {since:%Y-%m-%d %H:%M:%S} UTC on ({long_duration((now_ns - kept.oldest_ns) / 1e9)})"
        )
    if kept.full_in_s == 0:
        parts.append("the budget is full: the oldest goes")
    elif kept.full_in_s is not None:
        parts.append(f"full in {long_duration(kept.full_in_s)} at the present rate")
    parts.append(f"{kept.trimmed:,} entries trimmed")
    if kept.removed:
        parts.append(f"{kept.removed:,} streams removed")
    return ", ".join(parts)


def readers_behind(kept: RetentionDetails) -> list[str]:
    """A sentence for each reader for which more is kept, and for each that lost entries unread."""
    held = [f"{reader} is behind: {what} is kept for it" for reader, what in sorted(kept.held.items())]
    lost = [f"{reader} lost {count:,} entries unread" for reader, count in sorted(kept.lost.items())]
    return held + lost
