"""Faults on the command line: their syntax, and the refusal of invalid ones."""

import pytest

from bus.errors import InvalidInput
from sim.arguments import read
from sim.faults.schedule import DRAWS


def test_faults_are_given_one_by_one() -> None:
    settings = read(["--fault", "disconnect:stream=stocks,seconds=2", "--fault", "duplicate_updates"])
    assert [fault["fault"] for fault in settings.faults] == ["disconnect", "duplicate_updates"]
    assert settings.faults[0]["seconds"] == 2
    assert read([]).faults == ()


def test_chaos_draws_from_every_survivable_fault_unless_told_otherwise() -> None:
    settings = read(["--chaos", "7"])
    assert (settings.chaos_seed, settings.chaos_every_ms) == (7, 10_000)
    assert settings.chaos_faults == tuple(DRAWS)
    few = read(["--chaos", "7", "--chaos-faults", "mute,reset", "--chaos-every", "0.5"])
    assert (few.chaos_faults, few.chaos_every_ms) == (("mute", "reset"), 500)
    assert read([]).chaos_seed is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--fault earthquake", "--fault: fault is 'earthquake'; allowed: disconnect"),
        ("--fault mute", "--fault: stream is missing"),
        ("--fault mute:stream=x", "--fault: stream is 'x'; allowed: stocks"),
        ("--fault mute:", "--fault: a fault is 'mute:'; allowed: such as disconnect:stream=stocks,seconds=2"),
        ("--chaos x", "--chaos is 'x'; allowed: a whole number"),
        ("--chaos -1", "--chaos is '-1'"),
        (
            "--chaos 1 --chaos-faults mute,quake",
            "--chaos-faults: 'quake' is no fault of chaos; allowed: disc",
        ),
        ("--chaos 1 --chaos-every 0", "--chaos-every is '0'; allowed: a number from 0.1"),
        ("--chaos-faults mute", "give --chaos as well"),
        ("--chaos-every 5", "give --chaos as well"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(arguments.split(" "))
    assert words in str(error.value)
