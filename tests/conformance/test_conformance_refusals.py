"""Orders that Alpaca refuses, with its status, code and fields; nothing of them is left behind."""

from decimal import Decimal
from typing import Any

import pytest
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest
from placing import Placing
from shapes import NUMBER_TEXT, WHOLE, WORD, MayLack, Shape
from target import Target
from trading_shapes import SHORTAGE

BUYING_POWER: dict[str, Shape] = {
    "buying_power": NUMBER_TEXT, "code": WHOLE, "cost_basis": MayLack(NUMBER_TEXT), "message": WORD,
}  # fmt: skip


def test_more_than_the_account_can_pay(target: Target, placing: Placing, agrees: Agreement) -> None:
    body = agrees.refusal(403, 40310000, lambda: placing.rest(qty=100_000_000))
    agrees.of(body, BUYING_POWER, "the refusal")
    assert body["message"] == "insufficient buying power"


def test_selling_more_coins_than_there_are(target: Target, placing: Placing, agrees: Agreement) -> None:
    order = placing.buy()
    held = placing.held(target.coin)
    request = MarketOrderRequest(
        symbol=target.coin, qty=float(held) * 2, side=OrderSide.SELL, time_in_force=TimeInForce.GTC
    )
    body = agrees.refusal(403, 40310000, lambda: placing.submit(request))
    assert "insufficient" in body["message"]
    assert Decimal(str(order.filled_qty)) > 0


@pytest.mark.open_market
def test_selling_more_shares_than_there_are(target: Target, placing: Placing, agrees: Agreement) -> None:
    placing.buy(target.stock, qty=1)
    held = placing.held(target.stock)
    request = MarketOrderRequest(
        symbol=target.stock, qty=float(held) + 1, side=OrderSide.SELL, time_in_force=TimeInForce.DAY
    )
    body = agrees.refusal(403, 40310000, lambda: placing.submit(request))
    agrees.of(body, SHORTAGE, "the refusal")
    words = f"insufficient qty available for order (requested: {held + 1}, available: {held})"
    assert body["message"] == words
    assert (body["symbol"], body["existing_qty"], body["available"]) == (target.stock, str(held), str(held))


@pytest.mark.open_market
def test_selling_what_another_order_holds(target: Target, placing: Placing, agrees: Agreement) -> None:
    placing.buy(target.stock, qty=1)
    held = placing.held(target.stock)
    first = placing.offer(target.stock, held)
    body = agrees.refusal(403, 40310000, lambda: placing.offer(target.stock, Decimal(1)))
    agrees.of(body, SHORTAGE, "the refusal")
    assert (body["available"], body["held_for_orders"]) == ("0", str(held))
    assert body["related_orders"] == [str(first.id)]


@pytest.mark.open_market
def test_trading_with_oneself(target: Target, placing: Placing, agrees: Agreement) -> None:
    placing.buy(target.stock, qty=1)
    resting = placing.rest(target.stock)
    request = MarketOrderRequest(
        symbol=target.stock, qty=1, side=OrderSide.SELL, time_in_force=TimeInForce.DAY
    )
    body = agrees.refusal(403, 40310000, lambda: placing.submit(request))
    assert "wash trade" in body["message"]
    assert body.get("existing_order_id", str(resting.id)) == str(resting.id)


@pytest.mark.parametrize(("price", "shown"), [(290.123, "290.123"), (0.12345, "0.12345")])
def test_a_price_finer_than_the_rules_allow(
    placing: Placing, agrees: Agreement, price: float, shown: str
) -> None:
    body = agrees.refusal(422, 42210000, lambda: placing.rest(limit_price=price))
    words = f"invalid limit_price {shown}. sub-penny increment does not fulfill minimum pricing criteria"
    assert body["message"] == words


def test_a_price_below_a_dollar_may_have_four_places(placing: Placing) -> None:
    assert placing.rest(limit_price=0.1234).limit_price == "0.1234"


def test_less_than_a_dollar(target: Target, placing: Placing, agrees: Agreement) -> None:
    request = MarketOrderRequest(
        symbol=target.stock, notional=0.5, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
    )
    assert agrees.refusal(422, 42210000, lambda: placing.submit(request))["message"]


ORDER: dict[str, Any] = {
    "symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "ZZZZQX"},
        {"side": "hold"},
        {"type": "guess"},
        {"time_in_force": "never"},
        {"qty": -1},
        {"qty": "many"},
        {"qty": None},
        {"notional": 5},
        {"limit_price": None},
        {"client_order_id": "x" * 129},
        {"type": "market", "extended_hours": True, "limit_price": None},
        {"time_in_force": "gtc", "qty": 0.5},
    ],
    ids=lambda change: " ".join(f"{key}={str(value)[:8]}" for key, value in change.items()),
)
def test_an_order_that_makes_no_sense(
    placing: Placing, trading: TradingClient, agrees: Agreement, change: dict[str, Any]
) -> None:
    fields = {"client_order_id": placing.name()} | ORDER | change
    given = {name: value for name, value in fields.items() if value is not None}
    with pytest.raises(Exception, match="code") as error:
        trading.post("/orders", given)
    assert getattr(error.value, "status_code", None) == 422, error.value
    assert getattr(error.value, "code", None) in (40010001, 42210000)
