"""Stops, trailing stops and partial fills: what triggers an order, and how much of it is filled."""

from dataclasses import replace
from decimal import Decimal

import pytest
from broker_harness import BrokerHarness

from sim.broker.orders import order_json
from sim.refusals import Refused

MONDAY = "2026-01-05T"
TUESDAY = "2026-01-06T"


@pytest.fixture
def harness() -> BrokerHarness:
    return BrokerHarness.at("2026-01-05T12:00:00")


def test_a_trailing_sell_follows_the_price_up_and_sells_on_the_way_down(harness: BrokerHarness) -> None:
    harness.submit(harness.ticket())
    order = harness.submit(harness.ticket("sell", "trailing_stop", trail_price="2"))
    assert (order.high_water_mark, order.stop_price) == (100, 98)
    for price, stop in (("101", 99), ("100", 99), ("105.5", Decimal("103.5")), ("103.51", Decimal("103.5"))):
        harness.move(price)
        assert order.stop_price == stop
    shown = order_json(order)
    assert (shown["hwm"], shown["stop_price"], shown["trail_price"]) == ("105.5", "103.5", "2")
    harness.move("103.5")
    assert order.status == "filled"
    assert harness.broker.fills[-1].price == Decimal("103.5")


def test_a_trailing_buy_follows_the_price_down_by_a_share_of_it(harness: BrokerHarness) -> None:
    order = harness.submit(harness.ticket("buy", "trailing_stop", trail_percent="1"))
    assert order.stop_price == 101
    harness.move("90")
    assert (order.high_water_mark, order.stop_price) == (90, Decimal("90.9"))
    harness.move("90.9")
    assert order.status == "filled"


def test_a_trailing_stop_without_a_last_price_starts_with_the_first_trade() -> None:
    harness = BrokerHarness()
    harness.quote("99.99", "100.00")
    order = harness.submit(harness.ticket("buy", "trailing_stop", trail_price="1"))
    assert (order.high_water_mark, order.stop_price, order.status) == (None, None, "new")
    harness.trade("50")
    assert order.stop_price == 51


def test_a_replaced_trail_keeps_the_high_water_mark(harness: BrokerHarness) -> None:
    harness.submit(harness.ticket())
    old = harness.submit(harness.ticket("sell", "trailing_stop", trail_price="2"))
    harness.trade("110")
    harness.move("109")
    new = harness.replace(old, replace(old.ticket, client_order_id="x", trail_price=Decimal(5)))
    assert (new.high_water_mark, new.stop_price, new.replaces) == (110, 105, old.id)


def test_a_buy_stop_buys_no_dearer_than_its_collar(harness: BrokerHarness) -> None:
    order = harness.submit(harness.stop("210"))
    harness.quote("211", "215.26")
    harness.trade("211")
    assert (order.status, order.is_triggered) == ("new", True)
    harness.quote("211", "215.25")
    assert order.status == "filled"


def test_a_stop_limit_waits_for_its_stop_and_then_for_its_limit(harness: BrokerHarness) -> None:
    order = harness.submit(harness.stop("110", "111"))
    harness.quote("104.99", "105")
    assert order.status == "new"
    harness.quote("112", "112.01")
    harness.trade("112")
    assert order.status == "new"
    harness.quote("110.5", "111")
    assert order.status == "filled"


def test_a_woken_stop_limit_stays_awake_when_its_limit_is_replaced(harness: BrokerHarness) -> None:
    harness.submit(harness.ticket())
    order = harness.submit(harness.stop("90", "89.5", side="sell"))
    harness.move("80.00")
    chasing = harness.replace(order, replace(order.ticket, client_order_id="x", limit_price=Decimal(85)))
    assert (chasing.status, chasing.is_triggered) == ("new", True)
    with pytest.raises(Refused, match="stop price must be less than current price"):
        harness.replace(chasing, replace(chasing.ticket, client_order_id="y", stop_price=Decimal(88)))
    harness.quote("91.00", "91.01")
    assert chasing.status == "filled"


def test_a_stop_sleeps_outside_the_session_and_wakes_with_the_morning(harness: BrokerHarness) -> None:
    order = harness.submit(harness.stop("110", tif="gtc"))
    harness.pass_time(MONDAY + "17:00:00-05:00")
    harness.move("110")
    assert not order.is_triggered
    harness.pass_time(TUESDAY + "09:30:00-05:00")
    assert order.status == "filled"


def test_a_morning_halt_lets_the_stop_sleep_on(harness: BrokerHarness) -> None:
    order = harness.submit(harness.stop("110", tif="gtc"))
    harness.pass_time(MONDAY + "17:00:00-05:00")
    harness.move("111")
    harness.halted.add("AAPL")
    harness.pass_time(TUESDAY + "09:30:00-05:00")
    assert not order.is_triggered
    harness.halted.clear()
    harness.move("111.5")
    assert order.status == "filled"


def test_the_rest_of_a_partial_fill_at_once_is_canceled() -> None:
    harness = BrokerHarness(draw=lambda: 0.3, partial_chance=0.5)
    harness.quote("99.99", "100.00")
    order = harness.submit(harness.ticket(tif="ioc"))
    assert (order.status, order.filled_qty) == ("canceled", 3)
    assert harness.told() == ["new", "partial_fill", "canceled"]


def test_an_order_for_a_halted_symbol_waits_until_it_trades_again(harness: BrokerHarness) -> None:
    harness.halted.add("AAPL")
    order = harness.submit(harness.ticket())
    stop = harness.submit(harness.stop("101"))
    harness.quote("104.99", "105")
    harness.trade("105")
    assert (order.status, stop.status, stop.is_triggered) == ("new", "new", False)
    harness.halted.clear()
    harness.quote("104.99", "105")
    assert order.status == "filled"
    harness.trade("105")
    assert stop.is_triggered


@pytest.mark.parametrize(("side", "outside", "inside"), [("sell", "89.98", "90"), ("buy", "111", "110")])
def test_a_trade_outside_the_quote_wakes_no_stop(side: str, outside: str, inside: str) -> None:
    harness = BrokerHarness.at(MONDAY + "12:00:00")
    stop = harness.submit(harness.stop("90" if side == "sell" else "110", side=side))
    harness.quote("89.99", "110.01")
    harness.trade(outside)
    assert not stop.is_triggered
    harness.trade(inside)
    assert stop.is_triggered
