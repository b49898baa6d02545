"""A decision explained from the journal alone: the same rules, limits and values as it was made with."""

from decimal import Decimal
from typing import Any

import pytest
from engine_run import CODEC, SECOND_NS, EngineRun, at_broker, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from risk_day import LIMITS, approved_closing, fill, limit_terms, name, replace_request, request, terms

from bus.order_events import OrderApproved, OrderRefused
from oms.limits.limits import parse
from oms.requests.past_decisions import rules
from oms.risk.explanation import Rule
from oms.risk.limit_codes import CODES
from oms.state.inputs import LimitsRead
from oms.state.state import State

TIGHT = (
    LIMITS.replace("repeated_seconds = 0", "repeated_seconds = 60\nrepeated_orders = 3")
    .replace("order_quantity = 1000", "order_quantity = 12")
    .replace("order_value = 50_000", "order_value = 1150")
    .replace("position_quantity = 10_000", "position_quantity = 40")
    .replace("position_value = 500_000", "position_value = 3000")
    .replace("open_orders = 200", "open_orders = 4")
    + "gross_exposure = 2900\nnet_exposure = 2800\nunexecuted_value = 2500\nduplicate_seconds = 2\n"
    + "price_band_percent = 4\nprice_band_minutes = 1\norders_while_closed = true\n"
    + '[algorithm.alpha]\nopen_orders = 3\ncapital = 2600\nshort_sales = false\nsymbols = ["AAPL"]\n'
)

# Rules that are known by another name than the limit.
BY_ITSELF = ("crosses_zero", "held_for_orders", "wash_trade")


def decisions(run: EngineRun) -> list[tuple[State, OrderApproved | OrderRefused]]:
    """Each decision, with the state that the journal folds to just before it."""
    found = []
    events = run.read_journal()
    for number, event in enumerate(events):
        if isinstance(event, OrderApproved | OrderRefused):
            state = State()
            for earlier in events[:number]:
                state.apply(earlier)
            found.append((state, event))
    return found


def codes_of(rule: Rule) -> tuple[str, ...]:
    return (rule.name,) if rule.name in BY_ITSELF else (*CODES[rule.name], "no_price", "symbol_not_declared")


def explained(run: EngineRun) -> dict[tuple[str, str], Rule]:
    """The rules of the last decision, by name and whose they are."""
    state, event = decisions(run)[-1]
    return {(rule.name, rule.whose): rule for rule in rules(state, "paper", event)}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "limit", "replace", "fill", "price", "wait"]),
        st.sampled_from(["1", "5", "10", "11.5", "13"]),
        st.sampled_from(["96", "99", "100", "103", "105.5"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60)
@given(STEPS)
def test_what_is_explained_is_what_was_decided(steps: list[tuple[str, str, str]]) -> None:
    run = EngineRun()
    run.begin(TIGHT)
    sent: list[Any] = []
    last = "100"
    for number, (kind, size, price) in enumerate(steps):
        run.now_ns += SECOND_NS
        if kind == "price":
            last = price
        if kind == "wait":
            run.tick(7 * SECOND_NS)
        elif number % 4:
            run.price(last)
        if kind in ("price", "wait"):
            continue
        if kind == "fill" and sent:
            order = at_broker(sent.pop(), "filled", "1")
            quantity = str(order.quantity)
            run.told(frame(order, "fill", execution_id=f"e{number}", qty=quantity, price=price))
        elif kind == "replace" and sent:
            effects = run.read(replace_request(sent[-1].client_order_id, limit_terms(price, size), number))
            sent += effects.send
        elif kind in ("buy", "sell", "limit"):
            asked = limit_terms(price, size) if kind == "limit" else terms(size, side=kind)
            effects = run.read(request(asked, number))
            sent += effects.send
            for approved in effects.send:
                run.accepted(approved)
    for state, event in decisions(run):
        _compare(rules(state, "paper", event), event)


def _compare(found: list[Rule], event: OrderApproved | OrderRefused) -> None:
    reasons = event.reasons if isinstance(event, OrderRefused) else ()
    if isinstance(event, OrderApproved):
        assert found
    said = {reason.code: reason for reason in reasons}
    for rule in found:
        codes = codes_of(rule)
        if rule.outcome == "passed":
            # Of the algorithm's and the account's the decision tells the first that refuses.
            assert rule.whose or said.keys().isdisjoint(codes), (rule, reasons)
        elif rule.outcome == "refused":
            (code,) = said.keys() & set(codes)
            reason = said[code]
            if rule.whose and (reason.limit, reason.value) != (rule.limit, rule.value):
                others = [one for one in found if one.name == rule.name and one is not rule]
                assert (reason.limit, reason.value) in [(one.limit, one.value) for one in others]
            elif rule.limit and not rule.limit.endswith(" s"):
                assert (reason.limit, reason.value) == (rule.limit, rule.value)
    told = {code for rule in found if rule.outcome == "refused" for code in codes_of(rule)}
    assert not found or said.keys() - told <= {"not_replaceable", "halted", "reduce_only"}, (found, reasons)


def test_an_approval_shows_what_was_used_and_what_it_came_to() -> None:
    run = EngineRun()
    run.begin(LIMITS + "[algorithm.alpha]\nposition_quantity = 50\ncapital = 4000\n")
    run.read(request(limit_terms("100", "5"), 1))
    run.now_ns += SECOND_NS
    run.read(request(limit_terms("98", "10"), 2))
    found = explained(run)
    assert found["position_quantity", "alpha"] == Rule(
        "position_quantity", "alpha", "50", "15", "5", "[algorithm.alpha]", "passed"
    )
    assert found["position_quantity", "account"].limit == "10000"
    assert (found["open_orders", "account"].used, found["open_orders", "account"].value) == ("1", "2")
    assert found["order_value", ""] == Rule("order_value", "", "50000", "980", "", "[account]", "passed")
    assert (found["capital", "alpha"].limit, found["capital", "alpha"].value) == ("3500", "980")
    assert (found["price_collar_percent", ""].limit, found["price_collar_percent", ""].value) == ("105", "98")
    assert (found["price_age_seconds", ""].limit, found["price_age_seconds", ""].value) == ("5 s", "1 s")


def test_the_limits_are_those_of_then() -> None:
    run = EngineRun()
    run.begin(LIMITS)
    run.read(request(terms("600"), 1))
    run.take(LimitsRead(parse(LIMITS.replace("50_000", "70_000"), "x"), "x", "ann"))
    state, event = decisions(run)[-1]
    (refused,) = [one for one in rules(state, "paper", event) if one.outcome == "refused"]
    assert (refused.name, refused.limit, refused.value, refused.section) == (
        "order_value", "50000", "60000", "[account]",
    )  # fmt: skip


def test_a_replace_that_was_refused_is_explained_as_what_it_was_to_change() -> None:
    """Its terms name a quantity that nobody asked to change."""
    run = EngineRun()
    run.begin(LIMITS)
    (first,) = run.read(request(limit_terms("99", "10"), 1)).send
    run.accepted(first)
    asked = replace_request(name(1), limit_terms("120", "50"), 2)
    run.read(replace(asked, changes=("limit_price",)))
    found = explained(run)
    assert found["price_collar_percent", ""].outcome == "refused"
    assert (found["order_quantity", ""].value, found["position_quantity", "account"].value) == ("10", "10")


def test_a_reduction_is_exempt_from_limits_of_size_and_that_is_said() -> None:
    run = EngineRun()
    run.begin(LIMITS)
    held = fill("held", Decimal(2000), "alpha")
    run.engine.state.apply(held)
    run.journal.append(CODEC.encode(held))
    run.read(request(limit_terms("101", "2000", "sell"), 1))
    found = explained(run)
    assert found["order_quantity", ""].outcome == "exempt"
    assert found["restricted", ""].outcome == "passed"


def test_an_order_that_closes_at_an_operators_word_met_no_rule() -> None:
    run = EngineRun()
    run.begin(LIMITS)
    run.read(request(terms("5"), 1))
    closing = approved_closing("AAPL").event
    state = run.engine.state
    assert rules(state, "paper", closing) == []


@pytest.mark.parametrize(
    ("number", "order", "codes"),
    [
        # The id stands for another order: no rule was asked.
        (1, terms("7"), ["id_conflict"]),
        (2, terms("0"), ["bad_terms"]),
    ],
)
def test_what_was_refused_before_any_rule_names_none(number: int, order: Any, codes: list[str]) -> None:
    run = EngineRun()
    run.begin(LIMITS)
    run.read(request(terms("5"), 1))
    run.read(request(order, number))
    state, event = decisions(run)[-1]
    assert isinstance(event, OrderRefused)
    assert [reason.code for reason in event.reasons] == codes
    assert (event.client_order_id, rules(state, "paper", event)) == (name(number), [])
