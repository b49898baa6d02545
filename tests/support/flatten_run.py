"""An engine and a broker of its own in memory, whose words and whose updates come when a test says so."""

from collections import deque
from dataclasses import replace
from decimal import Decimal

from engine_run import EngineRun, at_broker, frame
from risk_day import LEASE, LIMITS, limit_terms, name, request

from bus.control_messages import Flatten
from bus.flatten_messages import FlattenEnded, FlattenOutcome
from bus.halt_state import HaltState
from bus.order_events import OrderFilled
from bus.order_messages import Reason, Side
from oms.book.orders import TERMINAL
from oms.broker.protocol import (
    Accepted,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    Outcome,
    Rejected,
    Unknown,
)
from oms.limits.limits import parse
from oms.risk.approval import Approved
from oms.state.effects import CancelOrder, Effects
from oms.state.inputs import (
    AccountListed,
    AllCancelsAnswered,
    Answered,
    CancelAnswered,
    CompareAccount,
    ControlRead,
    FindOrder,
    HaltStateRead,
    Input,
    LeasesRead,
    LimitsRead,
    ListAccount,
    ListPositions,
    OrderAnswered,
    Question,
    Started,
)

ENTRY = "7-0"
_ALL = "cancel all"

Work = Approved | CancelOrder | Question | str


class FlattenRun(EngineRun):
    """`work` is what the engine wants done and nobody has done; `updates` what the broker has yet to tell.

    `at_broker` are the broker's orders by client id; `net` is what it says that the account holds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_broker: dict[str, BrokerOrder] = {}
        self.net: dict[str, Decimal] = {}
        self.work: deque[Work] = deque()
        self.updates: deque[bytes] = deque()
        self.refusal: str | None = None
        self.executions = 0

    def take(self, taken: Input) -> Effects:
        """As the engine does; what is to be done waits."""
        effects = super().take(taken)
        self.work.extend(effects.send)
        self.work.extend(effects.cancel)
        self.work.extend([_ALL] if effects.cancel_all else [])
        self.work.extend(effects.ask)
        return effects

    def restart(self) -> None:
        """End with whatever was under way undone, and begin again from the journal."""
        self.engine = self.folded()
        self.work.clear()
        self.take(HaltStateRead(HaltState(known=True)))
        self.take(LimitsRead(parse(LIMITS, "limits"), "limits.toml", "a test"))
        self.take(LeasesRead({"alpha": LEASE, "beta": "1:beta"}))
        self.tick(0)
        self.take(Started(self.now_ns - 3600 * 10**9, self.now_ns))

    # What there is before.

    def holds(self, quantity: str, algorithm: str = "alpha", symbol: str = "AAPL") -> None:
        """A position, in the book and at the broker."""
        size = Decimal(quantity)
        self.executions += 1
        number = f"held-{self.executions}"
        event = OrderFilled(
            algorithm=algorithm, client_order_id=number, broker_order_id=number, execution_id=number,
            symbol=symbol, side="buy" if size > 0 else "sell", quantity=abs(size), price=Decimal(100),
            filled_quantity=abs(size), status="filled", at_ns=self.now_ns,
        )  # fmt: skip
        self.engine.apply(event)
        self.journal.append(_encode(event))
        self.net[symbol] = self.net.get(symbol, Decimal(0)) + size

    def rests(self, number: int, algorithm: str = "alpha", quantity: str = "1", side: Side = "buy") -> str:
        """An order that works far from the market; returns its client id."""
        self.price("100")
        wanted = limit_terms("99" if side == "buy" else "101", quantity, side)
        lease = {"alpha": LEASE, "beta": "1:beta"}[algorithm]
        order_id = name(number, algorithm)
        self.read(request(wanted, number, client_order_id=order_id, lease=lease), algorithm)
        self.do()
        return order_id

    # The operator.

    def flatten(self, scope: str = "account:paper", entry_id: str = ENTRY) -> Effects:
        """An operator says so."""
        message = Flatten(scope=scope, reason="a test", by="ann", at_ns=self.now_ns)
        return self.take(ControlRead(entry_id, message, self.prices))

    def outcomes(self, entry_id: str = ENTRY) -> dict[str, FlattenOutcome] | None:
        """What came of it; None while it is under way."""
        for event in self.read_journal():
            if isinstance(event, FlattenEnded) and event.entry_id == entry_id:
                return {one.symbol: one for one in event.outcomes}
        return None

    # The broker.

    def do(self, *, answer: bool = True) -> bool:
        """The broker does what was asked first, and its answer comes, or is lost; False where nothing was."""
        if not self.work:
            return False
        work = self.work.popleft()
        if isinstance(work, Approved):
            outcome = self._submitted(work)
            self.take(OrderAnswered(work.client_order_id, outcome if answer else Unknown("lost")))
        elif isinstance(work, CancelOrder):
            error = self._canceled(work.client_order_id)
            self.take(CancelAnswered(work.client_order_id, error))
        elif work == _ALL:
            for order_id in list(self.at_broker):
                self._canceled(order_id)
            self.take(AllCancelsAnswered(None))
        else:
            assert not isinstance(work, str)
            self.take(self._answered(work))
        return True

    def tell(self) -> bool:
        """The broker's oldest update is heard; False where there is none."""
        if not self.updates:
            return False
        self.told(self.updates.popleft())
        return True

    def fill(self, order_id: str, quantity: str | Decimal) -> None:
        """So much of an order is filled; the update waits."""
        order, size = self.at_broker[order_id], Decimal(quantity)
        self.executions += 1
        filled = order.filled_quantity + size
        done = filled == order.quantity
        order = replace(
            order,
            filled_quantity=filled,
            filled_average_price=Decimal(100),
            status="filled" if done else "partially_filled",
        )
        self.at_broker[order_id] = order
        signed = size if order.side == "buy" else -size
        self.net[order.symbol] = self.net.get(order.symbol, Decimal(0)) + signed
        fields = {"execution_id": f"e{self.executions}", "qty": str(size), "price": "100"}
        self.updates.append(frame(order, "fill" if done else "partial_fill", **fields))

    def ends(self, order_id: str, status: str) -> None:
        """An order ends otherwise; the update waits."""
        self.at_broker[order_id] = replace(self.at_broker[order_id], status=status)
        self.updates.append(frame(self.at_broker[order_id], status))

    def open_orders(self, symbol: str | None = None) -> list[BrokerOrder]:
        """What works at the broker."""
        return [
            one for one in self.at_broker.values()
            if one.status not in TERMINAL and symbol in (None, one.symbol)
        ]  # fmt: skip

    def own(self) -> list[BrokerOrder]:
        """What the flatten sent that reached the broker, oldest first."""
        return [one for one in self.at_broker.values() if one.type == "market"]

    def settle(self, *, fills: bool = True) -> None:
        """Everything is done, told and, where the market fills, filled; time passes until all is quiet."""
        for _ in range(400):
            while self.do() or self.tell():
                pass
            if fills:
                for order in self.own():
                    if order.status not in TERMINAL:
                        assert order.quantity is not None
                        self.fill(order.client_order_id, order.quantity - order.filled_quantity)
            if not self.updates and not self.work and self.outcomes() is not None:
                return
            self.tick(10**9)

    def _submitted(self, approved: Approved) -> Outcome:
        reason = self.engine.objection(approved, self.engine.state.halts)
        if reason is not None:
            return Rejected("oms", reason)
        if self.refusal is not None and approved.closes:
            return Rejected("broker", Reason(code="broker_40310000", message=self.refusal))
        order = at_broker(approved)
        assert order.client_order_id not in self.at_broker, "sent twice"
        self.at_broker[order.client_order_id] = order
        self.updates.append(frame(order, "new"))
        return Accepted(order, self.now_ns, self.now_ns)

    def _canceled(self, order_id: str) -> BrokerRefused | None:
        if self.at_broker[order_id].status in TERMINAL:
            return BrokerRefused("42210000", "order is not cancelable")
        self.ends(order_id, "canceled")
        return None

    def _answered(self, question: Question) -> Answered:
        positions = [BrokerPosition(one, size, Decimal(100)) for one, size in self.net.items() if size]
        if isinstance(question, FindOrder):
            return Answered(question, self.at_broker.get(question.client_order_id), self.monotonic_ns)
        if isinstance(question, ListPositions):
            return Answered(question, AccountListed((), positions), self.monotonic_ns)
        if isinstance(question, CompareAccount | ListAccount):
            orders = tuple(self.at_broker.values())
            return Answered(question, AccountListed(orders, positions), self.monotonic_ns)
        return Answered(question, tuple(self.at_broker.values()), self.monotonic_ns)


def _encode(event: OrderFilled) -> tuple[bytes, bytes, bytes]:
    from engine_run import CODEC

    return CODEC.encode(event)
