"""What each algorithm holds: average cost, profit, fees and cash, beside the simulator's own account."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algos.portfolio import Position
from oms.amounts import ZERO, plus
from oms.book.fees import fee_of
from oms.book.ledger import Ledger
from sim.broker.account import Account
from sim.broker.fees import fee_of as fee_at_broker
from sim.broker.ledger import Fill
from sim.broker.ledger import Ledger as SimulatorLedger
from sim.exchange.assets import Assets

ASSETS = Assets()
SYMBOLS = ("AAPL", "BTC/USD")

fills = st.lists(
    st.tuples(
        st.sampled_from(("alpha", "beta", "external")),
        st.sampled_from(SYMBOLS),
        st.sampled_from(("buy", "sell")),
        st.decimals(min_value="0.000000001", max_value="99999", places=9),
        st.decimals(min_value="0.0001", max_value="99999", places=4),
    ),
    max_size=30,
)


@pytest.mark.property
@given(fills)
def test_the_ledger_is_that_of_the_simulator_over_many_fills(made: list[Any]) -> None:
    ledger, account = Ledger(), Account(ZERO)
    at_broker = SimulatorLedger(ZERO)
    booked: list[Fill] = []
    for number, (name, symbol, side, quantity, price) in enumerate(made):
        asset = ASSETS.add(symbol)
        fee = fee_at_broker(asset, side, quantity, price)
        booked.append(Fill(str(number), str(number), symbol, side, quantity, price, number, fee))
        account.fill(asset, side, quantity, price, fee)
        ledger.fill(name, symbol, side, quantity, price, fee_of(symbol, side, quantity, price))
    at_broker.follow(booked)
    for symbol in SYMBOLS:
        assert ledger.position(symbol) == account.qty(symbol)
        sums = at_broker.sums.get(symbol)
        assert ledger.position(symbol) == (ZERO if sums is None else sums.position)
    assert ledger.cash() == account.cash == at_broker.cash
    # The cost of what is left is rounded to nine places whenever a position is reduced.
    assert abs(ledger.realized_profit() - at_broker.realized) <= Decimal("1E-9") * len(made)
    assert ledger.fees() == sum((one.fees for one in at_broker.sums.values()), ZERO)
    for of, whole in ((ledger.cash, ledger.cash()), (ledger.fees, ledger.fees())):
        assert total(of(name) for name in ledger.names()) == whole
    for symbol in SYMBOLS:
        assert total(ledger.position(symbol, name) for name in ledger.names()) == ledger.position(symbol)


@pytest.mark.property
@given(fills)
def test_an_algorithm_sees_what_the_ledger_says_that_it_has(made: list[Any]) -> None:
    ledger, seen = Ledger(), dict.fromkeys(SYMBOLS, Position())
    for _, symbol, side, quantity, price in made:
        fee = fee_of(symbol, side, quantity, price)
        ledger.fill("alpha", symbol, side, quantity, price, fee)
        seen[symbol] = seen[symbol].after(side, quantity, price, fee)
    for symbol, position in seen.items():
        assert position.quantity == ledger.position(symbol, "alpha")
        held = ledger.holdings("alpha").get(symbol)
        assert abs(position.cost - (ZERO if held is None else held.cost)) <= Decimal("1E-6")


def total(amounts: Any) -> Decimal:
    """The exact sum."""
    found = ZERO
    for amount in amounts:
        found = plus(found, amount)
    return found


@pytest.mark.parametrize(
    ("symbol", "side", "quantity", "price", "fee"),
    [
        ("BTC/USD", "buy", "0.5", "100", "0.00125"),
        ("BTCUSD", "buy", "0.5", "100", "0.00125"),
        ("BTC/USD", "sell", "0.5", "100", "0.125"),
        # Beyond nine places it is rounded.
        ("BTC/USD", "buy", "0.000000399", "1", "0.000000001"),
        ("BTC/USD", "buy", "0.000000001", "1", "0"),
        ("AAPL", "buy", "10", "100", "0"),
        ("AAPL", "sell", "10", "100", "0"),
    ],
)
def test_the_fee_of_an_execution(symbol: str, side: Any, quantity: str, price: str, fee: str) -> None:
    assert fee_of(symbol, side, Decimal(quantity), Decimal(price)) == Decimal(fee)


def test_a_position_costs_what_was_paid_for_what_came() -> None:
    ledger = Ledger()
    ledger.fill("alpha", "BTC/USD", "buy", Decimal("0.5"), Decimal(100), Decimal("0.00125"))
    held = ledger.holdings("alpha")["BTC/USD"]
    assert (held.quantity, held.cost) == (Decimal("0.49875"), 50)
    assert held.average_price == Decimal("100.250626566")
    assert (ledger.cash("alpha"), ledger.fees("alpha"), ledger.realized_profit("alpha")) == (
        -50, Decimal("0.125"), 0,
    )  # fmt: skip
    ledger.fill("alpha", "BTC/USD", "sell", Decimal("0.49875"), Decimal(200), Decimal("0.249375"))
    assert (ledger.position("BTC/USD"), ledger.invested("alpha")) == (0, 0)
    assert ledger.cash("alpha") == ledger.realized_profit("alpha") == Decimal("49.500625")


@pytest.mark.parametrize(
    ("trades", "cost", "realized"),
    [
        ([("buy", 10, 100), ("buy", 10, 110)], 2100, 0),
        ([("buy", 10, 100), ("buy", 10, 110), ("sell", 5, 120)], 1575, 75),
        ([("sell", 10, 100), ("buy", 4, 90)], -600, 40),
        # Through zero: the rest begins at its own price.
        ([("buy", 10, 100), ("sell", 15, 120)], -600, 200),
    ],
)
def test_average_cost(trades: list[tuple[Any, int, int]], cost: int, realized: int) -> None:
    ledger = Ledger()
    for side, quantity, price in trades:
        ledger.fill("alpha", "AAPL", side, Decimal(quantity), Decimal(price), ZERO)
    assert (ledger.holdings("alpha")["AAPL"].cost, ledger.realized_profit("alpha")) == (cost, realized)
    assert ledger.invested("alpha") == abs(cost)
