"""Refusals that an unmodified alpaca-py gets, and the settings of an account that decide them."""

from collections.abc import Iterator
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.models import AccountConfiguration, Asset, Order, TradeAccount
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from simulator import Simulator

BUY, SELL, DAY, GTC = OrderSide.BUY, OrderSide.SELL, TimeInForce.DAY, TimeInForce.GTC


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--requests-per-minute", "100000", "--partial-chance", "0") as started:
        yield started


@pytest.fixture(autouse=True)
def same_settings(left_tidy: None, client: TradingClient) -> Iterator[None]:
    """Put back before positions are closed, which settings may forbid."""
    before = settings(client)
    yield
    client.set_account_configurations(before)


def settings(client: TradingClient) -> AccountConfiguration:
    found = client.get_account_configurations()
    assert isinstance(found, AccountConfiguration)
    return found


def account(client: TradingClient) -> TradeAccount:
    found = client.get_account()
    assert isinstance(found, TradeAccount)
    return found


def market(symbol: str, side: OrderSide = BUY, **fields: Any) -> MarketOrderRequest:
    tif = fields.pop("time_in_force", DAY)
    return MarketOrderRequest(symbol=symbol, side=side, time_in_force=tif, **({"qty": 1} | fields))


def limit(symbol: str, side: OrderSide, price: float, **fields: Any) -> LimitOrderRequest:
    return LimitOrderRequest(symbol=symbol, qty=1, side=side, time_in_force=DAY, limit_price=price, **fields)


def hold(simulator: Simulator, client: TradingClient, symbol: str, qty: float = 1) -> float:
    """Buy shares, and return what one costs about now."""
    order = client.submit_order(market(symbol, qty=qty))
    assert isinstance(order, Order)
    simulator.wait_until(
        lambda: any(position.symbol == symbol for position in client.get_all_positions()), "it is held"
    )
    filled = client.get_order_by_id(order.id)
    assert isinstance(filled, Order)
    return float(str(filled.filled_avg_price))


def refusal(client: TradingClient, request: Any) -> tuple[int, int, str]:
    with pytest.raises(APIError) as error:
        client.submit_order(request)
    return error.value.status_code, error.value.code, error.value.message


def test_assets_say_what_cannot_be_done_with_them(client: TradingClient) -> None:
    def shown(symbol: str) -> Asset:
        found = client.get_asset(symbol)
        assert isinstance(found, Asset)
        return found

    assert not shown("BRK.A").fractionable
    assert shown("BYND").shortable
    assert not shown("BYND").easy_to_borrow
    assert not shown("SOXL").shortable
    assert not shown("FNMA").tradable
    assert shown("TWTR").status == "inactive"
    assert not shown("ZOM").marginable


@pytest.mark.parametrize(
    ("request_", "status", "code", "words"),
    [
        (market("TWTR"), 422, 40010001, "asset TWTR is not active"),
        (market("FNMA"), 422, 42210000, 'asset "FNMA" is not tradable'),
        (market("BRK.A", qty=0.5), 403, 40310000, 'asset "BRK.A" is not fractionable'),
        (market("SOXL", SELL), 422, 42210000, 'asset "SOXL" cannot be sold short'),
        (
            market("BYND", SELL, time_in_force=GTC),
            422,
            42210000,
            'only day orders are allowed for hard-to-borrow asset "BYND"',
        ),
        (market("AAPL", SELL, qty=0.5), 422, 42210000, "fractional orders cannot be sold short"),
        (market("AAPL260116C00250000"), 422, 42210000, "options and multi-leg orders are not supported"),
        (market("BTC/USD"), 422, 42210000, "invalid crypto time_in_force"),
        (
            market("BTC/USDT", time_in_force=GTC),
            403,
            40310000,
            "insufficient balance for USDT",
        ),
        (
            market("BTC/USD", notional=5, qty=None, time_in_force=GTC),
            403,
            40310000,
            "cost basis must be >= minimal amount of order 10",
        ),
        (
            market(
                "AAPL", order_class=OrderClass.BRACKET,
                take_profit=TakeProfitRequest(limit_price=1), stop_loss=StopLossRequest(stop_price=2),
            ),
            422,
            42210000,
            "take_profit.limit_price must be > stop_loss.stop_price",
        ),
        (
            limit(
                "AAPL", SELL, 900, order_class=OrderClass.OCO,
                take_profit=TakeProfitRequest(limit_price=900), stop_loss=StopLossRequest(stop_price=1),
            ),
            422,
            42210000,
            "oco orders must be exit orders",
        ),
        (
            TrailingStopOrderRequest(symbol="AAPL", qty=1, side=BUY, time_in_force=DAY, trail_percent=0.05),
            422,
            40010001,
            "trail_percent must be greater than or equal to 0.1",
        ),
        (
            limit("AAPL", BUY, 1, extended_hours=True, client_order_id="x" * 129),
            422,
            40010001,
            "client_order_id must be no more than 128 characters",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_refusals_by_asset_and_fields(
    client: TradingClient, request_: Any, status: int, code: int, words: str
) -> None:
    found = refusal(client, request_)
    assert found[:2] == (status, code)
    assert words in found[2]
    assert client.get_orders() == []


def test_a_price_below_a_dollar_has_four_decimals(client: TradingClient) -> None:
    order = client.submit_order(limit("ZOM", BUY, 0.1234))
    assert isinstance(order, Order)
    assert order.limit_price == "0.1234"
    assert refusal(client, limit("ZOM", BUY, 0.12345))[1] == 42210000


def test_orders_that_could_trade_with_one_another(simulator: Simulator, client: TradingClient) -> None:
    price = hold(simulator, client, "AAPL", 2)
    resting = client.submit_order(limit("AAPL", SELL, round(price * 2, 2)))
    assert isinstance(resting, Order)
    with pytest.raises(APIError) as error:
        client.submit_order(market("AAPL"))
    body = error.value.args[0]
    assert error.value.status_code == 403
    assert error.value.message == "potential wash trade detected. use complex orders"
    assert f'"existing_order_id":"{resting.id}"' in body
    assert "opposite side limit order exists" in body
    client.submit_order(limit("AAPL", BUY, 1))
    trailing = TrailingStopOrderRequest(symbol="AAPL", qty=1, side=SELL, time_in_force=DAY, trail_percent=50)
    client.submit_order(trailing)


def test_a_stop_on_the_wrong_side_of_the_market(simulator: Simulator, client: TradingClient) -> None:
    price = hold(simulator, client, "MSFT")
    stop = StopOrderRequest(
        symbol="MSFT", qty=1, side=SELL, time_in_force=GTC, stop_price=round(price * 2, 2)
    )
    assert refusal(client, stop) == (422, 42210000, "stop price must be less than current price")


def test_a_bracket_whose_stop_lies_above_its_entry(client: TradingClient) -> None:
    request = limit(
        "AAPL", BUY, 100, order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=120), stop_loss=StopLossRequest(stop_price=100),
    )  # fmt: skip
    found = refusal(client, request)
    assert found == (422, 42210000, "stop_loss.stop_price must be <= base_price - 0.01")


def test_who_suspends_trading_trades_no_more(client: TradingClient) -> None:
    client.set_account_configurations(settings(client).model_copy(update={"suspend_trade": True}))
    assert account(client).trade_suspended_by_user
    assert refusal(client, market("AAPL")) == (403, 40310000, "new orders are rejected by user request")
    client.set_account_configurations(settings(client).model_copy(update={"suspend_trade": False}))
    assert isinstance(client.submit_order(limit("AAPL", BUY, 1)), Order)


def test_who_wants_no_shorts_gets_none(client: TradingClient) -> None:
    client.set_account_configurations(settings(client).model_copy(update={"no_shorting": True}))
    assert not account(client).shorting_enabled
    assert refusal(client, market("TSLA", SELL)) == (403, 40310000, "account is not allowed to short")


def test_who_wants_no_credit_gets_none(client: TradingClient) -> None:
    client.set_account_configurations(settings(client).model_copy(update={"max_margin_multiplier": "1"}))
    shown = account(client)
    assert (shown.multiplier, shown.buying_power) == ("1", shown.cash)
    assert refusal(client, market("TSLA", SELL)) == (403, 40310000, "account is not allowed to short")


def test_who_wants_no_fractions_gets_none(client: TradingClient) -> None:
    client.set_account_configurations(settings(client).model_copy(update={"fractional_trading": False}))
    found = refusal(client, market("AAPL", qty=0.5))
    assert found == (403, 40310000, "fractional trading is disabled for this account")


def test_settings_that_cannot_be_are_refused(client: TradingClient) -> None:
    for body in ({"max_margin_multiplier": "3"}, {"suspend_trade": "often"}, {"trade_confirm_email": 1}):
        with pytest.raises(APIError) as error:
            client.patch("/account/configurations", body)
        assert (error.value.status_code, error.value.code) == (422, 40010001)
    assert not settings(client).suspend_trade


def test_fractions_can_be_for_market_orders_alone() -> None:
    with Simulator.start("--fractional", "market") as strict:
        client = strict.trading_client()
        half = LimitOrderRequest(symbol="AAPL", qty=0.5, side=BUY, time_in_force=DAY, limit_price=1)
        assert refusal(client, half) == (422, 42210000, "fractional orders must be market orders")
        assert isinstance(client.submit_order(market("AAPL", qty=0.5)), Order)
        client._session.close()
