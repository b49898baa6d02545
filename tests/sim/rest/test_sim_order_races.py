"""Changes of orders that come before the order was accepted; every fill counts towards it."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import LimitOrderRequest, ReplaceOrderRequest
from simulator import Simulator

BUY, DAY = OrderSide.BUY, TimeInForce.DAY


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Monday, half an hour before the close, and time stands still."""
    with Simulator.start(
        "--virtual-time", "--hours", "exchange", "--start", "2026-01-05T15:30:00-05:00",
        "--rate", "2", "--symbols", "AAPL", "--partial-chance", "1",
    ) as started:  # fmt: skip
        yield started


def limit(client: TradingClient, limit_price: float) -> Order:
    request = LimitOrderRequest(symbol="AAPL", qty=100, side=BUY, time_in_force=DAY, limit_price=limit_price)
    made = client.submit_order(request)
    assert isinstance(made, Order)
    return made


def test_what_fills_before_a_replacement_counts_for_it(simulator: Simulator, client: TradingClient) -> None:
    order = limit(client, 999)
    changed = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=120))
    old = client.get_order_by_id(order.id)
    assert isinstance(old, Order)
    assert isinstance(changed, Order)
    assert old.status == OrderStatus.REPLACED
    assert Decimal(str(old.filled_qty)) > 0
    assert Decimal(str(old.filled_qty)) + Decimal(str(changed.qty)) == 120
    simulator.advance(60)
    assert Decimal(client.get_open_position("AAPL").qty) == 120


def test_what_waits_for_its_session_is_not_replaced_in_a_hurry_either(
    simulator: Simulator, client: TradingClient
) -> None:
    simulator.advance(3600)
    order = limit(client, 100)
    with pytest.raises(APIError, match="cannot replace order in accepted status"):
        client.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=101))
