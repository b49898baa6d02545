"""Changes of open orders, and refusals in Alpaca's words."""

import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sim.broker.order_requests import OrderRequest, ReplaceRequest
from sim.broker.order_rules import ticket
from sim.broker.orders import Order
from sim.broker.replace_rules import check_replaceable, replaced
from sim.exchange.assets import Assets
from sim.refusals import Refused

GOOD = {"symbol": "AAPL", "qty": 10, "side": "buy", "type": "limit", "limit_price": 5, "time_in_force": "day"}
BRACKET = {
    "order_class": "bracket",
    "take_profit": {"limit_price": 6},
    "stop_loss": {"stop_price": 4},
}


def working(**changes: Any) -> Order:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    request = msgspec.json.decode(msgspec.json.encode(body), type=OrderRequest)
    ids = itertools.count(1)
    made = ticket(request, Assets(), lambda: f"made-up-{next(ids)}")
    return Order("1", made, "buy_to_open", Decimal(1), 1, 1, status="new")


def asked(**fields: Any) -> ReplaceRequest:
    return msgspec.convert(fields, ReplaceRequest, strict=False)


def test_a_replacement_is_for_what_is_left() -> None:
    order = working()
    order.filled_qty = Decimal(3)
    assert replaced(order, asked(limit_price=6), "new").qty == 7
    bigger = replaced(order, asked(qty=12, limit_price=6), "new")
    assert (bigger.qty, bigger.limit_price, bigger.client_order_id) == (9, 6, "new")


def test_each_type_has_what_can_be_changed_of_it() -> None:
    assert replaced(working(), asked(time_in_force="gtc"), "new").time_in_force == "gtc"
    stop = working(type="stop", limit_price=None, stop_price=7)
    assert replaced(stop, asked(stop_price=8), "new").stop_price == 8
    by_percent = working(type="trailing_stop", limit_price=None, trail_percent=5)
    changed = replaced(by_percent, asked(trail="2.5"), "new")
    assert (changed.trail_percent, changed.trail_price) == (Decimal("2.5"), None)
    by_price = working(type="trailing_stop", limit_price=None, trail_price=5)
    changed = replaced(by_price, asked(trail=2), "new")
    assert (changed.trail_percent, changed.trail_price) == (None, 2)


def test_prices_of_a_bracket_can_be_changed_and_its_legs_stay() -> None:
    order = working(**BRACKET)
    changed = replaced(order, asked(limit_price="5.5", qty=10), "new")
    assert (changed.limit_price, changed.legs) == (Decimal("5.5"), order.ticket.legs)


@pytest.mark.parametrize(
    ("order", "request_", "words"),
    [
        ({}, {}, "order parameters are not changed"),
        ({}, {"limit_price": 5, "qty": 10, "client_order_id": "x"}, "order parameters are not changed"),
        ({}, {"qty": 3}, "qty must be > filled_qty"),
        ({}, {"qty": "NaN"}, "qty must be > filled_qty"),
        ({}, {"qty": "10.5"}, "fractional orders must be DAY orders"),
        ({}, {"stop_price": 3}, "limit orders require no stop price"),
        ({}, {"trail": 3}, "limit orders must not have trail"),
        ({}, {"limit_price": "3.001"}, "sub-penny"),
        ({}, {"time_in_force": "never"}, "invalid time_in_force"),
        ({"qty": 4.5}, {"qty": 6}, "qty cannot be changed for notional or fractional orders"),
        (BRACKET, {"qty": 11}, "qty cannot be changed for advanced orders"),
        (BRACKET, {"time_in_force": "gtc"}, "time_in_force cannot be changed for advanced orders"),
        (
            {"type": "market", "limit_price": None},
            {"limit_price": 3},
            "market orders require no stop or limit",
        ),
        (
            {"type": "trailing_stop", "limit_price": None, "trail_percent": 5},
            {"trail": 0},
            "trail_percent must",
        ),
    ],
)
def test_what_may_not_be_changed_is_refused(
    order: dict[str, Any], request_: dict[str, Any], words: str
) -> None:
    old = working(**order)
    old.filled_qty = Decimal(3)
    if words.startswith("fractional"):
        old = working(time_in_force="gtc")
    with pytest.raises(Refused, match=words) as refused:
        replaced(old, asked(**request_), "new")
    assert refused.value.status == 422


@pytest.mark.parametrize("field", ["qty", "limit_price", "stop_price", "trail"])
@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity"])
def test_what_is_no_amount_is_refused(field: str, amount: str) -> None:
    with pytest.raises(Refused) as refused:
        replaced(working(), asked(**{field: amount}), "new")
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("filled", 'order is already in "filled" state'),
        ("canceled", 'order is already in "canceled" state'),
        ("replaced", "order already replaced"),
        ("accepted", "cannot replace order in accepted status"),
    ],
)
def test_an_order_that_has_ended_or_waits_cannot_be_replaced(status: str, words: str) -> None:
    order = working()
    check_replaceable(order)
    order.status = status
    with pytest.raises(Refused) as refused:
        check_replaceable(order)
    assert refused.value.body == {"code": 42210000, "message": words}
