"""Orders that could trade with one another: Alpaca's table of pairs."""

from decimal import Decimal

import pytest

from sim.broker import wash_trades
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import made_up
from sim.refusals import Refused

AAPL = made_up("AAPL")
TYPES = ("market", "limit", "stop", "stop_limit")


def ticket(side: str, kind: str, limit: int = 100, order_class: str = "") -> Ticket:
    return Ticket(
        "c",
        AAPL,
        side,
        kind,
        "day",
        Decimal(1),
        limit_price=Decimal(limit) if kind in ("limit", "stop_limit") else None,
        stop_price=Decimal(100) if kind in ("stop", "stop_limit") else None,
        trail_percent=Decimal(1) if kind == "trailing_stop" else None,
        order_class=order_class,
    )


def check(new: Ticket, old: Ticket) -> None:
    wash_trades.check(new, [Order("old", old, "", Decimal(0), 1, 1, status="new")])


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("old", TYPES)
@pytest.mark.parametrize("new", TYPES)
def test_only_limits_that_do_not_cross_may_stand_side_by_side(new: str, old: str, side: str) -> None:
    other = "sell" if side == "buy" else "buy"
    prices = {"buy": 99, "sell": 100}
    are_limits = {new, old} <= {"limit", "stop_limit"}
    apart = ticket(side, new, prices[side]), ticket(other, old, prices[other])
    if are_limits:
        check(*apart)
    else:
        with pytest.raises(Refused, match="potential wash trade"):
            check(*apart)
    with pytest.raises(Refused, match="potential wash trade"):
        check(ticket(side, new), ticket(other, old))
    check(ticket(side, new), ticket(side, old))


@pytest.mark.parametrize(
    ("new", "old", "reason"),
    [
        ("limit", "market", "opposite side market/stop order exists"),
        ("market", "stop", "opposite side market/stop order exists"),
        ("market", "limit", "opposite side limit order exists. use complex/limit/stop_limit orders"),
        ("limit", "stop_limit", "opposite side limit order exists"),
    ],
)
def test_the_refusal_names_the_other_order_and_the_reason(new: str, old: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        check(ticket("buy", new), ticket("sell", old))
    assert refused.value.status == 403
    assert refused.value.body == {
        "code": 40310000,
        "message": "potential wash trade detected. use complex orders",
        "existing_order_id": "old",
        "reject_reason": reason,
    }


def test_groups_and_trailing_stops_are_exempt() -> None:
    check(ticket("buy", "market"), ticket("sell", "limit", order_class="oco"))
    check(ticket("buy", "market", order_class="bracket"), ticket("sell", "stop"))
    check(ticket("buy", "market"), ticket("sell", "trailing_stop"))
    check(ticket("buy", "trailing_stop"), ticket("sell", "market"))
