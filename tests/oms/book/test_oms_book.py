"""The book, driven through orders, fills, duplicates and disorder, against sums worked out the slow way."""

from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from risk_day import NOW_NS, name

from bus.order_events import (
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import OrderTerms, Reason
from oms.amounts import ZERO, quotient_up, times
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.book.orders import TERMINAL

pytestmark = pytest.mark.property

SYMBOLS = ("AAPL", "BTC/USD")
ALGORITHMS = ("alpha", "beta")

_WIDE = Context(prec=80)

amounts = st.decimals(min_value="0.000000001", max_value="999999999999", places=9)
statuses = st.sampled_from(
    [
        "new",
        "accepted",
        "pending_new",
        "partially_filled",
        "canceled",
        "expired",
        "rejected",
        "replaced",
        "odd",
    ]
)


class BookMachine(RuleBasedStateMachine):
    """Whatever happens, in any order: sums hold, ends stay ends, and the journal gives the same book."""

    orders = Bundle("orders")
    fills = Bundle("fills")

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.journal: list[Any] = []
        self.fill_events: dict[str, OrderFilled] = {}
        self.ended: dict[str, str] = {}
        self.counter = 0

    def take(self, event: Any) -> None:
        """Into the book and the journal."""
        self.journal.append(event)
        self.book.apply(event)

    def number(self) -> int:
        """A number not used before."""
        self.counter += 1
        return self.counter

    @rule(
        target=orders,
        algorithm=st.sampled_from(ALGORITHMS),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(["buy", "sell"]),
        size=amounts,
        price=amounts,
        notional=st.booleans(),
    )
    def approve(
        self, algorithm: str, symbol: str, side: Any, size: Decimal, price: Decimal, notional: bool
    ) -> OrderApproved:
        """An order is approved."""
        number = self.number()
        size_of = {"notional": size} if notional else {"quantity": size}
        event = OrderApproved(
            algorithm=algorithm,
            client_order_id=name(number, algorithm),
            terms=OrderTerms(symbol=symbol, side=side, **size_of),
            reserve_price=price,
            trigger=str(number),
            received_ns=NOW_NS,
            requested_ns=NOW_NS,
            approved_ns=NOW_NS + number,
        )
        self.take(event)
        return event

    @rule(order=orders)
    def approve_again(self, order: OrderApproved) -> None:
        """The same approval once more."""
        self.take(order)

    @rule(order=orders)
    def send(self, order: OrderApproved) -> None:
        """The broker has it."""
        self.take(
            OrderSent(
                algorithm=order.algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=f"b-{order.client_order_id}",
                approved_ns=order.approved_ns,
                sent_ns=NOW_NS,
                acknowledged_ns=NOW_NS,
            )
        )

    @rule(order=orders)
    def doubt(self, order: OrderApproved) -> None:
        """Nobody knows."""
        self.take(
            OrderUncertain(
                algorithm=order.algorithm, client_order_id=order.client_order_id, why="lost", at_ns=NOW_NS
            )
        )

    @rule(order=orders, by=st.sampled_from(["risk", "broker", "oms"]))
    def refuse(self, order: OrderApproved, by: Any) -> None:
        """A refusal, in time or not."""
        self.take(
            OrderRefused(
                algorithm=order.algorithm,
                client_order_id=order.client_order_id,
                by=by,
                reasons=(Reason(code="no", message="no"),),
                at_ns=NOW_NS,
                terms=order.terms,
            )
        )

    @rule(order=orders, status=statuses, reported=amounts)
    def update(self, order: OrderApproved, status: str, reported: Decimal) -> None:
        """The broker says something."""
        self.take(
            OrderUpdated(
                algorithm=order.algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=f"b-{order.client_order_id}",
                symbol=order.terms.symbol,
                event=status,
                status=status,
                filled_quantity=reported,
                at_ns=NOW_NS,
            )
        )

    @rule(target=fills, order=orders, size=amounts, price=amounts, last=st.booleans())
    def fill(self, order: OrderApproved, size: Decimal, price: Decimal, last: bool) -> OrderFilled:
        """An execution."""
        return self._filled(order.algorithm, order.client_order_id, order.terms, size, price, last)

    @rule(target=fills, symbol=st.sampled_from(SYMBOLS), size=amounts, price=amounts)
    def fill_elsewhere(self, symbol: str, size: Decimal, price: Decimal) -> OrderFilled:
        """An execution of an order nobody here knows."""
        wanted = OrderTerms(symbol=symbol, side="sell", quantity=size)
        return self._filled("external", f"hand-{self.number()}", wanted, size, price, True)

    @rule(event=consumes(fills))
    def fill_again(self, event: OrderFilled) -> None:
        """The same execution once more."""
        self.take(event)

    def _filled(
        self, algorithm: str, order_id: str, wanted: OrderTerms, size: Decimal, price: Decimal, last: bool
    ) -> OrderFilled:
        event = OrderFilled(
            algorithm=algorithm,
            client_order_id=order_id,
            broker_order_id=f"b-{order_id}",
            execution_id=f"e{self.number()}",
            symbol=wanted.symbol,
            side=wanted.side,
            quantity=size,
            price=price,
            filled_quantity=size,
            status="filled" if last else "partially_filled",
            at_ns=NOW_NS,
        )
        self.fill_events[event.execution_id] = event
        self.take(event)
        return event

    @invariant()
    def positions_and_cash_are_the_sum_of_executions(self) -> None:
        """Each execution once, exactly; algorithms and external make up the account."""
        for symbol in SYMBOLS:
            parts = ZERO
            for algorithm in (*ALGORITHMS, "external"):
                own = [
                    event
                    for event in self.fill_events.values()
                    if (event.algorithm, event.symbol) == (algorithm, symbol)
                ]
                held = ZERO
                for event in own:
                    held = exactly(held, signed(event))
                assert self.book.position(symbol, algorithm) == held
                parts += held
            assert self.book.position(symbol) == parts
        paid = ZERO
        for event in self.fill_events.values():
            paid = exactly(paid, times(signed(event), event.price))
        # A minus sign would round to the default 28 digits.
        assert exactly(self.book.cash(ACCOUNT), paid) == 0

    @invariant()
    def what_is_held_back_is_what_orders_may_still_do(self) -> None:
        """Counts, quantities and values of orders, worked out anew."""
        for algorithm in ALGORITHMS:
            own = [order for order in self.book.orders.values() if order.algorithm == algorithm]
            open_ones = [order for order in own if order.status not in TERMINAL]
            assert self.book.open_count(algorithm) == len(open_ones)
            value = ZERO
            for symbol in SYMBOLS:
                for side in ("buy", "sell"):
                    some = [order for order in own if (order.symbol, order.side) == (symbol, side)]
                    left = ZERO
                    for order in some:
                        left = exactly(left, may_come(order))
                    assert self.book.pending(symbol, side, algorithm) == left
                    if side == "buy":
                        for order in some:
                            value = exactly(value, times(may_come(order), order.reserve_price))
            assert self.book.reserved(algorithm) == value
        assert self.book.open_count() == sum(self.book.open_count(each) for each in ALGORITHMS)
        assert len(list(self.book.open_orders())) == self.book.open_count()

    @invariant()
    def ends_stay_ends(self) -> None:
        """A terminal state never changes; a refusal is none where the broker has the order after all."""
        for order_id, order in self.book.orders.items():
            if order.status in TERMINAL - {"refused"}:
                assert self.ended.setdefault(order_id, order.status) == order.status
            else:
                assert order_id not in self.ended

    def teardown(self) -> None:
        """The journal, folded anew, gives the same book."""
        one_by_one, at_once = Book(), Book()
        for event in self.journal:
            one_by_one.apply(event)
        at_once.apply_all(self.journal, at_once.apply)
        for again in (one_by_one, at_once):
            assert again.orders == self.book.orders
            assert again.positions() == self.book.positions()
            for whose in (ACCOUNT, *ALGORITHMS, "external"):
                assert again.cash(whose) == self.book.cash(whose)
                assert again.reserved(whose) == self.book.reserved(whose)
                assert again.unexecuted(whose) == self.book.unexecuted(whose)
                assert again.exposure.of(whose) == self.book.exposure.of(whose)


def signed(event: OrderFilled) -> Decimal:
    """What an execution adds to the position."""
    return event.quantity if event.side == "buy" else -event.quantity


def exactly(left: Decimal, right: Decimal) -> Decimal:
    """A sum without rounding: scaled integers, not the arithmetic under test."""
    scale = 10**18
    whole = int(left.scaleb(18, _WIDE)) + int(right.scaleb(18, _WIDE))
    return _WIDE.divide(Decimal(whole), Decimal(scale))


def may_come(order: Any) -> Decimal:
    """What an order may still fill, from its terms, or the broker has counted of it and not told yet."""
    if order.status in TERMINAL:
        return max(ZERO, _WIDE.subtract(order.reported, order.filled))
    wanted = order.terms.quantity
    if wanted is None:
        wanted = quotient_up(order.terms.notional, order.reserve_price)
    return max(ZERO, _WIDE.subtract(wanted, order.filled))


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
