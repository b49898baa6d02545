"""Reads the heartbeats of one account, and says which process of a kind speaks for the others."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bus import streams
from bus.connection import Client
from bus.heartbeat import (
    AlgorithmDetails,
    Heartbeat,
    IngestDetails,
    OmsDetails,
    State,
    SupervisorDetails,
    UnreadableHeartbeat,
    decode,
)

Found = Heartbeat | UnreadableHeartbeat

D = TypeVar("D", IngestDetails, OmsDetails, AlgorithmDetails, SupervisorDetails)


async def read_heartbeats(orders: Client, account: str) -> list[Found]:
    """Every heartbeat of the account, in order of their keys; and those of versions that named none."""
    keys = [key.decode() async for key in orders.scan_iter(match=streams.heartbeats(), count=500)]
    names = {key: streams.heartbeat_names(key) for key in sorted(keys)}
    ours = [key for key, (of, _, _) in names.items() if of in (account, "")]
    values = await orders.mget(ours) if ours else []
    return [
        decode(*names[key][1:], value) for key, value in zip(ours, values, strict=True) if value is not None
    ]


def telling(found: Iterable[Found], kind: type[D]) -> list[tuple[Heartbeat, D]]:
    """The heartbeats that carry details of this kind, each with them."""
    return [
        (heartbeat, heartbeat.details)
        for heartbeat in found
        if isinstance(heartbeat, Heartbeat) and isinstance(heartbeat.details, kind)
    ]


def leading_oms(found: Iterable[Found]) -> tuple[Heartbeat, OmsDetails | None] | None:
    """The OMS that speaks for the account: the one that leads, else the latest heard; None without any."""
    heard = [one for one in found if isinstance(one, Heartbeat) and one.process == "oms"]
    if not heard:
        return None
    chosen = max(heard, key=lambda one: (_leads(one), one.at_ns))
    return chosen, chosen.details if isinstance(chosen.details, OmsDetails) else None


def leading_algorithms(found: Sequence[Found]) -> dict[str, tuple[Heartbeat, AlgorithmDetails]]:
    """By algorithm: the instance that leads, else an aborted one, else the latest heard."""
    chosen: dict[str, tuple[Heartbeat, AlgorithmDetails]] = {}
    for heartbeat, details in sorted(telling(found, AlgorithmDetails), key=_weight):
        chosen[details.algorithm] = heartbeat, details
    return dict(sorted(chosen.items()))


def _leads(heartbeat: Heartbeat) -> bool:
    return isinstance(heartbeat.details, OmsDetails) and heartbeat.details.leads


def _weight(one: tuple[Heartbeat, AlgorithmDetails]) -> tuple[bool, bool, int]:
    heartbeat, _ = one
    return heartbeat.state is State.LEADER, heartbeat.state is State.ABORTED, heartbeat.at_ns
