"""An order's day: sessions, auctions, extended hours, and the end by its time in force."""

import pytest
from floor import Floor

from sim.broker.orders import order_json
from sim.refusals import Refused
from sim.times import parse_ns

MONDAY = "2026-01-05T"
TUESDAY = "2026-01-06T"


@pytest.fixture
def floor() -> Floor:
    return Floor.at("2026-01-05T12:00:00")


@pytest.mark.parametrize("moment", ["17:00:00", "21:00:00"])
def test_an_evening_order_is_accepted_then_new_at_four_and_works_from_the_open_on(moment: str) -> None:
    floor = Floor.at(MONDAY + moment)
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


def test_what_waited_for_the_morning_is_listed_by_when_it_was_sent() -> None:
    floor = Floor.at(MONDAY + "19:30:00")
    waits = floor.submit(floor.ticket(type="limit", limit_price="90"))
    works = floor.submit(floor.ticket(type="limit", limit_price="90", extended_hours=True, tif="gtc"))
    assert floor.broker.open_orders() == [waits, works]
    floor.pass_time("2026-01-06T04:00:00-05:00")
    assert floor.broker.open_orders() == list(floor.broker.orders.values()) == [works, waits]
    assert works.sent_ns < waits.sent_ns == floor.now_ns


def test_before_the_open_an_order_is_new_and_waits() -> None:
    floor = Floor.at(MONDAY + "05:00:00")
    order = floor.submit(floor.ticket())
    floor.move("99")
    assert (order.status, floor.broker.is_working("AAPL")) == ("new", False)
    floor.pass_time(MONDAY + "09:30:00-05:00")
    assert floor.told() == ["new", "fill"]


def test_an_extended_order_works_before_and_after_the_session() -> None:
    floor = Floor.at(MONDAY + "03:00:00")
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
    floor = Floor.at(MONDAY + "17:00:00")
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


@pytest.mark.parametrize(("tif", "auction"), [("opg", "09:30:00"), ("cls", "16:00:00")])
@pytest.mark.parametrize("never_closes", [False, True])
def test_an_auction_order_fills_at_its_auction_or_ends_there(
    tif: str, auction: str, never_closes: bool
) -> None:
    floor = Floor.at(MONDAY + "08:00:00", never_closes)
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
    floor = Floor.at(MONDAY + moment)
    if is_taken:
        assert floor.submit(floor.ticket(tif=tif)).is_open
    else:
        with pytest.raises(Refused, match=f"{tif} orders must be submitted after"):
            floor.submit(floor.ticket(tif=tif))
    always = Floor.at(MONDAY + moment, never_closes=True)
    assert always.submit(always.ticket(tif=tif)).is_open


@pytest.mark.parametrize(
    ("moment", "is_taken"), [("12:55:00", True), ("12:55:01", False), ("18:00:00", False)]
)
def test_an_early_close_moves_the_last_call_but_not_the_evening(moment: str, is_taken: bool) -> None:
    floor = Floor.at(f"2026-11-27T{moment}")
    if is_taken:
        assert floor.submit(floor.ticket(tif="cls")).is_open
    else:
        with pytest.raises(Refused, match="cls orders must be submitted after"):
            floor.submit(floor.ticket(tif="cls"))


def test_after_the_last_call_an_order_for_the_auction_is_not_replaced_either() -> None:
    floor = Floor.at(MONDAY + "09:00:00")
    order = floor.submit(floor.ticket(type="limit", tif="opg", limit_price="90"))
    dearer = floor.ticket(type="limit", tif="opg", limit_price="91")
    floor.pass_time(f"{MONDAY}09:28:01-05:00")
    with pytest.raises(Refused, match="opg orders must be submitted after"):
        floor.replace(order, dearer)
    assert order.is_open


def test_where_the_market_never_closes_a_day_order_still_ends_with_the_day() -> None:
    floor = Floor.at(MONDAY + "15:30:00", never_closes=True)
    order = floor.submit(floor.ticket(type="limit", limit_price="90"))
    floor.pass_time(MONDAY + "23:00:00-05:00")
    assert order.status == "new"
    floor.pass_time(TUESDAY + "16:00:00-05:00")
    assert order.status == "expired"


def test_coins_know_no_sessions() -> None:
    floor = Floor.at("2026-01-04T03:00:00")
    floor.quote("99.99", "100", "BTC/USD")
    order = floor.submit(floor.ticket(symbol="BTC/USD", tif="gtc"))
    resting = floor.submit(floor.ticket(symbol="BTC/USD", type="limit", tif="gtc", limit_price="90"))
    assert (order.status, resting.status, resting.expires_ns) == ("filled", "new", None)
    floor.pass_time("2026-12-31T16:00:00-05:00")
    floor.quote("89.99", "90", "BTC/USD")
    assert resting.status == "filled"


@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_what_must_fill_at_once_waits_for_the_session_and_then_does_not(tif: str) -> None:
    floor = Floor.at(MONDAY + "05:00:00")
    order = floor.submit(floor.ticket(type="limit", tif=tif, limit_price="90"))
    assert order.status == "new"
    floor.pass_time(MONDAY + "09:30:00-05:00")
    assert floor.told() == ["new", "canceled"]


def test_whatever_is_due_before_it_was_accepted_ends_all_the_same() -> None:
    floor = Floor.at(MONDAY + "15:59:59")
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
