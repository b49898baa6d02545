"""`file.py:Class` and parameters, and a sentence for each thing that can be wrong with them."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest

from algos import Algorithm, Trade, parameter
from algos.loading import default_name, load_class, make, parameters_given
from algos.parameters import read_parameters
from bus.errors import InvalidInput

GOOD = """
from algos import Algorithm, Trade, parameter

class Good(Algorithm):
    size: int = parameter(1)

    def on_trade(self, trade: Trade) -> None:
        self.buy(trade.symbol, self.size)
"""


class Tuned(Algorithm):
    fast: int = parameter(5, "bars")
    edge: Decimal = parameter(Decimal("0.5"))
    mode: Literal["calm", "wild"] = parameter("calm")
    live: bool = parameter(False)
    label: str | None = parameter(None)

    def on_trade(self, trade: Trade) -> None:
        """Looks."""


def written(tmp_path: Path, text: str, name: str = "mine.py") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_a_file_is_loaded_and_made(tmp_path: Path) -> None:
    found = load_class(f"{written(tmp_path, GOOD)}:Good")
    algorithm = make(found, ["AAPL", "BTC/USD"], read_parameters(found, {"size": "3"}, {}))
    assert (algorithm.symbols, algorithm.size) == (("AAPL", "BTC/USD"), 3)  # type: ignore[attr-defined]


def test_a_module_of_a_package_is_loaded() -> None:
    found = load_class("algos.strategies.moving_average_cross:MovingAverageCross")
    assert default_name(found) == "moving-average-cross"


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("class Good(:\n", "Good", r"mine\.py, line 1: invalid syntax"),
        ("import nowhere_at_all\n", "Good", r"mine\.py line 1: ModuleNotFoundError: .*nowhere_at_all"),
        ("x = 1 / 0\n", "Good", r"line 1: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", "Good", r"mine\.py line 2: SystemExit: 3"),
        (GOOD, "Godo", r"has no class Godo; the algorithms there are Good"),
        ("x = 1\n", "Good", r"has no class Good; no algorithm is defined there"),
        ("class Good: ...\n", "Good", r"Good in .* is not a subclass of algos.Algorithm"),
        ("from algos import Algorithm\n", "Algorithm", r"is not a subclass"),
        (GOOD.replace("def on_trade", "async def on_trade"), "Good", r"Good\.on_trade .* is async"),
        (GOOD + "        yield\n", "Good", r"Good\.on_trade .* yields"),
        (GOOD.replace("on_trade", "on_trades"), "Good", r"on_trades .* is not a handler: .* on_trade"),
    ],
)
def test_a_file_that_cannot_be_used_is_described(tmp_path: Path, text: str, name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        load_class(f"{written(tmp_path, text)}:{name}")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mine.py", "write it as path/to/file.py:Class"),
        ("nowhere.py:Good", "nowhere.py: there is no such file"),
        ("no.such.module:Good", "there is no module no"),
    ],
)
def test_a_target_that_names_nothing_is_described(target: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        load_class(target)


def test_symbols_come_from_the_command_or_the_class() -> None:
    class Fixed(Tuned):
        symbols = ("MSFT",)

    assert make(Fixed, [], {}).symbols == ("MSFT",)
    assert make(Fixed, ["*"], {}).symbols == ("*",)
    assert make(Fixed, ["BTCUSD", "AAPL"], {}).symbols == ("BTC/USD", "AAPL")
    assert Fixed(symbols=["BTCUSD"]).symbols == ("BTC/USD",)
    with pytest.raises(InvalidInput, match="Tuned has no symbols"):
        make(Tuned, [], {})
    with pytest.raises(InvalidInput, match="symbol 'aapl'"):
        make(Tuned, ["aapl"], {})


def test_a_class_that_cannot_be_made_is_described() -> None:
    class Broken(Tuned):
        def prepare(self) -> None:
            raise RuntimeError("no model file")

    class Odd(Tuned):
        on_abort = "explode"  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match=r"Broken could not be made, at .* RuntimeError: no model file"):
        make(Broken, ["AAPL"], {})
    with pytest.raises(InvalidInput, match=r"on_abort is 'explode'; use"):
        make(Odd, ["AAPL"], {})


@pytest.mark.parametrize(
    ("name", "expected"), [("MovingAverageCross", "moving-average-cross"), ("RSI2Fast", "rsi2-fast")]
)
def test_names_come_from_the_class(name: str, expected: str) -> None:
    assert default_name(type(name, (Tuned,), {})) == expected


def test_a_class_whose_name_is_no_name_needs_one() -> None:
    with pytest.raises(InvalidInput, match="--name"):
        default_name(type("A" * 40, (Tuned,), {}))
    with pytest.raises(InvalidInput, match=r"taken by the backbone.*--name"):
        default_name(type("Oms", (Tuned,), {}))


def test_parameters_are_read_by_type_and_the_command_wins() -> None:
    given = {"fast": "9", "edge": "0.25", "live": "true", "mode": "wild"}
    values = read_parameters(Tuned, given, {"BACKBONE_PARAM_FAST": "1", "BACKBONE_PARAM_LABEL": "x"})
    assert values == {"fast": 9, "edge": Decimal("0.25"), "live": True, "mode": "wild", "label": "x"}


@pytest.mark.parametrize(
    ("given", "environment", "said"),
    [
        ({"fast": "abc"}, {}, r"--param fast='abc' is not of type int; its parameters are .*fast: int = 5"),
        ({}, {"BACKBONE_PARAM_FAST": "1.5"}, r"BACKBONE_PARAM_FAST='1.5' is not of type int"),
        ({"mode": "odd"}, {}, r"mode='odd' is not of type Literal\['calm', 'wild'\]"),
        ({"edge": "much"}, {}, r"edge='much' is not of type Decimal"),
        ({"fats": "1"}, {}, r"--param fats: Tuned has no such parameter; its parameters are"),
        ({}, {"BACKBONE_PARAM_FATS": "1"}, r"BACKBONE_PARAM_FATS: Tuned has no such parameter"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_known(
    given: dict[str, str], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_parameters(Tuned, given, environment)


def test_a_parameter_is_written_as_name_and_value() -> None:
    assert parameters_given(["fast=5", "label=a=b"]) == {"fast": "5", "label": "a=b"}
    with pytest.raises(InvalidInput, match="write it as name=value"):
        parameters_given(["fast"])


def test_a_declaration_without_a_type_or_with_another_default_is_refused() -> None:
    class Untyped(Algorithm):
        fast = parameter(5)

    class Mistyped(Algorithm):
        fast: int = parameter("five")  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match="parameter fast of Untyped has no type"):
        read_parameters(Untyped, {}, {})
    with pytest.raises(InvalidInput, match="default 'five' is not of its type int"):
        read_parameters(Mistyped, {}, {})
