"""One decision of the engine, check and book alone, against making the event and the order of it."""

import gc
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from benchmarks.row import Row
from bus.delivery import Delivery
from bus.halt_state import HaltState
from bus.order_events import Basis, OrderApproved, OrderUpdated
from bus.order_messages import OrderRequest, OrderTerms
from oms.book.orders import Order
from oms.engine import Engine
from oms.limits.limits import Limits, parse
from oms.prices.reference_price import Known, Price
from oms.state.inputs import (
    AccountListed,
    Answered,
    HaltStateRead,
    LeasesRead,
    LimitsRead,
    RequestRead,
    RequestsRead,
    Started,
    Tick,
)

OPEN_ORDERS = 50
LIMITS = 100
DECISIONS = 4000
ROUNDS = 5
# A Wednesday at noon in New York, while the market is open.
NOW_NS = 1_780_502_400_000_000_000
SYMBOLS = [f"S{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(10)]

_US = 1_000


def measure(directory: Path) -> Row:
    """Microseconds for a decision that approves, and for what any approval has to make."""
    del directory
    decided, made = [], []
    for _ in range(ROUNDS):
        decided.append(_timed(_Decisions().one))
        made.append(_timed(_made))
    return Row(
        name="decision_cost",
        value=min(decided) / _US,
        unit="us",
        limit=min(made) / _US,
        limit_is=f"making the event and the order; {OPEN_ORDERS} orders open, {LIMITS} limits",
        bar=30,
        rule="at_most",
    )


def _timed(one: Callable[[int], int]) -> float:
    """The median time of one of many, in nanoseconds; each tells its own."""
    gc.collect()
    gc.disable()
    try:
        return statistics.median(one(number) for number in range(DECISIONS))
    finally:
        gc.enable()


class _Decisions:
    """An engine at work, with orders of ten algorithms open in ten symbols. Mutable: the engine."""

    def __init__(self) -> None:
        self._engine = Engine("paper", longest_send_ns=1_000_000_000)
        self._prices: dict[str, Known] = {symbol: Price(Decimal(100), NOW_NS, NOW_NS) for symbol in SYMBOLS}
        leases = {f"algo-{number}": f"{number}:lease" for number in range(10)}
        for taken in (
            HaltStateRead(HaltState(known=True)),
            LimitsRead(_limits(), "a benchmark", "a benchmark"),
            LeasesRead(leases),
            Tick(0),
        ):
            self._engine.take(taken, NOW_NS)
        (question,) = self._engine.take(Started(None, None), NOW_NS).ask
        self._engine.take(Answered(question, AccountListed((), ()), 0), NOW_NS)
        for number in range(OPEN_ORDERS):
            self._engine.take(self._asked(-1 - number), NOW_NS)
        assert self._engine.state.book.open_count() == OPEN_ORDERS

    def one(self, number: int) -> int:
        """Decide on one, in nanoseconds; afterwards it is canceled, so that as many are open as before."""
        asked, now_ns = self._asked(number), NOW_NS + number * 100_000_000
        self._prices[SYMBOLS[number % 10]] = Price(Decimal(100), now_ns, now_ns)
        before_ns = time.perf_counter_ns()
        effects = self._engine.take(asked, now_ns)
        took_ns = time.perf_counter_ns() - before_ns
        (event,) = effects.events
        assert isinstance(event, OrderApproved), event
        self._engine.apply(
            OrderUpdated(
                algorithm=event.algorithm,
                client_order_id=event.client_order_id,
                broker_order_id=f"broker-{event.client_order_id}",
                symbol=event.terms.symbol,
                event="canceled",
                status="canceled",
                filled_quantity=Decimal(0),
                at_ns=now_ns,
            )
        )
        return took_ns

    def _asked(self, number: int) -> RequestsRead:
        name = f"algo-{number % 10}"
        request = OrderRequest(
            client_order_id=f"bb-{name}-{number % (1 << 64):032x}",
            terms=_terms(number),
            lease=f"{number % 10}:lease",
            trigger="1-1",
            received_ns=NOW_NS,
            requested_ns=NOW_NS,
        )
        delivery = Delivery(f"requests:{name}", f"{number}-0", {})
        return RequestsRead([RequestRead(delivery, name, request)], True, self._prices)


def _terms(number: int) -> OrderTerms:
    return OrderTerms(
        symbol=SYMBOLS[number % 10],
        side="buy",
        type="limit",
        quantity=Decimal(1 + number % 97),
        limit_price=Decimal("99.5"),
    )


def _limits() -> Limits:
    """A hundred numbers, none of which binds."""
    account = (
        "order_quantity = 1000000\norder_value = 1e9\nposition_quantity = 1000000\nposition_value = 1e9\n"
        "open_orders = 100000\norders_per_second = 100000\nprice_collar_percent = 5\nprice_age_seconds = 5\n"
        "gross_exposure = 1e9\nnet_exposure = 1e9\nunexecuted_value = 1e9\nmessages_per_minute = 100000\n"
    )
    own = "order_quantity = 1000000\norder_value = 1e9\nposition_value = 1e9\nopen_orders = 100000\n"
    sections = [f"[account]\n{account}", f"[each_algorithm]\n{own}"]
    sections += [f"[algorithm.algo-{number}]\n{own}" for number in range(10)]
    per_symbol = "order_quantity = 1000000\norder_value = 1e9\nposition_value = 1e9\nprice_age_seconds = 5\n"
    sections += [f"[symbol.{symbol}]\n{per_symbol}" for symbol in SYMBOLS]
    content = "".join(sections)
    missing = LIMITS - content.count(" = ")
    content += "".join(f"[symbol.T{chr(65 + number)}]\norder_value = 1e9\n" for number in range(missing))
    assert content.count(" = ") == LIMITS
    return parse(content, "limits")


def _made(number: int) -> int:
    """Make what an approval comes to, with nothing decided and nothing counted."""
    terms = _terms(number)
    before_ns = time.perf_counter_ns()
    event = OrderApproved(
        algorithm="algo-1",
        client_order_id="bb-algo-1-0",
        terms=terms,
        reserve_price=Decimal(100),
        trigger="1-1",
        received_ns=NOW_NS,
        requested_ns=NOW_NS,
        approved_ns=NOW_NS,
        basis=Basis(
            price=Decimal(100),
            price_at_ns=NOW_NS,
            price_received_ns=NOW_NS,
            limits_version=1,
            halt="active",
            control_fresh=True,
            not_ready="",
            lease="1:lease",
            reserve_price=Decimal(100),
        ),
    )
    Order(event.algorithm, event.client_order_id, terms.symbol, terms.side, terms, terms)
    return time.perf_counter_ns() - before_ns
