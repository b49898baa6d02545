"""The index of working orders finds exactly what looking at every order would find."""

from decimal import Decimal
from typing import Any

from broker_harness import BrokerHarness
from hypothesis import given
from hypothesis import strategies as st

from sim.broker.matching import fill_price, is_triggered
from sim.broker.orders import Order
from sim.broker.working_orders import WorkingOrders
from sim.exchange.touch import Touch

prices = st.integers(1, 30).map(Decimal)
KINDS = {
    "market": (),
    "limit": ("limit_price",),
    "stop": ("stop_price",),
    "stop_limit": ("stop_price", "limit_price"),
    "trailing_stop": ("trail_price",),
}


@st.composite
def orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(sorted(KINDS)))
    fields: dict[str, Any] = {name: draw(prices) for name in KINDS[kind]}
    harness = BrokerHarness()
    ticket = harness.ticket(draw(st.sampled_from(["buy", "sell"])), kind, **fields)
    order = Order(harness.name(), ticket, "buy_to_open", Decimal(0), 0, 0)
    order.id = draw(st.uuids()).hex
    order.high_water_mark = draw(prices) if kind == "trailing_stop" else None
    order.is_triggered = draw(st.booleans())
    return order


@given(
    st.lists(st.tuples(orders(), st.booleans(), st.booleans()), max_size=12, unique_by=lambda one: one[0].id),
    st.builds(Touch, st.none() | prices, st.none() | prices),
    prices,
)
def test_it_finds_what_a_quote_crosses_and_what_a_trade_wakes(
    made: list[tuple[Order, bool, bool]], touch: Touch, traded_at: Decimal
) -> None:
    index = WorkingOrders()
    for order, _, _ in made:
        index.add(order)
    for order, is_removed, is_woken in made:
        if is_removed:
            index.remove(order)
        elif is_woken:
            order.is_triggered = True
            index.add(order)
    kept = [order for order, is_removed, _ in made if not is_removed]
    assert len(index) == len(kept)
    assert {order.id for order in index.all()} == {order.id for order in kept}
    crossed = {order.id for order in kept if fill_price(order, touch) is not None}
    assert {order.id for order in index.crossed_by(touch) if fill_price(order, touch) is not None} == crossed
    assert crossed <= {order.id for order in index.crossed_by(touch)}
    waiting = [order for order in kept if order.waits_for_trigger]
    woken = {order.id for order in waiting if is_triggered(order, traded_at)}
    trailing = {order.id for order in waiting if order.ticket.type == "trailing_stop"}
    assert {order.id for order in index.concerned_by(traded_at)} == woken | trailing


def test_who_works_longest_comes_first() -> None:
    harness = BrokerHarness()
    harness.quote("99.99", "100")
    dear = harness.submit(harness.ticket(type="limit", limit_price="95"))
    cheap = harness.submit(harness.ticket(type="limit", limit_price="94"))
    dearest = harness.submit(harness.ticket(type="limit", limit_price="96"))
    harness.quote("93", "93.01")
    assert [fill.order_id for fill in harness.broker.fills] == [dear.id, cheap.id, dearest.id]
