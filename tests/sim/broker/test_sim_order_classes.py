"""Brackets, one-cancels-other, one-triggers-other: which parts they need, and the tickets of their legs."""

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

GOOD = {"symbol": "AAPL", "qty": 2, "side": "buy", "type": "market", "time_in_force": "gtc"}
PROFIT, LOSS = {"take_profit": {"limit_price": 110}}, {"stop_loss": {"stop_price": 90}}
BRACKET = {"order_class": "bracket", **PROFIT, **LOSS}
OCO = {"order_class": "oco", "type": "limit", "side": "sell", **PROFIT, **LOSS}
OTO = {"order_class": "oto", **LOSS}


def parsed(**changes: Any) -> Ticket:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    ids = itertools.count(1)
    request = msgspec.json.decode(msgspec.json.encode(body), type=OrderRequest)
    return ticket(request, Assets(), lambda: f"made-up-{next(ids)}")


def test_a_bracket_has_a_take_profit_and_a_stop_loss() -> None:
    made = parsed(**BRACKET, client_order_id="mine")
    profit, loss = made.legs
    assert (made.order_class, made.client_order_id) == ("bracket", "mine")
    assert (profit.type, profit.side, profit.limit_price, profit.qty) == ("limit", "sell", 110, 2)
    assert (loss.type, loss.side, loss.stop_price, loss.limit_price) == ("stop", "sell", 90, None)
    assert {leg.time_in_force for leg in made.legs} == {"gtc"}
    assert {leg.order_class for leg in made.legs} == {"bracket"}
    assert profit.client_order_id != loss.client_order_id


def test_a_stop_loss_with_a_limit_is_a_stop_limit_order() -> None:
    made = parsed(**{**BRACKET, "stop_loss": {"stop_price": "90", "limit_price": "89.5"}})
    assert (made.legs[1].type, made.legs[1].limit_price) == ("stop_limit", Decimal("89.5"))


def test_an_oco_is_its_own_take_profit() -> None:
    made = parsed(**OCO)
    assert (made.type, made.side, made.limit_price) == ("limit", "sell", 110)
    assert [(leg.type, leg.side, leg.stop_price) for leg in made.legs] == [("stop", "sell", 90)]


def test_an_oto_has_one_leg_of_either_kind() -> None:
    assert [leg.type for leg in parsed(**OTO).legs] == ["stop"]
    assert [leg.type for leg in parsed(order_class="oto", **PROFIT).legs] == ["limit"]


def test_a_short_is_left_the_other_way_round() -> None:
    upside_down = {"take_profit": {"limit_price": 90}, "stop_loss": {"stop_price": 110}}
    made = parsed(order_class="bracket", side="sell", **upside_down)
    assert [leg.side for leg in made.legs] == ["buy", "buy"]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (BRACKET | {"take_profit": None}, 40010001, "bracket orders require take_profit.limit_price"),
        (BRACKET | {"take_profit": {}}, 40010001, "bracket orders require take_profit.limit_price"),
        (BRACKET | {"stop_loss": None}, 40010001, "bracket orders require stop_loss.stop_price"),
        (
            OCO | {"take_profit": None, "limit_price": 110},
            40010001,
            "oco orders require take_profit.limit_price",
        ),
        (OCO | {"stop_loss": {"limit_price": 9}}, 40010001, "oco orders require stop_loss.stop_price"),
        (OCO | {"type": "market"}, 40010001, "oco orders must be limit orders"),
        ({"order_class": "oto"}, 40010001, "oto orders require either take_profit or stop_loss"),
        (OTO | PROFIT, 40010001, "oto orders require either take_profit or stop_loss"),
        (PROFIT, 40010001, "simple orders must not have take_profit or stop_loss"),
        (
            BRACKET | {"take_profit": {"limit_price": 90}},
            42210000,
            "take_profit.limit_price must be > stop_loss.stop_price",
        ),
        (
            BRACKET | {"side": "sell"},
            42210000,
            "take_profit.limit_price must be < stop_loss.stop_price",
        ),
        (
            OCO | {"stop_loss": {"stop_price": 111}},
            42210000,
            "take_profit.limit_price must be > stop_loss.stop_price",
        ),
        (BRACKET | {"time_in_force": "ioc"}, 42210000, "bracket orders must be DAY or GTC orders"),
        (BRACKET | {"qty": 0.5, "time_in_force": "day"}, 42210000, "fractional orders must be simple orders"),
        (BRACKET | {"type": "trailing_stop"}, 42210000, "trailing stop orders must be simple orders"),
        (
            BRACKET | {"symbol": "BTC/USD"},
            42210000,
            "crypto orders not allowed for advanced order_class: otoco",
        ),
        (
            BRACKET | {"take_profit": {"limit_price": "110.001"}},
            42210000,
            "invalid take_profit.limit_price 110.001. "
            "sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            BRACKET | {"stop_loss": {"stop_price": 90, "limit_price": "89.001"}},
            42210000,
            "invalid stop_loss.limit_price 89.001. "
            "sub-penny increment does not fulfill minimum pricing criteria",
        ),
    ],
)
def test_what_lacks_a_part_or_has_it_on_the_wrong_side_is_refused(
    changes: dict[str, Any], code: int, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        parsed(**changes)
    assert refused.value.status == 422
    assert refused.value.body == {"code": code, "message": words}
