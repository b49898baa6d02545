"""What an order costs against an algorithm's capital and the account's money: at the limit, one past it."""

from decimal import Decimal

import pytest
from risk_day import LIMITS, Day, limit_terms, request, terms

from bus.errors import InvalidInput
from bus.order_messages import OrderTerms
from oms.limits.limits import from_dict, parse
from oms.risk.approval import Approved, Refused
from oms.risk.buying_power import left_of_capital
from oms.risk.preconditions import SpendingPower

D = Decimal
CAPITAL = LIMITS + "[algorithm.alpha]\ncapital = 1000\n"


@pytest.fixture
def day() -> Day:
    """A calm day on which alpha has a thousand dollars."""
    return Day(limits=parse(CAPITAL, "limits"))


def open_order(day: Day, order: OrderTerms, number: int) -> None:
    """An order that was approved and works."""
    verdict = day.judge(request(order, number))
    assert isinstance(verdict, Approved)
    day.book.apply(verdict.event)


def codes(day: Day, order: object, number: int = 9, **changes: object) -> list[str]:
    """Why an order is refused; nothing where it is approved."""
    verdict = day.judge(request(order, number), **changes)  # type: ignore[arg-type]
    return [] if isinstance(verdict, Approved) else [reason.code for reason in verdict.reasons]


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        (limit_terms("100", "10"), False),
        (limit_terms("100", "10.000000001"), True),
        # A market order is reserved with the collar on top.
        (terms("9.5"), False),
        (terms("9.6"), True),
        (terms(None, notional=D(1000)), False),
        (terms(None, notional=D(1001)), True),
        # Sold short it ties up as much.
        (limit_terms("100", "10", side="sell"), False),
        (limit_terms("100", "10.1", side="sell"), True),
    ],
)
def test_capital_at_the_limit_and_one_past_it(day: Day, order: object, refused: bool) -> None:
    assert codes(day, order) == (["capital"] if refused else [])


def test_the_refusal_says_limit_and_value(day: Day) -> None:
    verdict = day.judge(request(limit_terms("100", "11"), 9))
    assert isinstance(verdict, Refused)
    (reason,) = verdict.reasons
    assert (reason.limit, reason.value) == ("1000", "1100")
    assert "of the capital of alpha, 1000" in reason.message


def test_what_is_held_and_reserved_is_spent_and_profit_is_not(day: Day) -> None:
    day.hold("4", algorithm="alpha")
    assert left_of_capital(day.book, "alpha", D(1000)) == 600
    open_order(day, limit_terms("100", "5"), 1)
    assert codes(day, limit_terms("100", "1")) == []
    assert codes(day, limit_terms("100", "1.01")) == ["capital"]
    # Another algorithm has no capital set: it has no such limit.
    assert codes(day, limit_terms("100", "20"), algorithm="beta", lease="1:beta") != ["capital"]


def test_a_reduction_is_exempt(day: Day) -> None:
    day.hold("4", algorithm="alpha")
    day.limits = parse(CAPITAL.replace("capital = 1000", "capital = 0"), "limits")
    poor = SpendingPower(D(0), D(0), D(0))
    assert codes(day, limit_terms("100", "4", side="sell"), spending_power=poor) == []
    assert codes(day, limit_terms("100", "1"), spending_power=poor) == ["capital", "buying_power"]


@pytest.mark.parametrize(
    ("symbol", "quantity", "refused"),
    [("AAPL", "20", False), ("AAPL", "20.1", True), ("BTC/USD", "5", False), ("BTC/USD", "5.1", True)],
)
def test_the_account_s_money_at_the_limit_and_one_past_it(symbol: str, quantity: str, refused: bool) -> None:
    """Pairs are paid for with cash."""
    day = Day()
    day.prices[symbol] = day.prices["AAPL"]
    order = terms(quantity, symbol=symbol, type="limit", limit_price=D(100))
    said = SpendingPower(buying_power=D(2000), cash=D(500), used=D(0))
    assert codes(day, order, spending_power=said) == (["buying_power"] if refused else [])


def test_what_was_put_to_use_since_counts_and_what_became_free_does_not() -> None:
    day = Day()
    said = SpendingPower(buying_power=D(2000), cash=D(2000), used=D(300))
    # Less is in use than then: it counts once the broker says so.
    assert codes(day, limit_terms("100", "20"), spending_power=said) == []
    assert codes(day, limit_terms("100", "20.1"), spending_power=said) == ["buying_power"]
    open_order(day, limit_terms("100", "10"), 1)
    assert codes(day, limit_terms("100", "13"), spending_power=said) == []
    assert codes(day, limit_terms("100", "13.1"), spending_power=said) == ["buying_power"]


def test_capital_is_an_algorithm_s(day: Day) -> None:
    assert day.limits is not None
    again = from_dict(day.limits.as_dict(), "limits", 2)
    assert (again.capital("alpha"), again.capital("beta")) == (1000, None)
    each = parse(CAPITAL + "[each_algorithm]\ncapital = 400\n", "limits")
    assert (each.capital("alpha"), each.capital("beta")) == (400, 400)
    for section in ("account", "symbol.AAPL"):
        wrong = LIMITS.replace("[account]", "[account]\ncapital = 5") if section == "account" else None
        with pytest.raises(InvalidInput, match="capital is unknown"):
            parse(wrong or LIMITS + f"[{section}]\ncapital = 5", "limits")
