"""The ledger explains every dollar: step by step, by symbol, and as realized profit."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from account_books import positions_after
from hypothesis import given
from hypothesis import strategies as st

from sim.broker.brokerage import Brokerage
from sim.broker.ledger import EXACT, Fill, Ledger, cash_after
from sim.broker.ledger_json import ledger_json
from sim.broker.orders import Ticket
from sim.exchange.assets import made_up
from sim.exchange.hours import MarketHours
from sim.exchange.market import Market
from sim.exchange.market_messages import Quote

OPENING = Decimal(100_000)


def fill(number: int, side: str, qty: str, price: str, symbol: str = "AAPL") -> Fill:
    return Fill(f"fill-{number}", f"order-{number}", symbol, side, Decimal(qty), Decimal(price), number)


def folded(*fills: Fill) -> Ledger:
    ledger = Ledger(OPENING)
    ledger.follow(fills)
    return ledger


def test_cash_and_position_run_along_with_the_fills() -> None:
    ledger = folded(fill(1, "buy", "10", "20"), fill(2, "sell", "4", "25"), fill(3, "buy", "1", "22"))
    assert [(entry.cash, entry.position, entry.realized) for entry in ledger.entries] == [
        (Decimal(99_800), Decimal(10), Decimal(0)),
        (Decimal(99_900), Decimal(6), Decimal(20)),
        (Decimal(99_878), Decimal(7), Decimal(0)),
    ]
    total = ledger.sums["AAPL"]
    assert (total.bought_qty, total.sold_qty, total.cost_basis) == (Decimal(11), Decimal(4), Decimal(142))


def test_through_zero_the_old_side_is_realized_and_the_rest_opens_at_the_price() -> None:
    ledger = folded(fill(1, "buy", "10", "20"), fill(2, "sell", "15", "30"), fill(3, "buy", "5", "24"))
    assert [entry.realized for entry in ledger.entries] == [0, Decimal(100), Decimal(30)]
    assert ledger.sums["AAPL"].cost_basis == 0
    assert ledger.cash == OPENING + 130


def test_a_short_gains_where_the_price_falls() -> None:
    ledger = folded(fill(1, "sell", "2", "50"), fill(2, "buy", "2", "45"))
    assert ledger.realized == 10


fills = st.lists(
    st.builds(
        fill,
        st.integers(0, 10**6),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 10**15).map(lambda n: str(Decimal(n).scaleb(-9))),
        st.integers(1, 10**12).map(lambda n: str(Decimal(n).scaleb(-4))),
        st.sampled_from(["AAPL", "BTC/USD"]),
    ),
    max_size=30,
)


@given(fills)
def test_opening_cash_and_profit_are_cash_and_what_positions_cost(made: list[Fill]) -> None:
    ledger = folded(*made)
    cost = Decimal(0)
    for one in ledger.sums.values():
        cost = EXACT.add(cost, one.cost_basis)
    off = EXACT.subtract(EXACT.add(ledger.cash, cost), EXACT.add(OPENING, ledger.realized))
    assert abs(off) < Decimal("1e-30")
    assert ledger.cash == cash_after(OPENING, made)
    held = {symbol: one.position for symbol, one in ledger.sums.items() if one.position}
    assert held == positions_after(made)
    for one in ledger.sums.values():
        assert one.position == one.bought_qty - one.sold_qty
        if not one.position:
            assert abs(one.cost_basis) < Decimal("1e-30")
            assert abs(one.realized - (one.sold_value - one.bought_value)) < Decimal("1e-12")


@given(fills, st.integers(0, 30))
def test_a_ledger_read_in_two_parts_is_the_same(made: list[Fill], first: int) -> None:
    ledger = Ledger(OPENING)
    ledger.follow(made[:first])
    ledger.follow(made)
    assert ledger.entries == folded(*made).entries


@pytest.fixture
def broker() -> Brokerage:
    names = itertools.count()
    market = Market()
    market.show(Quote("AAPL", "V", 99.0, 1, "Q", 100.0, 1, [], "C", 1))
    hours = MarketHours(never_closes=True)
    return Brokerage(0, OPENING, market, hours, lambda: f"id-{next(names)}", draw=lambda: 0.9)


def order(broker: Brokerage, name: str, now_ns: int, limit: str | None = None) -> str:
    price = None if limit is None else Decimal(limit)
    kind = "market" if limit is None else "limit"
    ticket = Ticket(name, made_up("AAPL"), "buy", kind, "day", qty=Decimal(2), limit_price=price)
    made = broker.submit(ticket, now_ns)
    broker.accept(made.id, now_ns)
    return made.id


def test_the_answer_tells_reservations_and_no_difference(broker: Brokerage) -> None:
    order(broker, "a", 1)
    resting = order(broker, "b", 2, limit="50")
    told = ledger_json(broker, Ledger(OPENING))
    assert [(one["order_id"], one["qty"], one["value"]) for one in told["reservations"]] == [
        (resting, "2", "100")
    ]
    assert (told["cash"], told["positions"]) == ("99800", {"AAPL": "2"})
    assert told["difference"] == {"cash": "0", "positions": {}, "orders": []}


def test_a_difference_is_named(broker: Brokerage) -> None:
    first = order(broker, "a", 1)
    broker.account.cash += Decimal("0.01")
    broker.account.positions["AAPL"].qty -= 1
    broker.orders[first].filled_qty -= 1
    told = ledger_json(broker, Ledger(OPENING))
    assert told["difference"] == {"cash": "0.01", "positions": {"AAPL": "-1"}, "orders": [first]}


def test_a_long_run_is_followed_from_where_one_stopped(broker: Brokerage) -> None:
    ledger = Ledger(OPENING)
    order(broker, "a", 1)
    resting = order(broker, "b", 2, limit="50")
    seen: dict[str, Any] = ledger_json(broker, ledger)
    assert (len(seen["fills"]), seen["next"]) == (1, 1)
    last = order(broker, "c", 3)
    news = ledger_json(broker, ledger, since=seen["next"])
    assert [one["number"] for one in news["fills"]] == [1]
    assert {one["id"] for one in news["orders"]} >= {resting, last}
    assert news["cash"] == "99600"
