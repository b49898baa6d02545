"""Well-formed orders, and refusals of others in Alpaca's words."""

import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sim.broker.order_requests import OrderRequest
from sim.broker.order_rules import ticket
from sim.broker.orders import Ticket
from sim.exchange.assets import Assets
from sim.refusals import Refused

GOOD = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
LIMIT = {"type": "limit", "limit_price": 5}
COIN = {"symbol": "BTC/USD", "time_in_force": "gtc"}
SUB_PENNY = "sub-penny increment does not fulfill minimum pricing criteria"


def parsed(**changes: Any) -> Ticket:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    request = msgspec.json.decode(msgspec.json.encode(body), type=OrderRequest)
    ids = itertools.count(1)
    return ticket(request, Assets(), lambda: f"made-up-{next(ids)}")


def test_numbers_may_be_numbers_or_strings() -> None:
    assert parsed(qty="1.5").qty == parsed(qty=1.5).qty == Decimal("1.5")
    assert parsed(qty=0.1).qty == Decimal("0.1")


def test_an_order_without_a_client_id_gets_one() -> None:
    assert parsed().client_order_id == "made-up-1"
    assert parsed(client_order_id="mine").client_order_id == "mine"


def test_a_pair_may_be_written_without_its_slash() -> None:
    assert parsed(symbol="BTCUSD", time_in_force="gtc").asset.symbol == "BTC/USD"


def test_the_type_has_an_older_name() -> None:
    assert parsed(type=None, order_type="limit", limit_price=5).type == "limit"


def test_the_intent_tells_the_side() -> None:
    made = parsed(side=None, position_intent="sell_to_close")
    assert (made.side, made.position_intent) == ("sell", "sell_to_close")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"symbol": None}, 40010001, "symbol is required"),
        ({"symbol": "ZZZZQX"}, 42210000, 'asset "ZZZZQX" not found'),
        ({"symbol": "TWTR"}, 40010001, "asset TWTR is not active"),
        ({"symbol": "FNMA"}, 42210000, 'asset "FNMA" is not tradable'),
        ({"side": "hold"}, 40010001, "invalid side"),
        ({"side": None}, 40010001, "side is required"),
        ({"position_intent": "buy_to_hold"}, 40010001, "invalid position_intent"),
        ({"type": None}, 40010001, "type is required"),
        ({"type": "guess"}, 40010001, "invalid order type"),
        (COIN | {"type": "stop", "stop_price": 1}, 40010001, "invalid order type for crypto order"),
        (COIN | {"type": "trailing_stop"}, 40010001, "invalid order type for crypto order"),
        ({"time_in_force": None}, 40010001, "time_in_force is required"),
        ({"time_in_force": "forever"}, 40010001, "invalid time_in_force"),
        (COIN | {"time_in_force": "day"}, 42210000, "invalid crypto time_in_force"),
        ({"order_class": "triple"}, 40010001, "invalid order_class"),
        ({"qty": None}, 40010001, "qty or notional is required"),
        ({"notional": 5}, 40010001, "only one of qty or notional is accepted"),
        ({"qty": 0}, 40010001, "qty must be > 0"),
        ({"qty": -1}, 40010001, "qty must be > 0"),
        ({"qty": "NaN"}, 40010001, "qty must be > 0"),
        ({"qty": "sNaN"}, 40010001, "qty must be > 0"),
        ({"qty": "Infinity"}, 40010001, "qty must be > 0"),
        ({"qty": "1e30"}, 40010001, "qty must be <= 1000000000"),
        ({"qty": "0.0000000001"}, 42210000, "qty must be limited to 9 decimal places"),
        ({"qty": "1e-99999"}, 40010001, "qty must have no more than 40 decimal places"),
        ({"qty": None, "notional": "0.99"}, 42210000, "notional amount must be >= 1.00"),
        ({"qty": None, "notional": "1.001"}, 42210000, "notional value must be limited to 2 decimal places"),
        ({"type": "limit"}, 40010001, "limit orders require a limit price"),
        (LIMIT | {"stop_price": 4}, 40010001, "limit orders require no stop price"),
        ({"type": "stop"}, 40010001, "stop orders require a stop price"),
        (LIMIT | {"type": "stop", "stop_price": 4}, 40010001, "stop orders require no limit price"),
        (LIMIT | {"type": "stop_limit"}, 40010001, "stop limit orders require both stop and limit price"),
        ({"limit_price": 5}, 40010001, "market orders require no stop or limit price"),
        ({"stop_price": 5}, 40010001, "market orders require no stop or limit price"),
        ({"trail_price": 1}, 40010001, "market orders must not have trail_price"),
        (LIMIT | {"trail_percent": 1}, 40010001, "limit orders must not have trail_percent"),
        ({"type": "limit", "limit_price": -1}, 40010001, "limit price must be > 0"),
        ({"type": "stop", "stop_price": 0}, 40010001, "stop price must be > 0"),
        ({"type": "limit", "limit_price": "290.123"}, 42210000, f"invalid limit_price 290.123. {SUB_PENNY}"),
        ({"type": "limit", "limit_price": "0.12345"}, 42210000, f"invalid limit_price 0.12345. {SUB_PENNY}"),
        ({"type": "stop", "stop_price": "1.001"}, 42210000, f"invalid stop_price 1.001. {SUB_PENNY}"),
        ({"client_order_id": "x" * 129}, 40010001, "client_order_id must be no more than 128 characters"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_code(changes: dict[str, Any], code: int, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(**changes)
    assert refused.value.status == 422
    assert refused.value.body == {"code": code, "message": words}


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "AAPL260116C00250000"},
        {"symbol": None, "order_class": "mleg", "legs": [{"symbol": "AAPL260116C00250000", "ratio_qty": 1}]},
    ],
)
def test_options_are_refused_in_one_sentence(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="options and multi-leg orders are not supported by this simulator"):
        parsed(**changes)


@pytest.mark.parametrize("tif", ["opg", "cls", "ioc", "fok"])
@pytest.mark.parametrize("kind", ["stop", "stop_limit", "trailing_stop"])
def test_auctions_and_now_or_never_are_for_market_and_limit_orders(kind: str, tif: str) -> None:
    assert parsed(time_in_force=tif).time_in_force == tif
    assert parsed(**LIMIT, time_in_force=tif).time_in_force == tif
    prices = {
        "stop": {"stop_price": 5},
        "stop_limit": {"stop_price": 5, "limit_price": 5},
        "trailing_stop": {"trail_percent": 1},
    }
    with pytest.raises(Refused, match="orders must be DAY or GTC orders"):
        parsed(type=kind, time_in_force=tif, **prices[kind])


def test_a_trailing_stop_has_one_trail() -> None:
    assert parsed(type="trailing_stop", trail_price="0.5").trail_price == Decimal("0.5")
    assert parsed(type="trailing_stop", trail_percent=0.1).trail_percent == Decimal("0.1")
    one_of = "trailing stop orders must specify one of trail_price or trail_percent"
    for trails, words in [
        ({}, one_of),
        ({"trail_price": 1, "trail_percent": 1}, one_of),
        ({"trail_percent": "0.09"}, "trail_percent must be greater than or equal to 0.1"),
        ({"trail_percent": 100}, "trail_percent must be less than 100"),
        ({"trail_price": 0}, "trail_price must be > 0"),
        ({"trail_price": 1, "limit_price": 1}, "trailing stop orders require no stop or limit price"),
    ]:
        with pytest.raises(Refused) as refused:
            parsed(type="trailing_stop", **trails)
        assert refused.value.body == {"code": 40010001, "message": words}


def test_below_a_dollar_four_decimals_are_a_price() -> None:
    assert parsed(type="limit", limit_price="0.1234").limit_price == Decimal("0.1234")


def test_coins_have_prices_and_sizes_of_nine_decimals() -> None:
    made = parsed(**COIN, type="limit", limit_price="64000.123456789", qty="0.000000001")
    assert (made.limit_price, made.qty) == (Decimal("64000.123456789"), Decimal("0.000000001"))


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"qty": "0.5", "time_in_force": "gtc"}, 422, "fractional orders must be DAY orders"),
        ({"qty": None, "notional": 5, "time_in_force": "gtc"}, 422, "fractional orders must be DAY orders"),
        (
            {"qty": "0.5", "type": "trailing_stop", "trail_price": 1},
            422,
            "fractional orders must be market, limit, stop, or stop_limit orders",
        ),
        (LIMIT | {"qty": None, "notional": 5}, 422, "fractional orders must be market orders"),
        ({"symbol": "BRK.A", "qty": "0.5"}, 403, 'asset "BRK.A" is not fractionable'),
        ({"symbol": "BRK.A", "qty": None, "notional": 5}, 403, 'asset "BRK.A" is not fractionable'),
    ],
)
def test_fractions_of_shares_have_rules_of_their_own(
    changes: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        parsed(**changes)
    assert (refused.value.status, refused.value.body["message"]) == (status, words)


def test_fractions_may_be_bought_at_a_limit() -> None:
    assert parsed(qty="0.5", **LIMIT).qty == Decimal("0.5")
    assert parsed(qty="0.5", type="stop", stop_price=5).qty == Decimal("0.5")


def test_extended_hours_are_for_limit_orders() -> None:
    assert parsed(**LIMIT, extended_hours=True).extended_hours
    assert parsed(**LIMIT, extended_hours=True, time_in_force="gtc").extended_hours
    for changes, words in [
        ({}, "extended hours order must be DAY or GTC limit orders"),
        (LIMIT | {"time_in_force": "ioc"}, "extended hours order must be DAY or GTC limit orders"),
        ({"type": "stop", "stop_price": 5}, "stop orders are not eligible for extended hours trading"),
        (
            LIMIT | {"order_class": "oto", "stop_loss": {"stop_price": 4}},
            "extended hours order must be simple orders",
        ),
    ]:
        with pytest.raises(Refused) as refused:
            parsed(**changes, extended_hours=True)
        assert refused.value.body == {"code": 42210000, "message": words}


def test_algorithms_are_for_accounts_that_have_them() -> None:
    with pytest.raises(Refused) as refused:
        parsed(advanced_instructions={"algorithm": "VWAP"})
    assert refused.value.status == 403
    assert refused.value.body["message"] == "account not allowed to use advanced_instructions"
