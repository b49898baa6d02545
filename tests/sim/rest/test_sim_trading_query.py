"""Parameters of the trading API: their meaning, and the refusal of invalid ones."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.refusals import Refused
from sim.rest import trading_query as asked
from sim.rest.trading_query import Query
from sim.times import parse_ns


def test_what_is_left_out_or_empty_has_its_default() -> None:
    for query in ({}, {"a": ""}):
        assert asked.count(query, "a", 50, 500) == 50
        assert asked.one_of(query, "a", ("x", "y"), "x") == "x"
        assert not asked.truth(query, "a")
        assert asked.several(query, "a") == ()
        assert asked.moment_ns(query, "a") is asked.day(query, "a") is asked.amount(query, "a") is None


@pytest.mark.parametrize("text", ["True", "true", "1", "t", "T", "TRUE"])
def test_yes_may_be_written_in_many_ways(text: str) -> None:
    assert asked.truth({"a": text}, "a")


@pytest.mark.parametrize("text", ["False", "false", "0", "f", "F", "FALSE"])
def test_so_may_no(text: str) -> None:
    assert not asked.truth({"a": text}, "a")


def test_times_may_have_any_offset_and_a_plus_sign_that_became_a_blank() -> None:
    moment = parse_ns("2026-01-05T14:30:00Z")
    for text in ("2026-01-05T14:30:00Z", "2026-01-05T15:30:00+01:00", "2026-01-05T15:30:00 01:00"):
        assert asked.moment_ns({"a": text}, "a") == moment
    assert asked.moment_ns({"a": "2026-01-05"}, "a") == parse_ns("2026-01-05T00:00:00Z")


def test_days_may_have_a_time() -> None:
    for text in ("2026-01-05", "2026-01-05T14:30:00Z"):
        assert asked.day({"a": text}, "a") == date(2026, 1, 5)


def test_words_stand_once_and_in_order() -> None:
    assert asked.several({"a": "b,,a,b"}, "a") == ("b", "a")


@pytest.mark.parametrize("text", ["0", "-1", "101", "1e3", "nan", "Infinity", "0.0000000001", "1e999999"])
def test_amounts_that_nobody_can_trade_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        asked.amount({"a": text}, "a", Decimal(100))


def test_amounts_may_be_as_fine_as_a_billionth() -> None:
    assert asked.amount({"a": "0.000000001"}, "a") == Decimal("0.000000001")
    assert asked.amount({"a": "1e2"}, "a") == 100


READS: list[Callable[[Query, str], Any]] = [
    lambda query, name: asked.count(query, name, 1, 100),
    asked.truth,
    lambda query, name: asked.one_of(query, name, ("one",), "one"),
    lambda query, name: asked.several(query, name, ("one",)),
    asked.moment_ns,
    asked.day,
    asked.amount,
]
NEARLY = st.sampled_from("0123456789-:T.Z+eE, trueNaN٣") | st.characters()


@given(st.text(NEARLY, max_size=40), st.sampled_from(READS))
def test_whatever_stands_in_a_query_is_understood_or_refused(text: str, read: Callable[..., Any]) -> None:
    refusals: list[Refused] = []
    try:
        read({"a": text}, "a")
    except Refused as refused:
        refusals.append(refused)
    for one in refusals:
        assert (one.status, one.body["code"]) == (422, 40010001)
        assert one.body["message"].startswith("invalid a ")


@pytest.mark.parametrize("text", ["9" * 5000, "0" * 5000 + "1"])
def test_endless_digits_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        asked.count({"a": text}, "a", 1, 100)
