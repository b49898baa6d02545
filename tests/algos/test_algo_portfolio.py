"""Orders and positions as a fold of events."""

from decimal import Decimal

import msgspec
import pytest

from algos.portfolio import Portfolio, Position
from bus.order_events import (
    CancelRefused,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import OrderTerms, Reason, Side

ID = "bb-a-1"
TERMS = OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(10))
WHY = Reason(code="halted", message="halted by ann")


def approved(order_id: str = ID) -> OrderApproved:
    return OrderApproved(
        algorithm="a",
        client_order_id=order_id,
        terms=TERMS,
        reserve_price=Decimal(100),
        trigger="t",
        received_ns=1,
        requested_ns=2,
        approved_ns=3,
    )


def sent() -> OrderSent:
    return OrderSent(
        algorithm="a", client_order_id=ID, broker_order_id="b1", approved_ns=3, sent_ns=4, acknowledged_ns=5
    )


def filled(
    execution: str, quantity: int, price: str, total: int, *, side: Side = "buy", status: str = "filled"
) -> OrderFilled:
    return OrderFilled(
        algorithm="a",
        client_order_id=ID,
        broker_order_id="b1",
        execution_id=execution,
        symbol="AAPL",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        filled_quantity=Decimal(total),
        status=status,
        at_ns=6,
    )


def updated(status: str, replaced_by: str | None = None) -> OrderUpdated:
    return OrderUpdated(
        algorithm="a",
        client_order_id=ID,
        broker_order_id="b1",
        symbol="AAPL",
        event=status,
        status=status,
        filled_quantity=Decimal(0),
        at_ns=6,
        replaced_by=replaced_by,
    )


def refused(by: str) -> OrderRefused:
    return OrderRefused(
        algorithm="a",
        client_order_id=ID,
        by=by,
        reasons=(WHY,),
        at_ns=3,
        terms=TERMS,  # type: ignore[arg-type]
    )


def status(portfolio: Portfolio) -> str:
    order = portfolio.order(ID)
    assert order is not None
    return order.status


def test_an_order_goes_from_requested_to_filled() -> None:
    portfolio = Portfolio()
    portfolio.requested(ID, TERMS)
    seen = [status(portfolio)]
    partly = filled("e1", 4, "100", 4, status="partially_filled")
    for event in (approved(), sent(), partly, filled("e2", 6, "101", 10)):
        portfolio.apply(event)
        seen.append(status(portfolio))
    assert seen == ["requested", "approved", "working", "working", "filled"]
    assert portfolio.open_orders == ()
    assert portfolio.position("AAPL").quantity == 10


def test_an_order_is_open_from_the_moment_it_is_asked_for() -> None:
    portfolio = Portfolio()
    portfolio.requested(ID, TERMS)
    assert [order.client_order_id for order in portfolio.open_orders] == [ID]


@pytest.mark.parametrize("ended", ["canceled", "expired", "rejected", "replaced", "filled"])
def test_alpacas_last_words_close_an_order_and_others_do_not(ended: str) -> None:
    portfolio = Portfolio()
    portfolio.apply(approved())
    for word in ("new", "accepted", "pending_cancel", "held", "done_for_day"):
        portfolio.apply(updated(word))
        assert portfolio.open_orders
    portfolio.apply(updated(ended))
    assert status(portfolio) == ended
    assert not portfolio.open_orders


def test_events_that_come_late_take_nothing_back() -> None:
    portfolio = Portfolio()
    for event in (approved(), updated("canceled"), sent(), approved(), updated("new")):
        portfolio.apply(event)
    assert status(portfolio) == "canceled"


@pytest.mark.parametrize("ended", ["canceled", "expired", "replaced"])
def test_a_part_filled_unheard_of_an_order_that_ended_since_closes_it(ended: str) -> None:
    portfolio = Portfolio()
    for event in (approved(), sent(), filled("assumed:b1:3", 3, "100", 3, status=ended)):
        portfolio.apply(event)
    assert status(portfolio) == ended
    assert not portfolio.open_orders
    assert portfolio.position("AAPL").quantity == 3


def test_a_fill_after_the_end_still_counts() -> None:
    portfolio = Portfolio()
    for event in (approved(), updated("canceled"), filled("e1", 3, "100", 3, status="canceled")):
        portfolio.apply(event)
    assert status(portfolio) == "canceled"
    assert portfolio.position("AAPL").quantity == 3


def test_an_execution_counts_once() -> None:
    portfolio = Portfolio()
    for event in (approved(), filled("e1", 10, "100", 10), filled("e1", 10, "100", 10)):
        portfolio.apply(event)
    assert portfolio.position("AAPL").quantity == 10


def test_a_fill_of_an_order_that_is_not_known_moves_the_position() -> None:
    portfolio = Portfolio()
    assert portfolio.apply(filled("e1", 10, "100", 10)) is None
    assert portfolio.quantities == {"AAPL": Decimal(10)}


def test_a_refusal_closes_and_keeps_the_reasons() -> None:
    portfolio = Portfolio()
    portfolio.requested(ID, TERMS)
    order = portfolio.apply(refused("risk"))
    assert order is not None
    assert (order.status, order.reasons) == ("refused", (WHY,))


def test_an_order_that_was_refused_and_lives_at_the_broker_works() -> None:
    portfolio = Portfolio()
    for event in (approved(), refused("oms"), updated("new")):
        portfolio.apply(event)
    assert status(portfolio) == "working"
    assert [order.client_order_id for order in portfolio.open_orders] == [ID]
    portfolio.apply(updated("canceled"))
    assert (status(portfolio), portfolio.open_orders) == ("canceled", ())


def test_quantity_and_price_are_those_of_the_broker_once_it_has_said_them() -> None:
    portfolio = Portfolio()
    portfolio.apply(approved())
    asked = portfolio.order(ID)
    assert asked is not None
    portfolio.apply(msgspec.structs.replace(sent(), quantity=Decimal(4), limit_price=Decimal("99.5")))
    known = portfolio.order(ID)
    assert known is not None
    assert (known.quantity, known.limit_price, known.terms) == (4, Decimal("99.5"), asked.terms)
    # The answer to sending it says nothing new of an order that was heard of already.
    portfolio.apply(msgspec.structs.replace(updated("new"), quantity=Decimal(3)))
    portfolio.apply(msgspec.structs.replace(sent(), quantity=Decimal(4)))
    known = portfolio.order(ID)
    assert known is not None
    assert known.quantity == 3


def test_a_refusal_of_a_second_request_leaves_the_first_one_working() -> None:
    portfolio = Portfolio()
    for event in (approved(), sent(), refused("risk")):
        portfolio.apply(event)
    assert status(portfolio) == "working"
    portfolio.apply(refused("broker"))
    assert status(portfolio) == "refused"


def test_a_refusal_of_a_former_leader_does_not_close_the_order_that_its_successor_asks_for() -> None:
    portfolio = Portfolio()
    portfolio.requested(ID, TERMS)
    not_leader = Reason(code="not_leader", message="another leads")
    former = OrderRefused(algorithm="a", client_order_id=ID, by="risk", reasons=(not_leader,), at_ns=3)
    for event in (former, approved(), former):
        portfolio.apply(event)
    assert status(portfolio) == "approved"


def test_the_terms_of_an_order_are_those_that_were_approved() -> None:
    portfolio = Portfolio()
    portfolio.requested(ID, OrderTerms(symbol="AAPL", side="sell", quantity=Decimal(3)))
    order = portfolio.apply(approved())
    assert order is not None
    assert order.terms == TERMS


def test_a_refused_cancel_leaves_the_order_open_and_says_why() -> None:
    portfolio = Portfolio()
    portfolio.apply(approved())
    portfolio.apply(sent())
    portfolio.apply(CancelRefused(algorithm="a", client_order_id=ID, reason=WHY, at_ns=9))
    order = portfolio.order(ID)
    assert order is not None
    assert order.is_open
    assert (order.status, order.reasons) == ("working", (WHY,))


def test_an_uncertain_order_stays_open_until_it_is_found() -> None:
    portfolio = Portfolio()
    portfolio.apply(approved())
    portfolio.apply(OrderUncertain(algorithm="a", client_order_id=ID, why="504", at_ns=4))
    assert (status(portfolio), len(portfolio.open_orders)) == ("uncertain", 1)
    portfolio.apply(sent())
    assert status(portfolio) == "working"


def test_an_order_that_was_dropped_is_closed_but_an_answered_one_is_not() -> None:
    portfolio = Portfolio()
    portfolio.requested("dropped", TERMS)
    portfolio.dropped("dropped")
    portfolio.apply(approved())
    portfolio.dropped(ID)
    assert [order.client_order_id for order in portfolio.open_orders] == [ID]


def test_a_replaced_order_names_its_successor() -> None:
    portfolio = Portfolio()
    portfolio.apply(approved())
    portfolio.apply(updated("replaced", replaced_by="bb-a-2"))
    order = portfolio.order(ID)
    assert order is not None
    assert order.replaced_by == "bb-a-2"


def test_profit_is_what_was_earned_and_what_closing_would_earn() -> None:
    portfolio = Portfolio()
    portfolio.apply(filled("e1", 10, "100", 10))
    portfolio.apply(filled("e2", 4, "103", 14, side="sell"))
    assert portfolio.realized_profit() == 12
    assert portfolio.unrealized_profit({"AAPL": Decimal(101)}) == 6
    assert portfolio.unrealized_profit({}) == 0


def test_a_position_that_flips_starts_a_new_cost() -> None:
    position = Position().after("buy", Decimal(2), Decimal(10)).after("sell", Decimal(5), Decimal(12))
    assert (position.quantity, position.realized_profit) == (-3, 4)
    assert position.unrealized_profit(Decimal(11)) == 3


def test_closed_orders_do_not_pile_up() -> None:
    portfolio = Portfolio()
    for number in range(1500):
        portfolio.requested(str(number), TERMS)
        portfolio.dropped(str(number))
    assert portfolio.order("0") is None
    assert portfolio.order("1499") is not None
