"""Parameters of requests for market data, and the words of their refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from multidict import MultiDict

from sim.exchange.timeframes import zone_of
from sim.refusals import Refused
from sim.rest import data_query
from sim.rest.data_query import Window
from sim.times import MINUTE_NS, parse_ns, rfc3339

NOW_NS = parse_ns("2026-01-06T15:00:00Z")
NEW_YORK, CHICAGO = zone_of("AAPL"), zone_of("BTC/USD")


def window(delay_ns: int = 0, now: str = "2026-01-06T15:00:00Z", **query: str) -> tuple[str, str]:
    found = data_query.window(query, parse_ns(now), NEW_YORK, NEW_YORK, delay_ns)
    return rfc3339(found.start_ns), rfc3339(found.end_ns)


def words(call: Callable[[], Any], status: int = 400) -> str:
    with pytest.raises(Refused) as refused:
        call()
    assert refused.value.status == status
    assert list(refused.value.body) == ["message"]
    message: str = refused.value.body["message"]
    return message


def test_a_window_is_today_until_now_unless_it_is_said() -> None:
    assert window() == ("2026-01-06T05:00:00Z", "2026-01-06T15:00:00Z")
    assert window(start="2026-01-05T14:59:59Z")[1] == "2026-01-06T15:00:00Z"


def test_a_moment_keeps_its_nanoseconds_and_its_zone() -> None:
    start, end = window(start="2026-01-05T09:30:00.123456789-05:00", end="2026-01-05T20:00:00Z")
    assert (start, end) == ("2026-01-05T14:30:00.123456789Z", "2026-01-05T20:00:00Z")


def test_a_date_is_new_yorks_and_as_an_end_the_whole_of_it() -> None:
    start, end = window(start="2026-01-05", end="2026-01-05")
    assert (start, end) == ("2026-01-05T05:00:00Z", "2026-01-06T04:59:59.999999999Z")
    assert window(start="2026-03-08", end="2026-03-08")[1] == "2026-03-09T03:59:59.999999999Z"


def test_a_date_of_coins_is_utcs_and_their_day_begins_in_chicago() -> None:
    found = data_query.window({"start": "2022-01-01"}, NOW_NS, CHICAGO, None, 0)
    assert rfc3339(found.start_ns) == "2022-01-01T00:00:00Z"
    found = data_query.window({}, NOW_NS, CHICAGO, None, 0)
    assert rfc3339(found.start_ns) == "2026-01-06T06:00:00Z"


def test_the_free_plan_sees_nothing_of_the_last_quarter_of_an_hour() -> None:
    delay_ns = 15 * MINUTE_NS
    assert window(delay_ns) == ("2026-01-06T05:00:00Z", "2026-01-06T14:45:00Z")
    # At the very beginning of a day the window is the moment a quarter of an hour ago.
    assert window(delay_ns, "2026-01-06T05:05:00Z") == ("2026-01-06T04:50:00Z",) * 2
    assert window(delay_ns, end="2026-01-06T14:45:00Z")[1] == "2026-01-06T14:45:00Z"
    for end in ("2026-01-06T14:45:00.000000001Z", "2026-01-06T15:00:00Z", "2027-01-01"):
        said = words(lambda end=end: window(delay_ns, end=end), 403)
        assert said == "subscription does not permit querying recent SIP data"


def test_an_end_before_the_start_is_refused() -> None:
    assert words(lambda: window(start="2026-01-05T00:00:01Z", end="2026-01-05T00:00:00Z")) == (
        "end should not be before start"
    )
    assert words(lambda: window(start="2026-01-07")) == "end should not be before start"
    assert window(start="2026-01-05T00:00:00Z", end="2026-01-05T00:00:00Z") == ("2026-01-05T00:00:00Z",) * 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not-a-date", 'parsing time "not-a-date" as "2006-01-02": cannot parse "not-a-date" as "2006"'),
        ("0", 'parsing time "0" as "2006-01-02": cannot parse "0" as "2006"'),
        # No zone: alpaca-py writes one, whoever writes by hand forgets it.
        ("2025-04-21T15:49:12", 'parsing time "2025-04-21T15:49:12": extra text: "T15:49:12"'),
        ("2025-04-21T15:49 00", 'parsing time "2025-04-21T15:49 00": extra text: "T15:49 00"'),
        ("2025-02-30", 'parsing time "2025-02-30": day out of range'),
        ("2025-02-30T00:00:00Z", 'parsing time "2025-02-30T00:00:00Z" as "2006-01-02": day out of range'),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_the_words_of_alpacas_parser(text: str, why: str) -> None:
    said = words(lambda: window(start=text))
    assert (
        said
        == f"Invalid format for parameter start: error parsing '{text}' as RFC3339 or 2006-01-02 time: {why}"
    )


@pytest.mark.parametrize(
    "text", ["9999-12-31", "9999-12-31T23:59:59Z", "0001-01-01", "1000-01-01T00:00:00+14:00"]
)
def test_the_ends_of_the_calendar_are_times_like_others(text: str) -> None:
    found = data_query.window({"start": "0001-01-01", "end": text}, NOW_NS, NEW_YORK, NEW_YORK, 0)
    assert isinstance(found, Window)


def test_a_limit_is_a_number_from_one_to_ten_thousand() -> None:
    assert [data_query.limit(query) for query in ({}, {"limit": "1"}, {"limit": "10000"})] == [
        1000,
        1,
        10_000,
    ]
    for text in ("0", "-1", "10001", "25000"):
        said = words(lambda text=text: data_query.limit({"limit": text}))
        assert said == "invalid limit, limit must be between 1 and 10000"
    assert words(lambda: data_query.limit({"limit": "many"})) == (
        "Invalid format for parameter limit: error binding string parameter: "
        'strconv.ParseInt: parsing "many": invalid syntax'
    )


def test_symbols_are_a_list_without_repeats_in_order() -> None:
    assert data_query.stock_symbols("MSFT,AAPL,BRK.B,AAPL", lambda symbol: False) == ["AAPL", "BRK.B", "MSFT"]
    assert data_query.coin_symbols("ETH/USD,BTC/USD", lambda symbol: False) == ["BTC/USD", "ETH/USD"]
    assert data_query.stock_symbols("TST1", lambda symbol: symbol == "TST1") == ["TST1"]


@pytest.mark.parametrize("wrong", ["GME1", "aapl", "ANG-PD", "", "BTC/USD", "A B", "../x"])
def test_one_symbol_that_cannot_be_refuses_them_all(wrong: str) -> None:
    said = words(lambda: data_query.stock_symbols(f"AAPL,{wrong},MSFT", lambda symbol: False))
    assert said == f"code=400, message=invalid symbol: {wrong}"


@pytest.mark.parametrize("wrong", ["BTCUSD", "btc/usd", "BTC/", "BTC/USD/", "AAPL"])
def test_a_coin_is_a_pair(wrong: str) -> None:
    said = words(lambda: data_query.coin_symbols(f"ETH/USD,{wrong}", lambda symbol: symbol == "AAPL"))
    assert said == f"invalid symbol: {wrong} does not match ^[A-Z]+/[A-Z]+$"


def test_parameters_that_are_not_there_or_twice_are_refused() -> None:
    allowed = ("symbols", "limit")
    data_query.check_names({"symbols": "A", "limit": "1"}, allowed)
    said = words(lambda: data_query.check_names({"symbols": "A", "since": "1", "before": "2"}, allowed))
    assert said == "unexpected query parameter(s): before, since"
    twice = MultiDict([("symbols", "A"), ("symbols", "B")])
    assert words(lambda: data_query.check_names(twice, allowed)) == (
        "Invalid format for parameter symbols: multiple values for single value parameter 'symbols'"
    )
    for query in ({}, {"symbols": ""}):
        assert words(lambda query=query: data_query.required(query, "symbols")) == (
            "Invalid format for parameter symbols: query parameter 'symbols' is required"
        )


def test_feeds_currencies_adjustments_and_sorts_are_those_there_are() -> None:
    assert data_query.feed({}, "iex") == "iex"
    assert [data_query.feed({"feed": name}, "iex") for name in ("sip", "otc")] == ["sip", "otc"]
    data_query.check_adjustment({"adjustment": "split,dividend"})
    data_query.check_asof({"asof": "2026-01-05"})
    data_query.check_asof({"asof": "-"})
    assert data_query.said_currency({"currency": "USD"}) == {"currency": "USD"}
    assert data_query.said_currency({}) == {}
    assert [data_query.is_descending({"sort": order}) for order in ("asc", "desc")] == [False, True]
    assert words(lambda: data_query.feed({"feed": "x"}, "iex")) == "invalid feed: x"
    assert words(lambda: data_query.currency({"currency": "EUR"})) == "invalid currency: EUR"
    assert words(lambda: data_query.check_adjustment({"adjustment": "split,x"})) == "invalid adjustment: x"
    assert words(lambda: data_query.is_descending({"sort": "up"})) == "invalid sort: up"
    assert words(lambda: data_query.check_asof({"asof": "later"})).startswith(
        "Invalid format for parameter asof"
    )
    assert words(lambda: data_query.check_place("mars")) == "invalid location: mars"
    assert words(lambda: data_query.alone("AAPL,MSFT")) == "code=400, message=invalid symbol: AAPL,MSFT"
