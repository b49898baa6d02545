"""When timers are due: at whole multiples of their period since 1970, so that a restart changes nothing."""

from collections.abc import Mapping

from algos.notices import Timer


def due(timers: Mapping[str, int], since_ns: int, now_ns: int) -> list[Timer]:
    """Timers (name to period in nanoseconds) that fell due after `since_ns` and until `now_ns`, oldest first.

    Of a timer that fell due several times only the latest counts.
    """
    latest = [Timer(name=name, scheduled_ns=now_ns // period * period) for name, period in timers.items()]
    return sorted(
        (timer for timer in latest if timer.scheduled_ns > since_ns),
        key=lambda timer: (timer.scheduled_ns, timer.name),
    )


def next_due_ns(timers: Mapping[str, int], now_ns: int) -> int | None:
    """When the next timer is due; None without timers."""
    return min(((now_ns // period + 1) * period for period in timers.values()), default=None)
