"""What the heartbeat says of messages that were received and are not written yet."""

from collections.abc import Iterator, Mapping

from bus.heartbeat import StateReason, WaitingDetails
from ingest.spool.dropping import Dropping
from ingest.spool.spooled_buffer import SpooledBuffer, T

_MB = 1024 * 1024


def waiting_details(
    buffer: SpooledBuffer[T], damaged: int, left_out: int = 0, dropped: Mapping[str, int] | None = None
) -> WaitingDetails:
    """How much of a feed waits, and what became of what waited."""
    return WaitingDetails(
        memory_items=len(buffer) - buffer.disk_unread,
        memory_bytes=buffer.held_bytes,
        disk_items=buffer.disk_items,
        disk_bytes=buffer.disk_bytes,
        recovered=buffer.recovered,
        left_out=left_out,
        damaged=damaged,
        dropped=dict(dropped or {}),
    )


def waiting_reasons(
    server: str, away: str, buffer: SpooledBuffer[T], dropping: Dropping | None = None
) -> Iterator[StateReason]:
    """Why what is received is not written at once, or not at all; nothing where it is."""
    on_disk = f", {buffer.disk_bytes / _MB:,.1f} MB of them on disk" if buffer.disk_bytes else ""
    if away:
        sentence = f"the {server} server takes nothing now: {away}; {len(buffer):,} messages wait{on_disk}"
        yield StateReason("server_away", sentence)
    elif on_disk:
        sentence = f"{buffer.disk_items:,} messages wait{on_disk}; they are written before what is new"
        yield StateReason("spooled", sentence)
    if buffer.failing.why:
        sentence = f"the spool cannot be used: {buffer.failing.why}; what waits stays in memory"
        yield StateReason("spool_unusable", sentence)
    if dropping is not None and dropping.drops_quotes:
        what = "what is received is" if dropping.drops_all else "quotes are"
        sentence = f"the spool is full: {what} dropped, {dropping.dropped.total():,} messages so far"
        yield StateReason("spool_full", sentence)
