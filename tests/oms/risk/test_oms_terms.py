"""Terms that make no order: each is refused with the field and what it may be; the good ones pass."""

from decimal import Decimal
from typing import Any

import pytest
from risk_day import terms

from oms.broker.alpaca_orders import new_order
from oms.risk.terms import malformed, trigger_price

BRACKET: dict[str, Any] = {
    "order_class": "bracket",
    "take_profit": Decimal(110),
    "stop_loss": Decimal(90),
}
OTO: dict[str, Any] = {"order_class": "oto", "stop_loss": Decimal(90)}
OCO: dict[str, Any] = {
    "order_class": "oco",
    "side": "sell",
    "type": "limit",
    "limit_price": Decimal(110),
    "stop_loss": Decimal(90),
}
TRAILING: dict[str, Any] = {"type": "trailing_stop", "trail_percent": Decimal(1)}


@pytest.mark.parametrize(
    "changes",
    [
        BRACKET,
        BRACKET | {"stop_loss_limit": Decimal(89)},
        BRACKET | {"time_in_force": "gtc", "type": "limit", "limit_price": Decimal(100)},
        BRACKET | {"side": "sell", "take_profit": Decimal(90), "stop_loss": Decimal(110)},
        OTO,
        OTO | {"stop_loss": None, "take_profit": Decimal(110)},
        OCO,
        OCO | {"side": "buy", "limit_price": Decimal(90), "stop_loss": Decimal(110)},
        TRAILING,
        TRAILING | {"trail_percent": Decimal("0.1")},
        TRAILING | {"trail_percent": None, "trail_price": Decimal("0.5"), "time_in_force": "gtc"},
    ],
)
def test_terms_that_alpaca_takes(changes: dict[str, Any]) -> None:
    assert malformed(terms(**changes)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (BRACKET | {"stop_loss": None}, "a bracket order needs stop_loss"),
        (BRACKET | {"take_profit": None}, "a bracket order needs take_profit"),
        (BRACKET | {"take_profit": Decimal(90)}, "take_profit must be above stop_loss"),
        (BRACKET | {"side": "sell"}, "take_profit must be below stop_loss"),
        (BRACKET | {"take_profit": Decimal(0)}, "take_profit is 0: it must be above zero"),
        (BRACKET | {"time_in_force": "ioc"}, "is ioc: it must be day or gtc"),
        (BRACKET | {"extended_hours": True}, "extended_hours is true"),
        (BRACKET | {"quantity": Decimal("1.5")}, "quantity must be a whole number"),
        (BRACKET | {"quantity": None, "notional": Decimal(50)}, "quantity must be a whole number"),
        (BRACKET | {"symbol": "BTC/USD"}, "cannot be in crypto"),
        (BRACKET | {"order_class": "simple"}, "take_profit is set, and order_class is simple"),
        (BRACKET | {"order_class": "oto"}, "exactly one of take_profit and stop_loss"),
        (BRACKET | TRAILING, "a trailing stop stands alone"),
        (OTO | {"stop_loss": None}, "exactly one of take_profit and stop_loss"),
        (OTO | {"stop_loss": None, "take_profit": Decimal(9), "stop_loss_limit": Decimal(8)}, "without "),
        (OCO | {"stop_loss": None}, "an oco order needs stop_loss"),
        (OCO | {"take_profit": Decimal(110)}, "no take_profit"),
        (OCO | {"type": "market", "limit_price": None}, "type is limit"),
        (OCO | {"stop_loss": Decimal(110)}, "limit_price must be above stop_loss"),
        (TRAILING | {"trail_price": Decimal(1)}, "exactly one of trail_price and trail_percent"),
        (TRAILING | {"trail_percent": None}, "exactly one of trail_price and trail_percent"),
        (TRAILING | {"trail_percent": Decimal("0.09")}, "at least 0.1 and below 100"),
        (TRAILING | {"trail_percent": Decimal(100)}, "at least 0.1 and below 100"),
        (TRAILING | {"stop_price": Decimal(90)}, "a trailing_stop order has no stop_price"),
        (TRAILING | {"time_in_force": "fok"}, "must be day or gtc"),
        (TRAILING | {"type": "market"}, "trail_percent is set, and type is market"),
    ],
)  # fmt: skip
def test_terms_that_make_no_order(changes: dict[str, Any], said: str) -> None:
    reason = malformed(terms(**changes))
    assert reason is not None
    assert (reason.code, said in reason.message) == ("bad_terms", True), reason.message


def test_the_body_of_each_class() -> None:
    body = new_order(terms(**(BRACKET | {"stop_loss_limit": Decimal(89)})), "c")
    assert (body["order_class"], body["take_profit"], body["stop_loss"]) == (
        "bracket", {"limit_price": "110"}, {"stop_price": "90", "limit_price": "89"},
    )  # fmt: skip
    body = new_order(terms(**OCO), "c")
    assert (body["take_profit"], body["stop_loss"]) == ({"limit_price": "110"}, {"stop_price": "90"})
    body = new_order(terms(**(TRAILING | {"stop_price": Decimal(99)})), "c")
    assert (body["trail_percent"], "stop_price" in body, "order_class" in body) == ("1", False, False)


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({"side": "buy", "trail_percent": Decimal(2)}, "102"),
        ({"side": "sell", "trail_percent": Decimal(2)}, "98"),
        ({"side": "sell", "trail_percent": None, "trail_price": Decimal("0.5")}, "99.5"),
        ({"side": "sell", "stop_price": Decimal(97)}, "97"),
    ],
)
def test_where_a_trailing_stop_may_be_set_off(changes: dict[str, Any], price: str) -> None:
    assert trigger_price(terms(**(TRAILING | changes)), Decimal(100)) == Decimal(price)
