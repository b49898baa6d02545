"""Whatever is ordered, the account can pay for it, and no order takes a position through zero."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

from broker_harness import BrokerHarness
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.broker.configurations import Configurations
from sim.broker.orders import Ticket
from sim.refusals import Refused

STOCK, COIN = "AAPL", "BTC/USD"
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")

quantities = st.sampled_from([1, "0.5", 100, 100, 950, 2_000, 3_900, 4_100])
wishes = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from([STOCK, STOCK, COIN]),
        "side": st.sampled_from(["buy", "sell"]),
        "type": st.sampled_from(TYPES),
        "qty": quantities,
        "by_value": st.booleans(),
        "price": st.integers(80, 120),
        "cancels": st.booleans(),
    }
)
moves = st.integers(90, 110)


def opened(multiplier: int = 4) -> BrokerHarness:
    harness = BrokerHarness()
    harness.broker.account.configurations = Configurations(max_margin_multiplier=multiplier)
    for symbol in (STOCK, COIN):
        harness.quote("99.99", "100", symbol)
        harness.trade("100", symbol)
    return harness


def ticket(harness: BrokerHarness, wish: dict[str, Any]) -> Ticket:
    symbol, side, kind, price = (wish[name] for name in ("symbol", "side", "type", "price"))
    if wish["by_value"]:
        return harness.ticket(side, symbol=symbol, notional=Decimal(wish["qty"]) * 98)
    fields: dict[str, Any] = {"symbol": symbol, "qty": wish["qty"]}
    if kind in ("limit", "stop_limit"):
        fields["limit_price"] = price
    if kind in ("stop", "stop_limit"):
        fields["stop_price"] = price
    if kind == "trailing_stop":
        fields["trail_percent"] = 5
    return harness.ticket(side, kind, **fields)


def unbound(harness: BrokerHarness) -> Decimal:
    summary = harness.broker.summary()
    return summary.equity - summary.margin - summary.held_margin


def change_open_orders(harness: BrokerHarness, wish: dict[str, Any]) -> None:
    orders = harness.broker.open_orders()
    if wish["cancels"] and orders:
        harness.cancel(orders[0])


@settings(max_examples=150, deadline=None)
@given(wished=st.lists(wishes, max_size=14), multiplier=st.sampled_from([1, 2, 4]))
def test_what_is_taken_can_be_paid_for(wished: list[dict[str, Any]], multiplier: int) -> None:
    harness = opened(multiplier)
    for wish in wished:
        change_open_orders(harness, wish)
        with suppress(Refused):
            harness.submit(ticket(harness, wish))
        assert unbound(harness) >= 0


@settings(max_examples=150, deadline=None)
@given(wished=st.lists(st.tuples(wishes, moves, moves), max_size=14))
def test_no_order_takes_a_position_through_zero(wished: list[tuple[dict[str, Any], int, int]]) -> None:
    harness = opened()
    for wish, before, after in wished:
        change_open_orders(harness, wish)
        before_qty = {symbol: harness.position(symbol) for symbol in (STOCK, COIN)}
        done = len(harness.broker.fills)
        try:
            order = harness.broker.submit(ticket(harness, wish), harness.now_ns)
        except Refused:
            order = None
        for price in (before, after):
            for symbol in (STOCK, COIN):
                harness.quote(str(price), f"{price}.01", symbol)
                harness.trade(str(price), symbol)
            if order is not None:
                harness.updates += harness.broker.accept(order.id, harness.now_ns)
        running = dict(before_qty)
        for fill in harness.broker.fills[done:]:
            was = running[fill.symbol]
            running[fill.symbol] += fill.qty if fill.side == "buy" else -fill.qty
            assert was * running[fill.symbol] >= 0, f"{was} became {running[fill.symbol]}"
        assert running[COIN] >= 0
