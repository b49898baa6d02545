"""Chooses among the heartbeats of one account those that speak for a kind of process. Pure."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bus.heartbeat import (
    AlgorithmDetails,
    Heartbeat,
    IngestDetails,
    OmsDetails,
    State,
    SupervisorDetails,
    UnreadableHeartbeat,
)

Found = Heartbeat | UnreadableHeartbeat

D = TypeVar("D", IngestDetails, OmsDetails, AlgorithmDetails, SupervisorDetails)


def telling(found: Iterable[Found], kind: type[D]) -> list[tuple[Heartbeat, D]]:
    """Return the heartbeats that carry details of this kind, each with its details."""
    return [
        (heartbeat, heartbeat.details)
        for heartbeat in found
        if isinstance(heartbeat, Heartbeat) and isinstance(heartbeat.details, kind)
    ]


def leading_oms(found: Iterable[Found]) -> tuple[Heartbeat, OmsDetails | None] | None:
    """Choose the OMS that speaks for the account: the leader, else the one last heard; None without any."""
    heard = [one for one in found if isinstance(one, Heartbeat) and one.process == "oms"]
    if not heard:
        return None
    chosen = max(heard, key=lambda one: (_leads(one), one.at_ns))
    return chosen, chosen.details if isinstance(chosen.details, OmsDetails) else None


def leading_algorithms(found: Sequence[Found]) -> dict[str, tuple[Heartbeat, AlgorithmDetails]]:
    """Choose an instance for each algorithm: the leader, else an aborted one, else the one last heard."""
    chosen: dict[str, tuple[Heartbeat, AlgorithmDetails]] = {}
    for heartbeat, details in sorted(telling(found, AlgorithmDetails), key=_weight):
        chosen[details.algorithm] = heartbeat, details
    return dict(sorted(chosen.items()))


def _leads(heartbeat: Heartbeat) -> bool:
    return isinstance(heartbeat.details, OmsDetails) and heartbeat.details.leads


def _weight(one: tuple[Heartbeat, AlgorithmDetails]) -> tuple[bool, bool, int]:
    heartbeat, _ = one
    return heartbeat.state is State.LEADER, heartbeat.state is State.ABORTED, heartbeat.at_ns
