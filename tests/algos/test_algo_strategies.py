"""The worked strategies: they trade both ways, one order at a time, and hold a bounded position."""

import random
from decimal import Decimal

import pytest

from algos import Algorithm, Bar, State, Trade
from algos.algorithm import session_of
from algos.inputs import MarketEntry, OrderEvent, StateChanged
from algos.strategies.mean_reversion import MeanReversion
from algos.strategies.moving_average_cross import MovingAverageCross
from bus.market_messages import MarketMessage
from bus.order_events import OrderFilled, OrderRefused
from bus.order_messages import OrderRequest, Reason

SECOND_NS = 1_000_000_000


class Bench:
    """Gives an algorithm messages and fills its orders at once, or leaves them open."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.session = session_of(algorithm, "a", "life")
        self.session.take(StateChanged(State.LEADER, "1:x", 0))
        self.algorithm = algorithm
        self.entries = 0
        self.orders: list[OrderRequest] = []

    def give(self, message: MarketMessage, at_ns: int) -> list[OrderRequest]:
        self.entries += 1
        self.session.take(MarketEntry("s", f"{self.entries}-0", at_ns, b"", False, message))
        taken = [one for one in self.session.empty_outbox(at_ns, 0) if isinstance(one, OrderRequest)]
        self.orders += taken
        return taken

    def fill(self, order: OrderRequest, at_ns: int) -> None:
        quantity = order.terms.quantity
        assert quantity is not None
        event = OrderFilled(
            algorithm="a",
            client_order_id=order.client_order_id,
            broker_order_id="b",
            execution_id=order.client_order_id,
            symbol=order.terms.symbol,
            side=order.terms.side,
            quantity=quantity,
            price=Decimal(100),
            filled_quantity=quantity,
            status="filled",
            at_ns=at_ns,
        )
        self.session.take(OrderEvent("e", "1-0", at_ns, b"", False, event))


def bar(close: Decimal) -> Bar:
    return Bar(symbol="AAPL", open=close, high=close, low=close, close=close, volume=Decimal(1), at_ns=1)


def trade(price: Decimal) -> Trade:
    return Trade(symbol="AAPL", price=price, size=Decimal(1), at_ns=1)


def wandering(count: int, seed: int = 1) -> list[Decimal]:
    dice = random.Random(seed)
    price, prices = Decimal(150), []
    for _ in range(count):
        price += Decimal(dice.randint(-3, 3)) / 100
        prices.append(price)
    return prices


def test_a_rise_is_bought_and_a_fall_is_sold() -> None:
    bench = Bench(MovingAverageCross(symbols=("AAPL",), fast=2, slow=4))
    sides = []
    for close in (10, 10, 10, 10, 11, 12, 13, 12, 10, 8, 7):
        for order in bench.give(bar(Decimal(close)), 1):
            bench.fill(order, 1)
            sides.append(order.terms.side)
    assert sides == ["buy", "sell"]


def test_averages_that_cannot_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="fast must be above 0 and below slow"):
        MovingAverageCross(fast=8, slow=3)


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [(MovingAverageCross(symbols=("AAPL",)), bar), (MeanReversion(symbols=("AAPL",), rest_s=0), trade)],
)
def test_it_trades_both_ways_and_never_holds_more_than_its_quantity(
    algorithm: Algorithm, message: type[MarketMessage]
) -> None:
    bench = Bench(algorithm)
    for second, price in enumerate(wandering(300), start=1):
        for order in bench.give(message(price), second * SECOND_NS):  # type: ignore[arg-type,call-arg]
            bench.fill(order, second * SECOND_NS)
        assert 0 <= algorithm.position("AAPL") <= 1
    assert {order.terms.side for order in bench.orders} == {"buy", "sell"}
    assert len(bench.orders) >= 4


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [(MovingAverageCross(symbols=("AAPL",)), bar), (MeanReversion(symbols=("AAPL",), rest_s=0), trade)],
)
def test_it_waits_while_an_order_is_open(algorithm: Algorithm, message: type[MarketMessage]) -> None:
    bench = Bench(algorithm)
    for second, price in enumerate(wandering(300), start=1):
        bench.give(message(price), second * SECOND_NS)  # type: ignore[arg-type,call-arg]
    assert len(bench.orders) == 1


def test_mean_reversion_rests_after_a_refusal() -> None:
    bench = Bench(MeanReversion(symbols=("AAPL",), window=4, deviations=Decimal(1), rest_s=5))
    for price in (10, 10, 10, 10):
        bench.give(trade(Decimal(price)), 1)
    (order,) = bench.give(trade(Decimal(9)), SECOND_NS)
    why = Reason(code="halted", message="halted")
    refused = OrderRefused(
        algorithm="a", client_order_id=order.client_order_id, by="risk", reasons=(why,), at_ns=1
    )
    bench.session.take(OrderEvent("e", "1-0", SECOND_NS, b"", False, refused))
    assert bench.give(trade(Decimal(8)), 5 * SECOND_NS) == []
    assert len(bench.give(trade(Decimal(7)), 6 * SECOND_NS)) == 1
