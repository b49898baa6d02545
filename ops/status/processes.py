"""Brings heartbeats together with what the supervisor says of the processes that it started. Pure."""

from collections import Counter
from collections.abc import Sequence

from bus.heartbeat import ChildDetails, Heartbeat, StateReason, SupervisorDetails, UnreadableHeartbeat
from ops.status.heartbeats import Found, telling
from ops.status.model import Process


def processes_of(found: Sequence[Found], now_ns: int) -> dict[str, Process]:
    """Return every process by name; a child that died is known from the supervisor alone.

    A child, and a process with a single heartbeat, go by the process's name; others by `name:instance`.
    """
    shown: dict[str, Process] = {}
    child_of: dict[tuple[str, int, str], ChildDetails] = {}
    for supervisor, details in telling(found, SupervisorDetails):
        for told in details.children:
            shown[told.name] = Process(told.pid, told.state, told.restarts, process=told.name)
            child_of[told.name, told.pid, supervisor.host] = told
    alone = Counter(one.process for one in found)
    for one in found:
        child = child_of.get((one.process, one.pid, one.host)) if isinstance(one, Heartbeat) else None
        is_plain = child is not None or (alone[one.process] == 1 and one.process not in shown)
        name = one.process if is_plain else f"{one.process}:{one.instance}"
        shown[name] = (
            _unreadable(one) if isinstance(one, UnreadableHeartbeat) else _process(one, child, now_ns)
        )
    return shown


def _process(one: Heartbeat, child: ChildDetails | None, now_ns: int) -> Process:
    return Process(
        pid=one.pid,
        state=one.state if child is None or child.state == "running" else child.state,
        restarts=child.restarts if child is not None else 0,
        host=one.host,
        age_ms=one.age_ms(now_ns),
        process=one.process,
        instance=one.instance,
        version=one.version,
        reasons=one.reasons,
    )


def _unreadable(one: UnreadableHeartbeat) -> Process:
    reasons = (StateReason("unreadable", one.why),)
    return Process(None, "unreadable", process=one.process, instance=one.instance, reasons=reasons)
