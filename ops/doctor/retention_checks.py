"""Reads what there is room for on the market-data server, and what ingest says that it keeps there."""

from collections.abc import Sequence

from bus.connection import Client
from bus.errors import ServerRefused
from bus.heartbeat import IngestDetails
from bus.settings import load
from ingest.retention.retention_memory import policy_of, used_bytes
from ingest.settings import IngestSettings
from ops.doctor.retention_rules import RetentionFacts, kept
from ops.doctor.rules import Finding
from ops.status.heartbeats import Found, telling


async def retention_finding(market: Client, beats: Sequence[Found], now_ns: int) -> Finding | None:
    """What is wrong with how much is kept, as the server and these heartbeats say.

    None where the server does not let us look.
    """
    try:
        memory = await market.info("memory")
    except ServerRefused:
        return None
    said = [details.retention for _, details in telling(beats, IngestDetails)]
    return kept(
        RetentionFacts(
            maxmemory=int(memory.get("maxmemory", 0)),
            used_bytes=used_bytes(memory),
            budget_bytes=policy_of(load(IngestSettings), memory).budget_bytes,
            said=next((one for one in said if one is not None), None),
            ingest_runs=bool(said),
        ),
        now_ns,
    )
