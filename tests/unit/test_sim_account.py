"""Cash, positions, and what both allow."""

from decimal import Decimal

import pytest

from sim.broker.account import Account
from sim.broker.admission import admit, intent
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Asset, made_up
from sim.exchange.touch import Touch
from sim.refusals import Refused

AAPL, COIN = made_up("AAPL"), made_up("BTC/USD")
TOUCH = Touch(Decimal("99.99"), Decimal(100))


def ticket(side: str, qty: str, asset: Asset = AAPL) -> Ticket:
    return Ticket("c", asset, side, "market", "day", Decimal(qty))


def check(account: Account, wanted: Ticket, *open_tickets: Ticket) -> None:
    orders = [
        Order(str(n), held, "", Decimal(100), 1, 1, status="new") for n, held in enumerate(open_tickets)
    ]
    admit(wanted, account, orders, TOUCH, lambda symbol: Decimal(100))


def holding(qty: str, asset: Asset = AAPL) -> Account:
    account = Account(Decimal(100_000))
    side = "buy" if Decimal(qty) > 0 else "sell"
    account.fill(asset, side, abs(Decimal(qty)), Decimal(100))
    return account


def test_a_position_through_zero_costs_what_its_rest_cost() -> None:
    account = Account(Decimal(1000))
    account.fill(AAPL, "buy", Decimal(4), Decimal(10))
    account.fill(AAPL, "buy", Decimal(4), Decimal(20))
    position = account.positions["AAPL"]
    assert position.avg_entry_price == 15
    assert account.fill(AAPL, "sell", Decimal(2), Decimal(30)) == 6
    assert position.avg_entry_price == 15
    assert account.fill(AAPL, "sell", Decimal(10), Decimal(12)) == -4
    assert (position.avg_entry_price, position.cost_basis) == (12, -48)
    assert account.fill(AAPL, "buy", Decimal(4), Decimal(11)) == 0
    assert account.positions == {}
    assert account.cash == 1000 - 40 - 80 + 60 + 120 - 44


def test_an_empty_account_buys_shares_for_four_times_its_cash() -> None:
    check(Account(Decimal(100_000)), ticket("buy", "4000"))
    with pytest.raises(Refused) as refused:
        check(Account(Decimal(100_000)), ticket("buy", "4001"))
    assert refused.value.status == 403
    assert refused.value.body == {
        "code": 40310000,
        "message": "insufficient buying power",
        "buying_power": "400000",
        "cost_basis": "400100",
    }


def test_coins_are_bought_without_credit() -> None:
    check(Account(Decimal(100_000)), ticket("buy", "1000", COIN))
    with pytest.raises(Refused, match="insufficient buying power"):
        check(Account(Decimal(100_000)), ticket("buy", "1001", COIN))


def test_open_orders_hold_buying_power() -> None:
    check(Account(Decimal(100_000)), ticket("buy", "1000"), ticket("buy", "3000"))
    with pytest.raises(Refused, match="insufficient buying power"):
        check(Account(Decimal(100_000)), ticket("buy", "1001"), ticket("buy", "3000"))


def test_an_order_that_closes_holds_none() -> None:
    account = holding("-3000")
    check(account, ticket("buy", "1000"), ticket("buy", "3000"))


def test_what_is_not_there_or_not_free_is_not_sold() -> None:
    check(holding("10"), ticket("sell", "10"))
    with pytest.raises(Refused) as refused:
        check(holding("10"), ticket("sell", "7"), ticket("sell", "4"))
    assert refused.value.status == 403
    assert refused.value.body == {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 7, available: 6)",
        "symbol": "AAPL",
        "existing_qty": "10",
        "held_for_orders": "4",
        "available": "6",
        "related_orders": ["0"],
    }


def test_shares_are_sold_short_whole_and_coins_not_at_all() -> None:
    check(Account(Decimal(100_000)), ticket("sell", "10"))
    with pytest.raises(Refused, match="sold short"):
        check(Account(Decimal(100_000)), ticket("sell", "0.5"))
    with pytest.raises(Refused, match="insufficient balance for BTC"):
        check(Account(Decimal(100_000)), ticket("sell", "1", COIN))


@pytest.mark.parametrize(
    ("side", "held", "word"),
    [("buy", 0, "buy_to_open"), ("buy", -1, "buy_to_close"), ("sell", 1, "sell_to_close"),
     ("sell", 0, "sell_to_open")],
)  # fmt: skip
def test_the_intent_says_what_the_order_does_to_the_position(side: str, held: int, word: str) -> None:
    assert intent(ticket(side, "1"), Decimal(held)) == word
