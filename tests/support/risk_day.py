"""What risk needs to judge an order, filled in with a calm day; tests change one thing at a time."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bus.control_messages import Halt, ReduceOnly
from bus.halt_state import HaltState
from bus.order_events import OrderFilled, OrderSent
from bus.order_messages import OrderRequest, OrderTerms, ReplaceRequest, Side
from oms.book.book import Book
from oms.broker.protocol import BrokerOrder
from oms.limits.limits import Limits, parse
from oms.prices.reference_price import Known, Price
from oms.risk.approval import Approved, Refused, approve_closing, check
from oms.risk.preconditions import Context

NOW_NS = 1_700_000_000_000_000_000
LEASE = "1:alpha"

LIMITS = """
[account]
order_quantity = 1000
order_value = 50_000
position_quantity = 10_000
position_value = 500_000
open_orders = 200
orders_per_second = 100
price_collar_percent = 5
price_age_seconds = 5
repeated_seconds = 0
"""


@dataclass
class Day:
    """Book, limits, prices and context of a calm day."""

    book: Book = field(default_factory=Book)
    limits: Limits | None = field(default_factory=lambda: parse(LIMITS, "limits"))
    prices: dict[str, Known] = field(default_factory=lambda: {"AAPL": Price(Decimal(100), NOW_NS, NOW_NS)})
    halts: HaltState = field(default_factory=lambda: HaltState(known=True))

    def context(self, **changes: Any) -> Context:
        """The context, with some of it changed."""
        values: dict[str, Any] = {
            "account": "paper",
            "algorithm": "alpha",
            "now_ns": NOW_NS,
            "halts": self.halts,
            "control_fresh": True,
            "not_ready": None,
            "lease": LEASE,
        }
        return Context(**(values | changes))

    def judge(self, request: OrderRequest | ReplaceRequest, **changes: Any) -> Approved | Refused:
        """Risk's verdict."""
        prices: Mapping[str, Known] = self.prices
        return check(request, self.book, self.limits, prices, self.context(**changes))

    def approve(self, request: OrderRequest | ReplaceRequest, **changes: Any) -> Approved:
        """Risk's verdict, which must be a yes; it goes into the book."""
        verdict = self.judge(request, **changes)
        assert isinstance(verdict, Approved), verdict
        self.book.apply(verdict.event)
        return verdict

    def hold(self, quantity: str, symbol: str = "AAPL", algorithm: str = "alpha", price: str = "100") -> None:
        """Give an algorithm a position."""
        size = Decimal(quantity)
        self.book.apply(fill(f"held-{algorithm}-{symbol}-{quantity}", size, algorithm, symbol, price))


def halted(mode: type[Halt] | type[ReduceOnly], scope: str = "all") -> HaltState:
    """A halt state with one scope in it."""
    return HaltState(known=True, scopes={scope: mode(scope=scope, reason="r", by="b", at_ns=0)})


def fill(name: str, size: Decimal, algorithm: str, symbol: str = "AAPL", price: str = "100") -> OrderFilled:
    """A fill of an order nobody knows, of a signed size."""
    side: Side = "buy" if size > 0 else "sell"
    return OrderFilled(
        algorithm=algorithm,
        client_order_id=name,
        broker_order_id=name,
        execution_id=f"{name}-1",
        symbol=symbol,
        side=side,
        quantity=abs(size),
        price=Decimal(price),
        filled_quantity=abs(size),
        status="filled",
        at_ns=NOW_NS,
    )


def name(number: int | str, algorithm: str = "alpha") -> str:
    """A client order id."""
    return f"bb-{algorithm}-{hashlib.sha256(str(number).encode()).hexdigest()[:32]}"


def terms(quantity: str | None = "10", **changes: Any) -> OrderTerms:
    """Terms of a market order to buy AAPL, with some of them changed."""
    values: dict[str, Any] = {
        "symbol": "AAPL",
        "side": "buy",
        "quantity": None if quantity is None else Decimal(quantity),
    }
    return OrderTerms(**(values | changes))


def request(wanted: OrderTerms | None = None, number: int | str = 1, **changes: Any) -> OrderRequest:
    """A request of the leader."""
    values: dict[str, Any] = {
        "client_order_id": name(number),
        "terms": terms() if wanted is None else wanted,
        "lease": LEASE,
        "trigger": str(number),
        "received_ns": NOW_NS - 2000,
        "requested_ns": NOW_NS - 1000,
    }
    return OrderRequest(**(values | changes))


def replace_request(old: str, wanted: OrderTerms, number: int | str = 2) -> ReplaceRequest:
    """A request of the leader to replace an order."""
    return ReplaceRequest(
        client_order_id=name(number),
        replaces=old,
        terms=wanted,
        lease=LEASE,
        trigger=str(number),
        received_ns=NOW_NS,
        requested_ns=NOW_NS,
    )


def approved(wanted: OrderTerms, number: int | str = 1, algorithm: str = "alpha") -> Approved:
    """Permission for these terms, on a day whose prices allow them."""
    day = Day()
    price = wanted.limit_price or Decimal(100)
    day.prices[wanted.symbol] = Price(price, NOW_NS, NOW_NS)
    asked = request(wanted, number, client_order_id=name(number, algorithm))
    return day.approve(asked, algorithm=algorithm)


def approved_closing(symbol: str) -> Approved:
    """Permission to sell all that is held, at an operator's word."""
    day = Day()
    day.hold("3", symbol)
    wanted = terms("3", symbol=symbol, side="sell")
    order_id, context = name(f"flatten {symbol}"), day.context()
    return approve_closing(order_id, wanted, "flatten 7-0", day.book, day.limits, context)


def approved_replace(old: BrokerOrder, old_terms: OrderTerms, wanted: OrderTerms, number: int) -> Approved:
    """Permission to replace an order that the broker has."""

    day = Day()
    day.prices[wanted.symbol] = Price(wanted.limit_price or Decimal(100), NOW_NS, NOW_NS)
    first = request(old_terms, 0, client_order_id=old.client_order_id)
    day.approve(first)
    day.book.apply(
        OrderSent(
            algorithm="alpha",
            client_order_id=old.client_order_id,
            broker_order_id=old.id,
            approved_ns=NOW_NS,
            sent_ns=NOW_NS,
            acknowledged_ns=NOW_NS,
        )
    )
    return day.approve(replace_request(old.client_order_id, wanted, number))


def limit_terms(price: str, quantity: str = "10", side: str = "buy") -> OrderTerms:
    """Terms of a limit order in AAPL."""
    return terms(quantity, type="limit", limit_price=Decimal(price), side=side)


def codes(verdict: Approved | Refused) -> list[str]:
    """Why not; empty for a yes."""
    return [] if isinstance(verdict, Approved) else [reason.code for reason in verdict.reasons]


def limited(more: str = "", **changes: object) -> Day:
    """A day on which only these limits of the account bind, and those of `more` sections."""
    wide: dict[str, object] = {
        "order_quantity": 1_000_000,
        "order_value": 1_000_000_000,
        "position_quantity": 1_000_000,
        "position_value": 1_000_000_000,
        "open_orders": 1000,
        "orders_per_second": 1000,
        "price_collar_percent": 50,
        "price_age_seconds": 5,
        "repeated_seconds": 0,
    }
    day = Day()
    content = "\n".join(f"{key} = {value}" for key, value in (wide | changes).items())
    day.limits = parse(f"[account]\n{content}\n{more}", "limits")
    return day
