"""The simulator's trading REST under an unmodified alpaca-py TradingClient."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
)
from simulator import Simulator

pytestmark = pytest.mark.usefixtures("left_tidy")

DAY, GTC = TimeInForce.DAY, TimeInForce.GTC


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--requests-per-minute", "100000", "--partial-chance", "0") as started:
        yield started


def filled(simulator: Simulator, client: TradingClient, order: object) -> Order:
    assert isinstance(order, Order)

    def now() -> Order:
        found = client.get_order_by_id(order.id)
        assert isinstance(found, Order)
        return found

    simulator.wait_until(lambda: now().status == OrderStatus.FILLED, "the order is filled")
    return now()


def buy(symbol: str = "AAPL", qty: float = 10) -> MarketOrderRequest:
    tif = GTC if "/" in symbol else DAY
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=tif)


def resting(symbol: str = "AAPL", qty: float = 1, price: float = 1.0, **fields: str) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=DAY, limit_price=price, **fields
    )


def refused(error: pytest.ExceptionInfo[APIError]) -> tuple[int, int, str]:
    return error.value.status_code, error.value.code, error.value.message


def test_a_market_order_is_pending_first_and_then_filled(simulator: Simulator, client: TradingClient) -> None:
    taken = client.submit_order(buy())
    assert isinstance(taken, Order)
    assert taken.status == OrderStatus.PENDING_NEW
    assert taken.expires_at is not None
    done = filled(simulator, client, taken)
    assert (done.filled_qty, done.position_intent) == ("10", "buy_to_open")
    cost = Decimal(str(done.filled_avg_price)) * 10
    position = client.get_open_position("AAPL")
    assert (position.qty, position.side, position.qty_available) == ("10", "long", "10")
    assert Decimal(position.cost_basis) == cost
    ledger = simulator.ledger()
    assert ledger["positions"]["AAPL"] == "10"
    account = client.get_account()
    assert account.cash == str(Decimal(ledger["cash"]).quantize(Decimal("0.01"))).rstrip("0").rstrip(".")


def test_an_account_starts_with_a_hundred_thousand_and_four_times_the_power() -> None:
    with Simulator.start() as fresh:
        account = fresh.trading_client().get_account()
    assert (account.cash, account.buying_power, account.multiplier) == ("100000", "400000", "4")


def test_a_share_can_be_bought_by_value(simulator: Simulator, client: TradingClient) -> None:
    order = client.submit_order(
        MarketOrderRequest(symbol="MSFT", notional=5, side=OrderSide.BUY, time_in_force=DAY)
    )
    done = filled(simulator, client, order)
    assert (done.qty, done.notional) == (None, "5")
    assert 0 < Decimal(str(done.filled_qty)) * Decimal(str(done.filled_avg_price)) <= 5


def test_a_position_in_a_pair_is_found_by_its_path_with_a_slash(
    simulator: Simulator, client: TradingClient
) -> None:
    filled(simulator, client, client.submit_order(buy("BTC/USD", 0.25)))
    assert client.get_open_position("BTC/USD").qty == "0.249375"  # 0.25 % of it was the fee
    order = client.close_position("BTC/USD", ClosePositionRequest(percentage="40"))
    assert filled(simulator, client, order).filled_qty == "0.09975"
    assert client.get_open_position("BTC/USD").qty == "0.149625"


def test_a_short_has_a_negative_quantity(simulator: Simulator, client: TradingClient) -> None:
    request = MarketOrderRequest(symbol="TSLA", qty=3, side=OrderSide.SELL, time_in_force=DAY)
    assert filled(simulator, client, client.submit_order(request)).position_intent == "sell_to_open"
    position = client.get_open_position("TSLA")
    assert (position.qty, position.side) == ("-3", "short")


def test_a_known_asset_that_is_not_played_yet_is_quoted_when_ordered(
    simulator: Simulator, client: TradingClient
) -> None:
    assert filled(simulator, client, client.submit_order(buy("KO", 2))).filled_qty == "2"


def test_a_resting_order_can_be_found_replaced_and_canceled(client: TradingClient) -> None:
    first = client.submit_order(resting(qty=5, price=1.5, client_order_id="rest/a b"))
    assert isinstance(first, Order)
    found = client.get_order_by_client_id("rest/a b")
    assert isinstance(found, Order)
    assert found.id == first.id
    second = client.replace_order_by_id(first.id, ReplaceOrderRequest(qty=7, limit_price=1.75))
    assert isinstance(second, Order)
    assert (second.qty, second.limit_price, second.replaces) == ("7", "1.75", first.id)
    old = client.get_order_by_id(first.id)
    assert isinstance(old, Order)
    assert (old.status, old.replaced_by) == (OrderStatus.REPLACED, second.id)
    client.cancel_order_by_id(second.id)
    gone = client.get_order_by_id(second.id)
    assert isinstance(gone, Order)
    assert gone.status == OrderStatus.CANCELED
    with pytest.raises(APIError) as error:
        client.cancel_order_by_id(second.id)
    assert refused(error) == (422, 42210000, 'order is already in "canceled" state')


def test_orders_are_listed_by_their_filters(client: TradingClient) -> None:
    made = [
        client.submit_order(resting(symbol, price=1 + n)) for n, symbol in enumerate(("AAPL", "MSFT", "AAPL"))
    ]
    ids = [order.id for order in made if isinstance(order, Order)]

    def listed(**filters: object) -> list[object]:
        found = client.get_orders(GetOrdersRequest(**filters))
        return [order.id for order in found if isinstance(order, Order)]

    first, second = made[0], made[1]
    assert isinstance(first, Order)
    assert isinstance(second, Order)
    assert listed() == ids[::-1]
    assert listed(direction="asc", nested=True) == ids
    assert listed(symbols=["MSFT"]) == [ids[1]]
    assert listed(side=OrderSide.SELL) == []
    assert listed(limit=2) == ids[:0:-1]
    assert listed(direction="asc", after=second.submitted_at) == ids[1:]
    assert listed(direction="asc", until=second.submitted_at, after=first.submitted_at) == [ids[0]]
    client.cancel_order_by_id(ids[0])
    assert ids[0] not in listed()
    assert ids[0] in listed(status=QueryOrderStatus.CLOSED)
    assert set(ids) <= set(listed(status=QueryOrderStatus.ALL))
    canceled = client.cancel_orders()
    assert [answer.status for answer in canceled] == [200, 200]
    assert listed() == []


def test_a_stop_waits_and_a_stop_limit_is_taken(client: TradingClient) -> None:
    side, tif = OrderSide.BUY, DAY
    stop = client.submit_order(
        StopOrderRequest(symbol="AAPL", qty=1, side=side, time_in_force=tif, stop_price=999)
    )
    both = client.submit_order(
        StopLimitOrderRequest(
            symbol="AAPL", qty=1, side=side, time_in_force=tif, stop_price=999, limit_price=1000
        )
    )
    assert isinstance(stop, Order)
    assert isinstance(both, Order)
    assert (stop.stop_price, both.stop_price, both.limit_price) == ("999", "999", "1000")
    assert not client.get_all_positions()


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_order_that_must_fill_now_or_never_is_canceled(
    simulator: Simulator, client: TradingClient, tif: TimeInForce
) -> None:
    order = client.submit_order(
        LimitOrderRequest(symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=tif, limit_price=1)
    )
    assert isinstance(order, Order)

    def status() -> object:
        found = client.get_order_by_id(order.id)
        assert isinstance(found, Order)
        return found.status

    simulator.wait_until(lambda: status() == OrderStatus.CANCELED, "the order is canceled")


def test_all_positions_can_be_closed_at_once(simulator: Simulator, client: TradingClient) -> None:
    for symbol in ("AAPL", "MSFT"):
        filled(simulator, client, client.submit_order(buy(symbol, 2)))
    answers = client.close_all_positions(cancel_orders=True)
    assert {(answer.symbol, answer.status) for answer in answers} == {("AAPL", 200), ("MSFT", 200)}
    simulator.wait_until(lambda: not client.get_all_positions(), "no positions are left")


def test_refusals_have_alpacas_codes_and_words(simulator: Simulator, client: TradingClient) -> None:
    filled(simulator, client, client.submit_order(buy(qty=5)))
    with pytest.raises(APIError) as error:
        client.submit_order(buy(qty=100_000))
    assert refused(error) == (403, 40310000, "insufficient buying power")
    with pytest.raises(APIError) as error:
        client.submit_order(MarketOrderRequest(symbol="AAPL", qty=6, side=OrderSide.SELL, time_in_force=DAY))
    words = "insufficient qty available for order (requested: 6, available: 5)"
    assert refused(error) == (403, 40310000, words)
    with pytest.raises(APIError) as error:
        client.submit_order(resting(price=290.123))
    assert refused(error)[:2] == (422, 42210000)
    with pytest.raises(APIError) as error:
        client.submit_order(buy("ZZZZQX"))
    assert refused(error) == (422, 42210000, 'asset "ZZZZQX" not found')
    with pytest.raises(APIError) as error:
        client.get_asset("ZZZZQX")
    assert refused(error) == (404, 40410000, "asset not found for ZZZZQX")
    with pytest.raises(APIError) as error:
        client.get_open_position("NFLX")
    assert refused(error) == (404, 40410000, "position does not exist")
    with pytest.raises(APIError) as error:
        client.get_order_by_client_id("nobody's")
    assert refused(error)[:2] == (404, 40410000)


def test_a_client_order_id_is_unique_even_after_the_order_is_filled(
    simulator: Simulator, client: TradingClient
) -> None:
    request = MarketOrderRequest(
        symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=DAY, client_order_id="once"
    )
    filled(simulator, client, client.submit_order(request))
    with pytest.raises(APIError) as error:
        client.submit_order(request)
    assert refused(error) == (422, 40010001, "client_order_id must be unique")


def test_assets_clock_and_calendar_parse(client: TradingClient) -> None:
    coins = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    assert {"BTC/USD", "ETH/USD"} <= {asset.symbol for asset in coins}
    assert client.get_asset("BTC/USD").asset_class == AssetClass.CRYPTO
    clock = client.get_clock()
    assert clock.is_open
    assert clock.next_close > clock.timestamp
    days = client.get_calendar(GetCalendarRequest(start=date(2026, 11, 23), end=date(2026, 11, 29)))
    assert [(day.date.day, day.close.hour) for day in days] == [(23, 16), (24, 16), (25, 16), (27, 13)]
