"""Orders as TradingClient places, finds, lists, replaces and cancels them."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, OrderType, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
)
from edge import Edge
from placing import COIN_QTY, FAR_COIN_PRICE, SMALL_NOTIONAL, Placing
from shapes import ListOf
from target import Target
from trading_shapes import CANCELED, ORDER, ORDER_WITH_LEGS

CODED = (422, 42210000)


def ids(found: object) -> list[UUID]:
    assert isinstance(found, list)
    return [order.id for order in found if isinstance(order, Order)]


def test_a_limit_order_is_taken_with_every_key(placing: Placing, edge: Edge, agrees: Agreement) -> None:
    order = placing.rest()
    body = agrees.answer(ORDER)
    assert edge.last.request == {
        "symbol": order.symbol, "qty": 1.0, "side": "buy", "type": "limit", "time_in_force": "day",
        "client_order_id": order.client_order_id, "limit_price": 1.0,
    }  # fmt: skip
    assert body["status"] in ("pending_new", "accepted", "new")
    assert (body["order_class"], body["qty"], body["limit_price"]) == ("", "1", "1")
    assert (body["filled_qty"], body["notional"], body["legs"]) == ("0", None, None)
    assert body["order_type"] == body["type"] == "limit"
    assert body["position_intent"] == "buy_to_open"
    # An order for the day says when its day ends.
    assert body["expires_at"] is not None


def test_a_limit_order_in_coins(target: Target, placing: Placing, agrees: Agreement) -> None:
    order = placing.rest(target.coin)
    body = agrees.answer(ORDER)
    assert (body["symbol"], body["asset_class"]) == (target.coin, "crypto")
    assert (body["qty"], body["limit_price"]) == ("0.02", "1000")
    assert placing.until(order, OrderStatus.NEW).status == OrderStatus.NEW


def test_a_market_order_is_pending_first_and_then_filled(
    placing: Placing, edge: Edge, agrees: Agreement
) -> None:
    order = placing.buy()
    taken = next(one for one in reversed(edge.exchanges) if one.method == "POST")
    agrees.of(taken.body, ORDER, "the answer to POST /v2/orders")
    assert taken.body["status"] == "pending_new"
    assert (taken.body["notional"], taken.body["qty"]) == (str(SMALL_NOTIONAL), None)
    body = agrees.answer(ORDER)
    assert (body["status"], body["filled_at"] is not None) == ("filled", True)
    value = Decimal(body["filled_qty"]) * Decimal(body["filled_avg_price"])
    assert SMALL_NOTIONAL * Decimal("0.95") < value <= SMALL_NOTIONAL
    assert len(body["filled_qty"].partition(".")[2]) <= 9
    assert order.filled_qty == body["filled_qty"]


@pytest.mark.open_market
def test_a_share_can_be_bought_by_value(target: Target, placing: Placing, agrees: Agreement) -> None:
    placing.buy(target.stock)
    body = agrees.answer(ORDER)
    assert (body["qty"], body["notional"]) == (None, str(SMALL_NOTIONAL))
    assert 0 < Decimal(body["filled_qty"]) < 1


def test_numbers_may_be_text(target: Target, placing: Placing, trading: TradingClient) -> None:
    """Other languages' clients send numbers as text."""
    fields = {
        "symbol": target.coin, "side": "buy", "type": "limit", "time_in_force": "gtc", "qty": str(COIN_QTY),
        "limit_price": f"{FAR_COIN_PRICE:.2f}", "client_order_id": placing.name(),
    }  # fmt: skip
    placing.rest(target.coin)
    taken = trading.post("/orders", fields)
    assert isinstance(taken, dict)
    assert (Decimal(taken["qty"]), taken["limit_price"]) == (Decimal("0.02"), "1000")


def test_an_order_is_found_by_its_ids(placing: Placing, trading: TradingClient, agrees: Agreement) -> None:
    order = placing.rest(client_order_id=placing.name() + " a/b+c")
    found = trading.get_order_by_client_id(order.client_order_id)
    assert isinstance(found, Order)
    assert found.id == order.id
    agrees.answer(ORDER)
    for nested in (False, True):
        trading.get_order_by_id(order.id, GetOrderByIdRequest(nested=nested))
        assert agrees.answer(ORDER_WITH_LEGS)["id"] == str(order.id)


def test_orders_are_listed_by_their_filters(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    symbols = (target.stock, target.other_stock, target.stock)
    first, second, third = (placing.rest(symbol) for symbol in symbols)

    def listed(**filters: Any) -> list[UUID]:
        return ids(trading.get_orders(GetOrdersRequest(**filters)))

    every = [first.id, second.id, third.id]
    assert [one for one in listed(direction="asc") if one in every] == every
    agrees.answer(ListOf(ORDER_WITH_LEGS))
    assert listed(status=QueryOrderStatus.OPEN, limit=3) == every[::-1]
    assert listed(symbols=[target.other_stock], limit=1) == [second.id]
    assert set(every).isdisjoint(listed(side=OrderSide.SELL))
    listed(nested=True, status=QueryOrderStatus.ALL, limit=5)
    assert edge.last.asked["nested"] == "True"
    trading.cancel_order_by_id(first.id)
    placing.until(first, OrderStatus.CANCELED)
    assert first.id not in listed()
    assert first.id in listed(status=QueryOrderStatus.CLOSED)
    assert set(every) <= set(listed(status=QueryOrderStatus.ALL))


def test_orders_are_listed_between_two_moments_both_left_out(
    placing: Placing, trading: TradingClient, edge: Edge
) -> None:
    orders, moments = [], []
    for _ in range(3):
        orders.append(str(placing.rest().id))
        # To the nanosecond: alpaca-py's own times end at the microsecond.
        moments.append(edge.last.body["submitted_at"])

    def listed(**filters: str) -> list[str]:
        found = trading.get("/orders", filters)
        assert isinstance(found, list)
        return [order["id"] for order in found if order["id"] in orders]

    assert listed(after=moments[1]) == orders[2:]
    assert listed(until=moments[1]) == orders[:1]
    assert listed(after=moments[0], until=moments[2], direction="asc") == orders[1:2]


def test_a_pair_is_a_filter_too(target: Target, placing: Placing, trading: TradingClient, edge: Edge) -> None:
    order = placing.rest(target.coin)
    found = trading.get_orders(GetOrdersRequest(symbols=[target.coin, target.stock]))
    assert order.id in ids(found)
    assert edge.last.query.endswith("symbols=BTC%2FUSD%2CAAPL")


def test_a_cancel_answers_204_without_a_body(
    placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    order = placing.rest()
    trading.cancel_order_by_id(order.id)
    assert (edge.last.status, edge.last.received) == (204, "")
    placing.until(order, OrderStatus.CANCELED)
    body = agrees.answer(ORDER)
    assert body["canceled_at"] is not None
    assert (body["filled_at"], body["expired_at"], body["replaced_at"]) == (None, None, None)


def test_what_has_ended_cannot_be_canceled_or_replaced(
    placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    order = placing.rest()
    trading.cancel_order_by_id(order.id)
    placing.until(order, OrderStatus.CANCELED)
    agrees.refusal(*CODED, lambda: trading.cancel_order_by_id(order.id))
    agrees.refusal(*CODED, lambda: trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=2)))


def test_a_replacement_is_a_new_order_and_the_chain_can_be_followed(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    chain = [placing.rest(target.coin)]
    placing.until(chain[0], OrderStatus.NEW)
    for price in (1001.0, 1002.0):
        request = ReplaceOrderRequest(limit_price=price, client_order_id=placing.name())
        made = trading.replace_order_by_id(chain[-1].id, request)
        assert isinstance(made, Order)
        assert edge.last.request == {"limit_price": price, "client_order_id": request.client_order_id}
        body = agrees.answer(ORDER)
        assert (body["replaces"], body["client_order_id"]) == (str(chain[-1].id), request.client_order_id)
        assert body["id"] != str(chain[-1].id)
        placing.until(chain[-1], OrderStatus.REPLACED)
        old = agrees.answer(ORDER)
        assert (old["replaced_by"], old["replaced_at"] is not None) == (body["id"], True)
        chain.append(placing.until(made, OrderStatus.NEW))
    assert Decimal(str(chain[-1].limit_price)) == 1002
    assert Decimal(str(chain[-1].qty)) == Decimal(str(chain[0].qty))


def test_a_replacement_without_a_name_gets_one(placing: Placing, trading: TradingClient) -> None:
    order = placing.rest(qty=2)
    made = trading.replace_order_by_id(order.id, ReplaceOrderRequest(qty=1))
    assert isinstance(made, Order)
    assert made.client_order_id not in ("", order.client_order_id)
    assert made.qty == "1"


def test_a_client_order_id_is_unique_among_open_orders(
    placing: Placing, agrees: Agreement, target: Target
) -> None:
    order = placing.rest()
    body = agrees.refusal(
        422, 40010001, lambda: placing.rest(target.other_stock, client_order_id=order.client_order_id)
    )
    assert body == {"code": 40010001, "message": "client_order_id must be unique"}


@pytest.mark.parametrize("end", ["filled", "canceled"])
def test_a_client_order_id_is_unique_among_ended_orders(
    placing: Placing, trading: TradingClient, agrees: Agreement, end: str
) -> None:
    if end == "filled":
        order = placing.buy()
    else:
        order = placing.rest()
        trading.cancel_order_by_id(order.id)
        placing.until(order, OrderStatus.CANCELED)
    agrees.refusal(422, 40010001, lambda: placing.rest(client_order_id=order.client_order_id))


def test_all_orders_are_canceled_with_a_line_each(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    if target.kind == "paper" and trading.get_orders(GetOrdersRequest(limit=1)):
        pytest.skip("the account has open orders that are not ours to cancel")
    orders = [placing.rest(), placing.rest(target.coin)]
    answers = trading.cancel_orders()
    body = agrees.answer(ListOf(CANCELED), 207)
    assert {line["id"] for line in body} == {str(order.id) for order in orders}
    assert {line["status"] for line in body} == {200}
    assert len(answers) == 2


def test_stops_wait(target: Target, placing: Placing, trading: TradingClient, agrees: Agreement) -> None:
    size = {"symbol": target.stock, "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC}
    placing.submit(StopOrderRequest(**size, stop_price=5000.0))
    body = agrees.answer(ORDER)
    assert (body["type"], body["stop_price"], body["time_in_force"]) == ("stop", "5000", "gtc")
    both = placing.submit(StopLimitOrderRequest(**size, stop_price=5000.0, limit_price=5001.5))
    body = agrees.answer(ORDER)
    assert (body["type"], body["stop_price"], body["limit_price"]) == ("stop_limit", "5000", "5001.5")
    assert both.order_type == OrderType.STOP_LIMIT


def test_an_order_in_coins_that_must_fill_now_is_canceled(target: Target, placing: Placing) -> None:
    order = placing.submit(
        LimitOrderRequest(
            symbol=target.coin, qty=COIN_QTY, side=OrderSide.BUY, time_in_force=TimeInForce.IOC,
            limit_price=FAR_COIN_PRICE,
        )
    )  # fmt: skip
    assert placing.until(order, OrderStatus.CANCELED).filled_qty == "0"


def test_an_order_for_extended_hours_says_so(placing: Placing, agrees: Agreement) -> None:
    placing.rest(extended_hours=True)
    assert agrees.answer(ORDER)["extended_hours"] is True


def test_orders_that_nobody_placed_are_not_found(
    target: Target, trading: TradingClient, plain: requests.Session, agrees: Agreement
) -> None:
    agrees.refusal(404, 40410000, lambda: trading.get_order_by_id(uuid4()))
    agrees.refusal(404, 40410000, lambda: trading.get_order_by_client_id("conformance-nobody"))
    agrees.refusal(404, 40410000, lambda: trading.cancel_order_by_id(uuid4()))
    answer = plain.get(f"{target.trading_url}/v2/orders/no-uuid", timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
