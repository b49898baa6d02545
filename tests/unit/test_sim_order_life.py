"""One order's life: stops and trailing stops, sessions and auctions, halts, and ends by time."""

from dataclasses import replace
from decimal import Decimal

import pytest
from floor import Floor

from sim.broker.orders import order_json
from sim.refusals import Refused
from sim.times import parse_ns

MONDAY = "2026-01-05T"
TUESDAY = "2026-01-06T"


def at(moment: str, never_closes: bool = False) -> Floor:
    """A floor at a moment of New York's time, with a quote and a last price."""
    made = Floor(never_closes, parse_ns(f"{moment}-05:00"))
    made.quote("99.99", "100.00")
    made.trade("100.00")
    return made


@pytest.fixture
def floor() -> Floor:
    return at(MONDAY + "12:00:00")


def test_a_trailing_sell_follows_the_price_up_and_sells_on_the_way_down(floor: Floor) -> None:
    floor.submit(floor.ticket())
    order = floor.submit(floor.ticket("sell", "trailing_stop", trail_price="2"))
    assert (order.high_water_mark, order.stop_price) == (100, 98)
    for price, stop in (("101", 99), ("100", 99), ("105.5", Decimal("103.5")), ("103.51", Decimal("103.5"))):
        floor.move(price)
        assert order.stop_price == stop
    shown = order_json(order)
    assert (shown["hwm"], shown["stop_price"], shown["trail_price"]) == ("105.5", "103.5", "2")
    floor.move("103.5")
    assert order.status == "filled"
    assert floor.broker.fills[-1].price == Decimal("103.5")


def test_a_trailing_buy_follows_the_price_down_by_a_share_of_it(floor: Floor) -> None:
    order = floor.submit(floor.ticket("buy", "trailing_stop", trail_percent="1"))
    assert order.stop_price == 101
    floor.move("90")
    assert (order.high_water_mark, order.stop_price) == (90, Decimal("90.9"))
    floor.move("90.9")
    assert order.status == "filled"


def test_a_trailing_stop_without_a_last_price_starts_with_the_first_trade() -> None:
    floor = Floor()
    floor.quote("99.99", "100.00")
    order = floor.submit(floor.ticket("buy", "trailing_stop", trail_price="1"))
    assert (order.high_water_mark, order.stop_price, order.status) == (None, None, "new")
    floor.trade("50")
    assert order.stop_price == 51


def test_a_replaced_trail_keeps_the_high_water_mark(floor: Floor) -> None:
    floor.submit(floor.ticket())
    old = floor.submit(floor.ticket("sell", "trailing_stop", trail_price="2"))
    floor.trade("110")
    floor.move("109")
    new = floor.replace(old, replace(old.ticket, client_order_id="x", trail_price=Decimal(5)))
    assert (new.high_water_mark, new.stop_price, new.replaces) == (110, 105, old.id)


def test_a_buy_stop_buys_no_dearer_than_its_collar(floor: Floor) -> None:
    order = floor.submit(floor.stop("210"))
    floor.quote("211", "215.26")
    floor.trade("211")
    assert (order.status, order.is_triggered) == ("new", True)
    floor.quote("211", "215.25")
    assert order.status == "filled"


def test_a_stop_limit_waits_for_its_stop_and_then_for_its_limit(floor: Floor) -> None:
    order = floor.submit(floor.stop("110", "111"))
    floor.quote("104.99", "105")
    assert order.status == "new"
    floor.quote("112", "112.01")
    floor.trade("112")
    assert order.status == "new"
    floor.quote("110.5", "111")
    assert order.status == "filled"


@pytest.mark.parametrize("moment", ["17:00:00", "21:00:00"])
def test_an_evening_order_is_accepted_then_new_at_four_and_works_from_the_open_on(moment: str) -> None:
    floor = at(MONDAY + moment)
    order = floor.submit(floor.ticket())
    assert (order.status, floor.told()) == ("accepted", ["accepted"])
    assert not floor.broker.is_working("AAPL")
    floor.move("99")
    floor.pass_time(TUESDAY + "03:59:59-05:00")
    assert order.status == "accepted"
    floor.pass_time(TUESDAY + "09:29:59-05:00")
    assert (order.status, floor.told()) == ("new", ["accepted", "new"])
    shown = order_json(order)
    assert parse_ns(shown["submitted_at"]) == parse_ns(TUESDAY + "04:00:00-05:00")
    assert parse_ns(shown["created_at"]) == parse_ns(MONDAY + moment + "-05:00")
    floor.pass_time(TUESDAY + "09:30:00-05:00")
    assert (order.status, floor.told()) == ("filled", ["accepted", "new", "fill"])


def test_before_the_open_an_order_is_new_and_waits() -> None:
    floor = at(MONDAY + "05:00:00")
    order = floor.submit(floor.ticket())
    floor.move("99")
    assert (order.status, floor.broker.is_working("AAPL")) == ("new", False)
    floor.pass_time(MONDAY + "09:30:00-05:00")
    assert floor.told() == ["new", "fill"]


def test_an_extended_order_works_before_and_after_the_session() -> None:
    floor = at(MONDAY + "03:00:00")
    order = floor.submit(floor.ticket(type="limit", limit_price="90", extended_hours=True))
    plain = floor.submit(floor.ticket(type="limit", limit_price="90"))
    floor.pass_time(MONDAY + "04:00:00-05:00")
    assert floor.broker.is_working("AAPL")
    assert (order.status, plain.status) == ("new", "new")
    floor.pass_time(MONDAY + "16:00:00-05:00")
    assert (order.status, plain.status) == ("new", "expired")
    assert parse_ns(order_json(order)["expires_at"]) == parse_ns(MONDAY + "20:00:00-05:00")
    floor.quote("89.98", "89.99")
    assert order.status == "filled"


def test_an_extended_order_expires_in_the_evening() -> None:
    floor = at(MONDAY + "17:00:00")
    order = floor.submit(floor.ticket(type="limit", limit_price="90", extended_hours=True))
    floor.pass_time(MONDAY + "20:00:00-05:00")
    assert (order.status, floor.told()) == ("expired", ["new", "expired"])


def test_a_day_order_expires_at_the_close(floor: Floor) -> None:
    order = floor.submit(floor.ticket(type="limit", limit_price="90"))
    close_ns = parse_ns(MONDAY + "16:00:00-05:00")
    assert parse_ns(order_json(order)["expires_at"]) == close_ns
    floor.pass_time(MONDAY + "16:00:00-05:00")
    shown = order_json(order)
    assert (shown["status"], parse_ns(shown["expired_at"])) == ("expired", close_ns)
    assert floor.told() == ["new", "expired"]
    with pytest.raises(Refused, match="expired"):
        floor.cancel(order)


def test_an_order_good_till_cancelled_sleeps_overnight_and_dies_of_age(floor: Floor) -> None:
    order = floor.submit(floor.ticket(type="limit", tif="gtc", limit_price="90"))
    floor.pass_time(MONDAY + "18:00:00-05:00")
    floor.quote("80", "80.01")
    assert order.status == "new"
    floor.quote("99.99", "100")
    floor.pass_time("2026-04-05T16:14:59-04:00")
    assert order.status == "new"
    floor.pass_time("2026-04-05T16:15:00-04:00")
    assert (order.status, order.expires_ns) == ("canceled", parse_ns("2026-04-05T16:15:00-04:00"))


def test_an_order_that_slept_is_offered_the_quote_of_the_morning(floor: Floor) -> None:
    order = floor.submit(floor.ticket(type="limit", tif="gtc", limit_price="90"))
    floor.pass_time(TUESDAY + "09:00:00-05:00")
    floor.quote("80", "80.01")
    floor.pass_time(TUESDAY + "09:30:00-05:00")
    assert (order.status, floor.told()) == ("filled", ["new", "fill"])


def test_a_stop_sleeps_outside_the_session_and_wakes_with_the_morning(floor: Floor) -> None:
    order = floor.submit(floor.stop("110", tif="gtc"))
    floor.pass_time(MONDAY + "17:00:00-05:00")
    floor.move("110")
    assert not order.is_triggered
    floor.pass_time(TUESDAY + "09:30:00-05:00")
    assert order.status == "filled"


def test_a_morning_halt_lets_the_stop_sleep_on(floor: Floor) -> None:
    order = floor.submit(floor.stop("110", tif="gtc"))
    floor.pass_time(MONDAY + "17:00:00-05:00")
    floor.move("111")
    floor.halted.add("AAPL")
    floor.pass_time(TUESDAY + "09:30:00-05:00")
    assert not order.is_triggered
    floor.halted.clear()
    floor.move("111.5")
    assert order.status == "filled"


@pytest.mark.parametrize(("tif", "auction"), [("opg", "09:30:00"), ("cls", "16:00:00")])
@pytest.mark.parametrize("never_closes", [False, True])
def test_an_auction_order_fills_at_its_auction_or_ends_there(
    tif: str, auction: str, never_closes: bool
) -> None:
    floor = at(MONDAY + "08:00:00", never_closes)
    market = floor.submit(floor.ticket(tif=tif))
    limit = floor.submit(floor.ticket(type="limit", tif=tif, limit_price="90"))
    floor.quote("89.99", "90")
    assert (market.status, limit.status) == ("new", "new")
    floor.quote("99.99", "100")
    floor.pass_time(MONDAY + auction + "-05:00")
    assert (floor.told(market), floor.told(limit)) == (
        ["new", "fill"], ["new", "canceled"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tif", "moment", "is_taken"),
    [
        ("opg", "09:28:00", True),
        ("opg", "09:28:01", False),
        ("opg", "18:59:59", False),
        ("opg", "19:00:00", True),
        ("cls", "15:55:00", True),
        ("cls", "15:55:01", False),
        ("cls", "19:00:00", True),
    ],
)
def test_auctions_have_a_last_call(tif: str, moment: str, is_taken: bool) -> None:
    floor = at(MONDAY + moment)
    if is_taken:
        assert floor.submit(floor.ticket(tif=tif)).is_open
    else:
        with pytest.raises(Refused, match=f"{tif} orders must be submitted after"):
            floor.submit(floor.ticket(tif=tif))
    always = at(MONDAY + moment, never_closes=True)
    assert always.submit(always.ticket(tif=tif)).is_open


def test_where_the_market_never_closes_a_day_order_still_ends_with_the_day() -> None:
    floor = at(MONDAY + "15:30:00", never_closes=True)
    order = floor.submit(floor.ticket(type="limit", limit_price="90"))
    floor.pass_time(MONDAY + "23:00:00-05:00")
    assert order.status == "new"
    floor.pass_time(TUESDAY + "16:00:00-05:00")
    assert order.status == "expired"


def test_coins_know_no_sessions() -> None:
    floor = at("2026-01-04T03:00:00")
    floor.quote("99.99", "100", "BTC/USD")
    order = floor.submit(floor.ticket(symbol="BTC/USD", tif="gtc"))
    resting = floor.submit(floor.ticket(symbol="BTC/USD", type="limit", tif="gtc", limit_price="90"))
    assert (order.status, resting.status, resting.expires_ns) == ("filled", "new", None)
    floor.pass_time("2026-12-31T16:00:00-05:00")
    floor.quote("89.99", "90", "BTC/USD")
    assert resting.status == "filled"


@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_what_must_fill_at_once_waits_for_the_session_and_then_does_not(tif: str) -> None:
    floor = at(MONDAY + "05:00:00")
    order = floor.submit(floor.ticket(type="limit", tif=tif, limit_price="90"))
    assert order.status == "new"
    floor.pass_time(MONDAY + "09:30:00-05:00")
    assert floor.told() == ["new", "canceled"]


def test_the_rest_of_a_partial_fill_at_once_is_cancelled() -> None:
    floor = Floor(draw=lambda: 0.3, partial_chance=0.5)
    floor.quote("99.99", "100.00")
    order = floor.submit(floor.ticket(tif="ioc"))
    assert (order.status, order.filled_qty) == ("canceled", 3)
    assert floor.told() == ["new", "partial_fill", "canceled"]


def test_an_order_for_a_halted_symbol_waits_until_it_trades_again(floor: Floor) -> None:
    floor.halted.add("AAPL")
    order = floor.submit(floor.ticket())
    stop = floor.submit(floor.stop("101"))
    floor.quote("104.99", "105")
    floor.trade("105")
    assert (order.status, stop.status, stop.is_triggered) == ("new", "new", False)
    floor.halted.clear()
    floor.quote("104.99", "105")
    assert order.status == "filled"
    floor.trade("105")
    assert stop.is_triggered


@pytest.mark.parametrize(("side", "outside", "inside"), [("sell", "89.98", "90"), ("buy", "111", "110")])
def test_a_trade_outside_the_quote_wakes_no_stop(side: str, outside: str, inside: str) -> None:
    floor = at(MONDAY + "12:00:00")
    stop = floor.submit(floor.stop("90" if side == "sell" else "110", side=side))
    floor.quote("89.99", "110.01")
    floor.trade(outside)
    assert not stop.is_triggered
    floor.trade(inside)
    assert stop.is_triggered


def test_whatever_is_due_before_it_was_accepted_ends_all_the_same() -> None:
    floor = at(MONDAY + "15:59:59")
    order = floor.broker.submit(floor.ticket(type="limit", limit_price="90"), floor.now_ns)
    floor.pass_time(MONDAY + "16:00:01-05:00")
    assert floor.broker.accept(order.id, floor.now_ns) == []
    assert (order.status, floor.told()) == ("expired", ["expired"])


def test_without_open_orders_nothing_is_waited_for(floor: Floor) -> None:
    assert floor.broker.next_moment_ns(floor.now_ns) is None
    order = floor.submit(floor.ticket(type="limit", limit_price="90"))
    assert floor.broker.next_moment_ns(floor.now_ns) == parse_ns(MONDAY + "16:00:00-05:00")
    floor.cancel(order)
    assert floor.broker.next_moment_ns(floor.now_ns) is None
