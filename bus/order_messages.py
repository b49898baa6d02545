"""Orders on their way: requests in the imperative, events in the past tense, all frozen.

Quantities and prices are exact decimals (nine places at most), written as strings. Times are nanoseconds
since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import Literal

from bus.codec import Message

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit"]
TimeInForce = Literal["day", "gtc", "ioc", "fok", "opg", "cls"]


class OrderTerms(Message, frozen=True, kw_only=True):
    """What is to be bought or sold, and how. Exactly one of quantity and notional is set."""

    symbol: str
    side: Side
    type: OrderType = "market"
    time_in_force: TimeInForce = "day"
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False


class OrderRequest(Message, frozen=True, kw_only=True):
    """An algorithm asks for an order. `lease` is the lease value under which it was written."""

    client_order_id: str
    terms: OrderTerms
    lease: str
    trigger: str
    received_ns: int
    requested_ns: int


class CancelRequest(Message, frozen=True, kw_only=True):
    """An algorithm asks that one of its orders be cancelled."""

    client_order_id: str
    lease: str
    requested_ns: int


class ReplaceRequest(Message, frozen=True, kw_only=True):
    """An algorithm asks that a working order be replaced by one with other terms and a new client id."""

    client_order_id: str
    replaces: str
    terms: OrderTerms
    lease: str
    trigger: str
    received_ns: int
    requested_ns: int


class ShutdownAcknowledged(Message, frozen=True, kw_only=True):
    """The algorithm has stopped asking; nothing it sends under this lease is accepted afterwards."""

    lease: str
    at_ns: int


class Reason(Message, frozen=True, kw_only=True):
    """Why something was refused: a stable code, a sentence, and limit and value where there are any."""

    code: str
    message: str
    limit: str | None = None
    value: str | None = None


class Registered(Message, frozen=True, kw_only=True):
    """The OMS reads this algorithm's requests from now on."""

    algorithm: str
    at_ns: int


class OrderApproved(Message, frozen=True, kw_only=True):
    """Risk let an order through. The broker hears of it only after this is in the journal.

    `replaces` names the client id of the order that this one takes the place of.
    `reserve_price` is the price at which the order's value is reserved.
    """

    algorithm: str
    client_order_id: str
    terms: OrderTerms
    reserve_price: Decimal
    trigger: str
    received_ns: int
    requested_ns: int
    approved_ns: int
    replaces: str | None = None


class OrderRefused(Message, frozen=True, kw_only=True):
    """An order will not happen: refused by risk, by the broker, or never sent (`by` says whose no it was)."""

    algorithm: str
    client_order_id: str
    by: Literal["risk", "broker", "oms"]
    reasons: tuple[Reason, ...]
    at_ns: int
    terms: OrderTerms | None = None


class OrderSent(Message, frozen=True, kw_only=True):
    """The broker has the order. `sent_ns`: the request left; `acknowledged_ns`: the answer came."""

    algorithm: str
    client_order_id: str
    broker_order_id: str
    approved_ns: int
    sent_ns: int
    acknowledged_ns: int


class OrderUncertain(Message, frozen=True, kw_only=True):
    """The broker may or may not have the order; it is being looked for and nothing is sent again."""

    algorithm: str
    client_order_id: str
    why: str
    at_ns: int


class OrderUpdated(Message, frozen=True, kw_only=True):
    """The broker said something of an order that is not a fill. `event` and `status` are Alpaca's words."""

    algorithm: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    event: str
    status: str
    filled_quantity: Decimal
    at_ns: int
    replaced_by: str | None = None


class OrderFilled(Message, frozen=True, kw_only=True):
    """One execution. `quantity` and `price` are this execution's; `filled_quantity` is cumulative."""

    algorithm: str
    client_order_id: str
    broker_order_id: str
    execution_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    filled_quantity: Decimal
    status: str
    at_ns: int


class CancelRefused(Message, frozen=True, kw_only=True):
    """A cancel did not happen; the order stands as it was."""

    algorithm: str
    client_order_id: str
    reason: Reason
    at_ns: int


class FactKept(Message, frozen=True, kw_only=True):
    """A broker fact or request that could not be read, kept as it came so that nothing is lost."""

    stream: str
    entry_id: str
    error: str
    payload: str
    at_ns: int


Request = OrderRequest | CancelRequest | ReplaceRequest | ShutdownAcknowledged
REQUESTS: tuple[type[Message], ...] = (OrderRequest, CancelRequest, ReplaceRequest, ShutdownAcknowledged)
Event = (
    Registered
    | OrderApproved
    | OrderRefused
    | OrderSent
    | OrderUncertain
    | OrderUpdated
    | OrderFilled
    | CancelRefused
    | FactKept
)
EVENTS: tuple[type[Message], ...] = (
    Registered,
    OrderApproved,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
    OrderFilled,
    CancelRefused,
    FactKept,
)
