"""Halts that the OMS gives by itself: each at its limit and one past it, held until a resume."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from engine_run import EngineRun, at_broker, frame
from hypothesis import given
from hypothesis import strategies as st
from oms_run import limits_text
from risk_day import fill as filled
from risk_day import limit_terms, request

from bus.book_messages import Booked
from bus.control_messages import Halt
from bus.halt_messages import HaltLifted, HaltTriggered, TradingDayBegun
from bus.halt_state import HaltState
from bus.limit_messages import SetLimit
from bus.order_events import LeaseRetired
from bus.order_messages import Reason
from oms.broker.protocol import Rejected, Unknown
from oms.limits.limits import parse
from oms.state.effects import Effects
from oms.state.inputs import ControlRead, HaltStateRead, LeasesRead, LimitsRead, Listened, OrderAnswered

SECOND_NS = 1_000_000_000
ACCOUNT, ALPHA = "account:paper", "algorithm:alpha"


def at(text: str) -> int:
    """A time of UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def began(**changes: object) -> EngineRun:
    run = EngineRun()
    run.begin(limits_text(price_age_seconds=3600, **changes))
    return run


def triggered(effects: Effects) -> list[tuple[str, str]]:
    return [(one.scope, one.code) for one in effects.events if isinstance(one, HaltTriggered)]


def listen(run: EngineRun, *, after_s: float = 1, **seen: Any) -> Effects:
    """Let time pass, and see everything there but what is said to be otherwise."""
    ticked = run.tick(int(after_s * SECOND_NS))
    values: dict[str, Any] = {
        "feeds": {"stocks": True, "account": True},
        "market_data_readable": True,
        "alive": frozenset({"alpha", "beta"}),
        "prices": {"AAPL": Decimal(100)},
    }
    effects = run.take(Listened(**(values | seen)))
    effects.events[:0] = ticked.events
    return effects


def written(run: EngineRun) -> dict[str, Any]:
    """The halt key once everything pending stands in it."""
    scopes = run.engine.state.halts.scopes
    run.take(HaltStateRead(HaltState(known=True, scopes=dict(scopes))))
    return dict(scopes)


def resume(run: EngineRun) -> Effects:
    return run.take(HaltStateRead(HaltState(known=True)))


def bought(run: EngineRun, quantity: str = "10", price: str = "100", number: int = 1) -> None:
    run.price(price)
    (approved,) = run.read(request(limit_terms(price, quantity), number)).send
    run.accepted(approved)
    order = at_broker(approved, "filled", quantity)
    run.told(frame(order, "fill", execution_id=f"e{number}", qty=quantity, price=price))


def rejected(run: EngineRun, number: int) -> Effects:
    (approved,) = run.read(request(limit_terms("100", "1"), number)).send
    return run.take(
        OrderAnswered(
            approved.client_order_id, Rejected("broker", Reason(code="broker", message="not allowed"))
        )
    )


def test_rejects_within_a_second_up_to_the_limit_halt_nothing_and_one_more_halts() -> None:
    run = began(rejects_per_second=3)
    run.price("100")
    for number in range(3):
        assert triggered(rejected(run, number)) == []
    effects = rejected(run, 3)
    assert triggered(effects) == [(ACCOUNT, "rejects_per_second"), (ALPHA, "rejects_per_second")]
    assert [halt.scope for halt in effects.halts] == [ACCOUNT, ALPHA]
    assert "4 rejects by the broker within one second; the limit is 3" in effects.halts[0].reason
    # At once, before the key has it.
    refused = run.read(request(limit_terms("100", "1"), 9)).events[0]
    assert refused.reasons[0].code == "halted"  # type: ignore[attr-defined]


def test_rejects_that_are_a_second_apart_do_not_add_up() -> None:
    run = began(rejects_per_second=3)
    run.price("100")
    for number in range(12):
        assert triggered(rejected(run, number)) == []
        run.tick(SECOND_NS // 3 + 1)


def test_rejects_of_before_a_clock_was_set_back_do_not_add_up() -> None:
    run = began(rejects_per_second=3)
    run.price("100")
    for number in range(3):
        assert triggered(rejected(run, number)) == []
    run.now_ns -= 3600 * SECOND_NS
    for number in range(3, 6):
        run.price("100")
        assert triggered(rejected(run, number)) == []
        run.tick(SECOND_NS // 2)


@pytest.mark.parametrize(("seconds", "halted"), [(60, []), (60.25, [(ACCOUNT, "unanswered")])])
def test_an_order_in_doubt_halts_once_the_limit_is_passed(seconds: float, halted: list[Any]) -> None:
    run = began()
    run.price("100")
    (approved,) = run.read(request(limit_terms("100", "1"), 1)).send
    run.take(OrderAnswered(approved.client_order_id, Unknown("no answer")))
    run.tick(0)
    effects = run.tick(int(seconds * SECOND_NS))
    assert triggered(effects) == halted


@pytest.mark.parametrize(
    ("away", "code"),
    [
        ({"feeds": {"stocks": False, "account": True}}, "feed_lost"),
        ({"feeds": {"stocks": True, "crypto": False, "account": True}}, "feed_lost"),
        ({"feeds": {"stocks": True, "account": False}}, "updates_lost"),
        ({"market_data_readable": False}, "market_data_lost"),
        # No ingest is alive, and one was.
        ({"feeds": {}}, "updates_lost"),
    ],
)
def test_what_is_away_for_30_s_halts_the_account_and_a_reconnect_before_halts_nothing(
    away: dict[str, Any], code: str
) -> None:
    run = began()
    listen(run)
    for _ in range(2):
        # The first look finds it away: 29 s have passed at the last.
        assert [triggered(listen(run, **away)) for _ in range(30)] == [[]] * 30
        assert triggered(listen(run)) == []
    for _ in range(30):
        listen(run, **away)
    assert triggered(listen(run, **away)) == [(ACCOUNT, code)]
    # That it is back lifts nothing, and it is told once.
    assert triggered(listen(run)) == []
    assert isinstance(run.engine.state.halts.scopes[ACCOUNT], Halt)
    written(run)
    (lifted,) = [one for one in resume(run).events if isinstance(one, HaltLifted)]
    assert (lifted.scope, lifted.code) == (ACCOUNT, code)
    # Still away: it is counted anew.
    assert [triggered(listen(run, **away)) for _ in range(30)] == [[]] * 30
    assert triggered(listen(run, **away)) == [(ACCOUNT, code)]


def test_the_close_of_the_market_halts_nothing_and_crypto_has_none() -> None:
    run = began()
    # 20:00 in New York ends the extended hours.
    run.now_ns = at("2026-12-01 00:59:45")
    away = {"feeds": {"stocks": False, "crypto": True, "account": True}}
    assert [triggered(listen(run, **away)) for _ in range(120)] == [[]] * 120
    run.now_ns = at("2026-12-01 08:59:45")
    assert [triggered(listen(run, **away)) for _ in range(44)] == [[]] * 44
    assert triggered(listen(run, **away)) == [(ACCOUNT, "feed_lost")]


def test_a_look_that_did_not_happen_proves_nothing() -> None:
    run = began()
    away = {"feeds": {"stocks": False, "account": True}}
    for _ in range(29):
        listen(run, **away)
    assert triggered(listen(run, after_s=6, **away)) == []
    assert triggered(listen(run, **away)) == []


@pytest.mark.parametrize("policy", ["nothing", "halt", "cancel"])
def test_a_silent_algorithm_with_something_open_is_dealt_with_by_its_policy(policy: str) -> None:
    run = began(on_silence=f'"{policy}"')
    run.price("100")
    (approved,) = run.read(request(limit_terms("99", "1"), 1)).send
    run.accepted(approved)
    silent = {"alive": frozenset({"beta"})}
    seen = [listen(run, **silent) for _ in range(40)]
    halts = [one for effects in seen for one in triggered(effects)]
    assert halts == ([] if policy == "nothing" else [(ALPHA, "silent")])
    canceled = [order.client_order_id for effects in seen for order in effects.cancel]
    assert canceled == ([approved.client_order_id] if policy == "cancel" else [])


def test_silence_counts_only_after_a_whole_time_to_live_and_not_of_who_stopped_or_has_nothing() -> None:
    run = began()
    silent = {"alive": frozenset()}
    assert [triggered(listen(run, **silent)) for _ in range(60)] == [[]] * 60
    bought(run)
    run.take(LeasesRead({"alpha": "7:alpha", "beta": "1:beta"}))
    run.engine.apply(LeaseRetired(algorithm="alpha", lease="7:alpha", at_ns=run.now_ns))
    assert [triggered(listen(run, **silent)) for _ in range(60)] == [[]] * 60
    # It leads again, and dies: that it once stopped properly says nothing now.
    run.take(LeasesRead({"alpha": "8:alpha", "beta": "1:beta"}))
    run.take(LeasesRead({"alpha": "", "beta": "1:beta"}))
    seen = [one for _ in range(31) for one in triggered(listen(run, **silent))]
    assert seen == [(ALPHA, "silent")]
    # A server that was restarted has forgotten every heartbeat: nobody is silent for that.
    other = began()
    bought(other)
    assert [triggered(listen(other, **silent)) for _ in range(33)] == [[]] * 33
    assert triggered(listen(other, **silent)) == [(ALPHA, "silent")]


@pytest.mark.parametrize(
    ("price", "halted"), [("90", []), ("89.999", [(ALPHA, "day_loss")]), ("0.01", [(ALPHA, "day_loss")])]
)
def test_a_day_s_loss_halts_once_it_is_beyond_the_limit(price: str, halted: list[Any]) -> None:
    run = began(day_loss=100)
    listen(run)
    bought(run)
    effects = listen(run, prices={"AAPL": Decimal(price)})
    assert [one for one in triggered(effects) if one[0] == ALPHA] == halted


def test_what_is_bought_by_hand_and_never_has_a_price_does_not_hide_a_loss() -> None:
    """Such as an option, or a share that nobody trades: the loss of its holder was not reckoned any more."""
    run = began(day_loss=100)
    listen(run)
    bought(run)
    run.engine.apply(filled("by-hand", Decimal(3), "external", "XYZ", "7"))
    assert triggered(listen(run, prices={"AAPL": Decimal(80)})) == [(ALPHA, "day_loss")]
    seen = [triggered(listen(run, prices={"AAPL": Decimal(80)})) for _ in range(60)]
    assert seen == [[]] * 59 + [[(ACCOUNT, "day_loss")]]
    # A price that comes counts again; one that is away for a moment is awaited again.
    prices = {"AAPL": Decimal(80), "XYZ": Decimal(5)}
    listen(run, prices=prices)
    assert run.engine.observed.profits["shares"][""] == -206


def test_after_a_resume_the_loss_halts_again_when_it_grows_by_a_tenth_or_its_limit_changes() -> None:
    run = began(day_loss=100)
    listen(run)
    bought(run)
    assert triggered(listen(run, prices={"AAPL": Decimal(80)})) == [
        (ACCOUNT, "day_loss"),
        (ALPHA, "day_loss"),
    ]
    written(run)
    resume(run)
    assert triggered(listen(run, prices={"AAPL": Decimal(79)})) == []
    assert len(triggered(listen(run, prices={"AAPL": Decimal("78.99")}))) == 2
    written(run)
    resume(run)
    assert triggered(listen(run, prices={"AAPL": Decimal("78.99")})) == []
    run.take(LimitsRead(parse(limits_text(price_age_seconds=3600, day_loss=120), "x"), "x", "ann"))
    assert len(triggered(listen(run, prices={"AAPL": Decimal("78.99")}))) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # New York's days begin at 20:00, in summer an hour earlier by UTC: before and after both changes.
        ("2026-03-06 00:59:59", "2026-03-07 01:00:00"),
        ("2026-03-10 23:59:59", "2026-03-11 00:00:00"),
        ("2026-10-29 23:59:59", "2026-10-30 00:00:00"),
        ("2026-11-03 00:59:59", "2026-11-03 01:00:00"),
    ],
)
def test_a_day_begins_anew_in_new_york_on_both_sides_of_a_change_of_clocks(before: str, after: str) -> None:
    run = began(day_loss=100)
    bought(run)
    days = []
    for moment in (before, after):
        run.now_ns = at(moment) - SECOND_NS
        days += [one.day for one in listen(run).events if getattr(one, "market", "") == "shares"]
    assert len(days) == 2
    assert days[0] < days[1]


def test_a_day_s_loss_that_is_set_while_running_counts_the_day_and_begins_anew() -> None:
    run = began(day_loss=1000)
    listen(run)
    bought(run)
    assert triggered(listen(run, prices={"AAPL": Decimal(95)})) == []
    setting = SetLimit(
        account="paper", section="each_algorithm", name="day_loss", value="49", shadow=False, loosen=False,
        reason="r", by="ann", at_ns=1,
    )  # fmt: skip
    run.take(ControlRead("7-0", setting))
    # A restart in the middle forgets neither the limit nor where the day began (hyperliquid-trading-agent#5).
    restarted = run.folded()
    assert restarted.digest() == run.engine.digest()
    assert restarted.state.triggers.days == run.engine.state.triggers.days
    assert triggered(listen(run, prices={"AAPL": Decimal(95)})) == [(ALPHA, "day_loss")]
    written(run)
    resume(run)
    # The next day begins at the price of then, with the limit that was set.
    run.now_ns += 24 * 3600 * SECOND_NS
    listen(run, prices={"AAPL": Decimal(95)})
    assert triggered(listen(run, prices={"AAPL": Decimal("90.1")})) == []
    assert triggered(listen(run, prices={"AAPL": Decimal("90.09")})) == [(ALPHA, "day_loss")]
    limits = run.folded().state.limits
    assert limits is not None
    assert limits.each_algorithm.day_loss == 49


def test_a_restart_knows_the_day_s_beginning_and_a_halt_that_was_not_written_yet() -> None:
    run = began(day_loss=100)
    listen(run)
    bought(run)
    listen(run, prices={"AAPL": Decimal(80)})
    again = run.folded()
    assert again.digest() == run.engine.digest()
    assert isinstance(again.state.halts.scopes[ALPHA], Halt)
    run.engine = again
    assert [halt.scope for halt in run.tick(0).halts] == [ACCOUNT, ALPHA]
    assert run.tick(0).halts == []


@given(
    st.lists(st.sampled_from(["reject", "away", "there", "lost", "won", "silent", "tick", "key", "unknown"]))
)
def test_what_was_halted_stays_halted_until_somebody_resumes(steps: list[str]) -> None:
    run = began(rejects_per_second=0, day_loss=1)
    listen(run)
    bought(run)
    halted: set[str] = set()
    for number, step in enumerate(steps, start=10):
        match step:
            case "reject" if not halted and run.engine.state.halts.known:
                run.price("100")
                rejected(run, number)
            case "away":
                listen(run, after_s=4, feeds={"stocks": False, "account": False})
            case "there" | "tick":
                listen(run)
            case "lost" | "won":
                listen(run, prices={"AAPL": Decimal(50 if step == "lost" else 500)})
            case "silent":
                listen(run, after_s=4, alive=frozenset())
            case "key":
                written(run)
            case "unknown":
                run.take(HaltStateRead(HaltState(known=False)))
        found = {scope for scope, mode in run.engine.state.halts.scopes.items() if isinstance(mode, Halt)}
        assert halted <= found
        halted = found


def test_what_is_still_away_at_a_resume_is_counted_anew() -> None:
    run = began()
    away = {"feeds": {"stocks": False, "account": True}}
    seen = [one for _ in range(31) for one in triggered(listen(run, **away))]
    assert seen == [(ACCOUNT, "feed_lost")]
    written(run)
    resume(run)
    assert [triggered(listen(run, **away)) for _ in range(30)] == [[]] * 30
    assert triggered(listen(run, **away)) == [(ACCOUNT, "feed_lost")]


def test_a_clock_that_is_set_back_over_midnight_forgives_no_loss() -> None:
    """The day began anew, and what was lost in it was forgotten (QPlus-Capital/trading-system, issue 221)."""
    run = began(day_loss=100)
    run.now_ns = at("2026-01-06 00:59:58")
    listen(run)
    bought(run)
    listen(run, after_s=3)
    days = [one for one in run.read_journal() if isinstance(one, TradingDayBegun) and one.market == "shares"]
    assert days[-1].day == "2026-01-06"
    assert triggered(listen(run, prices={"AAPL": Decimal("90.5")})) == []
    run.now_ns -= 3600 * SECOND_NS
    assert listen(run, prices={"AAPL": Decimal("90.5")}).events == []
    assert len(triggered(listen(run, prices={"AAPL": Decimal("89.9")}))) == 2
    # One that was ahead by days is wrong: the day begins anew.
    run.now_ns -= 48 * 3600 * SECOND_NS
    assert [one.day for one in listen(run).events if isinstance(one, TradingDayBegun)][:1] == ["2026-01-05"]


def test_money_that_came_or_went_is_no_profit_or_loss() -> None:
    """A deposit that counts as profit hides a loss, a withdrawal is one (Account-Protector, issue 8)."""
    run = began(day_loss=100)
    listen(run)
    bought(run)
    for number, cash in enumerate((Decimal(5000), Decimal(-9000))):
        run.engine.apply(
            Booked(
                algorithm="external", kind="activity", symbol="", quantity=Decimal(0), price=None, cash=cash,
                reference=f"transfer-{number}", reason="a transfer", by="broker", at_ns=run.now_ns,
            )
        )  # fmt: skip
        assert triggered(listen(run)) == []
    assert len(triggered(listen(run, prices={"AAPL": Decimal("89.9")}))) == 2


def test_nothing_traded_is_no_loss_even_where_none_is_allowed() -> None:
    """A limit near nothing halted a bot that had not traded (hummingbot, issue 1145)."""
    run = began(day_loss=0)
    assert [triggered(listen(run)) for _ in range(3)] == [[]] * 3
    bought(run)
    assert triggered(listen(run)) == []


def test_a_gain_after_a_resume_halts_nothing() -> None:
    """A protection was triggered again by the first trade that won (freqtrade, issue 7170)."""
    run = began(day_loss=100)
    listen(run)
    bought(run)
    assert triggered(listen(run, prices={"AAPL": Decimal(80)}))
    written(run)
    resume(run)
    for price in ("81", "85", "80", "89"):
        assert triggered(listen(run, prices={"AAPL": Decimal(price)})) == []
