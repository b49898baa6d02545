"""An engine with everything around it written by hand: its journal as entries, and the broker's answers."""

import json
from collections.abc import Sequence
from decimal import Decimal

from risk_day import LEASE, LIMITS, NOW_NS

from bus.codec import Message, MessageCodec
from bus.delivery import Delivery
from bus.events import EVENTS
from bus.halt_state import HaltState
from bus.heartbeat import OmsDetails
from bus.order_messages import OrderTerms, Request, Role
from oms.broker.protocol import Accepted, BrokerOrder
from oms.engine import Engine
from oms.heartbeat import details
from oms.limits.limits import parse
from oms.prices.reference_price import Price
from oms.risk.approval import Approved
from oms.risk.terms import closing_side
from oms.state.effects import Effects
from oms.state.inputs import (
    AccountListed,
    Answered,
    BrokerMessageRead,
    BrokerMessagesRead,
    HaltStateRead,
    Input,
    LeasesRead,
    LimitsRead,
    ListAccount,
    MarketClockRead,
    OrderAnswered,
    RequestRead,
    RequestsRead,
    Started,
    Tick,
)

ACCOUNT = "paper"
SECOND_NS = 1_000_000_000
LONGEST_SEND_NS = 10 * SECOND_NS
CODEC = MessageCodec(EVENTS)

# What somebody ordered beside our algorithms.
BY_HAND = BrokerOrder(
    id="61e69015",
    client_order_id="by-hand",
    symbol="AAPL",
    side="buy",
    type="trailing_stop",
    time_in_force="gtc",
    status="new",
    quantity=Decimal(60),
    notional=None,
    limit_price=None,
    stop_price=Decimal(110),
    filled_quantity=Decimal(0),
    filled_average_price=None,
)


class EngineRun:
    """Drives an engine; `journal` holds its events as they are written, `sent` every approval to be sent."""

    def __init__(self) -> None:
        self.engine = Engine(ACCOUNT, longest_send_ns=LONGEST_SEND_NS)
        self.journal: list[tuple[bytes, bytes, bytes]] = []
        self.sent: list[Approved] = []
        self.now_ns = NOW_NS
        self.monotonic_ns = 0
        self.entries = 0
        self.prices: dict[str, Price] = {}

    def take(self, taken: Input) -> Effects:
        """Have the engine take an input; its events go into the journal."""
        effects = self.engine.take(taken, self.now_ns)
        self.journal += [CODEC.encode(event) for event in effects.events]
        self.sent += effects.send
        return effects

    def begin(self, limits: str = LIMITS) -> None:
        """Take what a start takes, on an empty account, up to being ready."""
        self.take(HaltStateRead(HaltState(known=True)))
        self.take(LimitsRead(parse(limits, "limits"), "limits.toml", "a test"))
        self.take(LeasesRead({"alpha": LEASE, "beta": "1:beta"}))
        self.take(MarketClockRead(is_open=True))
        self.price("100")
        self.tick(0)
        (question,) = self.take(Started(None, None)).ask
        assert isinstance(question, ListAccount)
        self.take(Answered(question, AccountListed((), ()), 0))
        assert self.engine.not_ready is None

    def price(self, price: str) -> None:
        """Have later requests read with this price of AAPL, which is heard now."""
        self.prices = {"AAPL": Price(Decimal(price), self.now_ns, self.now_ns)}

    def read(self, message: Request, algorithm: str = "alpha", *, control_fresh: bool = True) -> Effects:
        """Have a request read."""
        self.entries += 1
        read = RequestRead(Delivery(f"requests:{algorithm}", f"{self.entries}-0", {}), algorithm, message)
        return self.take(RequestsRead([read], control_fresh, self.prices))

    def told(self, data: bytes, kind: str = "TradeUpdate", *, received: str | None = None) -> Effects:
        """Have an entry of the account stream read, received now unless something else is said."""
        self.entries += 1
        received = str(self.now_ns) if received is None else received
        fields = {b"type": kind.encode(), b"data": data, b"r": received.encode()}
        return self.take(
            BrokerMessagesRead([BrokerMessageRead(Delivery("account", f"{self.entries}-0", fields))])
        )

    def accepted(self, approved: Approved, status: str = "new") -> Effects:
        """The broker takes an order."""
        order = at_broker(approved, status)
        return self.take(OrderAnswered(approved.client_order_id, Accepted(order, self.now_ns, self.now_ns)))

    def tick(self, nanoseconds: int) -> Effects:
        """Let time pass."""
        self.now_ns += nanoseconds
        self.monotonic_ns += nanoseconds
        return self.take(Tick(self.monotonic_ns))

    def shown(self, *, digest: str = "", digest_at: str = "") -> OmsDetails:
        """What the heartbeat of an OMS that leads with this engine says."""
        return details(
            self.engine,
            ready=True,
            leads=True,
            budget=1,
            commits=1,
            digest=digest,
            digest_at=digest_at,
            head="",
            head_at="",
            snapshot_at="",
        )

    def folded(self) -> Engine:
        """A new engine, fed from the journal as it is written."""
        engine = Engine(ACCOUNT, longest_send_ns=LONGEST_SEND_NS)
        engine.apply_all(self.read_journal())
        return engine

    def read_journal(self) -> Sequence[Message]:
        """The journal's events, read back."""
        return [
            CODEC.decode(dict(zip((b"type", b"version", b"data"), entry, strict=True)))
            for entry in self.journal
        ]


def at_broker(approved: Approved, status: str = "new", filled: str = "0") -> BrokerOrder:
    """An approved order as the broker has it."""
    terms = approved.terms
    return BrokerOrder(
        id=f"broker-{approved.client_order_id}",
        client_order_id=approved.client_order_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        time_in_force=terms.time_in_force,
        status=status,
        quantity=terms.quantity,
        notional=terms.notional,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        filled_quantity=Decimal(filled),
        filled_average_price=Decimal(100) if Decimal(filled) else None,
        replaces=approved.replaces_broker_id,
        order_class="" if terms.order_class == "simple" else terms.order_class,
        trail_price=terms.trail_price,
        trail_percent=terms.trail_percent,
        legs=tuple(exit_at_broker(approved, role) for role in roles_of(terms)),
    )


def roles_of(terms: OrderTerms) -> tuple[Role, ...]:
    """The exits that the broker makes of these terms."""
    named: tuple[tuple[Role, Decimal | None], ...] = (
        ("take_profit", terms.take_profit),
        ("stop_loss", terms.stop_loss),
    )
    return tuple(role for role, price in named if price is not None)


def exit_at_broker(approved: Approved, role: Role, status: str = "held") -> BrokerOrder:
    """An exit of an approved order, under an id that the broker made."""
    terms = approved.terms
    profit = role == "take_profit"
    return BrokerOrder(
        id=f"broker-{role}-{approved.client_order_id}",
        client_order_id=f"{role}-{approved.client_order_id}",
        symbol=terms.symbol,
        side=closing_side(terms),
        type="limit" if profit else "stop" if terms.stop_loss_limit is None else "stop_limit",
        time_in_force=terms.time_in_force,
        status=status,
        quantity=terms.quantity,
        notional=None,
        limit_price=terms.take_profit if profit else terms.stop_loss_limit,
        stop_price=None if profit else terms.stop_loss,
        filled_quantity=Decimal(0),
        filled_average_price=None,
        order_class=terms.order_class,
        parent=approved.client_order_id,
    )


def frame(order: BrokerOrder, event: str, **fields: str) -> bytes:
    """A trade update as Alpaca sends it."""
    shown = {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "status": order.status,
        "qty": None if order.quantity is None else str(order.quantity),
        "limit_price": None if order.limit_price is None else str(order.limit_price),
        "stop_price": None if order.stop_price is None else str(order.stop_price),
        "filled_qty": str(order.filled_quantity),
        "filled_avg_price": None,
        "order_class": order.order_class,
        "replaces": order.replaces,
        "replaced_by": order.replaced_by,
    }
    data = {"event": event, "timestamp": "2026-01-02T15:04:05.123456789Z", "order": shown, **fields}
    return json.dumps({"stream": "trade_updates", "data": data}).encode()
