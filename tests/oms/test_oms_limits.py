"""Limits files: what is read, and the sentences for what cannot be."""

from decimal import Decimal

import pytest
from risk_day import LIMITS

from bus.errors import InvalidInput
from oms.limits import NUMBERS, parse
from oms.settings import DEFAULT_LIMITS


def test_the_shipped_limits_can_be_read_and_let_paper_trade() -> None:
    limits = parse(DEFAULT_LIMITS.read_text(), "default")
    found = limits.effective("ma-cross", "AAPL")
    assert (found.account.order_quantity, found.account.order_value) == (1000, 50_000)
    assert (found.own.position_quantity, found.own.open_orders) == (2000, 50)
    assert (found.own.orders_per_second, found.collar, found.price_age_ns) == (20, Decimal("0.05"), 5 * 10**9)
    assert not found.restricted


def test_the_tightest_collar_and_age_hold() -> None:
    limits = parse(
        LIMITS + '[algorithm.alpha]\nprice_collar_percent = 2.5\n[symbol."BTC/USD"]\nprice_age_seconds = 0.5',
        "limits",
    )
    assert limits.effective("alpha", "AAPL").collar == Decimal("0.025")
    assert limits.effective("beta", "BTC/USD").price_age_ns == 500_000_000
    assert limits.effective("beta", "AAPL").collar == Decimal("0.05")


def test_limits_are_shown_in_the_shape_of_the_file() -> None:
    shown = parse(LIMITS + '[each_algorithm]\nrestricted = ["GME"]', "limits").as_dict()
    assert shown["each_algorithm"] == {"restricted": ["GME"]}
    assert isinstance(shown["account"], dict)
    assert set(shown["account"]) == set(NUMBERS)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[account", "TOML"),
        ("[acount]\norder_quantity = 1", "acount"),
        (LIMITS + "\norder_quantities = 1", "order_quantities"),
        (LIMITS.replace("order_value = 50_000", "order_value = -1"), "order_value"),
        (LIMITS.replace("order_value = 50_000", 'order_value = "much"'), "order_value"),
        (LIMITS.replace("order_value = 50_000", "order_value = true"), "order_value"),
        (LIMITS.replace("order_value = 50_000", "order_value = nan"), "order_value"),
        (LIMITS.replace("open_orders = 200", "open_orders = 2.5"), "open_orders"),
        (LIMITS.replace("price_collar_percent = 5", "price_collar_percent = 100"), "price_collar_percent"),
        (LIMITS.replace("open_orders = 200", ""), "open_orders"),
        (LIMITS + 'restricted = "GME"', "restricted"),
        (LIMITS + 'restricted = ["not a symbol"]', "not a symbol"),
        (LIMITS + "[symbol.AAPL]\nopen_orders = 1", "open_orders"),
        (LIMITS + "[algorithm.Alpha]\norder_value = 1", "Alpha"),
        (LIMITS + "[algorithm]\nalpha = 3", "alpha"),
        ("", "order_quantity"),
    ],
)
def test_a_mistake_is_named_with_its_file(content: str, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(content, "limits.toml")
    assert "limits.toml" in str(caught.value)
    assert named in str(caught.value)
