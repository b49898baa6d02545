"""Orders with legs and orders that trail the market, all of them far from it."""

from decimal import Decimal
from typing import Any

import pytest
import requests
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, OrderType, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from edge import Edge
from placing import Placing
from shapes import ListOf
from target import Target
from trading_shapes import ORDER_WITH_LEGS

WAITING = ("pending_new", "accepted", "new", "held")


def with_legs(trading: TradingClient, agrees: Agreement, order: Order) -> dict[str, Any]:
    """The order as it is when its legs are asked for."""
    trading.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    found: dict[str, Any] = agrees.answer(ORDER_WITH_LEGS)
    return found


def bracket(placing: Placing, **fields: Any) -> Order:
    given: dict[str, Any] = {
        "order_class": OrderClass.BRACKET,
        "take_profit": TakeProfitRequest(limit_price=2.0),
        "stop_loss": StopLossRequest(stop_price=0.5),
    }
    return placing.rest(**(given | fields))


def test_a_bracket_has_two_legs_that_wait_for_it(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    order = bracket(placing)
    sent = edge.last.request
    assert (sent["order_class"], sent["take_profit"], sent["stop_loss"]) == (
        "bracket", {"limit_price": 2.0}, {"stop_price": 0.5},
    )  # fmt: skip
    assert agrees.answer(ORDER_WITH_LEGS)["order_class"] == "bracket"
    body = with_legs(trading, agrees, order)
    legs = {leg["type"]: leg for leg in body["legs"]}
    assert set(legs) == {"limit", "stop"}
    assert (legs["limit"]["limit_price"], legs["stop"]["stop_price"]) == ("2", "0.5")
    for leg in body["legs"]:
        assert (leg["status"], leg["side"], leg["qty"], leg["symbol"]) == ("held", "sell", "1", target.stock)
        assert leg["order_class"] == "bracket"
        assert leg["time_in_force"] == body["time_in_force"]


def test_a_stop_loss_with_a_limit_is_a_stop_limit(
    placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    order = bracket(placing, stop_loss=StopLossRequest(stop_price=0.5, limit_price=0.49))
    legs = {leg["type"]: leg for leg in with_legs(trading, agrees, order)["legs"]}
    assert set(legs) == {"limit", "stop_limit"}
    assert (legs["stop_limit"]["stop_price"], legs["stop_limit"]["limit_price"]) == ("0.5", "0.49")


def test_legs_are_listed_below_their_order_or_on_their_own(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    order = bracket(placing)
    legs = {leg["id"] for leg in with_legs(trading, agrees, order)["legs"]}

    def listed(nested: bool) -> list[dict[str, Any]]:
        request = GetOrdersRequest(
            status=QueryOrderStatus.ALL, symbols=[target.stock], nested=nested, limit=20
        )
        trading.get_orders(request)
        found: list[dict[str, Any]] = agrees.answer(ListOf(ORDER_WITH_LEGS))
        return [one for one in found if one["id"] == str(order.id) or one["id"] in legs]

    assert {one["id"] for one in listed(nested=False)} == {str(order.id), *legs}
    assert all(one["legs"] is None for one in listed(nested=False))
    (whole,) = listed(nested=True)
    assert {leg["id"] for leg in whole["legs"]} == legs


@pytest.mark.parametrize("which", ["parent", "leg"])
def test_to_cancel_one_of_a_bracket_is_to_cancel_it_all(
    placing: Placing, trading: TradingClient, agrees: Agreement, which: str
) -> None:
    order = bracket(placing)
    legs = with_legs(trading, agrees, order)["legs"]
    trading.cancel_order_by_id(str(order.id) if which == "parent" else legs[0]["id"])
    placing.until(order, OrderStatus.CANCELED)

    def statuses() -> set[str]:
        return {leg["status"] for leg in with_legs(trading, agrees, order)["legs"]}

    placing.wait(lambda: statuses() == {"canceled"}, "the legs to be canceled")


@pytest.mark.parametrize(
    ("name", "leg", "type_"),
    [
        ("take_profit", TakeProfitRequest(limit_price=2.0), "limit"),
        ("stop_loss", StopLossRequest(stop_price=0.5), "stop"),
    ],
)
def test_one_triggers_the_other(
    placing: Placing, trading: TradingClient, agrees: Agreement, name: str, leg: object, type_: str
) -> None:
    legs: dict[str, Any] = {name: leg}
    order = placing.rest(order_class=OrderClass.OTO, **legs)
    body = with_legs(trading, agrees, order)
    assert body["order_class"] == "oto"
    assert [(one["type"], one["status"]) for one in body["legs"]] == [(type_, "held")]


@pytest.mark.open_market
def test_one_cancels_the_other(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    placing.buy(target.stock, qty=1)
    order = placing.submit(
        LimitOrderRequest(
            symbol=target.stock, qty=1, side=OrderSide.SELL, time_in_force=TimeInForce.DAY,
            order_class=OrderClass.OCO, take_profit=TakeProfitRequest(limit_price=5000.0),
            stop_loss=StopLossRequest(stop_price=1.0),
        )
    )  # fmt: skip
    assert "limit_price" not in edge.last.request
    body = with_legs(trading, agrees, order)
    assert (body["order_class"], body["type"], body["limit_price"]) == ("oco", "limit", "5000")
    (leg,) = body["legs"]
    assert (leg["type"], leg["stop_price"], leg["status"]) == ("stop", "1", "held")
    trading.cancel_order_by_id(order.id)
    placing.until(order, OrderStatus.CANCELED)
    placing.wait(
        lambda: [one["status"] for one in with_legs(trading, agrees, order)["legs"]] == ["canceled"],
        "the other to be canceled",
    )


ORDER: dict[str, Any] = {
    "symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": 1,
}  # fmt: skip
BRACKET: dict[str, Any] = {
    "order_class": "bracket", "take_profit": {"limit_price": 2}, "stop_loss": {"stop_price": 0.5},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        BRACKET | {"stop_loss": None},
        BRACKET | {"take_profit": None},
        BRACKET | {"take_profit": {"limit_price": 0.4}},
        BRACKET | {"stop_loss": {"stop_price": 3}},
        BRACKET | {"stop_loss": {"stop_price": 0.99999}},
        BRACKET | {"time_in_force": "ioc"},
        BRACKET | {"extended_hours": True},
        {"order_class": "oto"},
        BRACKET | {"order_class": "oto"},
        {"order_class": "spread"},
        {"order_class": "mleg"},
        {"type": "trailing_stop", "limit_price": None},
        {"type": "trailing_stop", "limit_price": None, "trail_price": 1, "trail_percent": 1},
        {"type": "trailing_stop", "limit_price": None, "trail_percent": 1, "time_in_force": "ioc"},
    ],
    ids=str,
)
def test_legs_that_make_no_sense_are_refused(
    placing: Placing, target: Target, plain: requests.Session, change: dict[str, Any]
) -> None:
    fields = {"client_order_id": placing.name()} | ORDER | change
    given = {name: value for name, value in fields.items() if value is not None}
    answer = plain.post(f"{target.trading_url}/v2/orders", json=given, timeout=30)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in (40010001, 42210000)
    assert answer.json()["message"]


@pytest.mark.open_market
@pytest.mark.parametrize(("name", "trail"), [("trail_percent", 20.0), ("trail_price", 150.0)])
def test_a_trailing_stop_follows_from_a_mark(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement, name: str,
    trail: float,
) -> None:  # fmt: skip
    order = placing.submit(
        TrailingStopOrderRequest(
            symbol=target.stock, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, **{name: trail}
        )
    )
    assert edge.last.request[name] == trail
    assert order.order_type == OrderType.TRAILING_STOP
    placing.until(order, OrderStatus.NEW)
    body = agrees.answer(ORDER_WITH_LEGS)
    other = "trail_price" if name == "trail_percent" else "trail_percent"
    assert (Decimal(body[name]), body[other], body["limit_price"]) == (Decimal(str(trail)), None, None)
    mark, stop = Decimal(body["hwm"]), Decimal(body["stop_price"])
    away = mark * Decimal("0.2") if name == "trail_percent" else Decimal(150)
    assert abs(stop - mark - away) <= Decimal("0.01")


@pytest.mark.open_market
def test_the_trail_can_be_replaced(target: Target, placing: Placing, trading: TradingClient) -> None:
    order = placing.submit(
        TrailingStopOrderRequest(
            symbol=target.stock, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, trail_percent=20.0
        )
    )
    placing.until(order, OrderStatus.NEW)
    made = trading.replace_order_by_id(order.id, ReplaceOrderRequest(trail=25.0))
    assert isinstance(made, Order)
    assert (Decimal(str(made.trail_percent)), made.replaces) == (Decimal(25), order.id)
