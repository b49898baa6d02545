"""What algorithms ask of the OMS: orders, replaces, cancels, in the imperative and frozen.

Quantities and prices are exact decimals (nine places at most), written as strings. Times are nanoseconds
since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import ClassVar, Literal

from bus.codec import Message, always_written

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
TimeInForce = Literal["day", "gtc", "ioc", "fok", "opg", "cls"]
OrderClass = Literal["simple", "bracket", "oco", "oto"]

# What an order of a group is for: to open, or to close with a profit or before a loss grows. "" is for none.
Role = Literal["", "entry", "take_profit", "stop_loss"]


class OrderTerms(Message, frozen=True, kw_only=True):
    """What is to be bought or sold, and how. Exactly one of quantity and notional is set.

    A `bracket` has both exits: `take_profit` is the limit price of one, `stop_loss` the stop price of the
    other, with `stop_loss_limit` a stop-limit. An `oto` has one of the two. An `oco` is itself the exit with
    a profit, at its `limit_price`, and has a `stop_loss` beside it. A trailing stop has either `trail_price`,
    in dollars, or `trail_percent`; its `stop_price` is what the broker says of it, and never asked for.
    """

    symbol: str
    side: Side
    type: OrderType = always_written("market")
    time_in_force: TimeInForce = always_written("day")
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    order_class: OrderClass = always_written("simple")
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None


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


Change = Literal["quantity", "limit_price", "stop_price", "time_in_force", "trail_price", "trail_percent"]


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
