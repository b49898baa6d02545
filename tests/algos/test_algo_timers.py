"""Timers are due at whole multiples of their period; a missed one is skipped."""

from algos.notices import Timer
from algos.timers import due, next_due_ns


def test_a_timer_is_due_once_at_each_multiple() -> None:
    timers = {"tick": 10}
    assert due(timers, 19, 20) == [Timer(name="tick", scheduled_ns=20)]
    assert due(timers, 20, 29) == []


def test_of_several_missed_instants_only_the_latest_counts() -> None:
    assert due({"tick": 10}, 5, 47) == [Timer(name="tick", scheduled_ns=40)]


def test_timers_fire_in_the_order_of_their_instants() -> None:
    assert [timer.name for timer in due({"slow": 30, "fast": 10, "a": 10}, 29, 45)] == ["slow", "a", "fast"]


def test_when_to_look_again() -> None:
    assert next_due_ns({"slow": 30, "fast": 20}, 20) == 30
    assert next_due_ns({}, 20) is None
