"""What a well-formed order is, in Alpaca's words where it is not."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sim.broker.order_rules import OrderRequest, ReplaceRequest, replaced, ticket
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Assets
from sim.refusals import Refused

GOOD = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}


def parsed(**changes: Any) -> Ticket:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return ticket(msgspec.json.decode(msgspec.json.encode(body), type=OrderRequest), Assets(), "made-up-id")


def working(**changes: Any) -> Order:
    return Order("1", parsed(**changes), "buy_to_open", Decimal(1), 1, 1, status="new")


def test_numbers_may_be_numbers_or_strings() -> None:
    assert parsed(qty="1.5").qty == parsed(qty=1.5).qty == Decimal("1.5")


def test_an_order_without_a_client_id_gets_one() -> None:
    assert parsed().client_order_id == "made-up-id"
    assert parsed(client_order_id="mine").client_order_id == "mine"


def test_a_pair_may_be_written_without_its_slash() -> None:
    assert parsed(symbol="BTCUSD", time_in_force="gtc").asset.symbol == "BTC/USD"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"symbol": None}, 40010001, "symbol is required"),
        ({"symbol": "ZZZZQX"}, 42210000, 'asset "ZZZZQX" not found'),
        ({"side": "hold"}, 42210000, "allowed: buy, sell"),
        ({"side": None}, 40010001, "side is required"),
        ({"type": "trailing_stop"}, 42210000, "allowed: market, limit, stop, stop_limit"),
        ({"time_in_force": "forever"}, 42210000, "invalid time_in_force forever"),
        ({"symbol": "BTC/USD"}, 42210000, "allowed: gtc, ioc"),
        ({"order_class": "bracket"}, 42210000, "order_class bracket"),
        ({"qty": None}, 40010001, "qty or notional"),
        ({"notional": 5}, 40010001, "only one of them"),
        ({"qty": 0}, 40010001, "qty must be > 0"),
        ({"qty": "NaN"}, 40010001, "qty must be > 0"),
        ({"qty": "1e30"}, 40010001, "qty must be > 0 and <= 1000000000"),
        ({"qty": "0.0000000001"}, 42210000, "9 decimal places"),
        ({"qty": 0.5, "time_in_force": "gtc"}, 42210000, "fractional orders must be DAY"),
        ({"qty": None, "notional": "0.99"}, 42210000, "notional amount must be >= 1.00"),
        ({"qty": None, "notional": "1.001"}, 42210000, "2 decimal places"),
        ({"qty": None, "notional": 5, "type": "limit", "limit_price": 1}, 42210000, "DAY market"),
        ({"type": "limit"}, 40010001, "limit orders require limit_price"),
        ({"type": "stop"}, 40010001, "stop orders require stop_price"),
        ({"limit_price": 5}, 40010001, "market orders must not have limit_price"),
        ({"type": "limit", "limit_price": -1}, 40010001, "limit_price must be > 0"),
        ({"type": "limit", "limit_price": "290.123"}, 42210000, "invalid limit_price 290.123. sub-penny"),
        ({"type": "limit", "limit_price": "0.12345"}, 42210000, "sub-penny"),
        ({"extended_hours": True}, 42210000, "extended hours order must be"),
        ({"client_order_id": "x" * 129}, 40010001, "no longer than 128"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_code(changes: dict[str, Any], code: int, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(**changes)
    assert refused.value.status == 422
    assert refused.value.body["code"] == code
    assert words in refused.value.body["message"]


def test_below_a_dollar_four_decimals_are_a_price() -> None:
    assert parsed(type="limit", limit_price="0.1234").limit_price == Decimal("0.1234")


def test_a_replacement_is_for_what_is_left() -> None:
    order = working(qty=10, type="limit", limit_price=5)
    order.filled_qty = Decimal(3)
    assert replaced(order, ReplaceRequest(), "new").qty == 7
    bigger = replaced(order, ReplaceRequest(qty=Decimal(12), limit_price=Decimal(6)), "new")
    assert (bigger.qty, bigger.limit_price) == (9, 6)


@pytest.mark.parametrize(
    ("qty", "request_", "words"),
    [
        (10, ReplaceRequest(qty=Decimal(3)), "more than what is filled"),
        (10, ReplaceRequest(stop_price=Decimal(3)), "stop_price cannot be replaced"),
        (10, ReplaceRequest(limit_price=Decimal("3.001")), "sub-penny"),
        (0.5, ReplaceRequest(qty=Decimal(3)), "fractional order cannot be replaced"),
    ],
)
def test_a_replacement_obeys_the_rules_too(qty: float, request_: ReplaceRequest, words: str) -> None:
    order = working(qty=qty, type="limit", limit_price=5)
    order.filled_qty = Decimal(3)
    with pytest.raises(Refused, match=words):
        replaced(order, request_, "new")
