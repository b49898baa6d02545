"""What a loop looks like: duplicates, repetition, too many requests, a price walked away; and its halt."""

from decimal import Decimal

import pytest
from engine_run import SECOND_NS, EngineRun
from risk_day import (
    LEASE,
    LIMITS,
    NOW_NS,
    codes,
    fill,
    limit_terms,
    limited,
    name,
    replace_request,
    request,
    terms,
)

from bus.control_messages import Halt
from bus.halt_messages import HaltTriggered
from bus.halt_state import HaltState
from bus.order_events import OrderApproved, OrderRefused
from bus.order_messages import CancelRequest
from oms.prices.reference_price import Price, SymbolMarket
from oms.risk.approval import Refused
from oms.risk.request_rate import RequestRate
from oms.state.inputs import HaltStateRead

# As where a file sets nothing: ten within a minute.
LOOPS_COUNT = LIMITS.replace("repeated_seconds = 0\n", "")

MINUTE_NS = 60 * SECOND_NS


def test_a_duplicate_is_refused_within_its_window_and_not_past_it() -> None:
    day = limited(duplicate_seconds=2)
    day.approve(request(terms("10"), 1))
    for later_ns, expected in ((2 * SECOND_NS - 1, ["duplicate_request"]), (2 * SECOND_NS, [])):
        now_ns = NOW_NS + later_ns
        day.prices["AAPL"] = Price(Decimal(100), now_ns, now_ns)
        assert codes(day.judge(request(terms("10"), 2), now_ns=now_ns)) == expected
        assert codes(day.judge(request(terms("11"), 2), now_ns=now_ns)) == []
        beta = request(terms("10"), 2, client_order_id=name(2, "beta"))
        assert codes(day.judge(beta, algorithm="beta", now_ns=now_ns)) == []


def test_the_same_is_ordered_so_often_and_no_more() -> None:
    day = limited(repeated_orders=3, repeated_seconds=60)
    for number in range(3):
        # Prices and types differ: it is the same signal, executed again.
        day.approve(request(limit_terms(str(90 + number)), number))
    refused = day.judge(request(terms("10"), 4))
    assert codes(refused) == ["repeated_order"]
    assert isinstance(refused, Refused)
    assert (refused.reasons[0].limit, refused.reasons[0].value) == ("3", "4")
    assert codes(day.judge(request(terms("9"), 4))) == []
    day.prices["AAPL"] = Price(Decimal(100), NOW_NS + MINUTE_NS - 1, NOW_NS + MINUTE_NS - 1)
    assert codes(day.judge(request(terms("10"), 4), now_ns=NOW_NS + MINUTE_NS - 1)) == ["repeated_order"]
    day.prices["AAPL"] = Price(Decimal(100), NOW_NS + MINUTE_NS, NOW_NS + MINUTE_NS)
    assert codes(day.judge(request(terms("10"), 4), now_ns=NOW_NS + MINUTE_NS)) == []


def test_what_was_ordered_before_a_clock_was_set_back_is_no_loop() -> None:
    """It would halt the algorithm for what it did long ago, until a named person lifts it."""
    day = limited(repeated_orders=2, repeated_seconds=60)
    for number in range(2):
        day.approve(request(terms("10"), number))
    back_ns = NOW_NS - 60 * MINUTE_NS
    day.prices["AAPL"] = Price(Decimal(100), back_ns, back_ns)
    assert codes(day.judge(request(terms("10"), 3), now_ns=back_ns)) == []
    almost_ns = NOW_NS - MINUTE_NS // 60
    day.prices["AAPL"] = Price(Decimal(100), almost_ns, almost_ns)
    assert codes(day.judge(request(terms("10"), 3), now_ns=almost_ns)) == ["repeated_order"]


def test_a_fill_on_the_other_side_begins_the_count_anew() -> None:
    day = limited(repeated_orders=2, repeated_seconds=60)
    for number in range(2):
        day.approve(request(terms("10"), number))
    day.book.apply(fill("bought", Decimal(10), "alpha"))
    assert codes(day.judge(request(terms("10"), 3))) == ["repeated_order"]
    day.book.apply(fill("sold", Decimal(-1), "alpha"))
    assert codes(day.judge(request(terms("10"), 3))) == []


def test_replaces_are_not_repetition_and_a_reduction_is_let_out() -> None:
    day = limited(repeated_orders=1, repeated_seconds=60, duplicate_seconds=60, messages_per_minute=0)
    day.hold("100")
    for number in range(5):
        assert codes(day.judge(request(terms("10", side="sell"), number))) == []
        day.approve(request(terms("10", side="sell"), number))
    assert "repeated_order" not in codes(day.judge(replace_request("nothing", limit_terms("99"))))


def test_zero_seconds_count_nothing() -> None:
    day = limited(repeated_orders=0, repeated_seconds=0)
    assert codes(day.judge(request(terms("10")))) == []
    none = limited(repeated_orders=0, repeated_seconds=1)
    assert codes(none.judge(request(terms("10")))) == ["repeated_order"]


def test_requests_are_counted_over_a_minute() -> None:
    rate, day = RequestRate(), limited(messages_per_minute=3)
    for second in (0, 0, 59):
        rate.came("alpha", NOW_NS + second * SECOND_NS)
    late_ns = NOW_NS + 59 * SECOND_NS
    day.prices["AAPL"] = Price(Decimal(100), late_ns, late_ns)
    assert codes(day.judge(request(), requests=rate, now_ns=late_ns)) == []
    rate.came("beta", late_ns)
    assert codes(day.judge(request(), requests=rate, now_ns=late_ns)) == ["message_rate"]
    assert codes(day.judge(request(), requests=rate, now_ns=late_ns + SECOND_NS)) == []
    assert rate.within_a_minute("alpha", late_ns + SECOND_NS) == 1


def test_cancels_count_and_pass() -> None:
    run = EngineRun()
    run.begin(LIMITS + "messages_per_minute = 2\n")
    run.read(request(limit_terms("99"), 1))
    run.accepted(run.sent[0])
    for _ in range(3):
        effects = run.read(CancelRequest(client_order_id=name(1), lease=LEASE, requested_ns=run.now_ns))
    assert not any(type(event).__name__ == "CancelRefused" for event in effects.events)
    (refused,) = run.read(request(limit_terms("98"), 2)).events
    assert isinstance(refused, OrderRefused)
    assert [reason.code for reason in refused.reasons] == ["message_rate"]


def walked(*prices: str, every_ns: int = MINUTE_NS) -> Price:
    """The market's price after these trades, one in each minute."""
    market = SymbolMarket()
    for number, price in enumerate(prices):
        at_ns = NOW_NS + number * every_ns
        data = f'{{"T":"t","S":"AAPL","p":{price},"s":100,"i":{number},"x":"V","z":"C","t":{at_ns}}}'
        market.take("trades", {b"d": data.encode(), b"r": str(at_ns).encode()})
        known = market.known()
    assert isinstance(known, Price)
    return known


@pytest.mark.parametrize(
    ("side", "limit", "expected"),
    [
        ("buy", "110", []),
        ("buy", "110.01", ["price_band"]),
        ("sell", "90", []),
        ("sell", "89.99", ["price_band"]),
    ],
)
def test_a_price_within_the_band_and_past_it(side: str, limit: str, expected: list[str]) -> None:
    day = limited(price_band_percent=10, price_band_minutes=5)
    price = walked("100", "101", "99", "102", "101", "100")
    day.prices["AAPL"] = price
    asked = limit_terms(limit, side=side)
    assert codes(day.judge(request(asked), now_ns=price.at_ns)) == expected


def test_ten_small_steps_past_the_band_are_refused_though_each_is_within_the_collar() -> None:
    day = limited(price_band_percent=10, price_band_minutes=10, price_collar_percent=3)
    steps = [str(100 + 2 * number) for number in range(10)]
    found = []
    for number in range(1, 11):
        price = walked(*steps[:number])
        day.prices["AAPL"] = price
        asked = limit_terms(str(price.price * Decimal("1.01")), "1")
        found.append(codes(day.judge(request(asked, number), now_ns=price.at_ns)))
    assert found[:4] == [[]] * 4
    assert found[5:] == [["price_band"]] * 5
    # A market order is held to it too; what reduces is let out.
    assert codes(day.judge(request(terms("1"), 20), now_ns=price.at_ns)) == ["price_band"]
    day.hold("-10")
    assert codes(day.judge(request(terms("1"), 20), now_ns=price.at_ns)) == []


def test_the_price_of_before_is_that_which_stood_then() -> None:
    price = walked(*(str(100 + number) for number in range(40)))
    assert price.before(price.at_ns - 5 * MINUTE_NS).price == 134
    assert price.before(price.at_ns - 5 * MINUTE_NS - 1).price == 133
    # Only so much is remembered: the oldest stands for all before it.
    assert price.before(0).price == price.past[0].price == 108
    alone = Price(Decimal(100), NOW_NS, NOW_NS)
    assert alone.before(NOW_NS - MINUTE_NS) is alone


def run_away(run: EngineRun) -> OrderRefused:
    """Have alpha order the same until it is refused."""
    for number in range(10):
        (event,) = run.read(request(limit_terms("99"), number)).events
        assert isinstance(event, OrderApproved)
    effects = run.read(request(limit_terms("99"), 11))
    refused, triggered = effects.events
    assert isinstance(refused, OrderRefused)
    assert isinstance(triggered, HaltTriggered)
    assert (triggered.code, triggered.limit, triggered.value) == ("repeated_order", "10", "11")
    assert (effects.halts[0].scope, effects.halts[0].by, effects.halts[0].latched) == (
        "algorithm:alpha",
        "oms",
        True,
    )
    return refused


def test_the_eleventh_of_the_same_halts_the_algorithm_until_it_is_resumed() -> None:
    run = EngineRun()
    run.begin(LOOPS_COUNT)
    refused = run_away(run)
    assert [reason.code for reason in refused.reasons] == ["repeated_order"]
    # Before the halt is written, nothing else of it passes, and another is not concerned.
    (again,) = run.read(request(limit_terms("98", "1"), 12)).events
    assert isinstance(again, OrderRefused)
    assert again.reasons[0].code == "halted"
    beta = request(limit_terms("98", "1"), 1, client_order_id=name(1, "beta"), lease="1:beta")
    assert isinstance(run.read(beta, "beta").events[0], OrderApproved)
    halt = Halt(scope="algorithm:alpha", reason="it ran away", by="oms", at_ns=run.now_ns, latched=True)
    run.take(HaltStateRead(HaltState(known=True, scopes={halt.scope: halt})))
    assert run.tick(SECOND_NS).halts == []
    run.take(HaltStateRead(HaltState(known=True)))
    run.tick(MINUTE_NS)
    run.price("100")
    assert isinstance(run.read(request(limit_terms("99"), 13)).events[0], OrderApproved)


def test_a_crash_before_the_halt_is_written_lets_nothing_go_on() -> None:
    run = EngineRun()
    run.begin(LOOPS_COUNT)
    run_away(run)
    folded = run.folded()
    assert folded.digest() == run.engine.digest()
    again = EngineRun()
    again.engine = folded
    again.now_ns = run.now_ns + 3600 * SECOND_NS
    (halt,) = again.tick(SECOND_NS).halts
    assert (halt.scope, halt.latched) == ("algorithm:alpha", True)
    # A halt state that does not have it yet is no word of a person's.
    again.take(HaltStateRead(HaltState(known=True, scopes={"symbol:X": halt})))
    (refused,) = again.read(request(limit_terms("98", "1"), 12)).events
    assert isinstance(refused, OrderRefused)
    assert "halted" in [reason.code for reason in refused.reasons]
