"""What a market-data server says of its memory (INFO memory), and how much is to be kept there by it."""

from collections.abc import Mapping
from typing import Any

from ingest.retention import retention
from ingest.settings import IngestSettings


def used_bytes(memory: Mapping[str, Any]) -> int:
    """What the server holds, as it compares it with its own limit."""
    return int(memory["used_memory"]) - int(memory.get("mem_not_counted_for_evict", 0))


def policy_of(settings: IngestSettings, memory: Mapping[str, Any]) -> retention.Policy:
    """How much is kept on this server by these settings."""
    return retention.policy(
        budget_mb=settings.md_budget_mb,
        hours=settings.md_hours,
        quotes_hours=settings.md_quotes_hours,
        laggards=settings.md_laggards,
        maxmemory=int(memory.get("maxmemory", 0)),
        machine_bytes=int(memory.get("total_system_memory", 0)),
    )
