"""Decides what market messages become on their way to a client under the faults that are on."""

from typing import TypeVar

from sim.faults.faults import Faults
from sim.times import MILLISECOND_NS

T = TypeVar("T")


def changed(faults: Faults, messages: list[T], stream: str, account: str | None) -> list[T]:
    """Return the messages to send in place of these: lost, duplicated or swapped ones; counts the faults.

    Messages of one moment are swapped here; `Swaps` does it to those that come alone.

    A count of `lost_messages` and `duplicate_messages` is of messages, that of the others is of moments.
    """
    if not messages or faults.strike("mute", stream=stream, account=account):
        return []
    made = messages
    lost = faults.find("lost_messages", stream=stream, account=account)
    if lost is not None:
        many = len(made) if lost.left is None else min(lost.left, len(made))
        made = made[many:]
        faults.hit(lost, many)
    twice = faults.find("duplicate_messages", stream=stream, account=account)
    if twice is not None and made:
        many = len(made) if twice.left is None else min(twice.left, len(made))
        made = [one for message in made[:many] for one in (message, message)] + made[many:]
        faults.hit(twice, many)
    if len(made) > 1 and faults.strike("out_of_order_messages", stream=stream, account=account):
        made = made[::-1]
    return made


def delay_ns(faults: Faults, stream: str, account: str | None) -> int:
    """Return how late the messages of this moment are sent."""
    fault = faults.strike("late_messages", stream=stream, account=account)
    return 0 if fault is None else int(fault["ms"] * MILLISECOND_NS)


def skew_ns(faults: Faults) -> int:
    """Return how far the server's clock is off."""
    active = faults.find("clock_skew")
    return 0 if active is None else int(active.fault["skew_ms"] * MILLISECOND_NS)
