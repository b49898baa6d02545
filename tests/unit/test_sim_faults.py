"""Faults by name: every example works, what makes no sense is named, and each ends when it should."""

from typing import Any

import pytest

from bus.errors import InvalidInput
from sim.faults.faults import KINDS, Faults, parse
from sim.times import SECOND_NS


@pytest.mark.parametrize("name", KINDS)
def test_every_example_turns_its_fault_on(name: str) -> None:
    faults = Faults()
    faults.turn_on(parse(KINDS[name].example), 0)
    assert faults.active(1) == [name]
    faults.clear()
    assert faults.active(1) == []


@pytest.mark.parametrize("name", KINDS)
def test_optional_fields_may_be_left_out(name: str) -> None:
    kind = KINDS[name]
    short = {field: value for field, value in kind.example.items() if field not in kind.optional}
    assert parse(short)["fault"] == name


@pytest.mark.parametrize("said", ["trade_updates", "trade updates", "trade-updates"])
def test_a_stream_may_be_named_as_people_say_it(said: str) -> None:
    assert parse({"fault": "disconnect", "stream": said})["stream"] == "trade_updates"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "a JSON object"),
        ({}, "fault is None; allowed: disconnect, mute"),
        ({"fault": "earthquake"}, "fault is 'earthquake'"),
        ({"fault": "mute"}, "stream is missing"),
        ({"fault": "mute", "stream": "options"}, "allowed: stocks, crypto, trade_updates"),
        ({"fault": "mute", "stream": "stocks", "seconds": -1}, "seconds is -1"),
        ({"fault": "error_500", "count": 0}, "count is 0"),
        ({"fault": "error_500", "count": 1.5}, "whole number"),
        ({"fault": "latency", "ms": True}, "ms is True"),
        ({"fault": "duplicate_updates", "count": 1}, "count is no field of duplicate_updates"),
    ],
)
def test_what_makes_no_sense_is_named(body: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(body)
    assert words in str(error.value)


def test_a_fault_of_seconds_ends_by_itself() -> None:
    faults = Faults()
    faults.turn_on(parse({"fault": "mute", "stream": "stocks", "seconds": 2}), 0)
    assert faults.holds("mute", "stocks", 2 * SECOND_NS - 1)
    assert not faults.holds("mute", "crypto", 1)
    assert not faults.holds("mute", "stocks", 2 * SECOND_NS)


def test_a_disconnect_without_seconds_lets_everybody_return() -> None:
    faults = Faults()
    faults.turn_on(parse({"fault": "disconnect", "stream": "stocks"}), 0)
    assert not faults.holds("disconnect", "stocks", 0)


def test_a_counted_fault_strikes_so_many_times() -> None:
    faults = Faults()
    faults.turn_on(parse({"fault": "rate_limit", "count": 2}), 0)
    assert [faults.take("rate_limit") for _ in range(3)] == [True, True, False]
    assert not faults.take("rate_limit", "data")
