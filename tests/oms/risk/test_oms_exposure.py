"""Gross and net exposure and the value of open orders: at their limits, and whatever comes between."""

from decimal import Decimal
from typing import Any

import pytest
from risk_day import NOW_NS, Day, codes, limit_terms, limited, name, request, terms

from bus.order_messages import OrderTerms
from oms.prices.reference_price import Price
from oms.risk.approval import Refused

PRICES = {"AAPL": Decimal(100), "MSFT": Decimal(50)}


def priced(day: Day, prices: dict[str, Decimal] = PRICES) -> Day:
    """The day, with these prices."""
    day.prices = {symbol: Price(price, NOW_NS, NOW_NS) for symbol, price in prices.items()}
    return day


def two_long_and_short(**limits: object) -> Day:
    """A day on which alpha holds 10 AAPL and buys five more, and beta is short of 10 MSFT."""
    day = priced(limited(**limits))
    day.hold("10")
    day.hold("-10", "MSFT", "beta", "50")
    day.approve(request(limit_terms("90", "5"), 1))
    return day


@pytest.mark.parametrize(
    ("limits", "at_limit", "past_limit", "value"),
    [
        # 15 AAPL at 100 and 10 MSFT at 50 make 2000 gross; net 1000 upwards.
        ({"gross_exposure": 2500}, terms("5"), terms("5.1"), "2510"),
        (
            {"gross_exposure": 2500},
            terms("10", symbol="MSFT", side="sell"),
            terms("11", symbol="MSFT", side="sell"),
            "2550",
        ),
        ({"net_exposure": 1500}, terms("5"), terms("5.1"), "1510"),
        (
            {"net_exposure": 1000},
            terms("30", symbol="MSFT", side="sell"),
            terms("31", symbol="MSFT", side="sell"),
            "1050",
        ),
        # Five count at 90, their reserve price; that of a purchase at the market is the collar above it.
        ({"unexecuted_value": 1450}, limit_terms("100", "10"), limit_terms("100", "10.01"), "1451"),
        ({"unexecuted_value": 1950, "price_collar_percent": 50}, terms("10"), terms("10.01"), "1951.5"),
    ],
)
def test_at_the_limit_and_past_it(
    limits: dict[str, object], at_limit: OrderTerms, past_limit: OrderTerms, value: str
) -> None:
    (code,) = [key for key in limits if key != "price_collar_percent"]
    assert code not in codes(two_long_and_short(**limits).judge(request(at_limit, 2)))
    verdict = two_long_and_short(**limits).judge(request(past_limit, 2))
    assert isinstance(verdict, Refused)
    (reason,) = [one for one in verdict.reasons if one.code == code]
    assert reason.value == value
    assert reason.limit == str(limits[code])


def test_an_algorithm_has_limits_of_its_own() -> None:
    day = priced(limited("[algorithm.beta]\ngross_exposure = 1000\n"))
    day.hold("100")
    beta: dict[str, Any] = {"client_order_id": name(1, "beta")}
    assert codes(day.judge(request(terms("10"), **beta), algorithm="beta")) == []
    assert codes(day.judge(request(terms("11"), **beta), algorithm="beta")) == ["gross_exposure"]
    assert codes(day.judge(request(terms("11"), 2))) == []


def test_a_reduction_passes_above_the_limit() -> None:
    day = priced(limited(gross_exposure=10, net_exposure=10, unexecuted_value=10))
    day.hold("10")
    assert codes(day.judge(request(terms("10", side="sell")))) == []
    assert codes(day.judge(request(terms("1")))) == ["gross_exposure", "net_exposure", "unexecuted_value"]


def test_gross_counts_the_side_that_leads_further() -> None:
    day = priced(limited(gross_exposure=2000))
    day.approve(request(limit_terms("110", "20", "sell"), 1))
    assert codes(day.judge(request(limit_terms("90", "5"), 2))) == []
    assert codes(day.judge(request(terms("1", symbol="MSFT"), 2))) == ["gross_exposure"]
    day.approve(request(limit_terms("90", "5"), 2))
    assert codes(day.judge(request(terms("1", symbol="MSFT"), 3))) == ["gross_exposure"]
    below = priced(limited(gross_exposure=1900))
    below.book.apply(Day().approve(request(limit_terms("104", "20", "sell"), 1)).event)
    assert codes(below.judge(request(limit_terms("90", "5"), 2))) == ["gross_exposure"]


def test_a_symbol_counts_at_the_price_of_its_last_decision() -> None:
    day = priced(limited(gross_exposure=2000))
    day.approve(request(terms("10"), 1))
    day.prices["AAPL"] = Price(Decimal(150), NOW_NS, NOW_NS)
    assert codes(day.judge(request(terms("4"), 2))) == ["gross_exposure"]
    day.approve(request(terms("3"), 3))
    assert codes(day.judge(request(terms("1", symbol="MSFT"), 4))) == []
    assert codes(day.judge(request(terms("1.1", symbol="MSFT"), 4))) == ["gross_exposure"]
