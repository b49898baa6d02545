"""Whether a symbol may be traded, by whom, how, and now."""

from datetime import datetime

import pytest
from risk_day import Day, codes, limit_terms, limited, request, terms

from bus.order_messages import OrderTerms
from bus.trading_day import NEW_YORK
from oms.risk.assets import UNKNOWN, Asset, MarketClock

ACTIVE = Asset("active", tradable=True, shortable=True, easy_to_borrow=True)


def ns(written: str) -> int:
    """A time of New York's as nanoseconds since 1970."""
    return int(datetime.fromisoformat(written).replace(tzinfo=NEW_YORK).timestamp()) * 1_000_000_000


def test_an_algorithm_trades_the_symbols_that_its_section_names() -> None:
    allowed = limited('[algorithm.alpha]\nsymbols = ["AAPL", "BTCUSD"]')
    assert codes(allowed.judge(request())) == []
    other = limited('[algorithm.alpha]\nsymbols = ["MSFT"]')
    assert codes(other.judge(request())) == ["symbol_not_allowed"]
    assert codes(limited("[algorithm.alpha]\nsymbols = []").judge(request())) == ["symbol_not_allowed"]
    assert codes(limited('[algorithm.beta]\nsymbols = ["MSFT"]').judge(request())) == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, []),
        (frozenset({"AAPL"}), []),
        (frozenset({"*"}), []),
        (frozenset({"MSFT"}), ["symbol_not_declared"]),
        (frozenset(), ["symbol_not_declared"]),
    ],
)
def test_it_trades_nothing_that_it_did_not_declare(
    declared: frozenset[str] | None, expected: list[str]
) -> None:
    assert codes(Day().judge(request(), declared=declared)) == expected


def test_who_holds_what_is_not_allowed_any_more_gets_out() -> None:
    day = limited('[algorithm.alpha]\nsymbols = ["MSFT"]')
    day.hold("10")
    asked = request(terms("10", side="sell"))
    assert codes(day.judge(asked, declared=frozenset(), assets={"AAPL": UNKNOWN}, market_open=False)) == []


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        (None, []),
        (ACTIVE, []),
        (UNKNOWN, ["untradable"]),
        (Asset("inactive", tradable=False, shortable=False, easy_to_borrow=False), ["untradable"]),
    ],
)
def test_what_the_broker_does_not_trade_is_refused(asset: Asset | None, expected: list[str]) -> None:
    assets = {} if asset is None else {"AAPL": asset}
    assert codes(Day().judge(request(), assets=assets)) == expected


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        (ACTIVE, []),
        (Asset("active", tradable=True, shortable=True, easy_to_borrow=False), ["not_shortable"]),
        (Asset("active", tradable=True, shortable=False, easy_to_borrow=True), ["not_shortable"]),
    ],
)
def test_only_what_is_easy_to_borrow_is_sold_short(asset: Asset, expected: list[str]) -> None:
    day = Day()
    assert codes(day.judge(request(terms("1", side="sell")), assets={"AAPL": asset})) == expected
    day.hold("5")
    assert codes(day.judge(request(terms("5", side="sell")), assets={"AAPL": asset})) == []


@pytest.mark.parametrize(
    "section", ["", "[each_algorithm]\nshort_sales = false", "[algorithm.alpha]\nshort_sales = false"]
)
def test_short_sales_can_be_switched_off(section: str) -> None:
    day = limited(section, **({} if section else {"short_sales": "false"}))
    assert codes(day.judge(request(terms("1", side="sell")))) == ["short_sale"]
    assert codes(day.judge(request(terms("1")))) == []
    day.hold("5")
    assert codes(day.judge(request(terms("5", side="sell")))) == []


def test_what_another_algorithm_holds_is_no_cover_for_an_algorithms_short_sale() -> None:
    own, whole = limited("[each_algorithm]\nshort_sales = false"), limited(short_sales="false")
    for day in (own, whole):
        day.hold("5", algorithm="beta")
    assert codes(own.judge(request(terms("5", side="sell")))) == ["short_sale"]
    assert codes(whole.judge(request(terms("5", side="sell")))) == []


EXTENDED = {"type": "limit", "limit_price": limit_terms("100").limit_price, "extended_hours": True}
CLOSED, OPEN = ["market_closed"], list[str]()


@pytest.mark.parametrize(
    ("at", "wanted", "expected"),
    [
        ("2026-12-02 09:29:59", terms(), CLOSED),
        ("2026-12-02 09:30:00", terms(), OPEN),
        ("2026-12-02 15:59:59", terms(), OPEN),
        ("2026-12-02 16:00:00", terms(), CLOSED),
        ("2026-12-02 16:00:00", limit_terms("100"), CLOSED),
        ("2026-12-02 16:00:00", terms(**EXTENDED), OPEN),
        ("2026-12-02 03:00:00", terms(**EXTENDED), OPEN),
        ("2026-12-04 19:59:59", terms(**EXTENDED), OPEN),
        ("2026-12-04 20:00:00", terms(**EXTENDED), CLOSED),
        # Early closes, holidays, and the Sundays on which the clocks change.
        ("2026-11-27 12:59:59", terms(), OPEN),
        ("2026-11-27 13:00:00", terms(), CLOSED),
        ("2026-11-27 17:00:00", terms(**EXTENDED), CLOSED),
        ("2026-12-25 12:00:00", terms(), CLOSED),
        ("2026-03-09 09:30:00", terms(), OPEN),
        ("2026-11-02 09:29:59", terms(), CLOSED),
        # Orders for auctions are made beforehand.
        ("2026-12-02 08:00:00", terms(time_in_force="opg"), OPEN),
        ("2026-12-02 22:00:00", terms(time_in_force="cls"), OPEN),
        ("2026-12-02 12:00:00", terms(extended_hours=True), ["extended_hours"]),
        ("2026-12-02 12:00:00", terms(**EXTENDED, time_in_force="ioc"), ["extended_hours"]),
    ],
)
def test_orders_are_for_a_market_that_is_open(at: str, wanted: OrderTerms, expected: list[str]) -> None:
    day, now_ns = Day(), ns(at)
    is_open = MarketClock().is_open(now_ns)
    found = codes(day.judge(request(wanted), now_ns=now_ns, market_open=is_open))
    assert [code for code in found if code != "stale_price"] == expected
    crypto = codes(day.judge(request(terms(symbol="BTC/USD")), now_ns=now_ns, market_open=is_open))
    assert crypto == ["no_price"]


def test_orders_may_be_left_at_the_broker_where_the_limits_say_so() -> None:
    now_ns = ns("2026-12-05 12:00:00")
    for section, expected in (("", CLOSED), ("[algorithm.alpha]\norders_while_closed = true", OPEN)):
        found = codes(limited(section).judge(request(), now_ns=now_ns, market_open=False))
        assert [code for code in found if code != "stale_price"] == expected
    held = limited("[algorithm.alpha]\norders_while_closed = true", orders_while_closed="false")
    assert "market_closed" in codes(held.judge(request(), now_ns=now_ns, market_open=False))


def test_the_brokers_word_holds_where_it_is_not_the_calendars() -> None:
    mourning, night, noon = ns("2026-12-02 10:00:00"), ns("2026-12-02 02:00:00"), ns("2026-12-02 12:00:00")
    assert not MarketClock.told(is_open=False, now_ns=mourning).is_open(noon)
    assert MarketClock.told(is_open=True, now_ns=night).is_open(night)
    by_calendar = MarketClock.told(is_open=False, now_ns=night)
    assert by_calendar.is_open(noon)
    assert not by_calendar.is_open(night)
