"""Values that the book keeps for a decision, against the same worked out from all orders and positions."""

import gc
import sys
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from risk_day import NOW_NS, Day, codes, limit_terms, limited, name, replace_request, request, terms

from bus.order_events import (
    ExternalOrderFound,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderSent,
    OrderUpdated,
)
from bus.order_messages import OrderTerms, Side
from bus.streams import EXTERNAL
from oms.amounts import ZERO
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.book.orders import Order
from oms.prices.reference_price import Price
from oms.risk.approval import Approved

SYMBOLS = ("AAPL", "MSFT")
SIDES: tuple[Side, ...] = ("buy", "sell")
HOLDERS = (ACCOUNT, "alpha", "beta", EXTERNAL)

prices = st.sampled_from([Decimal(price) for price in ("98", "99", "99.5", "100", "100.5", "101", "102")])
kinds = st.sampled_from(
    [
        {"type": "limit"},
        {"type": "market"},
        {"type": "stop"},
        {"type": "stop_limit"},
        {"type": "trailing_stop", "trail_price": Decimal(1)},
        {
            "type": "limit",
            "order_class": "bracket",
            "take_profit": Decimal(150),
            "stop_loss": Decimal(50),
        },
    ]
)


def test_a_replace_into_an_own_order_is_refused_and_leaves_what_it_was_to_replace() -> None:
    day = limited()
    sale = sent(day, day.approve(request(limit_terms("103", side="sell"), "sale")))
    purchase = sent(day, day.approve(request(limit_terms("99"), "purchase")))
    assert codes(day.judge(replace_request(purchase, limit_terms("104"), "up"))) == ["wash_trade"]
    assert day.book.orders[purchase].open
    # And once the sale stands elsewhere, that is the price that counts, whatever becomes of the old one.
    moved = sent(day, day.approve(replace_request(sale, limit_terms("101", side="sell"), "down")))
    assert codes(day.judge(request(limit_terms("102"), "between"))) == ["wash_trade"]
    for order_id, status in ((sale, "replaced"), (moved, "canceled")):
        day.book.apply(update(day.book.orders[order_id], status))
    assert codes(day.judge(request(limit_terms("102"), "between"))) == []


def test_beyond_the_limit_of_net_exposure_what_goes_the_other_way_passes() -> None:
    day = limited(net_exposure=1000)
    day.prices["MSFT"] = Price(Decimal(100), NOW_NS, NOW_NS)
    day.hold("30")
    assert codes(day.judge(request(limit_terms("100", "1"), "more"))) == ["net_exposure"]
    assert codes(day.judge(request(terms("25", symbol="MSFT", side="sell"), "against"))) == []
    assert codes(day.judge(request(limit_terms("100", "25", "sell"), "less"))) == []


@pytest.mark.parametrize(("side", "limit"), [("buy", "99.5"), ("sell", "103")])
def test_a_decision_takes_as_many_steps_whatever_number_of_orders_is_open(side: str, limit: str) -> None:
    assert steps_of_a_decision(side, limit, open_orders=20) == steps_of_a_decision(
        side, limit, open_orders=1000
    )


def steps_of_a_decision(side: str, limit: str, *, open_orders: int) -> int:
    """Calls that an order and its end make beside so many open orders of its symbol, on both sides."""
    day = limited(
        open_orders=10_000,
        orders_per_second=10_000,
        gross_exposure=1_000_000_000,
        net_exposure=1_000_000_000,
        unexecuted_value=1_000_000_000,
        messages_per_minute=10_000,
        price_band_percent=50,
        duplicate_seconds=1,
    )
    for number in range(open_orders // 2):
        # No two alike: a duplicate would be looked for among them.
        day.approve(request(limit_terms("99.5", str(number + 1)), f"buy-{number}"))
        day.approve(request(limit_terms("103", str(number + 1), "sell"), f"sell-{number}"))
    assert day.book.open_count() == open_orders
    # The first of its kind works out what is remembered for all.
    day.judge(request(limit_terms(limit, "7777", side), "one"))
    steps = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal steps
        del frame, argument
        steps += event in ("call", "c_call")

    # A collection may come at any call, and others have theirs counted with it.
    gc.disable()
    sys.setprofile(count)
    try:
        approved = day.approve(request(limit_terms(limit, "7777", side), "one"))
        day.book.apply(update(day.book.orders[approved.client_order_id], "canceled"))
    finally:
        sys.setprofile(None)
        gc.enable()
    assert day.book.open_count() == open_orders
    return steps


def update(order: Order, status: str) -> OrderUpdated:
    """The broker says how an order ended."""
    return OrderUpdated(
        algorithm=order.algorithm,
        client_order_id=order.client_order_id,
        broker_order_id=f"b-{order.client_order_id}",
        symbol=order.symbol,
        event=status,
        status=status,
        filled_quantity=ZERO,
        at_ns=NOW_NS,
    )


def sent(day: Day, approved: Approved) -> str:
    """Have the broker take an order; returns its client id."""
    order_id = approved.client_order_id
    day.book.apply(
        OrderSent(
            algorithm=approved.event.algorithm,
            client_order_id=order_id,
            broker_order_id=f"b-{order_id}",
            approved_ns=NOW_NS,
            sent_ns=NOW_NS,
            acknowledged_ns=NOW_NS,
        )
    )
    return order_id


class KeptValuesMachine(RuleBasedStateMachine):
    """Two books take the same events; only one of them is asked before the end."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.book, self.unasked = Book(), Book()
        self.prices: dict[str, Decimal] = {}
        self.counter = 0

    def take(self, event: Any) -> None:
        """Into both books."""
        self.book.apply(event)
        self.unasked.apply(event)

    def number(self) -> int:
        """A number not used before."""
        self.counter += 1
        return self.counter

    @rule(
        target=orders,
        algorithm=st.sampled_from(["alpha", "beta"]),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(SIDES),
        price=prices,
        kind=kinds,
        replaces=st.one_of(st.none(), orders),
    )
    def approve(
        self, algorithm: str, symbol: str, side: Side, price: Decimal, kind: Any, replaces: str | None
    ) -> str:
        """An order is approved, perhaps in the place of another."""
        old = None if replaces is None else self.book.orders[replaces]
        if old is not None and old.algorithm != EXTERNAL:
            algorithm, symbol, side = old.algorithm, old.symbol, old.side
        else:
            replaces = None
        own = {
            **({"limit_price": price} if "limit" in kind["type"] else {}),
            **({"stop_price": price} if kind["type"] in ("stop", "stop_limit") else {}),
        }
        order_id = name(self.number(), algorithm)
        self.take(
            OrderApproved(
                algorithm=algorithm,
                client_order_id=order_id,
                terms=OrderTerms(symbol=symbol, side=side, quantity=Decimal(4), **kind, **own),
                reserve_price=price,
                trigger="1-1",
                received_ns=NOW_NS,
                requested_ns=NOW_NS,
                approved_ns=NOW_NS,
                replaces=replaces,
            )
        )
        self.prices[symbol] = price
        return order_id

    @rule(target=orders, side=st.sampled_from(SIDES), limit=st.one_of(st.none(), prices))
    def find_elsewhere(self, side: Side, limit: Decimal | None) -> str:
        """An order that was made by hand."""
        order_id = f"hand-{self.number()}"
        self.take(
            ExternalOrderFound(
                algorithm=EXTERNAL,
                client_order_id=order_id,
                broker_order_id=f"b-{order_id}",
                symbol="AAPL",
                side=side,
                type="market" if limit is None else "limit",
                time_in_force="day",
                status="new",
                quantity=Decimal(3),
                notional=None,
                limit_price=limit,
                stop_price=None,
                reserve_price=limit or ZERO,
                at_ns=NOW_NS,
            )
        )
        return order_id

    @rule(target=orders, parent=orders, limit=st.one_of(st.none(), prices))
    def find_leg(self, parent: str, limit: Decimal | None) -> str:
        """The broker tells of an exit."""
        order = self.book.orders[parent]
        price = {"stop_price": Decimal(50)} if limit is None else {"limit_price": limit}
        order_id = f"leg-{self.number()}"
        self.take(
            LegFound(
                algorithm=order.algorithm,
                client_order_id=order_id,
                broker_order_id=f"b-{order_id}",
                parent=parent,
                role="stop_loss" if limit is None else "take_profit",
                terms=OrderTerms(
                    symbol=order.symbol,
                    side="sell" if order.side == "buy" else "buy",
                    type="stop" if limit is None else "limit",
                    quantity=Decimal(4),
                    **price,
                ),
                status="new",
                at_ns=NOW_NS,
            )
        )
        return order_id

    @rule(order_id=orders, limit=st.one_of(st.none(), prices))
    def update(self, order_id: str, limit: Decimal | None) -> None:
        """The broker has it at another price."""
        self._updated(order_id, "new", limit)

    @rule(order_id=orders, status=st.sampled_from(["canceled", "expired", "rejected", "replaced", "filled"]))
    def end(self, order_id: str, status: str) -> None:
        """It ends."""
        self._updated(order_id, status, None)

    def _updated(self, order_id: str, status: str, limit: Decimal | None) -> None:
        order = self.book.orders[order_id]
        self.take(
            OrderUpdated(
                algorithm=order.algorithm,
                client_order_id=order_id,
                broker_order_id=f"b-{order_id}",
                symbol=order.symbol,
                event=status,
                status=status,
                filled_quantity=order.filled,
                at_ns=NOW_NS,
                limit_price=limit if order.working is not None and order.working.limit_price else None,
            )
        )

    @rule(order_id=orders, size=st.sampled_from([1, 2, 4]), price=prices)
    def fill(self, order_id: str, size: int, price: Decimal) -> None:
        """A part of it is filled."""
        order = self.book.orders[order_id]
        self.take(
            OrderFilled(
                algorithm=order.algorithm,
                client_order_id=order_id,
                broker_order_id=f"b-{order_id}",
                execution_id=f"e{self.number()}",
                symbol=order.symbol,
                side=order.side,
                quantity=Decimal(size),
                price=price,
                filled_quantity=order.filled + size,
                status="partially_filled",
                at_ns=NOW_NS,
            )
        )
        if order.algorithm == EXTERNAL or order.symbol not in self.prices:
            self.prices[order.symbol] = price

    @rule(holder=st.sampled_from(HOLDERS), symbol=st.sampled_from(SYMBOLS))
    def ask_without(self, holder: str, symbol: str) -> None:
        """What all but one symbol come to, as a decision asks."""
        others = [other for other in SYMBOLS if other != symbol]
        assert self.book.exposure.without(holder, symbol) == self.exposure(holder, others)

    @rule(holder=st.sampled_from(HOLDERS))
    def ask(self, holder: str) -> None:
        """What all of it comes to."""
        assert self.book.exposure.of(holder) == self.exposure(holder, SYMBOLS)

    def exposure(self, holder: str, symbols: Any) -> tuple[Decimal, Decimal, Decimal]:
        """Gross, upwards and downwards, from positions and what orders may still do."""
        gross = highest = lowest = ZERO
        for symbol in symbols:
            held, price = self.book.position(symbol, holder), self.prices.get(symbol, ZERO)
            high = (held + self.book.pending(symbol, "buy", holder)) * price
            low = (held - self.book.pending(symbol, "sell", holder)) * price
            gross, highest, lowest = gross + max(high, -low), highest + high, lowest + low
        return gross, highest, lowest

    @invariant()
    def the_best_prices_tell_what_could_trade(self) -> None:
        """Whether any own order on the other side could trade with one at this limit, order by order."""
        for symbol in SYMBOLS:
            for side in SIDES:
                others = [
                    order.working.limit_price
                    for order in self.book.open_orders()
                    if order.symbol == symbol and order.side != side and counts(order) and order.working
                ]
                for limit in (None, Decimal("98.5"), Decimal(99), Decimal(100), Decimal("101.5")):
                    expected = any(
                        limit is None
                        or other is None
                        or (other <= limit if side == "buy" else other >= limit)
                        for other in others
                    )
                    assert self.book.open.could_trade_with(symbol, side, limit) == expected

    @invariant()
    def open_orders_are_found_by_symbol_and_side(self) -> None:
        """Each once, the oldest first."""
        for symbol in SYMBOLS:
            for side in SIDES:
                found = [
                    order for order in self.book.open_orders() if (order.symbol, order.side) == (symbol, side)
                ]
                assert list(self.book.open.on(symbol, side)) == found

    def teardown(self) -> None:
        """Who was never asked before, says the same."""
        for holder in HOLDERS:
            assert self.unasked.exposure.of(holder) == self.exposure(holder, SYMBOLS)


def counts(order: Order) -> bool:
    """Whether Alpaca would call a trade with it a wash trade (its rules exempt exits and what has some)."""
    working = order.working
    if working is None or order.role or order.algorithm == EXTERNAL:
        return False
    return working.order_class == "simple" and working.type != "trailing_stop"


TestKeptValues = pytest.mark.property(KeptValuesMachine.TestCase)
TestKeptValues.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
