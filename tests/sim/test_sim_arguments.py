"""The simulator's arguments, and the words of their refusals."""

import pytest

from bus.errors import InvalidInput
from sim.arguments import read
from sim.exchange.pace import Burst


def test_the_defaults_are_a_loopback_simulator_with_a_hundred_thousand_dollars() -> None:
    settings = read([])
    assert settings.host == "127.0.0.1"
    assert settings.cash == 100_000
    assert settings.requests_per_minute == 200
    assert settings.stream_terms.symbol_limit is None
    assert "AAPL" in settings.symbols


def test_keys_are_new_each_run_and_the_secret_is_not_shown() -> None:
    first, second = read([]), read([])
    assert first.keys != second.keys
    assert first.keys[0].secret not in repr(first)


def test_a_burst_is_rate_seconds_and_how_often() -> None:
    assert read(["--burst", "5000:1:10"]).pace.burst == Burst(5000, 1, 10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--rate -5", "--rate is '-5'"),
        ("--rate fast", "--rate is 'fast'"),
        ("--rate nan", "--rate is 'nan'"),
        ("--symbols AAPL,a$b", "--symbols has 'a$b'"),
        ("--symbols AAPL,", "--symbols has ''"),
        ("--port 70000", "--port is '70000'"),
        ("--seed x", "--seed is 'x'"),
        ("--cash -1", "--cash is '-1'"),
        ("--cash 1e40", "--cash is '1e40'"),
        ("--bar-seconds 0", "--bar-seconds is '0'"),
        ("--partial-chance 2", "--partial-chance is '2'"),
        ("--fractional some", "--fractional is 'some'"),
        ("--burst 5", "--burst is '5'"),
        ("--burst 5:3:1", "SECONDS must not be more than EVERY"),
        ("--frame-messages 5000", "--frame-messages is '5000'"),
        ("--plan gold", "--plan is 'gold'; allowed: free, paid"),
        ("--slow-client-bytes 0", "--slow-client-bytes is '0'"),
        ("--mistakes-per-minute often", "--mistakes-per-minute is 'often'"),
        ("--news-per-minute -1", "--news-per-minute is '-1'"),
        ("--speed 2", "give --data as well"),
        ("--data x --symbols AAPL", "brings its own symbols"),
        ("--host 0.0.0.0", "give --key and --secret"),
        ("--host 0.0.0.0 --key K", "give --key and --secret"),
        ("--colour red", "unrecognized arguments: --colour"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(arguments: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(arguments.split(" "))
    assert words in str(error.value)


def test_the_free_plan_has_thirty_symbols_unless_another_limit_is_given() -> None:
    assert read(["--plan", "free"]).stream_terms.symbol_limit == 30
    other = read(["--plan", "free", "--symbol-limit", "7"]).stream_terms
    assert (other.is_free, other.symbol_limit) == (True, 7)
    assert not read([]).stream_terms.is_free


def test_beyond_loopback_with_explicit_keys() -> None:
    assert read(["--host", "0.0.0.0", "--key", "K", "--secret", "S"]).host == "0.0.0.0"
