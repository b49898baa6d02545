"""Orders with exits as an author writes them: terms, legs by role, and what stays when a handler fails."""

from decimal import Decimal
from typing import Any

import pytest
from test_algo_handlers import Scripted, happened, tick

from algos.algorithm import session_of
from algos.inputs import StateChanged
from algos.lifecycle import State
from algos.portfolio import Portfolio
from algos.session import Session
from algos.terms import exit_terms, order_terms
from bus.order_events import LegFound, OrderApproved, OrderFilled, OrderSent, PositionUnprotected
from bus.order_messages import CancelRequest, OrderTerms, Role

ENTRY, PROFIT, LOSS = "bb-a-1", "made-by-the-broker-1", "made-by-the-broker-2"


def approved(order_id: str, terms: OrderTerms, replaces: str | None = None) -> OrderApproved:
    return OrderApproved(
        algorithm="a", client_order_id=order_id, terms=terms, reserve_price=Decimal(100), trigger="t",
        received_ns=1, requested_ns=2, approved_ns=3, replaces=replaces,
    )  # fmt: skip


def sent(order_id: str) -> OrderSent:
    return OrderSent(
        algorithm="a", client_order_id=order_id, broker_order_id=f"b-{order_id}", approved_ns=3, sent_ns=4,
        acknowledged_ns=5,
    )  # fmt: skip


def found(order_id: str, role: Role, parent: str = ENTRY) -> LegFound:
    price = {"limit_price": Decimal(110)} if role == "take_profit" else {"stop_price": Decimal(90)}
    terms = OrderTerms(
        symbol="AAPL", side="sell", type="limit" if role == "take_profit" else "stop", quantity=Decimal(10),
        **price,
    )  # fmt: skip
    return LegFound(
        algorithm="a", client_order_id=order_id, broker_order_id=f"b-{order_id}", parent=parent, role=role,
        terms=terms, status="held", at_ns=6,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "order_class", "type_"),
    [
        ({"take_profit": 110, "stop_loss": 90}, "bracket", "market"),
        ({"take_profit": 110, "stop_loss": 90, "limit_price": 99}, "bracket", "limit"),
        ({"stop_loss": 90, "stop_loss_limit": "89.5"}, "oto", "market"),
        ({"take_profit": 110}, "oto", "market"),
        ({"trail_percent": "1.5"}, "simple", "trailing_stop"),
        ({"trail_price": 2}, "simple", "trailing_stop"),
        ({}, "simple", "market"),
    ],
)
def test_what_is_given_makes_the_class(given: dict[str, Any], order_class: str, type_: str) -> None:
    terms = order_terms("AAPL", "buy", 10, **given)
    assert (terms.order_class, terms.type) == (order_class, type_)


def test_a_trailing_stop_has_no_price_of_its_own() -> None:
    with pytest.raises(ValueError, match="neither limit_price nor stop_price"):
        order_terms("AAPL", "sell", 1, trail_percent=1, stop_price=90)


def test_an_exit_closes_what_is_held() -> None:
    terms = exit_terms("AAPL", Decimal(7), None, take_profit=110, stop_loss=90)
    assert (terms.order_class, terms.side, terms.quantity, terms.limit_price, terms.stop_loss) == (
        "oco", "sell", 7, 110, 90,
    )  # fmt: skip
    assert exit_terms("AAPL", Decimal(-7), 3, take_profit=90, stop_loss=110).side == "buy"
    with pytest.raises(ValueError, match="nothing is held"):
        exit_terms("AAPL", Decimal(0), None, take_profit=110, stop_loss=90)
    with pytest.raises(ValueError, match="7 are held"):
        exit_terms("AAPL", Decimal(7), 8, take_profit=110, stop_loss=90)


def test_an_order_names_its_exits_as_they_stand_now() -> None:
    portfolio = Portfolio()
    terms = order_terms("AAPL", "buy", 10, take_profit=110, stop_loss=90)
    for one in (approved(ENTRY, terms), sent(ENTRY), found(PROFIT, "take_profit"), found(LOSS, "stop_loss")):
        portfolio.apply(one)
    entry, loss = portfolio.order(ENTRY), portfolio.order(LOSS)
    assert entry is not None
    assert loss is not None
    assert (entry.role, entry.legs) == ("entry", {"take_profit": PROFIT, "stop_loss": LOSS})
    assert (loss.role, loss.parent, loss.status, loss.stop_price) == ("stop_loss", ENTRY, "working", 90)
    portfolio.apply(approved("bb-a-2", loss.terms, replaces=LOSS))
    assert portfolio.order(ENTRY) == entry
    portfolio.apply(sent("bb-a-2"))
    entry, new = portfolio.order(ENTRY), portfolio.order("bb-a-2")
    assert entry is not None
    assert new is not None
    assert (entry.legs["stop_loss"], new.role, new.parent) == ("bb-a-2", "stop_loss", ENTRY)
    # The same told again changes nothing.
    portfolio.apply(found(PROFIT, "take_profit"))
    assert portfolio.order(ENTRY) == entry


def test_an_oco_is_itself_the_exit_with_a_profit() -> None:
    portfolio = Portfolio()
    portfolio.apply(approved(ENTRY, exit_terms("AAPL", Decimal(7), None, take_profit=110, stop_loss=90)))
    portfolio.apply(found(LOSS, "stop_loss"))
    order = portfolio.order(ENTRY)
    assert order is not None
    assert (order.role, order.legs) == ("take_profit", {"stop_loss": LOSS})


class Watchful(Scripted):
    """Keeps what it is told of protection, and the roles of fills and orders."""

    def on_protection(self, notice: object) -> None:
        self.given.append(notice)

    def on_fill(self, fill: OrderFilled) -> None:
        self.given.append((fill.role, fill.parent))


def led() -> tuple[Watchful, Session]:
    algorithm = Watchful(symbols=("AAPL",))
    session = session_of(algorithm, "scripted", "life")
    session.take(StateChanged(State.LEADER, "7:me", 0))
    algorithm.given.clear()
    return algorithm, session


def test_handlers_are_told_of_exits_and_of_a_position_without_one() -> None:
    algorithm, session = led()
    session.take(happened("1-0", found(LOSS, "stop_loss")))
    fill = OrderFilled(
        algorithm="a", client_order_id=LOSS, broker_order_id="b", execution_id="e", symbol="AAPL",
        side="sell", quantity=Decimal(10), price=Decimal(90), filled_quantity=Decimal(10), status="filled",
        at_ns=7, role="stop_loss", parent=ENTRY,
    )  # fmt: skip
    session.take(happened("2-0", fill))
    notice = PositionUnprotected(
        algorithm="a", symbol="AAPL", quantity=Decimal(4), client_order_id=ENTRY, why="w", at_ns=8
    )
    session.take(happened("3-0", notice))
    assert algorithm.given == ["working", ("stop_loss", ENTRY), notice]


def test_a_failed_algorithm_leaves_its_exits_standing() -> None:
    algorithm, session = led()
    opening: list[str] = []
    algorithm.plan = lambda: opening.append(algorithm.buy("AAPL", 10, take_profit=110, stop_loss=90))
    session.take(tick())
    session.take(happened("1-0", found(PROFIT, "take_profit", opening[0])))
    session.take(happened("2-0", found(LOSS, "stop_loss", opening[0])))
    session.outbox.clear()

    def fail() -> None:
        raise RuntimeError("broken")

    algorithm.plan = fail
    session.take(tick("2-0"))
    canceled = [one.client_order_id for one in session.outbox if isinstance(one, CancelRequest)]
    assert canceled == opening
