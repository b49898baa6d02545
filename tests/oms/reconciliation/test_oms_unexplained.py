"""Between which bounds the book may lack executions, while the broker is asked and goes on trading."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from engine_run import at_broker
from hypothesis import given
from hypothesis import strategies as st
from risk_day import Day, fill, name, request, terms

from bus.order_messages import Side
from oms.amounts import ZERO
from oms.broker.protocol import BrokerOrder
from oms.reconciliation.unexplained import NOTHING, overlap, unbooked

D = Decimal
COUNTS = st.lists(st.integers(0, 10), min_size=4, max_size=4).map(sorted)


class Asked:
    """A broker that is asked: what its lists show of orders for 10, what the book knew and knows by now."""

    def __init__(self) -> None:
        self.day = Day()
        self.before: list[BrokerOrder] = []
        self.after: list[BrokerOrder] = []
        self.filled_before: dict[str, Decimal] = {}
        self.unseen: set[str] = set()
        self.orders = 0

    def order(self, side: Side, was: str | None, now: str | None, known: int, booked: int) -> str:
        """An order; `was` and `now` are what the lists say was filled, None where it is in none."""
        self.orders += 1
        # On a day of its own: what the others allow it is not what is tested.
        approved = Day().approve(request(terms("10", side=side), self.orders))
        self.day.book.apply(approved.event)
        order_id = approved.client_order_id
        for filled, listed in ((was, self.before), (now, self.after)):
            if filled is not None:
                listed.append(at_broker(approved, filled=filled))
        if booked:
            event = fill(order_id, D(booked if side == "buy" else -booked), "alpha")
            self.day.book.apply(msgspec.structs.replace(event, broker_order_id=f"broker-{order_id}"))
        if booked != known:
            self.filled_before[order_id] = D(known)
        return order_id

    def span(self) -> tuple[Decimal, Decimal]:
        """The bounds in AAPL."""
        found = unbooked(self.day.book, self.before, self.after, self.filled_before, self.unseen)
        return found.get("AAPL", NOTHING)


@pytest.mark.parametrize(
    ("was", "now", "known", "booked", "span"),
    [
        ("0", "0", 0, 0, (0, 0)),
        ("10", "10", 10, 10, (0, 0)),
        # An update that is on its way, or lost.
        ("10", "10", 0, 0, (10, 10)),
        # Filled between the lists: the position may have it.
        ("0", "10", 0, 0, (0, 10)),
        ("0", "10", 0, 10, (-10, 0)),
        # Told before the lists show it.
        ("0", "0", 0, 10, (-10, 0)),
        # The broker took it back: what was known when it was asked is no news.
        ("0", "0", 10, 10, (0, 0)),
        # It came, or left the lists, meanwhile.
        (None, "4", 0, 0, (0, 4)),
        ("4", None, 0, 0, (4, 10)),
        (None, None, 0, 3, (-3, 0)),
    ],
)
def test_what_an_order_explains(
    was: str | None, now: str | None, known: int, booked: int, span: tuple[int, int]
) -> None:
    bought, sold = Asked(), Asked()
    bought.order("buy", was, now, known, booked)
    sold.order("sell", was, now, known, booked)
    assert bought.span() == span
    assert sold.span() == (-span[1], -span[0])


def test_an_order_that_no_list_shows_yet_may_be_filled() -> None:
    asked = Asked()
    asked.unseen.add(asked.order("buy", None, None, 0, 0))
    assert asked.span() == (0, 10)


def test_an_order_of_another_under_our_id_explains_nothing() -> None:
    asked = Asked()
    asked.order("buy", "5", "5", 0, 0)
    known = asked.day.book.orders[name(1)]
    known.broker_order_id = "another"
    assert asked.span() == NOTHING


def test_of_coins_the_broker_may_keep_up_to_its_fee() -> None:
    asked = Asked()
    order = at_broker(asked.day.approve(request(terms("10"))), filled="10")
    coins = [replace(order, symbol="BTC/USD", client_order_id="by-hand")]
    assert unbooked(asked.day.book, coins, coins, {}, ()) == {"BTC/USD": (D("9.975"), D(10))}


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), COUNTS, st.integers(0, 10)), max_size=4))
def test_the_position_lies_within_the_bounds(orders: list[tuple[Side, list[int], int]]) -> None:
    """Whatever was filled when, as long as lists and updates tell the truth of some moment."""
    asked, beyond = Asked(), ZERO
    for side, (was, at_positions, now, end), late in orders:
        known = min(was, late)
        booked = max(known, min(end, late))
        asked.order(side, str(was), str(now), known, booked)
        beyond += (at_positions - booked) * (1 if side == "buy" else -1)
    least, most = asked.span()
    assert least <= beyond <= most


def test_what_two_looks_both_allow() -> None:
    assert overlap((D(1), D(3)), (D(2), D(5))) == (2, 3)
    assert overlap((D(1), D(2)), (D(2), D(5))) == (2, 2)
    assert overlap((D(1), D(2)), (D(3), D(5))) is None
