"""Cash, positions, margin, and how an account shows them."""

from decimal import Decimal

from sim.broker.account import Account
from sim.broker.account_json import account_json, position_json
from sim.broker.brokerage import Brokerage
from sim.broker.configurations import Configurations
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Asset, Assets, made_up
from sim.exchange.hours import MarketHours
from sim.exchange.touch import Touch

AAPL, COIN = made_up("AAPL"), made_up("BTC/USD")


def hundred(symbol: str) -> Decimal:
    return Decimal(100)


def holding(qty: str, asset: Asset = AAPL) -> Account:
    account = Account(Decimal(100_000))
    side = "buy" if Decimal(qty) > 0 else "sell"
    account.fill(asset, side, abs(Decimal(qty)), Decimal(100))
    return account


def order(side: str, qty: int, asset: Asset = AAPL) -> Order:
    ticket = Ticket("c", asset, side, "limit", "day", Decimal(qty), limit_price=Decimal(100))
    return Order("1", ticket, "", Decimal(100), 1, 1, status="new")


class Quiet:
    def touch(self, symbol: str) -> Touch | None:
        return None

    def traded_at(self, symbol: str) -> Decimal | None:
        return Decimal(100)

    def is_halted(self, symbol: str) -> bool:
        return False


def shown(account: Account) -> dict[str, object]:
    brokerage = Brokerage(
        1, Decimal(100_000), Quiet(), MarketHours(True), lambda: "01234567-89ab", lambda: 0.5
    )
    brokerage.account = account
    return account_json(brokerage)


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


def test_shares_bind_a_quarter_of_their_value_and_coins_all_of_it() -> None:
    shares, coins = holding("400").summary(hundred, ()), holding("400", COIN).summary(hundred, ())
    assert (shares.margin, shares.free_margin, shares.buying_power) == (10_000, 90_000, 360_000)
    assert (coins.margin, coins.free_margin, coins.buying_power) == (40_000, 60_000, 240_000)
    assert (shares.initial_margin, shares.maintenance_margin) == (20_000, 12_000)
    assert (coins.initial_margin, coins.maintenance_margin) == (40_000, 40_000)


def test_what_is_bought_for_overnight_is_what_the_documents_show() -> None:
    account = Account(Decimal("103820.56"))
    account.fill(AAPL, "buy", Decimal("1269.6076"), Decimal(100))
    body = shown(account)
    assert (body["cash"], body["equity"], body["long_market_value"]) == ("-23140.2", "103820.56", "126960.76")
    assert (body["initial_margin"], body["maintenance_margin"]) == ("63480.38", "38088.23")
    assert (body["regt_buying_power"], body["options_buying_power"]) == ("80680.36", "40340.18")


def test_a_dangerous_asset_binds_what_it_must_be_kept_with() -> None:
    soxl = Assets().find("SOXL")
    assert soxl is not None
    assert holding("400", soxl).summary(hundred, ()).margin == 30_000


def test_a_short_binds_like_a_long_position() -> None:
    summary = holding("-400").summary(hundred, ())
    assert (summary.short_value, summary.gross_value, summary.equity) == (-40_000, 40_000, 100_000)
    assert summary.free_margin == 90_000


def test_the_owner_may_have_less_lent() -> None:
    account = Account(Decimal(100_000), configurations=Configurations(max_margin_multiplier=2))
    assert account.summary(hundred, ()).buying_power == 200_000
    account.configurations = Configurations(max_margin_multiplier=1)
    assert account.summary(hundred, ()).buying_power == 100_000
    assert shown(account)["multiplier"] == "1"
    assert shown(account)["regt_buying_power"] == "100000"


def test_nothing_is_lent_on_less_than_two_thousand() -> None:
    summary = Account(Decimal("1999.99")).summary(hundred, ())
    assert (summary.multiplier, summary.buying_power, summary.may_short) == (1, Decimal("1999.99"), False)
    assert Account(Decimal(2000)).summary(hundred, ()).buying_power == 8000


def test_orders_that_open_bind_and_orders_that_close_do_not() -> None:
    assert Account(Decimal(100_000)).summary(hundred, [order("buy", 400)]).held_margin == 10_000
    two = [order("buy", 400), order("buy", 100), order("buy", 10, COIN)]
    assert Account(Decimal(100_000)).summary(hundred, two).held_margin == 13_500
    assert holding("-400").summary(hundred, [order("buy", 400)]).held_margin == 0
    assert holding("-400").summary(hundred, [order("buy", 300), order("buy", 300)]).held_margin == 5_000
    assert holding("-400").summary(hundred, [order("buy", 500)]).held_margin == 2_500


def test_the_exits_of_a_group_bind_nothing_while_their_entry_is_open() -> None:
    entry, profit, loss = order("buy", 100), order("sell", 100), order("sell", 100)
    entry.legs = [profit, loss]
    for leg in entry.legs:
        leg.parent, leg.status = entry, "held"
    assert Account(Decimal(100_000)).summary(hundred, [entry, profit, loss]).held_margin == 2_500


def test_the_account_says_what_its_owner_has_set() -> None:
    account = Account(Decimal(100_000))
    body = shown(account)
    assert (body["shorting_enabled"], body["trade_suspended_by_user"]) == (True, False)
    account.configurations = Configurations(no_shorting=True, suspend_trade=True)
    body = shown(account)
    assert (body["shorting_enabled"], body["trade_suspended_by_user"]) == (False, True)


def test_the_next_day_is_compared_with_what_the_last_left() -> None:
    account = holding("10")
    account.last_close = account.at_close("2026-01-05", lambda symbol: Decimal(110))
    body = shown(account)
    assert (body["last_equity"], body["balance_asof"]) == ("100100", "2026-01-05")
    assert body["last_maintenance_margin"] == "330"
    account.fill(AAPL, "buy", Decimal(10), Decimal(120))
    position = position_json(account.positions["AAPL"], Decimal(121), [], account.last_close)
    assert (position["lastday_price"], position["change_today"]) == ("110", "0.1")
    assert position["unrealized_pl"] == "220"
    # Ten shares from 110, and ten at what a share cost on average.
    assert position["unrealized_intraday_pl"] == "220"
    account.fill(AAPL, "sell", Decimal(10), Decimal(121))
    position = position_json(account.positions["AAPL"], Decimal(121), [], account.last_close)
    assert (position["unrealized_pl"], position["unrealized_intraday_pl"]) == ("110", "110")


def test_a_position_shows_what_is_free_of_it() -> None:
    long, short = holding("10").positions["AAPL"], holding("-10").positions["AAPL"]
    shown_long = position_json(long, Decimal(100), [order("sell", 4), order("buy", 3)])
    assert (shown_long["qty"], shown_long["qty_available"], shown_long["side"]) == ("10", "6", "long")
    shown_short = position_json(short, Decimal(100), [order("buy", 4)])
    assert (shown_short["qty"], shown_short["qty_available"], shown_short["side"]) == ("-10", "-6", "short")
    coin = position_json(holding("1", COIN).positions["BTC/USD"], None, [])
    assert (coin["symbol"], coin["asset_marginable"]) == ("BTCUSD", False)
