"""What an author writes becomes the terms of an order."""

from decimal import Decimal
from typing import Any

import pytest

from algos.terms import changed_terms, exact, order_terms


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({}, "market"),
        ({"limit_price": 1}, "limit"),
        ({"stop_price": 1}, "stop"),
        ({"limit_price": 1, "stop_price": 2}, "stop_limit"),
    ],
)
def test_the_prices_given_make_the_order_type(prices: dict[str, int], expected: str) -> None:
    assert order_terms("AAPL", "buy", 1, **prices).type == expected


def test_stocks_default_to_the_day_and_crypto_which_has_none_to_until_canceled() -> None:
    assert order_terms("AAPL", "buy", 1).time_in_force == "day"
    assert order_terms("BTC/USD", "buy", 1).time_in_force == "gtc"
    assert order_terms("BTC/USD", "buy", 1, time_in_force="ioc").time_in_force == "ioc"


def test_a_pair_has_one_spelling() -> None:
    assert order_terms("BTCUSD", "buy", 1) == order_terms("BTC/USD", "buy", 1)


def test_numbers_are_taken_as_they_print() -> None:
    assert exact("quantity", 0.1) == Decimal("0.1")
    assert exact("quantity", "0.000000001") == Decimal("1E-9")
    assert exact("quantity", Decimal("1.0000000000")) == 1
    long = Decimal("123456789012345678901234567890.000000000000")
    assert exact("quantity", long) == long


@pytest.mark.parametrize(
    "value", [0, -1, "nan", "inf", "many", Decimal("1E-10"), Decimal("1" * 40 + ".1234567891")]
)
def test_impossible_amounts_are_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match="limit_price"):
        order_terms("AAPL", "buy", 1, limit_price=value)


@pytest.mark.parametrize("amounts", [(None, None), (1, 1)])
def test_quantity_or_notional_but_not_both(amounts: tuple[int | None, int | None]) -> None:
    quantity, notional = amounts
    with pytest.raises(ValueError, match="either a quantity or a notional"):
        order_terms("AAPL", "sell", quantity, notional=notional)


def test_a_replacement_keeps_what_is_not_given() -> None:
    terms = order_terms("AAPL", "sell", 5, limit_price=10)
    changed = changed_terms(terms, {"limit_price": "10.5"})
    assert (changed.limit_price, changed.quantity, changed.side) == (Decimal("10.5"), 5, "sell")


def test_a_replacement_cannot_make_another_type_of_order_or_nothing() -> None:
    market_order = order_terms("AAPL", "buy", 5)
    with pytest.raises(ValueError, match="has no limit_price"):
        changed_terms(market_order, {"limit_price": 10})
    with pytest.raises(ValueError, match="changes something"):
        changed_terms(market_order, {})


@pytest.mark.parametrize(
    ("symbol", "changes"),
    [
        (None, {}),
        ("\ud800", {}),
        ("AAPL", {"time_in_force": "forever"}),
        ("AAPL", {"extended_hours": "yes"}),
        ("AAPL", {"extended_hours": object()}),
        (type("Text", (str,), {})("AAPL"), {}),
    ],
)
def test_what_the_oms_could_not_read_is_refused_where_it_is_asked_for(
    symbol: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"^buy "):
        order_terms(symbol, "buy", 1, **changes)


def test_a_replacement_in_words_that_nobody_knows_is_refused_where_it_is_asked_for() -> None:
    forever: Any = "forever"
    with pytest.raises(ValueError, match="time_in_force"):
        changed_terms(order_terms("AAPL", "buy", 1, limit_price=1), {"time_in_force": forever})
