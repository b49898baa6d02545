"""Decides what the facts about the room for market data mean; each finding says what to do."""

import msgspec

from bus.heartbeat import RetentionDetails
from ops.doctor.rules import Finding
from ops.sizes import megabytes
from ops.status.market_data_kept import market_data_kept, readers_behind

CHECK = "market data kept"

# A budget nearer to the server's own limit leaves no room for readers that are behind.
_MOST_OF_MAXMEMORY = 0.9


class RetentionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A server that holds `used_bytes` of `maxmemory` (0 for no limit), and what ingest trims it to.

    `budget_bytes` is what an ingest with our settings would keep to (0 for nothing); `said` is what one says
    that is at work.
    """

    maxmemory: int
    used_bytes: int
    budget_bytes: int
    said: RetentionDetails | None
    ingest_runs: bool


def kept(facts: RetentionFacts, now_ns: int) -> Finding:
    """Report whether the oldest goes before the server is full, and who is behind."""
    budget = facts.budget_bytes if facts.said is None else facts.said.budget_bytes
    limit = f"its maxmemory is {megabytes(facts.maxmemory)}"
    if not budget:
        return Finding(
            CHECK,
            "warning",
            "the server has no maxmemory and does not say how large its machine is, so time alone says what "
            "goes: set BACKBONE_MD_BUDGET_MB, or maxmemory",
        )
    if facts.maxmemory and budget > facts.maxmemory:
        sentence = (
            f"the budget is {megabytes(budget)} and {limit}: the server refuses before anything is trimmed"
        )
        return Finding(CHECK, "problem", f"{sentence}; lower BACKBONE_MD_BUDGET_MB, or raise maxmemory")
    if facts.maxmemory and budget > _MOST_OF_MAXMEMORY * facts.maxmemory:
        sentence = (
            f"the budget is {megabytes(budget)} and {limit}, which leaves readers that are behind no room"
        )
        return Finding(CHECK, "warning", f"{sentence}; lower BACKBONE_MD_BUDGET_MB, or raise maxmemory")
    if facts.said is None:
        trims = "no ingest says that it trims" if facts.ingest_runs else "no ingest runs that trims"
        sentence = f"{trims}; {megabytes(facts.used_bytes)} are held, the budget is {megabytes(budget)}"
        return Finding(CHECK, "warning" if facts.used_bytes > budget else "ok", sentence)
    sentence = market_data_kept(facts.said, now_ns)
    if facts.maxmemory:
        sentence = f"{sentence}; {limit}"
    behind = readers_behind(facts.said)
    if behind:
        return Finding(CHECK, "warning", f"{'; '.join(behind)}; {sentence}")
    return Finding(CHECK, "ok", sentence)
