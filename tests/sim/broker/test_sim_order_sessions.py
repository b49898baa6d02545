"""An order's day: sessions, auctions, extended hours, and the end by its time in force."""

import pytest
from broker_harness import BrokerHarness

from sim.broker.orders import order_json
from sim.refusals import Refused
from sim.times import parse_ns

MONDAY = "2026-01-05T"
TUESDAY = "2026-01-06T"


@pytest.fixture
def harness() -> BrokerHarness:
    return BrokerHarness.at("2026-01-05T12:00:00")


@pytest.mark.parametrize("moment", ["17:00:00", "21:00:00"])
def test_an_evening_order_is_accepted_then_new_at_four_and_works_from_the_open_on(moment: str) -> None:
    harness = BrokerHarness.at(MONDAY + moment)
    order = harness.submit(harness.ticket())
    assert (order.status, harness.told()) == ("accepted", ["accepted"])
    assert not harness.broker.is_working("AAPL")
    harness.move("99")
    harness.pass_time(TUESDAY + "03:59:59-05:00")
    assert order.status == "accepted"
    harness.pass_time(TUESDAY + "09:29:59-05:00")
    assert (order.status, harness.told()) == ("new", ["accepted", "new"])
    shown = order_json(order)
    assert parse_ns(shown["submitted_at"]) == parse_ns(TUESDAY + "04:00:00-05:00")
    assert parse_ns(shown["created_at"]) == parse_ns(MONDAY + moment + "-05:00")
    harness.pass_time(TUESDAY + "09:30:00-05:00")
    assert (order.status, harness.told()) == ("filled", ["accepted", "new", "fill"])


def test_what_waited_for_the_morning_is_listed_by_when_it_was_sent() -> None:
    harness = BrokerHarness.at(MONDAY + "19:30:00")
    waits = harness.submit(harness.ticket(type="limit", limit_price="90"))
    works = harness.submit(harness.ticket(type="limit", limit_price="90", extended_hours=True, tif="gtc"))
    assert harness.broker.open_orders() == [waits, works]
    harness.pass_time("2026-01-06T04:00:00-05:00")
    assert harness.broker.open_orders() == list(harness.broker.orders.values()) == [works, waits]
    assert works.sent_ns < waits.sent_ns == harness.now_ns


def test_before_the_open_an_order_is_new_and_waits() -> None:
    harness = BrokerHarness.at(MONDAY + "05:00:00")
    order = harness.submit(harness.ticket())
    harness.move("99")
    assert (order.status, harness.broker.is_working("AAPL")) == ("new", False)
    harness.pass_time(MONDAY + "09:30:00-05:00")
    assert harness.told() == ["new", "fill"]


def test_an_extended_order_works_before_and_after_the_session() -> None:
    harness = BrokerHarness.at(MONDAY + "03:00:00")
    order = harness.submit(harness.ticket(type="limit", limit_price="90", extended_hours=True))
    plain = harness.submit(harness.ticket(type="limit", limit_price="90"))
    harness.pass_time(MONDAY + "04:00:00-05:00")
    assert harness.broker.is_working("AAPL")
    assert (order.status, plain.status) == ("new", "new")
    harness.pass_time(MONDAY + "16:00:00-05:00")
    assert (order.status, plain.status) == ("new", "expired")
    assert parse_ns(order_json(order)["expires_at"]) == parse_ns(MONDAY + "20:00:00-05:00")
    harness.quote("89.98", "89.99")
    assert order.status == "filled"


def test_an_extended_order_expires_in_the_evening() -> None:
    harness = BrokerHarness.at(MONDAY + "17:00:00")
    order = harness.submit(harness.ticket(type="limit", limit_price="90", extended_hours=True))
    harness.pass_time(MONDAY + "20:00:00-05:00")
    assert (order.status, harness.told()) == ("expired", ["new", "expired"])


def test_a_day_order_expires_at_the_close(harness: BrokerHarness) -> None:
    order = harness.submit(harness.ticket(type="limit", limit_price="90"))
    close_ns = parse_ns(MONDAY + "16:00:00-05:00")
    assert parse_ns(order_json(order)["expires_at"]) == close_ns
    harness.pass_time(MONDAY + "16:00:00-05:00")
    shown = order_json(order)
    assert (shown["status"], parse_ns(shown["expired_at"])) == ("expired", close_ns)
    assert harness.told() == ["new", "expired"]
    with pytest.raises(Refused, match="expired"):
        harness.cancel(order)


def test_an_order_good_till_canceled_sleeps_overnight_and_dies_of_age(harness: BrokerHarness) -> None:
    order = harness.submit(harness.ticket(type="limit", tif="gtc", limit_price="90"))
    harness.pass_time(MONDAY + "18:00:00-05:00")
    harness.quote("80", "80.01")
    assert order.status == "new"
    harness.quote("99.99", "100")
    harness.pass_time("2026-04-05T16:14:59-04:00")
    assert order.status == "new"
    harness.pass_time("2026-04-05T16:15:00-04:00")
    assert (order.status, order.expires_ns) == ("canceled", parse_ns("2026-04-05T16:15:00-04:00"))


def test_an_order_that_slept_is_offered_the_quote_of_the_morning(harness: BrokerHarness) -> None:
    order = harness.submit(harness.ticket(type="limit", tif="gtc", limit_price="90"))
    harness.pass_time(TUESDAY + "09:00:00-05:00")
    harness.quote("80", "80.01")
    harness.pass_time(TUESDAY + "09:30:00-05:00")
    assert (order.status, harness.told()) == ("filled", ["new", "fill"])


@pytest.mark.parametrize(("tif", "auction"), [("opg", "09:30:00"), ("cls", "16:00:00")])
@pytest.mark.parametrize("never_closes", [False, True])
def test_an_auction_order_fills_at_its_auction_or_ends_there(
    tif: str, auction: str, never_closes: bool
) -> None:
    harness = BrokerHarness.at(MONDAY + "08:00:00", never_closes)
    market = harness.submit(harness.ticket(tif=tif))
    limit = harness.submit(harness.ticket(type="limit", tif=tif, limit_price="90"))
    harness.quote("89.99", "90")
    assert (market.status, limit.status) == ("new", "new")
    harness.quote("99.99", "100")
    harness.pass_time(MONDAY + auction + "-05:00")
    assert (harness.told(market), harness.told(limit)) == (
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
    harness = BrokerHarness.at(MONDAY + moment)
    if is_taken:
        assert harness.submit(harness.ticket(tif=tif)).is_open
    else:
        with pytest.raises(Refused, match=f"{tif} orders must be submitted after"):
            harness.submit(harness.ticket(tif=tif))
    always = BrokerHarness.at(MONDAY + moment, never_closes=True)
    assert always.submit(always.ticket(tif=tif)).is_open


@pytest.mark.parametrize(
    ("moment", "is_taken"), [("12:55:00", True), ("12:55:01", False), ("18:00:00", False)]
)
def test_an_early_close_moves_the_last_call_but_not_the_evening(moment: str, is_taken: bool) -> None:
    harness = BrokerHarness.at(f"2026-11-27T{moment}")
    if is_taken:
        assert harness.submit(harness.ticket(tif="cls")).is_open
    else:
        with pytest.raises(Refused, match="cls orders must be submitted after"):
            harness.submit(harness.ticket(tif="cls"))


def test_after_the_last_call_an_order_for_the_auction_is_not_replaced_either() -> None:
    harness = BrokerHarness.at(MONDAY + "09:00:00")
    order = harness.submit(harness.ticket(type="limit", tif="opg", limit_price="90"))
    dearer = harness.ticket(type="limit", tif="opg", limit_price="91")
    harness.pass_time(f"{MONDAY}09:28:01-05:00")
    with pytest.raises(Refused, match="opg orders must be submitted after"):
        harness.replace(order, dearer)
    assert order.is_open


def test_where_the_market_never_closes_a_day_order_still_ends_with_the_day() -> None:
    harness = BrokerHarness.at(MONDAY + "15:30:00", never_closes=True)
    order = harness.submit(harness.ticket(type="limit", limit_price="90"))
    harness.pass_time(MONDAY + "23:00:00-05:00")
    assert order.status == "new"
    harness.pass_time(TUESDAY + "16:00:00-05:00")
    assert order.status == "expired"


def test_coins_know_no_sessions() -> None:
    harness = BrokerHarness.at("2026-01-04T03:00:00")
    harness.quote("99.99", "100", "BTC/USD")
    order = harness.submit(harness.ticket(symbol="BTC/USD", tif="gtc"))
    resting = harness.submit(harness.ticket(symbol="BTC/USD", type="limit", tif="gtc", limit_price="90"))
    assert (order.status, resting.status, resting.expires_ns) == ("filled", "new", None)
    harness.pass_time("2026-12-31T16:00:00-05:00")
    harness.quote("89.99", "90", "BTC/USD")
    assert resting.status == "filled"


@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_what_must_fill_at_once_waits_for_the_session_and_then_does_not(tif: str) -> None:
    harness = BrokerHarness.at(MONDAY + "05:00:00")
    order = harness.submit(harness.ticket(type="limit", tif=tif, limit_price="90"))
    assert order.status == "new"
    harness.pass_time(MONDAY + "09:30:00-05:00")
    assert harness.told() == ["new", "canceled"]


def test_whatever_is_due_before_it_was_accepted_ends_all_the_same() -> None:
    harness = BrokerHarness.at(MONDAY + "15:59:59")
    order = harness.broker.submit(harness.ticket(type="limit", limit_price="90"), harness.now_ns)
    harness.pass_time(MONDAY + "16:00:01-05:00")
    assert harness.broker.accept(order.id, harness.now_ns) == []
    assert (order.status, harness.told()) == ("expired", ["expired"])


def test_without_open_orders_nothing_is_waited_for(harness: BrokerHarness) -> None:
    assert harness.broker.next_moment_ns(harness.now_ns) is None
    order = harness.submit(harness.ticket(type="limit", limit_price="90"))
    assert harness.broker.next_moment_ns(harness.now_ns) == parse_ns(MONDAY + "16:00:00-05:00")
    harness.cancel(order)
    assert harness.broker.next_moment_ns(harness.now_ns) is None
