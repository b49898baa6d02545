"""Limits that are set while the OMS runs: answered once, in the journal, and held against what waits."""

from decimal import Decimal
from typing import Any

import pytest
from engine_run import SECOND_NS, EngineRun
from risk_day import LIMITS, fill, limit_terms, name, replace_request, request, terms

from bus.book_messages import Declined
from bus.codec import Message
from bus.halt_state import HaltState
from bus.limit_messages import LimitCommand, LimitsSet, LoadLimits, RefusedInShadow, SetLimit, UnsetLimit
from bus.order_events import OrderApproved, OrderRefused
from oms.broker.protocol import Rejected
from oms.journal.digest import digest_of
from oms.journal.snapshot_encoding import decode, encode
from oms.limits.limits import parse
from oms.state.inputs import ControlRead, LimitsRead, MarketClockRead, OrderAnswered, Stopping

ACTIVE = HaltState(known=True)


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready."""
    run = EngineRun()
    run.begin(LIMITS + "[algorithm.alpha]\nopen_orders = 150\ngross_exposure = 900_000\n")
    return run


def setting(name: str, value: Any, section: str = "account", **changes: Any) -> SetLimit:
    """An operator's word."""
    values: dict[str, Any] = {
        "account": "paper", "section": section, "name": name, "value": value, "shadow": False,
        "loosen": False, "reason": "the news", "by": "ann", "at_ns": 1,
    }  # fmt: skip
    return SetLimit(**(values | changes))


def unsetting(name: str, section: str = "account", **changes: Any) -> UnsetLimit:
    """Another."""
    values: dict[str, Any] = {
        "account": "paper", "section": section, "name": name, "shadow": False, "loosen": False,
        "reason": "over", "by": "ann", "at_ns": 1,
    }  # fmt: skip
    return UnsetLimit(**(values | changes))


def asked(run: EngineRun, message: LimitCommand) -> Message:
    """It is heard, and answered once."""
    (answer,) = run.take(ControlRead("7-0", message)).events
    assert answer.entry_id == "7-0"  # type: ignore[attr-defined]
    return answer


def declined(run: EngineRun, message: LimitCommand) -> str:
    """It is heard, and declined: nothing changes."""
    before = run.engine.state.limits
    answer = asked(run, message)
    assert isinstance(answer, Declined)
    assert run.engine.state.limits is before
    return answer.why


def codes(events: list[Any]) -> list[str]:
    """Why an order was refused; empty where it was approved."""
    (event,) = events
    return [] if isinstance(event, OrderApproved) else [reason.code for reason in event.reasons]


def test_a_limit_holds_from_the_moment_that_it_is_set(run: EngineRun) -> None:
    assert codes(run.read(request(terms("20"), 1)).events) == []
    told = asked(run, setting("order_value", "1999"))
    assert isinstance(told, LimitsSet)
    (change,) = told.changes
    assert (change.before, change.value, change.in_file, change.mode) == ("50000", "1999", "50000", "set")
    assert (told.limits_version, told.reason, told.by, told.at_ns) == (2, "the news", "ann", run.now_ns)
    (refused,) = run.read(request(terms("20"), 2)).events
    assert isinstance(refused, OrderRefused)
    assert [(one.code, one.limit, one.value) for one in refused.reasons] == [("order_value", "1999", "2000")]
    assert refused.basis is not None
    assert refused.basis.limits_version == 2


def test_what_is_looser_needs_a_word_of_its_own(run: EngineRun) -> None:
    assert declined(run, setting("order_value", "50001")) == (
        "[account] order_value is 50000 and would be 50001: that is looser, and needs --loosen"
    )
    asked(run, setting("order_value", "50001", loosen=True))
    asked(run, setting("order_value", "50001"))
    # Back to what the file says is tighter here, and looser there.
    asked(run, unsetting("order_value"))
    asked(run, setting("order_value", "10"))
    assert "needs --loosen" in declined(run, unsetting("order_value"))
    asked(run, unsetting("order_value", loosen=True))
    assert declined(run, unsetting("order_value", loosen=True)) == (
        "[account] order_value was not set while the OMS ran: 50000 is what limits.toml says"
    )


def test_a_limit_is_taken_away_only_with_that_word(run: EngineRun) -> None:
    gone = setting("gross_exposure", None, "algorithm.alpha")
    assert "is 900000 and would be no limit: that is looser" in declined(run, gone)
    asked(run, setting("gross_exposure", None, "algorithm.alpha", loosen=True))
    assert "there is no such limit to take away" in declined(run, gone)
    needed = declined(run, setting("order_value", None, loosen=True))
    assert needed.startswith("not set: [account] must set order_value (the largest value of one order")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (setting("order_valu", "1"), "[account] order_valu is unknown: use order_quantity, order_value"),
        (setting("order_value", "ten"), "[account] order_value is 'ten': it must be a number, zero or more"),
        (setting("order_value", "-1"), "[account] order_value is -1: it must be zero or more"),
        (setting("order_value", "NaN"), "[account] order_value is NaN: it must be zero or more"),
        (setting("order_value", True), "[account] order_value is True: it must be a number"),
        (setting("order_value", {"a": 1}), "[account] order_value is {'a': 1}: it must be a number"),
        (setting("open_orders", "1.5"), "[account] open_orders is 1.5: it must be a whole number"),
        (setting("short_sales", "yes"), "[account] short_sales is 'yes': it must be true or false"),
        (setting("restricted", ["a b"]), "symbol 'a b': write it as Alpaca does"),
        (setting("open_orders", "1", "symbol.AAPL"), '[symbol."AAPL"] open_orders is unknown'),
        (setting("capital", "1"), "[account] capital is unknown"),
        (setting("order_value", "1", "acount"), "section 'acount': use account, each_algorithm or"),
        (setting("order_value", "1", "account.alpha"), "section 'account.alpha': use"),
        (setting("order_value", "1", "algorithm"), "section 'algorithm': use"),
        (setting("order_value", "1", "symbol."), "section 'symbol.': use"),
        (setting("order_value", "1", "algorithm.A B"), "algorithm"),
        (setting("price_age_seconds", "1", "feed.sp"), "[feed.sp]: no feed has that name: use iex, sip"),
        (setting("day_loss", "1", shadow=True), "day_loss cannot be in shadow: it refuses no single order"),
        (setting("order_value", None, shadow=True), "[account] order_value: a limit in shadow has a value"),
        (setting("restricted", [], shadow=True), "[account] restricted: a limit in shadow has a value"),
        (unsetting("order_value", shadow=True), "[account] order_value is not in shadow"),
    ],
)
def test_what_may_not_be_set_is_declined_and_said(run: EngineRun, message: Any, why: str) -> None:
    assert why in declined(run, message)


def test_a_word_to_another_account_is_nothing(run: EngineRun) -> None:
    assert not run.take(ControlRead("7-0", setting("order_value", "1", account="live"))).events


def test_a_pair_is_meant_in_both_spellings(run: EngineRun) -> None:
    asked(run, setting("order_value", "10", "symbol.BTCUSD"))
    asked(run, setting("order_value", "9", "symbol.BTC/USD"))
    limits = run.engine.state.limits
    assert limits is not None
    assert limits.effective("alpha", "BTCUSD").account.order_value == 9
    assert len(run.engine.state.limits_in_force.set_here) == 1


def test_a_file_that_is_looser_at_the_next_start_holds_and_is_said(run: EngineRun) -> None:
    """A guard at one door alone is none: a file edited before a start loosens, too (go-trader#1324)."""
    looser = LIMITS.replace("order_value = 50_000", "order_value = 60_000")
    notes = run.take(LimitsRead(parse(looser, "x"), "limits.toml", "bob")).notes
    assert [(one.text, one.about["limit"], one.about["now"]) for one in notes] == [
        ("a limit is looser than before", "[account] order_value", "60000"),
        ("a limit is looser than before", "[algorithm.alpha] gross_exposure", "no limit"),
        ("a limit is looser than before", "[algorithm.alpha] open_orders", "no limit"),
    ]
    assert not run.take(LimitsRead(parse(LIMITS, "x"), "limits.toml", "bob")).notes


def test_what_was_set_is_in_a_snapshot(run: EngineRun) -> None:
    asked(run, setting("order_value", "1000"))
    asked(run, setting("order_quantity", "5", "symbol.AAPL", shadow=True))
    run.read(request(terms("9"), 1))
    run.tick(SECOND_NS)
    state = run.engine.state
    restored = decode(encode(state))
    assert digest_of(restored) == digest_of(state)
    assert restored.limits is restored.limits_in_force.limits
    assert restored.limits_in_force.shadows["symbol.AAPL", "order_quantity"].refused == {"alpha": 1}
    event = asked(run, unsetting("order_value", loosen=True))
    restored.apply(event)
    assert digest_of(restored) == digest_of(state)


def test_what_is_in_control_by_hand_never_ends_the_oms(run: EngineRun) -> None:
    """Whatever it says is answered once, and what is journalled folds."""
    wrong = {"account": 1}, {"account": {"order_value": {"a": 1}}}, {"x": {}}, {"symbol": {"": {}}}
    for limits in wrong:
        assert isinstance(asked(run, load(LIMITS, limits=limits, loosen=True)), Declined)
    everything = parse(LIMITS, "x").as_dict()
    asked(run, load(LIMITS, limits=everything | {"algorithm": {"alpha": {"symbols": []}}}, loosen=True))
    assert codes(run.read(request(terms("1"), 1)).events) == ["symbol_not_allowed"]
    assert run.folded().digest() == run.engine.digest()


def test_a_file_that_says_what_holds_ends_the_difference(run: EngineRun) -> None:
    asked(run, setting("order_value", "9000"))
    text = LIMITS.replace("order_value = 50_000", "order_value = 8_000")
    run.take(LimitsRead(parse(text, "x"), "limits.toml", "bob"))
    force = run.engine.state.limits_in_force
    assert len(force.differing()) == 1
    told = asked(run, load(text))
    assert isinstance(told, LimitsSet)
    assert [(one.before, one.value) for one in told.changes] == [("8000", "8000")]
    assert (force.differing(), force.set_here) == ([], {})


def load(text: str, **changes: Any) -> LoadLimits:
    """A whole file."""
    values: dict[str, Any] = {
        "account": "paper", "limits": parse(text, "new.toml").as_dict(), "source": "new.toml",
        "loosen": False, "reason": "a new plan", "by": "ann", "at_ns": 1,
    }  # fmt: skip
    return LoadLimits(**(values | changes))


def test_a_file_is_loaded_as_one_or_not_at_all(run: EngineRun) -> None:
    asked(run, setting("open_orders", "3", "algorithm.alpha"))
    text = (
        LIMITS.replace("order_value = 50_000", "order_value = 40_000") + "[algorithm.beta]\nopen_orders = 1\n"
    )
    assert declined(run, load(text)) == (
        "[algorithm.alpha] gross_exposure is 900000 and would be no limit; "
        "[algorithm.alpha] open_orders is 3 and would be no limit: that is looser, and needs --loosen"
    )
    told = asked(run, load(text, loosen=True))
    assert isinstance(told, LimitsSet)
    assert [(one.section, one.name, one.before, one.value) for one in told.changes] == [
        ("account", "order_value", "50000", "40000"),
        ("algorithm.alpha", "gross_exposure", "900000", None),
        ("algorithm.alpha", "open_orders", "3", None),
        ("algorithm.beta", "open_orders", None, "1"),
    ]
    limits = run.engine.state.limits
    assert limits is not None
    wanted = parse(text, "new.toml").as_dict()
    assert limits.as_dict() == wanted
    # A restart with the same file as before: what was loaded holds. With the new one: it has taken it over.
    run.take(LimitsRead(parse(LIMITS + "[algorithm.alpha]\nopen_orders = 140\n", "x"), "limits.toml", "bob"))
    assert run.engine.state.limits_in_force.differing()
    run.take(LimitsRead(parse(text, "x"), "limits.toml", "bob"))
    assert not run.engine.state.limits_in_force.set_here
    assert run.engine.state.limits is not None
    assert run.engine.state.limits.as_dict() == wanted
    assert run.folded().digest() == run.engine.digest()
    told = asked(run, load(text))
    assert isinstance(told, LimitsSet)
    assert told.changes == ()


# Each with the order that waits, as (side, quantity, price), and what it may not be once the limit is tight.
TIGHTER = [
    ("order_quantity", "9", "10", "account", "order_quantity"),
    ("order_value", "989", "990", "account", "order_value"),
    ("position_quantity", "14", "15", "algorithm.alpha", "position_quantity"),
    ("position_value", "1499", "1500", "account", "position_value"),
    ("open_orders", "1", "2", "algorithm.alpha", "open_orders"),
    ("price_collar_percent", "0.9", "1.1", "symbol.AAPL", "price_collar"),
    ("restricted", ["AAPL", "MSFT"], ["MSFT"], "account", "restricted"),
    ("capital", "1489", "1490", "algorithm.alpha", "capital"),
    ("gross_exposure", "1499", "1500", "each_algorithm", "gross_exposure"),
    ("net_exposure", "1499", "1500", "account", "net_exposure"),
    ("unexecuted_value", "1489", "1490", "account", "unexecuted_value"),
    ("symbols", ["MSFT"], ["AAPL", "MSFT"], "algorithm.alpha", "symbol_not_allowed"),
    ("price_age_seconds", "0.9", "1", "account", "stale_price"),
    ("orders_per_second", "0", "1", "account", "order_rate"),
]


@pytest.mark.parametrize(("limit", "tight", "wide", "section", "code"), TIGHTER)
def test_an_order_that_waits_is_held_against_what_became_stricter(
    run: EngineRun, limit: str, tight: Any, wide: Any, section: str, code: str
) -> None:
    run.price("100")
    run.now_ns += SECOND_NS
    run.read(request(limit_terms("100", "5"), 1))
    price = "101" if limit == "price_collar_percent" else "99"
    (approved,) = run.read(request(limit_terms(price, "10"), 2)).send
    assert run.engine.objection(approved, ACTIVE) is None
    run.now_ns += 60 * SECOND_NS
    run.price("50")
    asked(run, setting(limit, wide, section))
    assert run.engine.objection(approved, ACTIVE) is None
    asked(run, setting(limit, tight, section))
    reason = run.engine.objection(approved, ACTIVE)
    assert reason is not None
    assert reason.code == code
    assert reason.message.endswith("; limits version 3 came into force before it was sent")
    # Taken back before its turn: it may go.
    asked(run, setting(limit, wide, section, loosen=True))
    assert run.engine.objection(approved, ACTIVE) is None


def test_an_order_that_waits_is_not_asked_again_for_what_became_looser(run: EngineRun) -> None:
    (approved,) = run.read(request(limit_terms("99", "10"), 1)).send
    # Somebody else trades on the account: it is above its limit now, which no limit changed.
    run.engine.state.book.apply(fill("x", Decimal(10_000), "external"))
    asked(run, setting("order_value", "60000", loosen=True))
    assert run.engine.objection(approved, ACTIVE) is None
    asked(run, setting("order_value", "55000"))
    reason = run.engine.objection(approved, ACTIVE)
    assert reason is not None
    assert reason.code == "position_quantity"


def test_a_reduction_that_waits_is_not_held_by_limits_of_size(run: EngineRun) -> None:
    run.engine.state.book.apply(fill("held", Decimal(10), "alpha"))
    (sell,) = run.read(request(limit_terms("101", "10", "sell"), 1)).send
    for limit in ("order_quantity", "order_value", "position_quantity", "open_orders"):
        asked(run, setting(limit, "0"))
    assert run.engine.objection(sell, ACTIVE) is None
    asked(run, setting("restricted", ["AAPL"]))
    assert run.engine.objection(sell, ACTIVE) is not None


def test_a_replacement_that_waits_is_held_too_and_leaves_what_works(run: EngineRun) -> None:
    (first,) = run.read(request(limit_terms("99", "10"), 1)).send
    run.accepted(first)
    (again,) = run.read(replace_request(name(1), limit_terms("98", "20"), 2)).send
    asked(run, setting("position_quantity", "20"))
    assert run.engine.objection(again, ACTIVE) is None
    asked(run, setting("position_quantity", "19"))
    reason = run.engine.objection(again, ACTIVE)
    assert reason is not None
    assert (reason.code, reason.value) == ("position_quantity", "20")
    run.take(OrderAnswered(again.client_order_id, Rejected("oms", reason)))
    assert run.engine.state.book.orders[name(1)].open
    assert run.engine.state.book.pending("AAPL", "buy") == 10


def test_an_order_for_a_closed_market_waits_no_more(run: EngineRun) -> None:
    run.take(LimitsRead(parse(LIMITS + "orders_while_closed = true\n", "x"), "limits.toml", "a"))
    run.take(MarketClockRead(is_open=False))
    (approved,) = run.read(request(limit_terms("99", "10"), 1)).send
    asked(run, setting("orders_while_closed", False))
    reason = run.engine.objection(approved, ACTIVE)
    assert reason is not None
    assert reason.code == "market_closed"


def test_a_limit_in_shadow_refuses_nothing_and_is_told_in_sums(run: EngineRun) -> None:
    asked(run, setting("order_quantity", "9", shadow=True))
    asked(run, setting("order_quantity", "12", "symbol.AAPL", shadow=True))
    for number in range(5):
        assert codes(run.read(request(limit_terms("99", "10"), number)).events) == []
    shown = {"[account] order_quantity = 9": 5, '[symbol."AAPL"] order_quantity = 12': 0}
    assert run.shown().limits_in_shadow == shown
    told = [one for one in run.tick(SECOND_NS // 4).events if isinstance(one, RefusedInShadow)]
    assert [(one.section, one.whose, one.orders, one.reason.limit) for one in told] == [
        ("account", "alpha", 5, "9")
    ]
    assert (told[0].first_order_id, told[0].last_order_id) == (name(0), name(4))
    # A flood: one entry a minute, whatever comes.
    sums = []
    for number in range(100, 200):
        run.price("100")
        assert codes(run.read(request(limit_terms("99", "10"), number)).events) == []
        sums += [one for one in run.tick(SECOND_NS).events if isinstance(one, RefusedInShadow)]
    assert [one.orders for one in sums] == [60]
    assert run.shown().limits_in_shadow == shown | {"[account] order_quantity = 9": 105}
    # What was counted is told before a stop, and known after it.
    run.take(Stopping())
    assert run.folded().state.limits_in_force.shadows["account", "order_quantity"].refused == {"alpha": 105}
    assert run.folded().digest() == run.engine.digest()


def test_what_is_refused_anyway_does_not_count_in_shadow(run: EngineRun) -> None:
    asked(run, setting("order_quantity", "9", shadow=True))
    asked(run, setting("order_value", "100"))
    assert codes(run.read(request(limit_terms("99", "10"), 1)).events) == ["order_value"]
    assert run.shown().limits_in_shadow == {"[account] order_quantity = 9": 0}


def test_a_shadow_that_ends_tells_what_it_counted(run: EngineRun) -> None:
    asked(run, setting("order_quantity", "9", shadow=True))
    run.read(request(limit_terms("99", "10"), 1))
    told, ended = run.take(ControlRead("8-0", unsetting("order_quantity", shadow=True))).events
    assert isinstance(told, RefusedInShadow)
    assert isinstance(ended, LimitsSet)
    assert run.shown().limits_in_shadow == {}
