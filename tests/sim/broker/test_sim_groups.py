"""Brackets, one-cancels-other and one-triggers-other: how an order changes with the others of its group."""

from dataclasses import replace
from decimal import Decimal

import pytest
from broker_harness import BrokerHarness

from sim.broker.orders import Order, order_json
from sim.refusals import Refused


@pytest.fixture
def harness() -> BrokerHarness:
    made = BrokerHarness()
    made.quote("99.99", "100.00")
    made.trade("100.00")
    return made


def legs(order: Order) -> tuple[Order, Order]:
    first, second = order.legs
    return first, second


def statuses(*orders: Order) -> list[str]:
    return [order.status for order in orders]


def entered(harness: BrokerHarness) -> tuple[Order, Order, Order]:
    """A bracket whose entry is filled."""
    entry = harness.submit(harness.bracket("110", "90"))
    return (entry, *legs(entry))


def test_the_legs_are_held_until_the_entry_is_filled(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    profit, loss = legs(entry)
    assert statuses(entry, profit, loss) == ["new", "held", "held"]
    assert harness.told() == ["new", "held", "held"]
    harness.trade("80.00")
    harness.quote("120.00", "120.01")
    assert statuses(entry, profit, loss) == ["new", "held", "held"]
    harness.trade("100.00")
    harness.quote("98.99", "99.00")
    assert statuses(entry, profit, loss) == ["filled", "new", "held"]
    assert harness.told() == ["new", "held", "held", "fill", "new"]


def test_a_partly_filled_entry_holds_its_legs() -> None:
    harness = BrokerHarness(draw=lambda: 0.3, partial_chance=0.5)
    harness.quote("99.99", "100.00")
    entry = harness.submit(harness.bracket("110", "90"))
    assert statuses(entry, *legs(entry)) == ["partially_filled", "held", "held"]


def test_taking_the_profit_cancels_the_stop(harness: BrokerHarness) -> None:
    entry, profit, loss = entered(harness)
    harness.quote("110.00", "110.01")
    assert statuses(entry, profit, loss) == ["filled", "filled", "canceled"]
    assert harness.told()[-2:] == ["fill", "canceled"]
    assert harness.position() == 0


def test_stopping_the_loss_cancels_the_profit(harness: BrokerHarness) -> None:
    entry, profit, loss = entered(harness)
    harness.quote("89.99", "90.00")
    assert loss.status == "held"
    harness.trade("90.00")
    assert statuses(entry, profit, loss) == ["filled", "canceled", "filled"]
    assert harness.told(loss) == ["held", "new", "fill"]
    assert harness.position() == 0
    assert harness.broker.fills[-1].price == Decimal("89.99")


def test_a_short_is_bracketed_the_other_way_round(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("90", "110", side="sell"))
    profit, loss = legs(entry)
    assert (entry.position_intent, profit.position_intent) == ("sell_to_open", "buy_to_close")
    harness.quote("110.00", "110.02")
    harness.trade("110.01")
    assert statuses(profit, loss) == ["canceled", "filled"]
    assert harness.position() == 0


def test_a_stop_limit_that_cannot_fill_still_yields_to_the_profit(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", "89.5"))
    profit, loss = legs(entry)
    harness.quote("80.00", "80.01")
    harness.trade("80.00")
    assert statuses(profit, loss) == ["new", "new"]
    harness.quote("110.00", "110.01")
    assert statuses(profit, loss) == ["filled", "canceled"]
    assert harness.position() == 0


@pytest.mark.parametrize("which", [0, 1])
def test_canceling_an_exit_cancels_the_other(harness: BrokerHarness, which: int) -> None:
    entry, *exits = entered(harness)
    harness.cancel(exits[which])
    assert statuses(entry, *exits) == ["filled", "canceled", "canceled"]
    assert harness.position() == 10


def test_canceling_the_entry_cancels_its_legs(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    harness.cancel(entry)
    assert statuses(entry, *legs(entry)) == ["canceled"] * 3
    assert harness.told()[-3:] == ["canceled"] * 3


def test_a_part_of_the_profit_shrinks_the_stop() -> None:
    draws = iter([0.9, 0.1, 0.4, 0.9])
    harness = BrokerHarness(draw=lambda: next(draws), partial_chance=0.5)
    harness.quote("99.99", "100.00")
    _, profit, loss = entered(harness)
    harness.quote("110.00", "110.01")
    assert (profit.status, profit.filled_qty) == ("partially_filled", 4)
    assert order_json(loss)["qty"] == "6"
    harness.move("90.00")
    assert statuses(profit, loss) == ["canceled", "filled"]
    assert (profit.filled_qty, loss.filled_qty, harness.position()) == (4, 6, 0)


def test_the_exits_bind_the_position_once(harness: BrokerHarness) -> None:
    entry, profit, loss = entered(harness)
    assert (entry.reserved_qty, profit.reserved_qty, loss.reserved_qty) == (0, 10, 0)
    with pytest.raises(Refused, match=r"requested: 1, available: 0"):
        harness.submit(harness.ticket("sell", qty=1))
    harness.cancel(loss)
    assert harness.submit(harness.ticket("sell")).status == "filled"


def test_held_legs_bind_nothing(harness: BrokerHarness) -> None:
    harness.submit(harness.ticket(qty=5))
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    assert [leg.reserved_qty for leg in entry.legs] == [0, 0]
    assert harness.submit(harness.ticket("sell", qty=5)).status == "filled"


def test_exits_without_their_position_are_rejected() -> None:
    draws = iter([0.1, 0.6, 0.9, 0.9])
    harness = BrokerHarness(draw=lambda: next(draws), partial_chance=0.5)
    harness.quote("99.99", "100.00")
    entry = harness.submit(harness.bracket("110", "90"))
    harness.submit(harness.ticket("sell", qty=4))
    harness.quote("99.99", "100.00")
    assert harness.position() == 6
    assert statuses(entry, *legs(entry)) == ["filled", "rejected", "rejected"]
    assert order_json(entry.legs[0])["failed_at"] is not None


def test_an_oco_is_a_limit_with_a_stop_beside_it(harness: BrokerHarness) -> None:
    harness.submit(harness.ticket())
    stop = harness.stop("90", side="sell", order_class="oco")
    ticket = harness.ticket("sell", "limit", limit_price="110", order_class="oco", legs=(stop,))
    profit = harness.submit(ticket)
    loss = profit.legs[0]
    assert statuses(profit, loss) == ["new", "held"]
    assert (profit.reserved_qty, loss.reserved_qty) == (10, 0)
    harness.move("90")
    assert statuses(profit, loss) == ["canceled", "filled"]


def test_an_oco_that_takes_its_profit_cancels_its_stop(harness: BrokerHarness) -> None:
    harness.submit(harness.ticket())
    stop = harness.stop("90", side="sell", order_class="oco")
    ticket = harness.ticket("sell", "limit", limit_price="110", order_class="oco", legs=(stop,))
    profit = harness.submit(ticket)
    harness.quote("110", "110.01")
    assert statuses(profit, profit.legs[0]) == ["filled", "canceled"]


def test_an_oto_triggers_one_exit_that_works_like_any_order(harness: BrokerHarness) -> None:
    stop = harness.stop("90", side="sell", order_class="oto")
    entry = harness.submit(harness.ticket(order_class="oto", legs=(stop,)))
    assert statuses(entry, entry.legs[0]) == ["filled", "new"]
    assert entry.legs[0].reserved_qty == 10
    harness.move("90")
    assert harness.position() == 0


def test_a_replaced_exit_stands_where_the_old_one_stood(harness: BrokerHarness) -> None:
    entry, profit, loss = entered(harness)
    dearer = harness.replace(profit, replace(profit.ticket, client_order_id="x", limit_price=Decimal(120)))
    lower = harness.replace(loss, replace(loss.ticket, client_order_id="y", stop_price=Decimal(80)))
    assert entry.legs == [dearer, lower]
    assert statuses(profit, loss, dearer, lower) == ["replaced", "replaced", "new", "held"]
    assert (harness.told(profit)[-1], harness.told(dearer), harness.told(lower)) == (
        "replaced",
        ["new"],
        ["held"],
    )
    harness.move("90")
    assert lower.status == "held"
    harness.move("80")
    assert statuses(dearer, lower) == ["canceled", "filled"]


def test_a_replaced_entry_keeps_its_legs(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    held = legs(entry)
    better = harness.replace(entry, replace(entry.ticket, client_order_id="x", limit_price=Decimal(100)))
    assert (entry.legs, entry.status, better.status) == ([], "replaced", "filled")
    assert statuses(*held) == ["new", "held"]
    assert better.legs == list(held)


def test_a_held_leg_is_replaced_before_its_turn(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    profit = harness.replace(
        entry.legs[0], replace(entry.legs[0].ticket, client_order_id="x", limit_price=Decimal(105))
    )
    assert (profit.status, harness.told(profit)) == ("held", ["held"])
    harness.quote("98.98", "98.99")
    assert statuses(*legs(entry)) == ["new", "held"]
    harness.quote("105", "105.01")
    assert harness.position() == 0


def test_the_quantity_of_a_group_is_not_replaced(harness: BrokerHarness) -> None:
    _, profit, _ = entered(harness)
    with pytest.raises(Refused, match="qty"):
        harness.replace(profit, replace(profit.ticket, client_order_id="x", qty=Decimal(5)))
    assert profit.status == "new"


def test_a_replaced_exit_is_what_its_entry_is_measured_by(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    profit = legs(entry)[0]
    harness.replace(profit, replace(profit.ticket, client_order_id="x", limit_price=Decimal(120)))
    dearer = replace(entry.ticket, client_order_id="y", limit_price=Decimal(115))
    assert harness.replace(entry, dearer).status == "filled"


def test_exits_keep_their_distance_when_they_are_replaced(harness: BrokerHarness) -> None:
    entry = harness.submit(harness.bracket("110", "90", type="limit", limit_price="99"))
    profit, loss = legs(entry)
    with pytest.raises(Refused, match=r"take_profit.limit_price must be > stop_loss"):
        harness.replace(profit, replace(profit.ticket, client_order_id="x", limit_price=Decimal(80)))
    with pytest.raises(Refused, match=r"stop_loss.stop_price must be <= base_price - 0.01"):
        harness.replace(loss, replace(loss.ticket, client_order_id="x", stop_price=Decimal(99)))
    harness.quote("98.98", "98.99")
    with pytest.raises(Refused, match="stop price must be less than current price"):
        harness.replace(loss, replace(loss.ticket, client_order_id="x", stop_price=Decimal(101)))
    assert statuses(entry, profit, loss) == ["filled", "new", "held"]


def test_nested_orders_carry_their_legs_and_the_others_do_not(harness: BrokerHarness) -> None:
    entry, profit, loss = entered(harness)
    nested = order_json(entry, nested=True)
    assert [leg["id"] for leg in nested["legs"]] == [profit.id, loss.id]
    assert [leg["legs"] for leg in nested["legs"]] == [None, None]
    assert order_json(entry)["legs"] is None
    assert order_json(profit, nested=True)["legs"] is None


def test_a_day_bracket_expires_with_its_exits(harness: BrokerHarness) -> None:
    entry, profit, loss = entered(harness)
    harness.pass_time("2026-01-05T16:00:00-05:00")
    assert statuses(entry, profit, loss) == ["filled", "expired", "expired"]
    assert harness.position() == 10
