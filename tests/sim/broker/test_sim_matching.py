"""When an order fills, at what price, and how much of it."""

from decimal import Decimal

import pytest

from sim.broker.matching import fill_price, fill_qty, is_triggered, protective_price
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import made_up
from sim.exchange.touch import Touch

TOUCH = Touch(Decimal("9.98"), Decimal("10.00"))


def order(side: str = "buy", **fields: str) -> Order:
    numbers = {name: Decimal(value) for name, value in fields.items() if name not in ("type", "tif")}
    if "notional" not in numbers:
        numbers.setdefault("qty", Decimal(100))
    ticket = Ticket(
        "c", made_up("AAPL"), side, fields.get("type", "market"), fields.get("tif", "day"), **numbers
    )
    return Order("1", ticket, "buy_to_open", Decimal(0), 1, 1)


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        ("buy", None, "10.00"),
        ("sell", None, "9.98"),
        ("buy", "10.00", "10.00"),
        ("buy", "10.50", "10.00"),
        ("buy", "9.99", None),
        ("sell", "9.98", "9.98"),
        ("sell", "9.99", None),
    ],
)
def test_a_marketable_order_fills_at_the_other_side_of_the_quote(
    side: str, limit: str | None, price: str | None
) -> None:
    fields = {} if limit is None else {"limit_price": limit, "type": "limit"}
    assert fill_price(order(side, **fields), TOUCH) == (None if price is None else Decimal(price))


def test_nothing_fills_against_a_side_nobody_quotes() -> None:
    assert fill_price(order("buy"), Touch(Decimal(1), None)) is None


def test_a_stop_waits_for_a_trade_at_its_price() -> None:
    stop = order("buy", type="stop", stop_price="10.10")
    assert fill_price(stop, TOUCH) is None
    assert not is_triggered(stop, Decimal("10.09"))
    assert is_triggered(stop, Decimal("10.10"))
    assert is_triggered(order("sell", type="stop", stop_price="9"), Decimal(9))
    stop.is_triggered = True
    assert fill_price(stop, TOUCH) == 10


def test_without_luck_all_of_it_fills() -> None:
    assert fill_qty(order(), Decimal(10), lambda: 0.5, 0.1) == 100


def test_a_partial_fill_is_a_whole_number_of_shares() -> None:
    draws = iter([0.05, 0.777])
    assert fill_qty(order(), Decimal(10), lambda: next(draws), 0.1) == 77


def test_the_smallest_partial_fill_is_one_share() -> None:
    draws = iter([0.05, 0.001])
    assert fill_qty(order(), Decimal(10), lambda: next(draws), 0.1) == 1


def test_fill_or_kill_and_single_shares_never_fill_in_parts() -> None:
    assert fill_qty(order(tif="fok"), Decimal(10), lambda: 0.0, 1.0) == 100
    assert fill_qty(order(qty="1"), Decimal(10), lambda: 0.0, 1.0) == 1


def test_an_order_by_value_buys_nine_decimals_of_a_share() -> None:
    assert fill_qty(order(notional="5"), Decimal("87.05"), lambda: 0.0, 1.0) == Decimal("0.057438253")


@pytest.mark.parametrize(
    ("made", "price"),
    [
        (order(), "10.00"),
        (order(type="limit", limit_price="12"), "12"),
        (order(type="stop", stop_price="40"), "41.6"),
        (order(type="stop", stop_price="100"), "102.5"),
        (order("sell"), "10.30"),
        (order("sell", type="limit", limit_price="20"), "20"),
    ],
)
def test_buying_power_is_held_at_the_worst_likely_price(made: Order, price: str) -> None:
    assert protective_price(made.ticket, TOUCH) == Decimal(price)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_what_nobody_asks_for_is_not_free(side: str) -> None:
    ticket = order(side).ticket
    part = Decimal(1) if side == "buy" else Decimal("1.03")
    assert protective_price(ticket, Touch(Decimal("9.98"), None)) == part * Decimal("9.98")
    assert protective_price(ticket, None) == part * Decimal(ticket.asset.opening_price_cents) / 100
