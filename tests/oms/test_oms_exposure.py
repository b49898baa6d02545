"""Gross and net exposure and the value of open orders: at their limits, and whatever comes between."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from risk_day import NOW_NS, Day, codes, limit_terms, limited, name, replace_request, request, terms

from bus.order_events import OrderFilled, OrderSent, OrderUpdated
from bus.order_messages import OrderTerms, Side
from oms.amounts import ZERO
from oms.book.ledger import ACCOUNT
from oms.book.orders import TERMINAL
from oms.prices.reference_price import Price
from oms.risk.approval import Approved, Refused

PRICES = {"AAPL": Decimal(100), "MSFT": Decimal(50)}


def priced(day: Day, prices: dict[str, Decimal] = PRICES) -> Day:
    """The day, with these prices."""
    day.prices = {symbol: Price(price, NOW_NS, NOW_NS) for symbol, price in prices.items()}
    return day


def two_long_and_short(**limits: object) -> Day:
    """A day on which alpha holds 10 AAPL and buys five more, and beta is short of 10 MSFT."""
    day = priced(limited(**limits))
    day.hold("10")
    day.hold("-10", "MSFT", "beta", "50")
    day.approve(request(limit_terms("90", "5"), 1))
    return day


@pytest.mark.parametrize(
    ("limits", "at_limit", "past_limit", "value"),
    [
        # 15 AAPL at 100 and 10 MSFT at 50 make 2000 gross; net 1000 upwards.
        ({"gross_exposure": 2500}, terms("5"), terms("5.1"), "2510"),
        (
            {"gross_exposure": 2500},
            terms("10", symbol="MSFT", side="sell"),
            terms("11", symbol="MSFT", side="sell"),
            "2550",
        ),
        ({"net_exposure": 1500}, terms("5"), terms("5.1"), "1510"),
        (
            {"net_exposure": 1000},
            terms("30", symbol="MSFT", side="sell"),
            terms("31", symbol="MSFT", side="sell"),
            "1050",
        ),
        # Five count at 90, their reserve price; that of a purchase at the market is the collar above it.
        ({"unexecuted_value": 1450}, limit_terms("100", "10"), limit_terms("100", "10.01"), "1451"),
        ({"unexecuted_value": 1950, "price_collar_percent": 50}, terms("10"), terms("10.01"), "1951.5"),
    ],
)
def test_at_the_limit_and_past_it(
    limits: dict[str, object], at_limit: OrderTerms, past_limit: OrderTerms, value: str
) -> None:
    (code,) = [key for key in limits if key != "price_collar_percent"]
    assert code not in codes(two_long_and_short(**limits).judge(request(at_limit, 2)))
    verdict = two_long_and_short(**limits).judge(request(past_limit, 2))
    assert isinstance(verdict, Refused)
    (reason,) = [one for one in verdict.reasons if one.code == code]
    assert reason.value == value
    assert reason.limit == str(limits[code])


def test_an_algorithm_has_limits_of_its_own() -> None:
    day = priced(limited("[algorithm.beta]\ngross_exposure = 1000\n"))
    day.hold("100")
    beta: dict[str, Any] = {"client_order_id": name(1, "beta")}
    assert codes(day.judge(request(terms("10"), **beta), algorithm="beta")) == []
    assert codes(day.judge(request(terms("11"), **beta), algorithm="beta")) == ["gross_exposure"]
    assert codes(day.judge(request(terms("11"), 2))) == []


def test_a_reduction_passes_above_the_limit() -> None:
    day = priced(limited(gross_exposure=10, net_exposure=10, unexecuted_value=10))
    day.hold("10")
    assert codes(day.judge(request(terms("10", side="sell")))) == []
    assert codes(day.judge(request(terms("1")))) == ["gross_exposure", "net_exposure", "unexecuted_value"]


def test_gross_counts_the_side_that_leads_further() -> None:
    day = priced(limited(gross_exposure=2000))
    day.approve(request(limit_terms("110", "20", "sell"), 1))
    assert codes(day.judge(request(limit_terms("90", "5"), 2))) == []
    assert codes(day.judge(request(terms("1", symbol="MSFT"), 2))) == ["gross_exposure"]
    day.approve(request(limit_terms("90", "5"), 2))
    assert codes(day.judge(request(terms("1", symbol="MSFT"), 3))) == ["gross_exposure"]
    below = priced(limited(gross_exposure=1900))
    below.book.apply(Day().approve(request(limit_terms("104", "20", "sell"), 1)).event)
    assert codes(below.judge(request(limit_terms("90", "5"), 2))) == ["gross_exposure"]


def test_a_symbol_counts_at_the_price_of_its_last_decision() -> None:
    day = priced(limited(gross_exposure=2000))
    day.approve(request(terms("10"), 1))
    day.prices["AAPL"] = Price(Decimal(150), NOW_NS, NOW_NS)
    assert codes(day.judge(request(terms("4"), 2))) == ["gross_exposure"]
    day.approve(request(terms("3"), 3))
    assert codes(day.judge(request(terms("1", symbol="MSFT"), 4))) == []
    assert codes(day.judge(request(terms("1.1", symbol="MSFT"), 4))) == ["gross_exposure"]


LIMITS = {
    "gross_exposure": 3000,
    "net_exposure": 1500,
    "unexecuted_value": 1200,
    "position_quantity": 25,
    "position_value": 2000,
    "open_orders": 6,
    "order_quantity": 12,
    "order_value": 1000,
}
sizes = st.integers(1, 20).map(Decimal)


class LimitsMachine(RuleBasedStateMachine):
    """No sequence of approvals exceeds a limit at the decisions' prices, whatever happens in between."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.day = priced(
            limited("[each_algorithm]\ngross_exposure = 2500\nunexecuted_value = 1000\n", **LIMITS)
        )
        self.count = 0
        self.reduced = False

    @rule(
        target=orders,
        algorithm=st.sampled_from(["alpha", "beta"]),
        symbol=st.sampled_from(list(PRICES)),
        side=st.sampled_from(["buy", "sell"]),
        size=sizes,
        offset=st.sampled_from([None, -5, 0, 4]),
    )
    def ask(self, algorithm: str, symbol: str, side: Side, size: Decimal, offset: int | None) -> str | None:
        """An order is asked for; approved, it is at the broker."""
        self.count += 1
        limit = (
            {} if offset is None else {"type": "limit", "limit_price": PRICES[symbol] * (100 + offset) / 100}
        )
        wanted = terms(str(size), symbol=symbol, side=side, **limit)
        asked = request(wanted, self.count, client_order_id=name(self.count, algorithm))
        verdict = self.day.judge(asked, algorithm=algorithm)
        return self.taken(verdict)

    @rule(target=orders, order_id=orders, size=sizes)
    def replace(self, order_id: str | None, size: Decimal) -> str | None:
        """An order that works is to have another quantity."""
        order = None if order_id is None else self.day.book.orders[order_id]
        if order is None or order.terms is None or not order.open:
            return None
        self.count += 1
        wanted = terms(
            str(size),
            symbol=order.symbol,
            side=order.side,
            type=order.terms.type,
            limit_price=order.terms.limit_price,
        )
        asked = replace_request(order.client_order_id, wanted, self.count)
        verdict = self.day.judge(asked, algorithm=order.algorithm)
        replacing = self.taken(verdict)
        if replacing is not None:
            self.update(order.client_order_id, "replaced")
        return replacing

    def taken(self, verdict: Approved | Refused) -> str | None:
        """An approval goes into the book, and the broker takes it."""
        if isinstance(verdict, Refused):
            return None
        event = verdict.event
        position = self.day.book.position(event.terms.symbol)
        self.reduced = self.reduced or position * (1 if event.terms.side == "sell" else -1) > 0
        self.day.book.apply(event)
        order = self.day.book.orders[event.client_order_id]
        self.day.book.apply(
            OrderSent(
                algorithm=event.algorithm,
                client_order_id=event.client_order_id,
                broker_order_id=f"b-{event.client_order_id}",
                approved_ns=NOW_NS,
                sent_ns=NOW_NS,
                acknowledged_ns=NOW_NS,
                quantity=order.working.quantity if order.working is not None else None,
            )
        )
        return event.client_order_id

    @rule(order_id=orders, part=st.sampled_from([1, 2, 4]))
    def fill(self, order_id: str | None, part: int) -> None:
        """A part of what is left is filled, or all of it."""
        order = None if order_id is None else self.day.book.orders[order_id]
        if order is None or not order.open or not order.leaves():
            return
        size = order.leaves() / part
        self.count += 1
        self.day.book.apply(
            OrderFilled(
                algorithm=order.algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=order.broker_order_id,
                execution_id=f"x-{self.count}",
                symbol=order.symbol,
                side=order.side,
                quantity=size,
                price=PRICES[order.symbol] * 3,
                filled_quantity=order.filled + size,
                status="filled" if part == 1 else "partially_filled",
                at_ns=NOW_NS,
            )
        )

    @rule(order_id=orders)
    def cancel(self, order_id: str | None) -> None:
        """An order ends unfilled."""
        if order_id is not None and self.day.book.orders[order_id].open:
            self.update(order_id, "canceled")

    def update(self, order_id: str, status: str) -> None:
        """The broker says that an order ended."""
        order = self.day.book.orders[order_id]
        self.day.book.apply(
            OrderUpdated(
                algorithm=order.algorithm,
                client_order_id=order_id,
                broker_order_id=order.broker_order_id,
                symbol=order.symbol,
                event=status,
                status=status,
                filled_quantity=order.filled,
                at_ns=NOW_NS,
            )
        )

    @invariant()
    def within_every_limit(self) -> None:
        """Worked out from the orders themselves: the furthest that positions can get from here."""
        for holder, gross_limit, value_limit in (
            (ACCOUNT, 3000, 1200),
            ("alpha", 2500, 1000),
            ("beta", 2500, 1000),
        ):
            gross, highest, lowest, unexecuted, count = self.reach(holder)
            assert gross <= gross_limit
            assert self.day.book.exposure.of(holder) == (gross, highest, lowest)
            assert self.day.book.unexecuted(holder) == unexecuted
            if holder == ACCOUNT:
                assert count <= LIMITS["open_orders"]
            if not self.reduced:
                assert unexecuted <= value_limit
                assert holder != ACCOUNT or (
                    highest <= LIMITS["net_exposure"] and -lowest <= LIMITS["net_exposure"]
                )

    def reach(self, holder: str) -> tuple[Decimal, Decimal, Decimal, Decimal, int]:
        """Gross, upwards, downwards, the value of open orders, and how many these are."""
        book = self.day.book
        open_orders = [
            order
            for order in book.orders.values()
            if order.status not in TERMINAL and holder in (ACCOUNT, order.algorithm)
        ]
        unexecuted = sum((order.leaves() * order.reserve_price for order in open_orders), ZERO)
        gross = highest = lowest = ZERO
        for symbol, price in PRICES.items():
            left: dict[str, Decimal] = {
                side: sum((o.leaves() for o in open_orders if (o.symbol, o.side) == (symbol, side)), ZERO)
                for side in ("buy", "sell")
            }
            held = book.position(symbol, holder)
            high, low = (held + left["buy"]) * price, (held - left["sell"]) * price
            gross, highest, lowest = gross + max(high, -low), highest + high, lowest + low
            if holder == ACCOUNT:
                assert max(held + left["buy"], left["sell"] - held) <= LIMITS["position_quantity"]
        return gross, highest, lowest, unexecuted, len(open_orders)


TestLimits = LimitsMachine.TestCase
TestLimits.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
