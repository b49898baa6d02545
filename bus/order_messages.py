"""What algorithms ask of the OMS: orders, replaces, cancels, in the imperative and frozen.

Quantities and prices are exact decimals (nine places at most), written as strings. Times are nanoseconds
since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import ClassVar, Literal

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

    wire: ClassVar[str] = "OrderRequest"
    client_order_id: str
    terms: OrderTerms
    lease: str
    trigger: str
    received_ns: int
    requested_ns: int


class CancelRequest(Message, frozen=True, kw_only=True):
    """An algorithm asks that one of its orders be canceled."""

    wire: ClassVar[str] = "CancelRequest"
    client_order_id: str
    lease: str
    requested_ns: int


Change = Literal["quantity", "limit_price", "stop_price", "time_in_force"]


class ReplaceRequest(Message, frozen=True, kw_only=True):
    """An algorithm asks that a working order be replaced by one with other terms and a new client id.

    `changes` names the terms that are to change; all others stay as the broker has them, whatever `terms`
    says of them. None: those that differ from what was asked of the order before. A quantity counts what the
    order that is replaced has filled; `seen_quantity` is the quantity that it had as far as the algorithm
    knew when it asked, None where it does not say.
    """

    wire: ClassVar[str] = "ReplaceRequest"
    client_order_id: str
    replaces: str
    terms: OrderTerms
    lease: str
    trigger: str
    received_ns: int
    requested_ns: int
    changes: tuple[Change, ...] | None = None
    seen_quantity: Decimal | None = None


class ShutdownAcknowledged(Message, frozen=True, kw_only=True):
    """The algorithm has stopped asking; nothing it sends under this lease is accepted afterwards."""

    wire: ClassVar[str] = "ShutdownAcknowledged"
    lease: str
    at_ns: int


class Reason(Message, frozen=True, kw_only=True):
    """Why something was refused: a stable code, a sentence, and limit and value where there are any."""

    code: str
    message: str
    limit: str | None = None
    value: str | None = None


Request = OrderRequest | CancelRequest | ReplaceRequest | ShutdownAcknowledged
REQUESTS: tuple[type[Message], ...] = (OrderRequest, CancelRequest, ReplaceRequest, ShutdownAcknowledged)
