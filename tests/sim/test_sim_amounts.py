"""Amounts of any length and exponent are judged by their digits, and written plainly."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.amounts import CENT, SMALLEST_QTY, cents, is_finer, plain

STEPS = [Decimal(1), CENT, Decimal("0.0001"), SMALLEST_QTY]
amounts = st.builds(
    lambda digits, exponent: Decimal((0, tuple(digits), exponent)),
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.integers(-60, 20),
)


@given(amounts, st.sampled_from(STEPS))
def test_finer_means_no_whole_number_of_steps(amount: Decimal, step: Decimal) -> None:
    assert is_finer(amount, step) == ((Fraction(amount) / Fraction(step)).denominator != 1)


@pytest.mark.parametrize("text", ["1e-9999999", "0." + "0" * 400 + "1", "1." + "0" * 400 + "1", "-1e-30"])
def test_no_amount_is_too_long_or_too_small_to_be_judged(text: str) -> None:
    assert is_finer(Decimal(text), SMALLEST_QTY)


@pytest.mark.parametrize("text", ["1." + "0" * 400, "0", "-0.00", "1e9", "0e-9999"])
def test_zeros_say_nothing(text: str) -> None:
    assert not is_finer(Decimal(text), CENT)


@given(amounts)
def test_what_is_written_is_the_amount_without_exponent(amount: Decimal) -> None:
    text = plain(amount)
    assert Decimal(text) == amount
    assert "E" not in text
    assert not text.endswith((".", "0")) or "." not in text


@given(st.integers(-(10**12), 10**12))
def test_cents_are_whole(thousandths: int) -> None:
    amount = Decimal(thousandths) / 1000
    assert abs(Decimal(cents(amount)) - amount) <= Decimal("0.005")
    assert not is_finer(Decimal(cents(amount)), CENT)
