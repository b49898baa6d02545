"""What became of orders: the journal's events, in the past tense and frozen.

Quantities, prices and times are written as in `order_messages.py`.
"""

from decimal import Decimal
from typing import ClassVar, Literal

from bus.codec import Message, always_written
from bus.order_messages import Change, OrderTerms, Reason, Role, Side


class Registered(Message, frozen=True, kw_only=True):
    """The OMS reads this algorithm's requests; again where the `symbols` that it declared are others."""

    wire: ClassVar[str] = "Registered"
    algorithm: str
    at_ns: int
    symbols: tuple[str, ...] | None = None


class Basis(Message, frozen=True, kw_only=True):
    """What a decision saw, so that it can be explained and made again.

    `price` is the reference price, `price_at_ns` the market's time of it and `price_received_ns` ours; None
    where no price of the symbol was known. `price_feed` is the feed that it came from. `limits_version` is 0
    where no limits were loaded. `halt` is the strictest that covered the order. `lease` is the lease under
    which the algorithm led, "" for none. `not_ready` is the code of why no orders were taken, "" while they
    were. `reserve_price` is None where the terms were too wrong to reserve anything. `band_price` is the
    price of some minutes before, None where no band was set. `responsible_person` answers for the algorithm's
    orders, as the limits name them; "" where they name nobody.
    """

    price: Decimal | None
    price_at_ns: int | None
    price_received_ns: int | None
    limits_version: int
    halt: Literal["active", "reduce_only", "halted", "unknown"]
    control_fresh: bool
    not_ready: str
    lease: str
    reserve_price: Decimal | None
    price_feed: str = ""
    band_price: Decimal | None = None
    responsible_person: str = ""


class OrderApproved(Message, frozen=True, kw_only=True):
    """Risk let an order through. The broker hears of it only after this is in the journal.

    `replaces` names the client id of the order that this one takes the place of, and `working` says of such
    an order what is to stand at the broker: what is left of the old one, with what was asked to change.
    `terms` are those of the request. `reserve_price` is the price at which the order's value is reserved.
    `basis` is None for an order that was adopted, not decided on.
    """

    wire: ClassVar[str] = "OrderApproved"
    algorithm: str
    client_order_id: str
    terms: OrderTerms
    reserve_price: Decimal
    trigger: str
    received_ns: int
    requested_ns: int
    approved_ns: int
    replaces: str | None = None
    basis: Basis | None = None
    working: OrderTerms | None = None


class OrderRefused(Message, frozen=True, kw_only=True):
    """An order will not happen: refused by risk, by the broker, or never sent (`by` says whose no it was).

    `basis` is what risk saw, where it was asked; `replaces` and `changes` are those of a replace it refused.
    """

    wire: ClassVar[str] = "OrderRefused"
    algorithm: str
    client_order_id: str
    by: Literal["risk", "broker", "oms"]
    reasons: tuple[Reason, ...]
    at_ns: int
    terms: OrderTerms | None = None
    basis: Basis | None = None
    replaces: str | None = None
    changes: tuple[Change, ...] | None = None


class RefusedOrder(Message, frozen=True):
    """One of several orders that were refused together; `terms` as in OrderRefused."""

    client_order_id: str
    terms: OrderTerms | None = None


class OrdersRefused(Message, frozen=True, kw_only=True):
    """Orders that were refused right after one like them, whose OrderRefused says what the decision saw.

    They have its algorithm, codes, symbol and side. `reasons` are those of the first of `orders`: numbers in
    those of the others may differ. It means what an OrderRefused of each would mean.
    """

    wire: ClassVar[str] = "OrdersRefused"
    algorithm: str
    by: Literal["risk", "broker", "oms"]
    reasons: tuple[Reason, ...]
    orders: tuple[RefusedOrder, ...]
    first_requested_ns: int
    last_requested_ns: int
    at_ns: int

    def one_by_one(self) -> tuple[OrderRefused, ...]:
        """The same, as an OrderRefused for each."""
        return tuple(
            OrderRefused(
                algorithm=self.algorithm,
                client_order_id=order.client_order_id,
                by=self.by,
                reasons=self.reasons,
                at_ns=self.at_ns,
                terms=order.terms,
            )
            for order in self.orders
        )


class OrderSent(Message, frozen=True, kw_only=True):
    """The broker has the order. `sent_ns`: the request left; `acknowledged_ns`: the answer came.

    Quantity and prices are the order's as the broker has it; None where it has none, or did not say.
    """

    wire: ClassVar[str] = "OrderSent"
    algorithm: str
    client_order_id: str
    broker_order_id: str
    approved_ns: int
    sent_ns: int
    acknowledged_ns: int
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class LegFound(Message, frozen=True, kw_only=True):
    """The broker has an exit of an order of ours: an order of its own, under an id that the broker made.

    `parent` is the client id of the order whose exit it is. Its terms are those of an order that stands
    alone. One that is found again under another parent stands now beside that one.
    """

    wire: ClassVar[str] = "LegFound"
    algorithm: str
    client_order_id: str
    broker_order_id: str
    parent: str
    role: Role
    terms: OrderTerms
    status: str
    at_ns: int


class OrderUncertain(Message, frozen=True, kw_only=True):
    """The broker may or may not have the order; it is being looked for and nothing is sent again."""

    wire: ClassVar[str] = "OrderUncertain"
    algorithm: str
    client_order_id: str
    why: str
    at_ns: int


class OrderUpdated(Message, frozen=True, kw_only=True):
    """The broker said something of an order that is not a fill. `event` and `status` are Alpaca's words.

    Quantity and prices are the order's as the broker has it; None where it has none, or did not say.
    """

    wire: ClassVar[str] = "OrderUpdated"
    algorithm: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    event: str
    status: str
    filled_quantity: Decimal
    at_ns: int
    replaced_by: str | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class OrderFilled(Message, frozen=True, kw_only=True):
    """One execution. `quantity` and `price` are this execution's; `filled_quantity` is cumulative.

    `fee` is what the broker took at once of what it brought: coins of a purchase of a pair, which leaves
    less than `quantity`, and money of its sale. 0 for shares.
    `role` is that of its order in a group, "" where it stands alone; `parent` is the client id of the order
    whose exit it is.
    """

    wire: ClassVar[str] = "OrderFilled"
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
    fee: Decimal = always_written(Decimal(0))
    role: Role = ""
    parent: str | None = None


class FillAbsorbed(Message, frozen=True, kw_only=True):
    """An execution was heard of late, whose quantity was booked already from the broker's list of orders.

    `quantity` is the execution's own; `filled_quantity` is cumulative, as the broker told it.
    """

    wire: ClassVar[str] = "FillAbsorbed"
    algorithm: str
    client_order_id: str
    execution_id: str
    quantity: Decimal
    filled_quantity: Decimal
    at_ns: int


class ExternalOrderFound(Message, frozen=True, kw_only=True):
    """An order that was made elsewhere on the account was heard of: by hand, or by another program.

    Its words are Alpaca's. `reserve_price` is the price at which its value is reserved: its limit or its
    stop, 0 where it has neither.
    """

    wire: ClassVar[str] = "ExternalOrderFound"
    algorithm: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    type: str
    time_in_force: str
    status: str
    quantity: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    reserve_price: Decimal
    at_ns: int


class OrderNotUnderstood(Message, frozen=True, kw_only=True):
    """The broker has an order that cannot be read, such as one of several legs: it is in no book."""

    wire: ClassVar[str] = "OrderNotUnderstood"
    algorithm: str
    client_order_id: str
    broker_order_id: str
    error: str
    at_ns: int


class PositionUnprotected(Message, frozen=True, kw_only=True):
    """So much of an algorithm's position has had no stop-loss at work for seconds, and was to have one.

    `client_order_id` is the last order that asked for one: a bracket, an OTO or an OCO. Told again where the
    quantity changes.
    """

    wire: ClassVar[str] = "PositionUnprotected"
    algorithm: str
    symbol: str
    quantity: Decimal
    client_order_id: str
    why: str
    at_ns: int


class PositionProtected(Message, frozen=True, kw_only=True):
    """A position that was without its stop-loss is closed, or has a stop order at work again."""

    wire: ClassVar[str] = "PositionProtected"
    algorithm: str
    symbol: str
    at_ns: int


class CancelRefused(Message, frozen=True, kw_only=True):
    """A cancel did not happen; the order stands as it was."""

    wire: ClassVar[str] = "CancelRefused"
    algorithm: str
    client_order_id: str
    reason: Reason
    at_ns: int


class EntryDeadLettered(Message, frozen=True, kw_only=True):
    """A request or a broker's message could not be read; it is kept, as it came, in the dead letters."""

    wire: ClassVar[str] = "EntryDeadLettered"
    stream: str
    entry_id: str
    error: str
    payload: str
    at_ns: int


class LeaseRetired(Message, frozen=True, kw_only=True):
    """An algorithm acknowledged its shutdown: nothing it asks for under this lease is accepted any more."""

    wire: ClassVar[str] = "LeaseRetired"
    algorithm: str
    lease: str
    at_ns: int
