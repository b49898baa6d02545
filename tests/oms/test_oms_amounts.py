"""Reservations are never too small, and numbers stay exact on the way out and back."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_day import NOW_NS, Day, name, request

from bus.order_messages import OrderTerms
from oms.amounts import NINTH_PLACE, is_amount, text, times
from oms.broker.alpaca_orders import new_order
from oms.limits.limits import parse
from oms.prices.reference_price import Price
from oms.risk.approval import Approved
from oms.risk.checks import CHECKS
from oms.risk.subject import reserve_price

pytestmark = pytest.mark.property

prices = st.decimals(min_value="0.0001", max_value="99999", places=4)
sizes = st.decimals(min_value="0.000000001", max_value="9999", places=9)
collars = st.decimals(min_value="0", max_value="50", places=2)

WIDE = """
[account]
order_quantity = 99999999999999
order_value = 99999999999999
position_quantity = 99999999999999
position_value = 99999999999999
open_orders = 10
orders_per_second = 10
price_age_seconds = 5
price_collar_percent = """


@given(size=sizes, reference=prices, collar=collars, move=st.decimals(min_value=-1, max_value=1, places=3))
def test_a_purchase_within_the_collar_never_costs_more_than_was_reserved(
    size: Decimal, reference: Decimal, collar: Decimal, move: Decimal
) -> None:
    day = Day(prices={"AAPL": Price(reference, NOW_NS, NOW_NS)}, limits=parse(WIDE + str(collar), "limits"))
    verdict = day.approve(request(OrderTerms(symbol="AAPL", side="buy", quantity=size)))
    paid = times(reference, 1 + collar / 100 * move)
    assert day.book.reserved("alpha") >= times(size, paid)
    assert day.book.pending("AAPL", "buy", "alpha") == size
    assert is_amount(verdict.event.reserve_price)


@given(value=sizes, reference=prices, collar=collars, move=st.decimals(min_value=-1, max_value=1, places=3))
def test_a_notional_order_never_becomes_more_shares_than_were_reserved(
    value: Decimal, reference: Decimal, collar: Decimal, move: Decimal
) -> None:
    day = Day(prices={"AAPL": Price(reference, NOW_NS, NOW_NS)}, limits=parse(WIDE + str(collar), "limits"))
    verdict = day.judge(request(OrderTerms(symbol="AAPL", side="buy", notional=value)))
    assert isinstance(verdict, Approved)
    day.book.apply(verdict.event)
    paid = times(reference, 1 + collar / 100 * move)
    shares = day.book.pending("AAPL", "buy", "alpha")
    # The reserve price has nine places, so the collar's edge is known to within one of the last place.
    assert times(shares, paid + NINTH_PLACE) >= value
    assert day.book.reserved("alpha") >= value


@given(limit=prices, reference=prices, side=st.sampled_from(["buy", "sell"]))
def test_a_limit_is_reserved_at_its_own_price_or_the_markets(
    limit: Decimal, reference: Decimal, side: Any
) -> None:
    wanted = OrderTerms(symbol="AAPL", side=side, type="limit", quantity=Decimal(1), limit_price=limit)
    reserved = reserve_price(wanted, reference, Decimal("0.05"))
    assert reserved == (limit if side == "buy" else max(limit, reference))


@given(size=sizes, price=prices)
def test_what_is_sent_is_what_was_approved(size: Decimal, price: Decimal) -> None:
    wanted = OrderTerms(symbol="AAPL", side="buy", type="limit", quantity=size, limit_price=price)
    body = new_order(wanted, name(1))
    assert (Decimal(body["qty"]), Decimal(body["limit_price"])) == (size, price)
    assert "E" not in body["qty"].upper()


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_an_amount_has_nine_places_at_most(value: Decimal) -> None:
    in_range = value.is_finite() and (not value or -10 < value.adjusted() < 15)
    expected = in_range and value % NINTH_PLACE == 0
    assert is_amount(value) == expected
    if expected:
        assert Decimal(text(value)) == value


def test_every_check_is_a_function_of_its_arguments_alone() -> None:
    day = Day()
    first = day.judge(request(number=1))
    second = day.judge(request(number=1))
    assert isinstance(first, Approved)
    assert isinstance(second, Approved)
    assert first.event == second.event
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
