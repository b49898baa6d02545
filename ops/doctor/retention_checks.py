"""Reads what there is room for on the market-data server, and what ingest says that it keeps there."""

from bus.connection import Client
from bus.errors import ServerRefused
from bus.heartbeat import IngestDetails
from bus.settings import load
from ingest import retention
from ingest.settings import IngestSettings
from ops.doctor.retention_rules import RetentionFacts, kept
from ops.doctor.rules import Finding
from ops.status.heartbeat_reader import read_heartbeats
from ops.status.heartbeats import telling


async def retention_finding(market: Client, orders: Client, account: str, now_ns: int) -> Finding | None:
    """What is wrong with how much is kept; None where the server does not let us look."""
    try:
        memory = await market.info("memory")
    except ServerRefused:
        return None
    maxmemory = int(memory.get("maxmemory", 0))
    said = [
        details.retention for _, details in telling(await read_heartbeats(orders, account), IngestDetails)
    ]
    settings = load(IngestSettings)
    rule = retention.policy(
        budget_mb=settings.md_budget_mb,
        hours=settings.md_hours,
        quotes_hours=settings.md_quotes_hours,
        laggards=settings.md_laggards,
        maxmemory=maxmemory,
        machine_bytes=int(memory.get("total_system_memory", 0)),
    )
    return kept(
        RetentionFacts(
            maxmemory=maxmemory,
            used_bytes=int(memory["used_memory"]),
            budget_bytes=rule.budget_bytes,
            said=next((one for one in said if one is not None), None),
            ingest_runs=bool(said),
        ),
        now_ns,
    )
