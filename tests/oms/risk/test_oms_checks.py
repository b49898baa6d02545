"""Each check of risk, at its limit and one past it."""

from decimal import Decimal
from typing import Any

import pytest
from risk_day import (
    LEASE,
    LIMITS,
    NOW_NS,
    Day,
    codes,
    fill,
    halted,
    limited,
    name,
    replace_request,
    request,
    terms,
)

from bus.control_messages import Halt, ReduceOnly
from bus.halt_state import HaltState
from bus.order_events import OrderSent
from bus.order_messages import OrderTerms
from oms.limits.limits import parse
from oms.prices.reference_price import MarketHalt, Price
from oms.requests.readiness import STARTING
from oms.risk.approval import Approved, Refused

SECOND_NS = 1_000_000_000


def limit(price: str, quantity: str = "10", side: str = "buy") -> OrderTerms:
    """A limit order."""
    return terms(quantity, type="limit", limit_price=Decimal(price), side=side)


def test_an_order_within_every_limit_is_approved() -> None:
    verdict = Day().judge(request())
    assert isinstance(verdict, Approved)
    assert verdict.event.approved_ns == NOW_NS
    assert verdict.event.received_ns == NOW_NS - 2000


def test_only_risk_can_approve() -> None:
    verdict = Day().judge(request())
    assert isinstance(verdict, Approved)
    with pytest.raises(TypeError, match="approved by check or approve_closing"):
        Approved(object(), verdict.event, None)


@pytest.mark.parametrize(
    ("code", "limits", "at_limit", "past_limit", "value"),
    [
        ("order_quantity", {"order_quantity": 10}, terms("10"), terms("10.000000001"), "10.000000001"),
        ("order_value", {"order_value": 1000}, terms("10"), terms("10.000000001"), "1000.0000001"),
        ("order_value", {"order_value": 1000}, limit("50", "20"), limit("50.01", "20"), "1000.2"),
        ("order_value", {"order_value": 1000}, limit("90", "10", "sell"), limit("90", "11", "sell"), "1100"),
        (
            "order_value",
            {"order_value": 1000},
            terms(None, notional=Decimal(1000)),
            terms(None, notional=Decimal("1000.01")),
            "1000.01",
        ),
        (
            "order_value",
            {"order_value": 1000},
            terms("8", type="stop", stop_price=Decimal(125)),
            terms("9", type="stop", stop_price=Decimal(125)),
            "1125",
        ),
        ("position_quantity", {"position_quantity": 10}, terms("10"), terms("11"), "11"),
        (
            "position_quantity",
            {"position_quantity": 10},
            terms("10", side="sell"),
            terms("11", side="sell"),
            "11",
        ),
        ("position_value", {"position_value": 1000}, terms("10"), terms("11"), "1100"),
        ("price_collar", {"price_collar_percent": 5}, limit("105"), limit("105.01"), "105.01"),
        (
            "price_collar",
            {"price_collar_percent": 5},
            limit("95", side="sell"),
            limit("94.99", side="sell"),
            "94.99",
        ),
    ],
)
def test_an_order_at_its_limit_and_past_it(
    code: str, limits: dict[str, object], at_limit: OrderTerms, past_limit: OrderTerms, value: str
) -> None:
    assert codes(limited(**limits).judge(request(at_limit))) == []
    verdict = limited(**limits).judge(request(past_limit))
    assert codes(verdict) == [code]
    assert isinstance(verdict, Refused)
    assert verdict.reasons[0].value == value
    assert verdict.reasons[0].limit is not None


def test_open_orders_on_the_same_side_count_towards_the_position() -> None:
    day = limited(position_quantity=10)
    day.hold("4")
    day.approve(request(limit("99", "3"), 1))
    day.approve(request(limit("101", "4", "sell"), 2))
    assert codes(day.judge(request(limit("99", "3"), 3))) == []
    assert codes(day.judge(request(limit("99", "4"), 3))) == ["position_quantity"]


def test_an_order_that_shrinks_a_position_is_no_position_risk() -> None:
    day = limited(position_quantity=10)
    day.hold("25")
    assert codes(day.judge(request(terms("5", side="sell")))) == []
    assert codes(day.judge(request(terms("1")))) == ["position_quantity"]


def test_the_tightest_of_account_algorithm_and_symbol_holds() -> None:
    day = Day()
    assert day.limits is not None
    content = "\n".join(f"{key} = 100" for key in ("order_quantity", "open_orders", "orders_per_second"))
    content += "\norder_value = 1e9\nposition_quantity = 50\nposition_value = 1e9\n"
    content += "price_collar_percent = 5\nprice_age_seconds = 5\n"
    day.limits = parse(
        f"[account]\n{content}[each_algorithm]\nposition_quantity = 30\n"
        "[algorithm.beta]\nposition_quantity = 5\n"
        "[symbol.MSFT]\norder_quantity = 2\nposition_quantity = 40\n",
        "limits",
    )
    day.prices["MSFT"] = Price(Decimal(100), NOW_NS, NOW_NS)
    day.hold("25", algorithm="external")
    beta: dict[str, Any] = {"client_order_id": name(1, "beta")}
    assert codes(day.judge(request(terms("25")))) == []
    assert codes(day.judge(request(terms("26")))) == ["position_quantity"]
    assert codes(day.judge(request(terms("5"), **beta), algorithm="beta")) == []
    assert codes(day.judge(request(terms("6"), **beta), algorithm="beta")) == ["position_quantity"]
    assert codes(day.judge(request(terms("3", symbol="MSFT")))) == ["order_quantity"]


def test_open_orders_are_counted() -> None:
    day = limited(open_orders=2)
    day.approve(request(number=1))
    assert codes(day.judge(request(number=2))) == []
    day.approve(request(number=2))
    assert codes(day.judge(request(number=3))) == ["open_orders"]


def test_the_rate_of_orders_is_counted_over_one_second() -> None:
    day = limited(orders_per_second=2)
    day.approve(request(number=1), now_ns=NOW_NS)
    day.approve(request(number=2), now_ns=NOW_NS + SECOND_NS // 2)
    assert codes(day.judge(request(number=3), now_ns=NOW_NS + SECOND_NS - 1)) == ["order_rate"]
    assert codes(day.judge(request(number=3), now_ns=NOW_NS + SECOND_NS)) == []


def test_a_clock_set_back_neither_blocks_the_rate_nor_lifts_it() -> None:
    day = limited(orders_per_second=2)
    day.approve(request(number=1), now_ns=NOW_NS + 2 * SECOND_NS)
    day.approve(request(number=2), now_ns=NOW_NS + 2 * SECOND_NS)
    day.approve(request(number=3), now_ns=NOW_NS)
    day.approve(request(number=4), now_ns=NOW_NS)
    assert codes(day.judge(request(number=5), now_ns=NOW_NS)) == ["order_rate"]
    assert codes(day.judge(request(number=5), now_ns=NOW_NS + SECOND_NS)) == []


def test_a_price_from_the_future_is_not_fresh() -> None:
    day = Day()
    day.prices["AAPL"] = Price(Decimal(100), NOW_NS, NOW_NS + 6 * SECOND_NS)
    assert "stale_price" in codes(day.judge(request()))


def test_a_reference_price_counts_up_to_its_age() -> None:
    day = limited(price_age_seconds=5)
    assert codes(day.judge(request(), now_ns=NOW_NS + 5 * SECOND_NS)) == []
    assert codes(day.judge(request(), now_ns=NOW_NS + 5 * SECOND_NS + 1)) == ["stale_price"]
    day.prices.clear()
    assert codes(day.judge(request())) == ["no_price"]


@pytest.mark.parametrize(
    ("market_s", "received_s", "reasons"),
    [(5, 5, []), (5, 0, []), (6, 0, ["stale_price"]), (6, 6, ["stale_price"]), (0, 6, ["stale_price"])],
)
def test_a_reference_price_ages_by_the_markets_time_and_by_ours(
    market_s: int, received_s: int, reasons: list[str]
) -> None:
    """A feed that is delayed or lags is old by the first, a clock that was set back by the second."""
    day = limited(price_age_seconds=5)
    times = NOW_NS - market_s * SECOND_NS, NOW_NS - received_s * SECOND_NS
    day.prices["AAPL"] = Price(Decimal(100), *times)
    assert codes(day.judge(request())) == reasons


def test_a_stale_price_tells_both_ages_and_the_setting_that_refused_it() -> None:
    day = limited()
    day.limits = parse(LIMITS + "[feed.iex]\nprice_age_seconds = 60", "limits")
    day.prices["AAPL"] = Price(Decimal(100), NOW_NS - 61 * SECOND_NS, NOW_NS - 2 * SECOND_NS, "iex")
    verdict = day.judge(request())
    assert isinstance(verdict, Refused)
    (reason,) = verdict.reasons
    assert reason.message == (
        "the price of AAPL is 61000 ms old by the market's time and was received 2000 ms ago; "
        "[feed.iex] price_age_seconds lets 60000 ms count"
    )
    assert (reason.limit, reason.value) == ("60000", "61000")
    assert (verdict.basis.price_feed, verdict.basis.price_at_ns) == ("iex", NOW_NS - 61 * SECOND_NS)
    assert codes(day.judge(request(), now_ns=NOW_NS - SECOND_NS)) == []


def test_a_delayed_price_is_refused_however_fresh_it_arrived_unless_a_limit_lets_it_count() -> None:
    day = limited()
    quarter_ns = 900 * SECOND_NS
    day.prices["AAPL"] = Price(Decimal(100), NOW_NS - quarter_ns, NOW_NS, "delayed_sip")
    verdict = day.judge(request())
    assert isinstance(verdict, Refused)
    (reason,) = verdict.reasons
    assert reason.code == "stale_price"
    assert "all of delayed_sip is a quarter of an hour old" in reason.message
    assert "[feed.delayed_sip] price_age_seconds" in reason.message
    day.limits = parse(LIMITS + "[feed.delayed_sip]\nprice_age_seconds = 960", "limits")
    assert codes(day.judge(request())) == []
    assert codes(day.judge(request(), now_ns=NOW_NS + 61 * SECOND_NS)) == ["stale_price"]


def test_in_a_halted_symbol_nothing_is_taken() -> None:
    day = Day()
    day.prices["AAPL"] = MarketHalt(NOW_NS, "LUDP", "Volatility Trading Pause")
    verdict = day.judge(request())
    assert isinstance(verdict, Refused)
    (reason,) = verdict.reasons
    assert (reason.code, reason.value) == ("market_halted", "LUDP")
    assert reason.message == (
        "trading in AAPL is halted since 2023-11-14 22:13:20 UTC: Volatility Trading Pause"
    )
    assert verdict.basis.price is None


def test_a_restricted_symbol_is_refused_wherever_it_is_listed() -> None:
    for section in ("account", "each_algorithm", "algorithm.alpha"):
        day = Day()
        own = "" if section == "account" else f"[{section}]\n"
        day.limits = parse(f'{LIMITS}\n{own}restricted = ["AAPL"]', "limits")
        assert codes(day.judge(request())) == ["restricted"]


def test_closed_by_default() -> None:
    day = Day()
    assert codes(day.judge(request(), not_ready=STARTING)) == ["not_ready"]
    assert codes(day.judge(request(), control_fresh=False)) == ["control_unread"]
    assert codes(day.judge(request(), lease="")) == ["not_leader"]
    assert codes(day.judge(request(), lease="2:alpha")) == ["not_leader"]
    assert codes(day.judge(request(), retired_lease=LEASE)) == ["shut_down"]
    day.halts = HaltState(known=False)
    assert codes(day.judge(request())) == ["halt_unknown"]
    day.halts = halted(Halt)
    assert codes(day.judge(request())) == ["halted"]
    day.halts, day.limits = HaltState(known=True), None
    assert codes(day.judge(request())) == ["no_limits"]


def test_every_reason_is_told_at_once() -> None:
    day = limited(order_quantity=1, open_orders=0)
    day.halts = halted(Halt)
    found = codes(day.judge(request(terms("2")), lease="", not_ready=STARTING))
    assert found == ["not_ready", "halted", "not_leader", "order_quantity", "open_orders"]


@pytest.mark.parametrize(
    ("held", "side", "asked", "why_not"),
    [
        ("10", "sell", "10", []),
        ("10", "sell", "11", ["reduce_only", "crosses_zero"]),
        ("10", "buy", "1", ["reduce_only"]),
        ("-10", "buy", "10", []),
        ("-10", "buy", "11", ["reduce_only", "crosses_zero"]),
        ("-10", "sell", "1", ["reduce_only"]),
    ],
)
def test_reduce_only(held: str, side: str, asked: str, why_not: list[str]) -> None:
    day = Day()
    day.hold(held)
    day.halts = halted(ReduceOnly)
    assert codes(day.judge(request(terms(asked, side=side)))) == why_not


@pytest.mark.parametrize(
    "wrong",
    [
        terms(None),
        terms("1", notional=Decimal(5)),
        terms("0"),
        terms("-1"),
        terms("NaN"),
        terms("Infinity"),
        terms("0.0000000001"),
        terms("1e30"),
        terms("1", type="limit"),
        terms("1", limit_price=Decimal(100)),
        terms("1", type="stop"),
        terms("1", type="limit", limit_price=Decimal(0)),
        terms("1", symbol="not a symbol"),
    ],
)
def test_terms_that_are_no_order_are_refused(wrong: OrderTerms) -> None:
    assert codes(Day().judge(request(wrong))) == ["bad_terms"]


@pytest.mark.parametrize(
    "order_id",
    [
        name(1, "beta"),
        name(1, "alpha-2"),
        "bb-alpha-" + "0" * 120,
        "bb-alpha-" + "0" * 31,
        "bb-alpha-" + "0" * 33,
        "bb-alpha-" + "x" * 32,
        "bb-alpha-" + "0" * 32 + "\n",
        "",
    ],
)
def test_an_id_that_may_be_taken_for_anothers_is_refused(order_id: str) -> None:
    """What is found at the broker is known by its id alone, after a journal was lost."""
    assert codes(Day().judge(request(client_order_id=order_id))) == ["bad_client_order_id"]


def test_an_algorithm_whose_name_has_dashes_has_ids_of_its_own() -> None:
    asked = request(client_order_id=name(1, "alpha-2"))
    assert codes(Day().judge(asked, algorithm="alpha-2")) == []


def working(day: Day, wanted: OrderTerms) -> str:
    """An order that the broker has; returns its client id."""
    verdict = day.approve(request(wanted, 1))
    day.book.apply(
        OrderSent(
            algorithm="alpha",
            client_order_id=verdict.client_order_id,
            broker_order_id="b1",
            approved_ns=NOW_NS,
            sent_ns=NOW_NS,
            acknowledged_ns=NOW_NS,
        )
    )
    return verdict.client_order_id


def test_a_replace_is_judged_on_the_new_terms_without_the_old() -> None:
    day = limited(position_quantity=10, open_orders=1)
    old = working(day, limit("99", "10"))
    verdict = day.judge(replace_request(old, limit("98", "10")))
    assert isinstance(verdict, Approved)
    assert (verdict.replaces_broker_id, verdict.event.replaces) == ("b1", old)
    assert codes(day.judge(replace_request(old, limit("98", "11")))) == ["position_quantity"]


@pytest.mark.parametrize(
    "wanted",
    [limit("98", side="sell"), terms("10"), terms("10", type="stop", stop_price=Decimal(110))],
)
def test_a_replace_cannot_make_another_kind_of_order(wanted: OrderTerms) -> None:
    day = Day()
    old = working(day, limit("99"))
    assert codes(day.judge(replace_request(old, wanted))) == ["not_replaceable"]


def test_what_is_not_working_cannot_be_replaced() -> None:
    day = Day()
    assert codes(day.judge(replace_request(name(7), limit("98")))) == ["not_replaceable"]
    unsent = day.approve(request(limit("99"), 1)).client_order_id
    assert codes(day.judge(replace_request(unsent, limit("98")))) == ["not_replaceable"]


def test_positions_of_others_are_not_those_of_the_algorithm() -> None:
    day = limited(position_quantity=10)
    day.book.apply(fill("x", Decimal(9), "beta"))
    assert codes(day.judge(request(terms("2")))) == ["position_quantity"]
    assert day.book.position("AAPL", "alpha") == 0
