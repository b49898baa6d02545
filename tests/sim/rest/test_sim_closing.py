"""Closing positions and canceling orders, by alpaca-py: whole, in part, all at once, and with legs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, TimeInForce
from alpaca.trading.models import ClosePositionResponse, FailedClosePositionDetails, Order, Position
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)
from simulator import Simulator

pytestmark = pytest.mark.usefixtures("left_tidy")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start(
        "--requests-per-minute", "100000", "--partial-chance", "0", "--rate", "20"
    ) as started:
        yield started


class Held:
    """Positions of the account."""

    def __init__(self, simulator: Simulator, client: TradingClient) -> None:
        self._simulator = simulator
        self._client = client

    def take(self, symbol: str, qty: float) -> None:
        """Buy, or sell short with a negative quantity."""
        side = OrderSide.BUY if qty > 0 else OrderSide.SELL
        time_in_force = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
        self._client.submit_order(
            MarketOrderRequest(symbol=symbol, qty=abs(qty), side=side, time_in_force=time_in_force)
        )
        self.wait(symbol, f"{qty * 0.9975 if '/' in symbol else qty:g}")

    def qty(self, symbol: str) -> str:
        """What is held of it."""
        positions = [one for one in self._client.get_all_positions() if isinstance(one, Position)]
        return next((one.qty for one in positions if one.symbol == symbol.replace("/", "")), "0")

    def wait(self, symbol: str, qty: str) -> None:
        """Wait until so much is held."""
        self._simulator.wait_until(lambda: self.qty(symbol) == qty, f"{qty} of {symbol} are held")

    def sell_high(self, symbol: str, qty: float) -> Order:
        """A limit order that holds so much of a position."""
        order = self._client.submit_order(
            LimitOrderRequest(
                symbol=symbol, qty=qty, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, limit_price=9000
            )
        )
        assert isinstance(order, Order)
        return order


@pytest.fixture
def held(simulator: Simulator, client: TradingClient) -> Held:
    return Held(simulator, client)


def refusal(call: Callable[[], Any]) -> tuple[int, int, str]:
    with pytest.raises(APIError) as error:
        call()
    return error.value.status_code, error.value.code, error.value.message


def closed(client: TradingClient, symbol: str, **part: str) -> Order:
    order = client.close_position(symbol, ClosePositionRequest(**part) if part else None)
    assert isinstance(order, Order)
    return order


def test_a_part_of_a_position_can_be_closed(client: TradingClient, held: Held) -> None:
    held.take("AAPL", 10)
    assert closed(client, "AAPL", qty="4").qty == "4"
    held.wait("AAPL", "6")
    assert closed(client, "AAPL", percentage="33.4").qty == "2"  # whole shares stay whole
    held.wait("AAPL", "4")
    order = closed(client, "AAPL")
    assert (order.qty, order.side, order.position_intent) == ("4", OrderSide.SELL, "sell_to_close")


def test_a_position_is_closed_by_any_name_of_its_asset(client: TradingClient, held: Held) -> None:
    held.take("BTC/USD", 0.5)
    assert closed(client, "BTCUSD", percentage="50").qty == "0.249375"
    held.wait("BTC/USD", "0.249375")
    position = client.get_open_position("BTC/USD")
    assert isinstance(position, Position)
    order = closed(client, str(position.asset_id))
    assert (order.symbol, order.qty) == ("BTC/USD", "0.249375")


def test_a_short_is_bought_back(client: TradingClient, held: Held) -> None:
    held.take("TSLA", -3)
    order = closed(client, "TSLA", qty="1")
    assert (order.side, order.position_intent) == (OrderSide.BUY, "buy_to_close")
    held.wait("TSLA", "-2")
    status, code, _ = refusal(lambda: closed(client, "TSLA", qty="3"))
    assert (status, code) == (403, 40310000)


@pytest.mark.parametrize(
    "query",
    [
        {"qty": "0"},
        {"qty": "x"},
        {"percentage": "100.1"},
        {"percentage": "-1"},
        {"qty": "1", "percentage": "1"},
    ],
    ids=str,
)
def test_a_part_that_cannot_be_is_refused(client: TradingClient, held: Held, query: dict[str, str]) -> None:
    held.take("AAPL", 1)
    assert refusal(lambda: client.delete("/positions/AAPL", query))[:2] == (422, 40010001)


def test_more_than_is_held_cannot_be_closed(client: TradingClient, held: Held) -> None:
    held.take("AAPL", 5)
    words = "insufficient qty available for order (requested: 6, available: 5)"
    assert refusal(lambda: closed(client, "AAPL", qty="6")) == (403, 40310000, words)
    assert refusal(lambda: closed(client, "NFLX")) == (404, 40410000, "position does not exist")


def test_closing_all_tells_what_is_held_by_orders(client: TradingClient, held: Held) -> None:
    held.take("AAPL", 5)
    held.take("MSFT", 2)
    order = held.sell_high("AAPL", 5)
    answers = {
        one.symbol: one for one in client.close_all_positions() if isinstance(one, ClosePositionResponse)
    }
    assert {symbol: one.status for symbol, one in answers.items()} == {"AAPL": 403, "MSFT": 200}
    failed = answers["AAPL"].body
    assert isinstance(failed, FailedClosePositionDetails)
    assert (failed.code, failed.symbol) == (40310000, "AAPL")
    assert (failed.available, failed.existing_qty, failed.held_for_orders) == (0, 5, 5)
    assert failed.message == "insufficient qty available for order (requested: 5, available: 0)"
    held.wait("MSFT", "0")
    again = client.close_all_positions(cancel_orders=True)
    assert [one.status for one in again if isinstance(one, ClosePositionResponse)] == [200]
    canceled = client.get_order_by_id(order.id)
    assert isinstance(canceled, Order)
    assert canceled.status == OrderStatus.CANCELED


def test_a_bracket_is_shown_and_canceled_as_one(client: TradingClient) -> None:
    entry = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=10,
            order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=20),
            stop_loss=StopLossRequest(stop_price=5),
        )
    )  # fmt: skip
    assert isinstance(entry, Order)
    assert entry.legs is not None
    legs = {leg.id for leg in entry.legs}
    assert len(legs) == 2

    def listed(nested: bool) -> dict[Any, Order]:
        found = client.get_orders(GetOrdersRequest(nested=nested))
        return {order.id: order for order in found if isinstance(order, Order)}

    assert set(listed(nested=False)) == {entry.id} | legs
    nested = listed(nested=True)
    assert set(nested) == {entry.id}
    assert {leg.id for leg in nested[entry.id].legs or ()} == legs
    for wanted, shown in ((True, legs), (False, set())):
        alone = client.get_order_by_id(entry.id, GetOrderByIdRequest(nested=wanted))
        assert isinstance(alone, Order)
        assert {leg.id for leg in alone.legs or ()} == shown
    answers = client.cancel_orders()
    assert {(answer.id, answer.status) for answer in answers} == {  # type: ignore[union-attr]
        (one, 200) for one in {entry.id} | legs
    }
    assert listed(nested=False) == {}


def test_canceling_all_tells_of_each_what_became_of_it() -> None:
    with Simulator.start("--virtual-time", "--rate", "1", "--partial-chance", "0") as simulator:
        client = simulator.trading_client()
        resting = client.submit_order(
            LimitOrderRequest(
                symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=1
            )
        )
        # Marketable: it fills as soon as anything is asked of it, for no time has passed.
        filled = client.submit_order(
            MarketOrderRequest(symbol="MSFT", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        )
        assert isinstance(resting, Order)
        assert isinstance(filled, Order)
        words = {"code": 42210000, "message": 'order is already in "filled" state'}
        assert client.delete("/orders") == [
            {"id": str(resting.id), "status": 200},
            {"id": str(filled.id), "status": 500, "body": words},
        ]
        client._session.close()
