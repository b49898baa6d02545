"""Groups, sessions and days in virtual time: a real simulator under an unmodified alpaca-py TradingClient."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from simulator import Simulator

BUY, SELL = OrderSide.BUY, OrderSide.SELL
DAY, GTC, OPG = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.OPG
MOMENT_S = 0.01  # an order is put to work a few milliseconds after its answer


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Monday, a minute before noon in New York, and time stands still."""
    with Simulator.start(
        "--virtual-time", "--hours", "exchange", "--start", "2026-01-05T11:59:00-05:00",
        "--rate", "2", "--symbols", "AAPL", "--partial-chance", "0",
    ) as started:  # fmt: skip
        yield started


def submit(simulator: Simulator, client: TradingClient, request: Any) -> Order:
    """Submit, and let the order be put to work."""
    order = client.submit_order(request)
    assert isinstance(order, Order)
    simulator.advance(MOMENT_S)
    return order


def now(client: TradingClient, order: Order) -> Order:
    found = client.get_order_by_id(order.id)
    assert isinstance(found, Order)
    return found


def price(client: TradingClient) -> Decimal:
    """What a share of AAPL costs now."""
    return Decimal(client.get_open_position("AAPL").current_price or 0)


def market(
    side: OrderSide = BUY, tif: TimeInForce = DAY, qty: float = 10, **fields: Any
) -> MarketOrderRequest:
    return MarketOrderRequest(symbol="AAPL", qty=qty, side=side, time_in_force=tif, **fields)


def limit(limit_price: float, tif: TimeInForce = DAY, **fields: Any) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL", qty=10, side=BUY, time_in_force=tif, limit_price=limit_price, **fields
    )


def test_a_bracket_is_answered_with_its_legs_and_ends_with_one_of_them(
    simulator: Simulator, client: TradingClient
) -> None:
    submit(simulator, client, market())
    last = price(client)
    exits = {
        "take_profit": TakeProfitRequest(limit_price=float(last + Decimal("0.05"))),
        "stop_loss": StopLossRequest(stop_price=float(last - Decimal("0.05"))),
    }
    entry = submit(simulator, client, market(order_class=OrderClass.BRACKET, **exits))
    assert entry.status == OrderStatus.PENDING_NEW
    assert [leg.status for leg in entry.legs or ()] == [OrderStatus.HELD, OrderStatus.HELD]
    profit, loss = entry.legs or ()
    assert now(client, entry).status == OrderStatus.FILLED
    assert (now(client, profit).status, now(client, loss).status) == (OrderStatus.NEW, OrderStatus.HELD)
    with pytest.raises(APIError, match="insufficient qty available"):
        client.submit_order(market(SELL, qty=11))
    listed = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
    nested = next(one for one in listed if isinstance(one, Order) and one.id == entry.id)
    assert {leg.id for leg in nested.legs or ()} == {profit.id, loss.id}
    for _ in range(60):
        simulator.advance(60)
        ends = {now(client, profit).status, now(client, loss).status}
        if OrderStatus.FILLED in ends:
            break
    assert ends == {OrderStatus.FILLED, OrderStatus.CANCELED}


def test_a_day_ends_and_the_next_begins(simulator: Simulator, client: TradingClient) -> None:
    today = submit(simulator, client, limit(1))
    lasting = submit(simulator, client, limit(1.5, GTC))
    simulator.advance(4 * 3600 + 60)  # to 16:00
    expired = now(client, today)
    assert (expired.status, expired.expired_at) == (OrderStatus.EXPIRED, expired.expires_at)
    assert now(client, lasting).status == OrderStatus.NEW
    late = submit(simulator, client, market())
    evening = submit(simulator, client, limit(999, extended_hours=True))
    assert now(client, late).status == OrderStatus.ACCEPTED
    assert now(client, evening).status == OrderStatus.FILLED
    assert not client.get_clock().is_open
    with pytest.raises(APIError, match="orders must be submitted after"):
        client.submit_order(market(tif=OPG))
    simulator.advance(17.5 * 3600)  # to 9:30 of the next day
    assert now(client, late).status == OrderStatus.FILLED
    assert now(client, lasting).status == OrderStatus.NEW


def test_a_trailing_stop_shows_what_it_follows(simulator: Simulator, client: TradingClient) -> None:
    submit(simulator, client, market())
    request = TrailingStopOrderRequest(symbol="AAPL", qty=10, side=SELL, time_in_force=DAY, trail_price=2.0)
    order = now(client, submit(simulator, client, request))
    assert Decimal(str(order.hwm)) - Decimal(str(order.stop_price)) == 2
    wider = client.replace_order_by_id(order.id, ReplaceOrderRequest(trail=3.0))
    assert isinstance(wider, Order)
    simulator.advance(MOMENT_S)
    wider = now(client, wider)
    assert (wider.status, wider.trail_price) == (OrderStatus.NEW, "3")
    assert Decimal(str(wider.hwm)) - Decimal(str(wider.stop_price)) == 3
