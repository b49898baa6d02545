"""Orders that an account allows beside its positions and open orders, and refusals in Alpaca's words."""

from dataclasses import replace
from decimal import Decimal

import pytest

from sim.broker.account import Account
from sim.broker.admission import admit, intent
from sim.broker.configurations import Configurations
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Asset, Assets, made_up
from sim.exchange.touch import Touch
from sim.refusals import Refused

AAPL, COIN, TETHER = made_up("AAPL"), made_up("BTC/USD"), made_up("BTC/USDT")
TOUCH = Touch(Decimal("99.99"), Decimal(100))


def peculiar(symbol: str) -> Asset:
    asset = Assets().find(symbol)
    assert asset is not None
    return asset


def ticket(side: str, qty: str, asset: Asset = AAPL, **fields: object) -> Ticket:
    made = Ticket("c", asset, side, "market", "day", Decimal(qty))
    return replace(made, **fields)  # type: ignore[arg-type]


def limit(side: str, qty: str, price: str = "100", asset: Asset = AAPL) -> Ticket:
    return ticket(side, qty, asset, type="limit", limit_price=Decimal(price))


def by_value(side: str, notional: str, asset: Asset = AAPL) -> Ticket:
    return replace(ticket(side, "1", asset), qty=None, notional=Decimal(notional))


def check(account: Account, wanted: Ticket, *open_tickets: Ticket) -> None:
    orders = [
        Order(str(n), held, "", Decimal(100), 1, 1, status="new") for n, held in enumerate(open_tickets)
    ]
    admit(wanted, account, orders, TOUCH, lambda symbol: Decimal(100))


def refusal(account: Account, wanted: Ticket, *open_tickets: Ticket) -> tuple[int, dict[str, object]]:
    with pytest.raises(Refused) as refused:
        check(account, wanted, *open_tickets)
    return refused.value.status, refused.value.body


def words(account: Account, wanted: Ticket, *open_tickets: Ticket) -> tuple[int, object]:
    status, body = refusal(account, wanted, *open_tickets)
    return status, body["message"]


def rich(**settings: object) -> Account:
    return Account(Decimal(100_000), configurations=Configurations(**settings))  # type: ignore[arg-type]


def holding(qty: str, asset: Asset = AAPL) -> Account:
    account = rich()
    side = "buy" if Decimal(qty) > 0 else "sell"
    account.fill(asset, side, abs(Decimal(qty)), Decimal(100))
    return account


def test_an_empty_account_buys_shares_for_four_times_its_cash() -> None:
    check(rich(), ticket("buy", "4000"))
    assert refusal(rich(), ticket("buy", "4001")) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient buying power",
            "buying_power": "400000",
            "cost_basis": "400100",
        },
    )


def test_the_multiplier_is_what_the_owner_wants() -> None:
    check(rich(max_margin_multiplier=2), ticket("buy", "2000"))
    assert words(rich(max_margin_multiplier=2), ticket("buy", "2001")) == (403, "insufficient buying power")
    assert words(rich(max_margin_multiplier=1), ticket("buy", "1001")) == (403, "insufficient buying power")


def test_coins_are_bought_without_credit() -> None:
    check(rich(), ticket("buy", "1000", COIN))
    assert refusal(rich(), ticket("buy", "1001", COIN)) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient balance for USD (requested: 100100, available: 100000)",
            "available": "100000",
            "balance": "100000",
            "symbol": "USD",
        },
    )


def test_coins_are_bought_for_what_shares_leave_overnight() -> None:
    account = holding("1600")  # 160,000 dollars of shares, of which 80,000 are lent
    check(account, ticket("buy", "200", COIN))
    assert words(account, ticket("buy", "201", COIN)) == (
        403,
        "insufficient balance for USD (requested: 20100, available: 20000)",
    )


def test_what_is_quoted_in_what_nobody_has_is_not_bought() -> None:
    status, message = words(rich(), ticket("buy", "1", TETHER))
    assert (status, message) == (403, "insufficient balance for USDT (requested: 100, available: 0)")


def test_coins_are_bought_for_ten_dollars_at_least() -> None:
    check(rich(), by_value("buy", "10", COIN))
    assert words(rich(), by_value("buy", "9.99", COIN)) == (
        403,
        "cost basis must be >= minimal amount of order 10",
    )


def test_open_orders_hold_buying_power() -> None:
    check(rich(), limit("buy", "1000"), limit("buy", "3000"))
    assert words(rich(), limit("buy", "1001"), limit("buy", "3000")) == (403, "insufficient buying power")


def test_a_short_counts_three_percent_above_the_offer_or_at_its_limit() -> None:
    check(rich(), ticket("sell", "3883"))
    assert words(rich(), ticket("sell", "3884")) == (403, "insufficient buying power")
    check(rich(), limit("sell", "2000", "200"))
    assert words(rich(), limit("sell", "2001", "200")) == (403, "insufficient buying power")


def test_a_leveraged_asset_takes_more_of_it() -> None:
    soxl = peculiar("SOXL")
    check(rich(), ticket("buy", "1333", soxl))
    status, body = refusal(rich(), ticket("buy", "1334", soxl))
    assert (status, body["buying_power"]) == (403, "133333.33")


def test_an_order_that_closes_needs_none() -> None:
    poor = holding("-3000")
    poor.cash -= 90_000
    check(poor, ticket("buy", "1000"))
    check(poor, ticket("buy", "1000"), ticket("buy", "2000"))


def test_what_is_not_there_or_not_free_is_not_sold() -> None:
    check(holding("10"), ticket("sell", "10"))
    assert refusal(holding("10"), ticket("sell", "7"), ticket("sell", "4")) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient qty available for order (requested: 7, available: 6)",
            "symbol": "AAPL",
            "existing_qty": "10",
            "held_for_orders": "4",
            "available": "6",
            "related_orders": ["0"],
        },
    )


@pytest.mark.parametrize(("held", "side"), [("10", "sell"), ("-10", "buy")])
def test_nobody_goes_through_zero(held: str, side: str) -> None:
    check(holding(held), ticket(side, "10"))
    status, body = refusal(holding(held), ticket(side, "11"))
    assert (status, body["message"]) == (
        403,
        "insufficient qty available for order (requested: 11, available: 10)",
    )
    assert "related_orders" not in body


def test_a_sale_by_value_takes_what_it_comes_to() -> None:
    check(holding("10"), by_value("sell", "999.90"))
    assert words(holding("10"), by_value("sell", "1000")) == (
        403,
        "insufficient qty available for order (requested: 10.0010001, available: 10)",
    )
    assert (
        refusal(holding("10"), ticket("sell", "7"), by_value("sell", "399.96"))[1]["held_for_orders"] == "4"
    )


def test_both_exits_of_a_group_hold_the_position_once() -> None:
    account = holding("10")
    loss = ticket("sell", "10", type="stop", stop_price=Decimal(90), order_class="oco")
    oco = replace(limit("sell", "10", "110"), order_class="oco", legs=(loss,))
    check(account, oco)
    parent = Order("1", oco, "", Decimal(0), 1, 1, status="new")
    leg = Order("2", loss, "", Decimal(0), 1, 1, status="held", parent=parent)
    parent.legs = [leg]
    with pytest.raises(Refused) as refused:
        admit(ticket("sell", "1"), account, [parent, leg], TOUCH, lambda symbol: Decimal(100))
    assert (refused.value.body["held_for_orders"], refused.value.body["related_orders"]) == ("10", ["1"])


def test_coins_that_are_not_there_are_not_sold() -> None:
    assert refusal(holding("0.5", COIN), ticket("sell", "0.7", COIN)) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient balance for BTC (requested: 0.7, available: 0.5)",
            "available": "0.5",
            "balance": "0.5",
            "symbol": "USD",
        },
    )
    assert words(rich(), ticket("sell", "1", COIN))[0] == 403


def test_who_may_sell_short_and_what() -> None:
    check(rich(), ticket("sell", "10"))
    assert words(rich(), ticket("sell", "0.5")) == (422, "fractional orders cannot be sold short")
    assert words(rich(), by_value("sell", "50")) == (422, "fractional orders cannot be sold short")
    assert words(rich(no_shorting=True), ticket("sell", "1")) == (403, "account is not allowed to short")
    assert words(rich(max_margin_multiplier=1), ticket("sell", "1")) == (
        403,
        "account is not allowed to short",
    )
    assert words(Account(Decimal(1_999)), ticket("sell", "1")) == (403, "account is not allowed to short")
    assert words(rich(), ticket("sell", "1", peculiar("SOXL"))) == (422, 'asset "SOXL" cannot be sold short')


def test_what_is_hard_to_borrow_is_sold_for_the_day_alone() -> None:
    beyond = peculiar("BYND")
    check(rich(), ticket("sell", "1", beyond))
    check(rich(), ticket("buy", "1", beyond, time_in_force="gtc"))
    assert words(rich(), ticket("sell", "1", beyond, time_in_force="gtc")) == (
        422,
        'only day orders are allowed for hard-to-borrow asset "BYND"',
    )


def test_who_suspends_trading_opens_and_closes_nothing() -> None:
    account = holding("10")
    account.configurations = Configurations(suspend_trade=True)
    for side in ("buy", "sell"):
        assert words(account, ticket(side, "1")) == (403, "new orders are rejected by user request")


def test_fractions_can_be_switched_off_for_shares() -> None:
    account = rich(fractional_trading=False)
    check(account, ticket("buy", "1"))
    check(account, ticket("buy", "0.5", COIN))
    for wanted in (ticket("buy", "0.5"), by_value("buy", "5")):
        assert words(account, wanted) == (403, "fractional trading is disabled for this account")


def test_fractions_can_be_for_market_orders_alone() -> None:
    account = rich()
    check(account, limit("buy", "0.5"))
    account.fractions_at_market_only = True
    check(account, ticket("buy", "0.5"))
    check(account, limit("buy", "0.5", asset=COIN))
    check(account, limit("buy", "1"))
    assert words(account, limit("buy", "0.5")) == (422, "fractional orders must be market orders")


def test_beyond_six_times_its_equity_an_account_may_only_close() -> None:
    account = holding("4000")
    account.cash -= 34_000  # 66,000 are left of 100,000, and 400,000 are held
    assert words(account, ticket("buy", "1")) == (403, "account is restricted to liquidation only")
    check(account, ticket("sell", "4000"))


def test_nobody_opens_both_ways_at_once() -> None:
    trailing = {"type": "trailing_stop", "trail_percent": Decimal(1)}
    assert words(rich(), ticket("sell", "1", **trailing), limit("buy", "1")) == (
        403,
        "cannot open a short sell while a long buy order is open",
    )
    assert words(rich(), limit("buy", "1", "90"), limit("sell", "1", "110")) == (
        403,
        "cannot open a long buy while a short sell order is open",
    )
    check(holding("5"), limit("buy", "1", "90"), limit("sell", "1", "110"))


@pytest.mark.parametrize(
    ("side", "stop", "relation"),
    [("sell", "100", "less"), ("sell", "101", "less"), ("buy", "100", "greater")],
)
def test_a_stop_that_would_be_woken_at_once_is_refused(side: str, stop: str, relation: str) -> None:
    wanted = ticket(side, "1", type="stop", stop_price=Decimal(stop))
    assert refusal(holding("1"), wanted) == (
        422,
        {
            "code": 42210000,
            "message": f"stop price must be {relation} than current price",
            "stop_price": stop,
            "market_price": "100",
        },
    )


def group(order_class: str, side: str, profit: str, loss: str, base: str | None = None) -> Ticket:
    leaves = side if order_class == "oco" else "sell" if side == "buy" else "buy"
    stop = ticket(leaves, "1", type="stop", stop_price=Decimal(loss), order_class=order_class)
    if order_class == "oco":
        return replace(limit(side, "1", profit), order_class="oco", legs=(stop,))
    take = replace(limit(leaves, "1", profit), order_class=order_class)
    entry = ticket(side, "1") if base is None else limit(side, "1", base)
    return replace(entry, order_class=order_class, legs=(take, stop))


@pytest.mark.parametrize(
    ("wanted", "base", "message"),
    [
        (group("bracket", "buy", "110", "100"), "100", "stop_loss.stop_price must be <= base_price - 0.01"),
        (group("bracket", "buy", "100", "90"), "100", "take_profit.limit_price must be >= base_price + 0.01"),
        (group("bracket", "sell", "90", "100"), "100", "stop_loss.stop_price must be >= base_price + 0.01"),
        (
            group("bracket", "sell", "100", "110"),
            "100",
            "take_profit.limit_price must be <= base_price - 0.01",
        ),
        (
            group("bracket", "buy", "110", "95", "95"),
            "95",
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
    ],
)
def test_the_legs_of_a_group_lie_a_cent_beyond_its_base_price(
    wanted: Ticket, base: str, message: str
) -> None:
    assert refusal(rich(), wanted) == (422, {"code": 42210000, "message": message, "base_price": base})


def test_groups_that_keep_their_distance_are_allowed() -> None:
    check(rich(), group("bracket", "buy", "100.01", "99.99"))
    check(rich(), group("bracket", "sell", "99.99", "100.01"))
    check(holding("1"), group("oco", "sell", "110", "99.99"))
    assert words(holding("1"), group("oco", "sell", "110", "100"))[0] == 422


def test_brackets_enter_and_oco_orders_exit() -> None:
    assert words(holding("-1"), group("bracket", "buy", "110", "90")) == (
        422,
        "bracket orders must be entry orders",
    )
    check(holding("1"), group("bracket", "buy", "110", "90"))
    assert words(rich(), group("oco", "sell", "110", "90")) == (422, "oco orders must be exit orders")


def test_an_order_does_what_its_owner_says_it_does() -> None:
    check(rich(), ticket("buy", "1", position_intent="buy_to_open"))
    assert words(rich(), ticket("sell", "1", position_intent="sell_to_close")) == (
        422,
        "position intent mismatch, inferred: sell_to_open, specified: sell_to_close",
    )


@pytest.mark.parametrize(
    ("side", "held", "word"),
    [("buy", 0, "buy_to_open"), ("buy", -1, "buy_to_close"), ("sell", 1, "sell_to_close"),
     ("sell", 0, "sell_to_open")],
)  # fmt: skip
def test_the_intent_says_what_the_order_does_to_the_position(side: str, held: int, word: str) -> None:
    assert intent(ticket(side, "1"), Decimal(held)) == word
