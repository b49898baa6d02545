"""Heartbeats as a process would write them."""

from typing import Any

from bus.heartbeat import FORMAT, Details, Heartbeat, State


def heartbeat_of(
    process: str, state: State = State.READY, details: Details | None = None, **changes: Any
) -> Heartbeat:
    """A heartbeat of this process on account `paper`, with whatever differs from the usual."""
    usual = {
        "instance": "1f3a",
        "account": "paper",
        "pid": 8,
        "host": "h",
        "version": "1",
        "at_ns": 1_000_000_000,
        "format": FORMAT,
    }
    return Heartbeat(process=process, state=state, details=details, **(usual | changes))
