"""An order whose answer was lost, and that a split has changed before it is found."""

from dataclasses import replace
from decimal import Decimal

import pytest
from engine_run import EngineRun, at_broker, frame
from risk_day import limit_terms, name, request, terms

from algos.portfolio import Portfolio
from bus.control_messages import TakeCorporateAction
from bus.order_events import OrderRefused, OrderSent
from bus.order_messages import OrderTerms
from oms.broker.protocol import BrokerOrder, Unknown
from oms.broker.split_order import after_split, split_told
from oms.reconciliation.reconciliation import compare
from oms.state.effects import Effects
from oms.state.inputs import Answered, ControlRead, FindOrder, OrderAnswered
from oms.state.step import Step

D = Decimal
HOUR_NS = 3600 * 1_000_000_000
FIND = FindOrder(name(1))


@pytest.fixture
def run() -> EngineRun:
    """An engine that is ready, on an empty account."""
    run = EngineRun()
    run.begin()
    run.tick(0)
    return run


def in_doubt(run: EngineRun, wanted: OrderTerms) -> BrokerOrder:
    """An order that the broker took; its answer was lost."""
    (approved,) = run.read(request(wanted, 1)).send
    run.take(OrderAnswered(name(1), Unknown("the answer was lost")))
    return at_broker(approved)


def split(run: EngineRun, new: int, old: int) -> Effects:
    """An operator tells of a split."""
    action = TakeCorporateAction(
        account="paper", symbol="AAPL", new_symbol="AAPL", new=new, old=old, reason="r", by="ann", at_ns=1
    )
    return run.take(ControlRead("7-0", action))


def found(run: EngineRun, order: BrokerOrder) -> Effects:
    """The broker shows it."""
    return run.take(Answered(FIND, order, run.monotonic_ns))


def stands(run: EngineRun) -> tuple[str, Decimal | None, Decimal | None, Decimal]:
    """The order as the book has it, the fold of the journal and the algorithm with it."""
    order = run.engine.state.book.orders[name(1)]
    assert run.folded().digest() == run.engine.digest()
    portfolio = Portfolio()
    portfolio.requested(name(1), order.terms or terms(), None)
    for event in run.read_journal():
        portfolio.apply(event)
    theirs = portfolio.order(name(1))
    assert theirs is not None
    assert theirs.is_open == order.open
    assert order.working is not None
    if order.open:
        assert theirs.working == order.working
    pending = run.engine.state.book.pending("AAPL", "buy", "alpha")
    return order.status, order.working.quantity, order.working.limit_price, pending


AFTER = ("new", D(20), D("49.5"), D(20))


def test_it_is_taken_in_by_the_brokers_own_numbers_the_day_after(run: EngineRun) -> None:
    order = in_doubt(run, limit_terms("99", "10"))
    run.tick(24 * HOUR_NS)
    found(run, replace(order, quantity=D(20), limit_price=D("49.5")))
    assert stands(run) == AFTER


def test_on_the_day_itself_it_is_anothers(run: EngineRun) -> None:
    order = in_doubt(run, limit_terms("99", "10"))
    (refused,) = found(run, replace(order, quantity=D(20), limit_price=D("49.5"))).events
    assert isinstance(refused, OrderRefused)
    assert refused.reasons[0].code == "id_conflict"


@pytest.mark.parametrize("wanted", [terms("10"), limit_terms("99", "10")])
def test_it_is_taken_in_at_an_operators_word_before_it_is_found(run: EngineRun, wanted: OrderTerms) -> None:
    order = in_doubt(run, wanted)
    split(run, 2, 1)
    price = None if wanted.limit_price is None else D("49.5")
    found(run, replace(order, quantity=D(20), limit_price=price))
    assert stands(run) == ("new", D(20), price, D(20))


@pytest.mark.parametrize("wanted", [terms("10"), limit_terms("99", "10")])
def test_one_that_was_taken_for_anothers_is_taken_in_at_an_operators_word(
    run: EngineRun, wanted: OrderTerms
) -> None:
    """It was refused for good, and not in the book: a position came of which nobody knew why."""
    order = in_doubt(run, wanted)
    price = None if wanted.limit_price is None else D("49.5")
    changed = replace(order, quantity=D(20), limit_price=price)
    found(run, changed)
    assert run.engine.state.book.orders[name(1)].refusal == "id_conflict"
    assert FIND in split(run, 2, 1).ask
    half = replace(changed, filled_quantity=D(5), filled_average_price=D(49), status="partially_filled")
    events = found(run, half).events
    assert isinstance(events[0], OrderSent)
    assert run.engine.state.book.position("AAPL", "alpha") == 5
    assert stands(run) == ("partially_filled", D(20), price, D(15))
    run.told(
        frame(
            replace(half, filled_quantity=D(20), status="filled"),
            "fill",
            execution_id="e2",
            qty="15",
            price="49",
        )
    )
    assert run.engine.state.book.position("AAPL", "alpha") == 20


def test_another_split_explains_nothing(run: EngineRun) -> None:
    order = in_doubt(run, limit_terms("99", "10"))
    changed = replace(order, quantity=D(20), limit_price=D("49.5"))
    found(run, changed)
    split(run, 3, 1)
    assert found(run, changed).events == []
    assert run.engine.state.book.orders[name(1)].refusal == "id_conflict"


@pytest.mark.parametrize(
    ("wanted", "theirs", "new", "old", "is_ours", "is_told"),
    [
        (("10", "99"), ("20", "49.5"), 2, 1, True, True),
        (("10", "99"), ("20", "49.51"), 2, 1, False, False),
        # Prices are rounded to a tick, and parts of a share cut off.
        (("10", "99.99"), ("30", "33.33"), 3, 1, True, True),
        (("10", "9.99"), ("3", "33.3"), 3, 10, True, True),
        (("10", "10"), ("3", "30"), 1, 3, True, False),
        (("10", "10"), ("2", "30"), 1, 3, False, False),
        (("10", "1.5"), ("20", "0.75"), 2, 1, True, True),
        (("10", "1.5"), ("20", "0.7501"), 2, 1, False, False),
        # Without a price only somebody's word tells.
        (("10", None), ("20", None), 2, 1, True, False),
        # The same is no split.
        (("10", "99"), ("10", "99"), 2, 1, False, False),
        # Nor does it give thousands for one: an operator must say so.
        (("10", "99"), ("10010", "0.0989"), 1001, 1, True, False),
    ],
)  # fmt: skip
def test_what_a_split_makes_of_an_order(
    wanted: tuple[str, str | None],
    theirs: tuple[str, str | None],
    new: int,
    old: int,
    is_ours: bool,
    is_told: bool,
) -> None:
    quantity, price = wanted
    ours = terms(quantity) if price is None else limit_terms(price, quantity)
    order = replace(
        at_broker_of(ours),
        quantity=D(theirs[0]),
        limit_price=None if theirs[1] is None else D(theirs[1]),
    )
    assert after_split(ours, order, new, old) == is_ours
    assert split_told(ours, order) == is_told
    assert not after_split(ours, replace(order, side="sell"), new, old)


def at_broker_of(ours: OrderTerms) -> BrokerOrder:
    """An order with these terms."""
    return BrokerOrder(
        "b1", name(1), ours.symbol, ours.side, ours.type, "day", "new", ours.quantity, None, ours.limit_price,
        None, D(0), None,
    )  # fmt: skip


def test_anothers_order_stays_anothers_after_ours_was_put_away(run: EngineRun) -> None:
    """Of one that was put away the book has no terms any more: any order would look like it."""
    order = in_doubt(run, limit_terms("99", "10"))
    others = replace(order, quantity=D(7), filled_quantity=D(5), filled_average_price=D(99), status="filled")
    found(run, others)
    run.tick(24 * HOUR_NS)
    run.tick(24 * HOUR_NS)
    engine = run.engine
    assert name(1) not in engine.state.book.orders
    step = Step(engine.account, engine.state, engine.observed, run.now_ns)
    compare(step, others)
    assert step.effects.events == []
    assert engine.state.book.position("AAPL", "alpha") == 0
