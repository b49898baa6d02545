"""What the account's own position and orders have against an order, at the limit and one past it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_day import NOW_NS, Day, halted, limit_terms, name, replace_request, request, terms

from bus.control_messages import Halt
from bus.order_events import OrderApproved, OrderSent
from bus.order_messages import OrderTerms, Reason
from oms.limits.limits import parse
from oms.prices.reference_price import Price
from oms.risk.approval import Approved, Refused

PAIR = "BTC/USD"


def reasons(verdict: Approved | Refused) -> dict[str, Reason]:
    """Why not, by code; empty for a yes."""
    return {} if isinstance(verdict, Approved) else {reason.code: reason for reason in verdict.reasons}


def codes(verdict: Approved | Refused) -> list[str]:
    """The codes of why not, in their order."""
    return list(reasons(verdict))


def open_order(day: Day, wanted: OrderTerms, number: int | str, algorithm: str = "alpha") -> str:
    """An order that works at the broker, however it came to be; returns its client id."""
    order_id = name(number, algorithm)
    times = {"received_ns": NOW_NS, "requested_ns": NOW_NS, "approved_ns": NOW_NS}
    day.book.apply(
        OrderApproved(
            algorithm=algorithm,
            client_order_id=order_id,
            terms=wanted,
            reserve_price=Decimal(100),
            trigger="t",
            **times,
        )
    )
    day.book.apply(
        OrderSent(
            algorithm=algorithm,
            client_order_id=order_id,
            broker_order_id=f"at-broker-{order_id}",
            approved_ns=NOW_NS,
            sent_ns=NOW_NS,
            acknowledged_ns=NOW_NS,
        )
    )
    return order_id


def low_limits(day: Day, **changes: object) -> None:
    """Put limits into force of which these are lowered."""
    wide: dict[str, object] = {
        "order_quantity": 1000,
        "order_value": 1_000_000,
        "position_quantity": 1000,
        "position_value": 1_000_000,
        "open_orders": 100,
        "orders_per_second": 100,
        "price_collar_percent": 5,
        "price_age_seconds": 5,
    }
    day.limits = parse(
        "[account]\n" + "\n".join(f"{key} = {value}" for key, value in (wide | changes).items()), "limits"
    )


# Beyond zero.


@pytest.mark.parametrize(
    ("held", "side", "at_limit", "past_it", "advice"),
    [
        ("1", "sell", "1", "2", "sell 1 to close, then sell 1 short once that is filled"),
        ("-1", "buy", "1", "2", "buy 1 to close, then buy the rest once that is filled"),
        ("0.5", "sell", "0.5", "0.500000001", "sell 0.5 to close"),
    ],
)
def test_no_order_crosses_zero(held: str, side: str, at_limit: str, past_it: str, advice: str) -> None:
    day = Day()
    day.hold(held)
    assert codes(day.judge(request(terms(at_limit, side=side)))) == []
    refused = reasons(day.judge(request(terms(past_it, side=side))))
    assert list(refused) == ["crosses_zero"]
    assert advice in refused["crosses_zero"].message
    assert (refused["crosses_zero"].limit, refused["crosses_zero"].value) == (held.strip("-"), past_it)


@pytest.mark.parametrize(("held", "side"), [("0", "sell"), ("-5", "sell"), ("0", "buy"), ("5", "buy")])
def test_what_opens_or_adds_crosses_nothing(held: str, side: str) -> None:
    day = Day()
    if held != "0":
        day.hold(held)
    assert codes(day.judge(request(terms("10", side=side)))) == []


def test_it_is_the_accounts_position_that_counts() -> None:
    day = Day()
    day.hold("10", algorithm="beta")
    assert codes(day.judge(request(terms("10", side="sell")))) == []
    assert codes(day.judge(request(terms("11", side="sell")))) == ["crosses_zero"]


def test_coins_cannot_be_sold_short() -> None:
    day = Day()
    day.prices[PAIR] = Price(Decimal(100), NOW_NS, NOW_NS)
    none = reasons(day.judge(request(terms("1", side="sell", symbol=PAIR))))
    assert "crypto cannot be sold short: buy before you sell" in none["crosses_zero"].message
    day.hold("1", symbol=PAIR)
    assert codes(day.judge(request(terms("1", side="sell", symbol=PAIR)))) == []
    more = reasons(day.judge(request(terms("2", side="sell", symbol=PAIR))))
    assert "crypto cannot be sold short: sell at most 1" in more["crosses_zero"].message


def test_a_notional_order_is_measured_at_the_price_of_now() -> None:
    """What is reserved for it, at the lowest price within the collar, is more than Alpaca takes it for."""
    day = Day()
    day.hold("10")
    assert codes(day.judge(request(terms(None, notional=Decimal(1000), side="sell")))) == []
    past = day.judge(request(terms(None, notional=Decimal("1000.01"), side="sell")))
    assert codes(past) == ["crosses_zero"]


# Held for other orders.


@pytest.mark.parametrize("whose", ["alpha", "beta"])
def test_what_other_orders_are_to_close_is_not_closed_twice(whose: str) -> None:
    day = Day()
    day.hold("10", algorithm=whose)
    other = open_order(day, limit_terms("105", "8", "sell"), "other", whose)
    assert codes(day.judge(request(limit_terms("104", "2", "sell")))) == []
    refused = reasons(day.judge(request(limit_terms("104", "3", "sell"))))
    assert list(refused) == ["held_for_orders"]
    reason = refused["held_for_orders"]
    assert (reason.limit, reason.value) == ("2", "3")
    assert f"{other} of {whose}" in reason.message
    assert "sell at most 2" in reason.message


def test_a_replace_frees_what_the_old_order_held() -> None:
    day = Day()
    day.hold("10")
    old = open_order(day, limit_terms("105", "10", "sell"), 1)
    assert codes(day.judge(replace_request(old, limit_terms("104", "10", "sell")))) == []
    open_order(day, limit_terms("105", "1", "sell"), 3, "beta")
    assert codes(day.judge(replace_request(old, limit_terms("104", "9", "sell")))) == []
    refused = reasons(day.judge(replace_request(old, limit_terms("104", "10", "sell"))))
    assert list(refused) == ["held_for_orders"]
    assert refused["held_for_orders"].limit == "9"


def test_many_orders_are_named_by_a_few() -> None:
    day = Day()
    day.hold("10")
    for number in range(5):
        open_order(day, limit_terms("105", "2", "sell"), number)
    refused = reasons(day.judge(request(limit_terms("104", "1", "sell"), "more")))
    assert "and 2 more" in refused["held_for_orders"].message


# Wash trades.

STOP = terms("1", type="stop", stop_price=Decimal(110))
STOP_LIMIT = terms("1", type="stop_limit", stop_price=Decimal(101), limit_price=Decimal(102))


@pytest.mark.parametrize(
    ("resting", "wanted", "meets"),
    [
        (limit_terms("101", "1", "sell"), limit_terms("100.99", "1"), False),
        (limit_terms("101", "1", "sell"), limit_terms("101", "1"), True),
        (limit_terms("99", "1"), limit_terms("99.01", "1", "sell"), False),
        (limit_terms("99", "1"), limit_terms("99", "1", "sell"), True),
        (limit_terms("99", "1"), limit_terms("101", "1"), False),
        (limit_terms("104", "1", "sell"), terms("1"), True),
        (terms("1", side="sell"), limit_terms("96", "1"), True),
        (limit_terms("96", "1"), terms("1", side="sell", type="stop", stop_price=Decimal(90)), True),
        (STOP, limit_terms("104", "1", "sell"), True),
        (STOP_LIMIT, limit_terms("102.01", "1", "sell"), False),
        (STOP_LIMIT, limit_terms("102", "1", "sell"), True),
    ],
)
@pytest.mark.parametrize("whose", ["alpha", "beta"])
def test_an_order_that_could_trade_with_one_of_the_same_account(
    resting: OrderTerms, wanted: OrderTerms, meets: bool, whose: str
) -> None:
    day = Day()
    other = open_order(day, resting, "resting", whose)
    refused = reasons(day.judge(request(wanted)))
    assert list(refused) == (["wash_trade"] if meets else [])
    if meets:
        assert refused["wash_trade"].value == other
        assert f"{other} of {whose}" in refused["wash_trade"].message


def test_an_order_in_another_symbol_or_one_that_is_done_meets_nothing() -> None:
    day = Day()
    day.prices["MSFT"] = Price(Decimal(100), NOW_NS, NOW_NS)
    open_order(day, terms("1", side="sell", symbol="MSFT"), 1)
    assert codes(day.judge(request(terms("1")))) == []
    assert codes(day.judge(request(terms("1", symbol="MSFT")))) == ["wash_trade"]


def test_a_pair_meets_itself_in_its_other_spelling() -> None:
    """As in a journal of an older version, which may have both."""
    day = Day()
    day.prices[PAIR] = Price(Decimal(100), NOW_NS, NOW_NS)
    day.hold("3", symbol="BTCUSD")
    open_order(day, limit_terms("105", "2", "sell"), 0)
    open_order(day, terms("2", side="sell", symbol="BTCUSD", type="limit", limit_price=Decimal(105)), 1)
    assert day.book.position(PAIR) == 3
    assert day.book.pending(PAIR, "sell") == 2
    found = day.judge(request(terms("2", side="sell", symbol=PAIR)))
    assert codes(found) == ["held_for_orders"]
    assert codes(day.judge(request(terms("1", symbol=PAIR)))) == ["wash_trade"]


# Reductions.


@pytest.mark.parametrize(
    "lowered",
    [
        {"order_quantity": 1},
        {"order_value": 1},
        {"position_quantity": 1},
        {"position_value": 1},
        {"open_orders": 0},
        {
            "position_quantity": 0,
            "position_value": 0,
            "order_quantity": 0,
            "order_value": 0,
            "open_orders": 0,
        },
    ],
)
def test_a_lowered_limit_keeps_nobody_in(lowered: dict[str, object]) -> None:
    day = Day()
    day.hold("10")
    low_limits(day, **lowered)
    assert codes(day.judge(request(terms("10", side="sell")))) == []
    opening = codes(day.judge(request(terms("10", side="buy"))))
    assert set(opening) == set(lowered)
    short = Day()
    short.hold("-10")
    low_limits(short, **lowered)
    assert codes(short.judge(request(terms("10", side="buy")))) == []


def test_a_replace_of_a_reduction_is_one() -> None:
    day = Day()
    day.hold("10")
    old = open_order(day, limit_terms("105", "10", "sell"), 1)
    low_limits(day, order_quantity=1, open_orders=0)
    assert codes(day.judge(replace_request(old, limit_terms("104", "10", "sell")))) == []


def test_it_reduces_both_or_the_limits_hold() -> None:
    """What another holds is no holding of this algorithm: it would go short of it."""
    day = Day()
    day.hold("10", algorithm="beta")
    low_limits(day, order_quantity=1)
    assert codes(day.judge(request(terms("10", side="sell")))) == ["order_quantity"]
    own = Day()
    own.hold("10")
    own.hold("-15", algorithm="beta")
    low_limits(own, order_quantity=1)
    assert codes(own.judge(request(terms("5", side="sell")))) == ["order_quantity"]


def test_with_what_is_pending_it_stays_within_what_is_held() -> None:
    day = Day()
    day.hold("10")
    day.hold("20", algorithm="beta")
    open_order(day, limit_terms("105", "8", "sell"), 1)
    low_limits(day, order_quantity=1)
    assert codes(day.judge(request(limit_terms("104", "2", "sell"), 2))) == []
    assert codes(day.judge(request(limit_terms("104", "3", "sell"), 2))) == ["order_quantity"]


def test_a_reduction_is_held_to_what_its_size_cannot_mend() -> None:
    day = Day()
    day.hold("10")
    low_limits(day, orders_per_second=0)
    assert codes(day.judge(request(limit_terms("90", "1", "sell")))) == ["order_rate", "price_collar"]
    assert day.limits is not None
    day.limits = parse(
        "[account]\norder_quantity=1\norder_value=1\nposition_quantity=1\nposition_value=1\nopen_orders=1\n"
        'orders_per_second=9\nprice_collar_percent=5\nprice_age_seconds=5\nrestricted=["AAPL"]',
        "limits",
    )
    assert codes(day.judge(request(terms("1", side="sell")))) == ["restricted"]
    day.halts = halted(Halt)
    assert codes(day.judge(request(terms("1", side="sell")))) == ["halted", "restricted"]


SIZES = st.integers(-5, 5)
ORDERS = st.lists(
    st.tuples(st.sampled_from(["alpha", "beta"]), st.sampled_from(["buy", "sell"]), st.integers(1, 4)),
    max_size=4,
)


@given(
    own=SIZES, others=SIZES, pending=ORDERS, side=st.sampled_from(["buy", "sell"]), asked=st.integers(1, 6)
)
def test_no_approved_order_closes_more_than_the_account_has(
    own: int, others: int, pending: list[tuple[str, str, int]], side: str, asked: int
) -> None:
    """And what is exempt from limits of size leaves every position smaller, whatever is filled of it."""
    day = Day()
    for size, whose in ((own, "alpha"), (others, "beta")):
        if size:
            day.hold(str(size), algorithm=whose)
    for number, (whose, its_side, quantity) in enumerate(pending):
        price = "95" if its_side == "buy" else "105"
        open_order(day, limit_terms(price, str(quantity), its_side), f"p{number}", whose)
    price = "96" if side == "buy" else "104"
    wanted = request(limit_terms(price, str(asked), side))
    verdict = day.judge(wanted)
    sign = 1 if side == "buy" else -1
    held = own + others
    on_side = sum(quantity for _, its_side, quantity in pending if its_side == side)
    closes = held * sign < 0
    assert ("crosses_zero" in codes(verdict)) == (closes and asked > abs(held))
    assert ("held_for_orders" in codes(verdict)) == (
        closes and asked <= abs(held) and on_side + asked > abs(held)
    )
    low_limits(day, order_quantity=0)
    if "order_quantity" not in codes(day.judge(wanted)):
        own_side = sum(
            quantity for whose, its_side, quantity in pending if (whose, its_side) == ("alpha", side)
        )
        assert abs(own + sign * (own_side + asked)) < abs(own)
        assert abs(held + sign * (on_side + asked)) < abs(held)
