"""Brackets, one-cancels-other and one-triggers-other: what becomes of one order follows from the others."""

from dataclasses import replace
from decimal import Decimal

import pytest
from floor import Floor

from sim.broker.orders import Order, order_json
from sim.refusals import Refused


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.quote("99.99", "100.00")
    made.trade("100.00")
    return made


def legs(order: Order) -> tuple[Order, Order]:
    first, second = order.legs
    return first, second


def statuses(*orders: Order) -> list[str]:
    return [order.status for order in orders]


def entered(floor: Floor) -> tuple[Order, Order, Order]:
    """A bracket whose entry is filled."""
    entry = floor.submit(floor.bracket("110", "90"))
    return (entry, *legs(entry))


def test_the_legs_are_held_until_the_entry_is_filled(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    profit, loss = legs(entry)
    assert statuses(entry, profit, loss) == ["new", "held", "held"]
    assert floor.told() == ["new", "held", "held"]
    floor.trade("80.00")
    floor.quote("120.00", "120.01")
    assert statuses(entry, profit, loss) == ["new", "held", "held"]
    floor.trade("100.00")
    floor.quote("98.99", "99.00")
    assert statuses(entry, profit, loss) == ["filled", "new", "held"]
    assert floor.told() == ["new", "held", "held", "fill", "new"]


def test_a_partly_filled_entry_holds_its_legs() -> None:
    floor = Floor(draw=lambda: 0.3, partial_chance=0.5)
    floor.quote("99.99", "100.00")
    entry = floor.submit(floor.bracket("110", "90"))
    assert statuses(entry, *legs(entry)) == ["partially_filled", "held", "held"]


def test_taking_the_profit_cancels_the_stop(floor: Floor) -> None:
    entry, profit, loss = entered(floor)
    floor.quote("110.00", "110.01")
    assert statuses(entry, profit, loss) == ["filled", "filled", "canceled"]
    assert floor.told()[-2:] == ["fill", "canceled"]
    assert floor.position() == 0


def test_stopping_the_loss_cancels_the_profit(floor: Floor) -> None:
    entry, profit, loss = entered(floor)
    floor.quote("89.99", "90.00")
    assert loss.status == "held"
    floor.trade("90.00")
    assert statuses(entry, profit, loss) == ["filled", "canceled", "filled"]
    assert floor.told(loss) == ["held", "new", "fill"]
    assert floor.position() == 0
    assert floor.broker.fills[-1].price == Decimal("89.99")


def test_a_short_is_bracketed_the_other_way_round(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("90", "110", side="sell"))
    profit, loss = legs(entry)
    assert (entry.position_intent, profit.position_intent) == ("sell_to_open", "buy_to_close")
    floor.quote("110.00", "110.02")
    floor.trade("110.01")
    assert statuses(profit, loss) == ["canceled", "filled"]
    assert floor.position() == 0


def test_a_stop_limit_that_cannot_fill_still_yields_to_the_profit(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", "89.5"))
    profit, loss = legs(entry)
    floor.quote("80.00", "80.01")
    floor.trade("80.00")
    assert statuses(profit, loss) == ["new", "new"]
    floor.quote("110.00", "110.01")
    assert statuses(profit, loss) == ["filled", "canceled"]
    assert floor.position() == 0


@pytest.mark.parametrize("which", [0, 1])
def test_cancelling_an_exit_cancels_the_other(floor: Floor, which: int) -> None:
    entry, *exits = entered(floor)
    floor.cancel(exits[which])
    assert statuses(entry, *exits) == ["filled", "canceled", "canceled"]
    assert floor.position() == 10


def test_cancelling_the_entry_cancels_its_legs(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    floor.cancel(entry)
    assert statuses(entry, *legs(entry)) == ["canceled"] * 3
    assert floor.told()[-3:] == ["canceled"] * 3


def test_a_part_of_the_profit_shrinks_the_stop() -> None:
    draws = iter([0.9, 0.1, 0.4, 0.9])
    floor = Floor(draw=lambda: next(draws), partial_chance=0.5)
    floor.quote("99.99", "100.00")
    _, profit, loss = entered(floor)
    floor.quote("110.00", "110.01")
    assert (profit.status, profit.filled_qty) == ("partially_filled", 4)
    assert order_json(loss)["qty"] == "6"
    floor.move("90.00")
    assert statuses(profit, loss) == ["canceled", "filled"]
    assert (profit.filled_qty, loss.filled_qty, floor.position()) == (4, 6, 0)


def test_the_exits_bind_the_position_once(floor: Floor) -> None:
    entry, profit, loss = entered(floor)
    assert (entry.reserved_qty, profit.reserved_qty, loss.reserved_qty) == (0, 10, 0)
    with pytest.raises(Refused, match=r"requested: 1, available: 0"):
        floor.submit(floor.ticket("sell", qty=1))
    floor.cancel(loss)
    assert floor.submit(floor.ticket("sell")).status == "filled"


def test_held_legs_bind_nothing(floor: Floor) -> None:
    floor.submit(floor.ticket(qty=5))
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    assert [leg.reserved_qty for leg in entry.legs] == [0, 0]
    assert floor.submit(floor.ticket("sell", qty=5)).status == "filled"


def test_exits_without_their_position_are_rejected() -> None:
    draws = iter([0.1, 0.6, 0.9, 0.9])
    floor = Floor(draw=lambda: next(draws), partial_chance=0.5)
    floor.quote("99.99", "100.00")
    entry = floor.submit(floor.bracket("110", "90"))
    floor.submit(floor.ticket("sell", qty=4))
    floor.quote("99.99", "100.00")
    assert floor.position() == 6
    assert statuses(entry, *legs(entry)) == ["filled", "rejected", "rejected"]
    assert order_json(entry.legs[0])["failed_at"] is not None


def test_an_oco_is_a_limit_with_a_stop_beside_it(floor: Floor) -> None:
    floor.submit(floor.ticket())
    stop = floor.stop("90", side="sell", order_class="oco")
    ticket = floor.ticket("sell", "limit", limit_price="110", order_class="oco", legs=(stop,))
    profit = floor.submit(ticket)
    loss = profit.legs[0]
    assert statuses(profit, loss) == ["new", "held"]
    assert (profit.reserved_qty, loss.reserved_qty) == (10, 0)
    floor.move("90")
    assert statuses(profit, loss) == ["canceled", "filled"]


def test_an_oco_that_takes_its_profit_cancels_its_stop(floor: Floor) -> None:
    floor.submit(floor.ticket())
    stop = floor.stop("90", side="sell", order_class="oco")
    ticket = floor.ticket("sell", "limit", limit_price="110", order_class="oco", legs=(stop,))
    profit = floor.submit(ticket)
    floor.quote("110", "110.01")
    assert statuses(profit, profit.legs[0]) == ["filled", "canceled"]


def test_an_oto_triggers_one_exit_that_works_like_any_order(floor: Floor) -> None:
    stop = floor.stop("90", side="sell", order_class="oto")
    entry = floor.submit(floor.ticket(order_class="oto", legs=(stop,)))
    assert statuses(entry, entry.legs[0]) == ["filled", "new"]
    assert entry.legs[0].reserved_qty == 10
    floor.move("90")
    assert floor.position() == 0


def test_a_replaced_exit_stands_where_the_old_one_stood(floor: Floor) -> None:
    entry, profit, loss = entered(floor)
    dearer = floor.replace(profit, replace(profit.ticket, client_order_id="x", limit_price=Decimal(120)))
    lower = floor.replace(loss, replace(loss.ticket, client_order_id="y", stop_price=Decimal(80)))
    assert entry.legs == [dearer, lower]
    assert statuses(profit, loss, dearer, lower) == ["replaced", "replaced", "new", "held"]
    assert (floor.told(profit)[-1], floor.told(dearer), floor.told(lower)) == ("replaced", ["new"], ["held"])
    floor.move("90")
    assert lower.status == "held"
    floor.move("80")
    assert statuses(dearer, lower) == ["canceled", "filled"]


def test_a_replaced_entry_keeps_its_legs(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    held = legs(entry)
    better = floor.replace(entry, replace(entry.ticket, client_order_id="x", limit_price=Decimal(100)))
    assert (entry.legs, entry.status, better.status) == ([], "replaced", "filled")
    assert statuses(*held) == ["new", "held"]
    assert better.legs == list(held)


def test_a_held_leg_is_replaced_before_its_turn(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    profit = floor.replace(
        entry.legs[0], replace(entry.legs[0].ticket, client_order_id="x", limit_price=Decimal(105))
    )
    assert (profit.status, floor.told(profit)) == ("held", ["held"])
    floor.quote("98.98", "98.99")
    assert statuses(*legs(entry)) == ["new", "held"]
    floor.quote("105", "105.01")
    assert floor.position() == 0


def test_the_quantity_of_a_group_is_not_replaced(floor: Floor) -> None:
    _, profit, _ = entered(floor)
    with pytest.raises(Refused, match="qty"):
        floor.replace(profit, replace(profit.ticket, client_order_id="x", qty=Decimal(5)))
    assert profit.status == "new"


def test_a_replaced_exit_is_what_its_entry_is_measured_by(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    profit = legs(entry)[0]
    floor.replace(profit, replace(profit.ticket, client_order_id="x", limit_price=Decimal(120)))
    dearer = replace(entry.ticket, client_order_id="y", limit_price=Decimal(115))
    assert floor.replace(entry, dearer).status == "filled"


def test_exits_keep_their_distance_when_they_are_replaced(floor: Floor) -> None:
    entry = floor.submit(floor.bracket("110", "90", type="limit", limit_price="99"))
    profit, loss = legs(entry)
    with pytest.raises(Refused, match=r"take_profit.limit_price must be > stop_loss"):
        floor.replace(profit, replace(profit.ticket, client_order_id="x", limit_price=Decimal(80)))
    with pytest.raises(Refused, match=r"stop_loss.stop_price must be <= base_price - 0.01"):
        floor.replace(loss, replace(loss.ticket, client_order_id="x", stop_price=Decimal(99)))
    floor.quote("98.98", "98.99")
    with pytest.raises(Refused, match="stop price must be less than current price"):
        floor.replace(loss, replace(loss.ticket, client_order_id="x", stop_price=Decimal(101)))
    assert statuses(entry, profit, loss) == ["filled", "new", "held"]


def test_nested_orders_carry_their_legs_and_the_others_do_not(floor: Floor) -> None:
    entry, profit, loss = entered(floor)
    nested = order_json(entry, nested=True)
    assert [leg["id"] for leg in nested["legs"]] == [profit.id, loss.id]
    assert [leg["legs"] for leg in nested["legs"]] == [None, None]
    assert order_json(entry)["legs"] is None
    assert order_json(profit, nested=True)["legs"] is None


def test_a_day_bracket_expires_with_its_exits(floor: Floor) -> None:
    entry, profit, loss = entered(floor)
    floor.pass_time("2026-01-05T16:00:00-05:00")
    assert statuses(entry, profit, loss) == ["filled", "expired", "expired"]
    assert floor.position() == 10
