"""What the OMS asks of a broker, and what may come back: accepted, rejected, or unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

from bus.errors import BackboneError
from bus.order_messages import OrderTerms, Reason
from oms.risk.approval import Approved
from oms.risk.assets import Asset

# Alpaca answers an order in tens of milliseconds. After this long, counted over the whole call from the
# connection to the last byte of the answer, the answer is taken for lost.
SEND_TIMEOUT_S = 5.0


class BrokerError(BackboneError):
    """A question or a cancel was not answered with what was asked."""


class BrokerRefused(BrokerError):
    """A definite no: nothing was carried out. `code` and `message` are the broker's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"the broker refused: {message} ({code})")
        self.code = code
        self.message = message


class KeysRefused(BrokerRefused):
    """The broker does not accept the keys."""


class BrokerUnreachable(BrokerError):
    """No connection to the broker, and nothing was sent."""


class RateLimited(BrokerError):
    """Too many requests: this one was not carried out, and may be sent again later.

    `reset_s`: seconds until the broker's own limit resets, where its answer says so.
    """

    def __init__(self, message: str, reset_s: float | None = None) -> None:
        super().__init__(message)
        self.reset_s = reset_s


class OutcomeUnknown(BrokerError):
    """The request went out and no answer that is a verdict came back. An order is never sent again."""


@dataclass(frozen=True, slots=True)
class RequestsLeft:
    """The broker's word on its limit: it takes `left` requests more until it counts anew in `reset_s`.

    `limit` is how many it takes in a minute, None where it does not say.
    """

    left: int
    reset_s: float
    limit: int | None = None


class Watcher(Protocol):
    """Hears of every request how the broker does."""

    def answered(self, left: RequestsLeft | None) -> None:
        """The broker answered in its own words, whatever it said, and perhaps told of its limit."""
        ...

    def failed(self, why: str) -> None:
        """It did not: no connection, no answer, an error of its servers."""
        ...


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker has it; `status` is the broker's word.

    `legs` are its exits, where the broker showed them with it; `parent` is the client id of the order whose
    exit this is, where it was shown so.
    """

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    status: str
    quantity: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    replaces: str | None = None
    replaced_by: str | None = None
    extended_hours: bool = False
    order_class: str = ""
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    legs: tuple["BrokerOrder", ...] = ()
    parent: str = ""

    def with_legs(self) -> tuple["BrokerOrder", ...]:
        """The order, and each of its exits as an order of its own."""
        return (self, *self.legs)


@dataclass(frozen=True, slots=True)
class UnreadableOrder:
    """An order that the broker lists and that cannot be read, such as one of several legs; "" for no id."""

    id: str
    client_order_id: str
    why: str

    def with_legs(self) -> tuple["UnreadableOrder", ...]:
        """The order alone: whatever exits it has are as unreadable as it is."""
        return (self,)


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """A position as the broker has it: signed quantity and what it cost on average."""

    symbol: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class UnreadablePosition:
    """A position that the broker lists and that cannot be read; "" for no symbol."""

    symbol: str
    why: str


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """The account: the broker's number of it, and its money."""

    number: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal


@dataclass(frozen=True, slots=True)
class ClosedAtBroker:
    """What came of having the broker close a position itself; `refused` is its no, "" where it took it."""

    symbol: str
    refused: str


@dataclass(frozen=True, slots=True)
class BrokerActivity:
    """Something that happened to the account and is no trade: a dividend, a fee, a transfer.

    `type` is the broker's word. `quantity` and `cash` are what came, below zero what went; both are zero of
    what is booked with executions already. `price` is what each is worth, where that is told. `unreadable`
    says why one cannot be read, which moves nothing: what it moved shows as a difference.
    """

    id: str
    type: str
    symbol: str
    quantity: Decimal
    price: Decimal | None
    cash: Decimal
    description: str
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class ActivitiesQuery:
    """Activities that are no trades, after `after_ns` (since 1970), oldest first; those after `after_id`."""

    after_ns: int
    after_id: str = ""


@dataclass(frozen=True, slots=True)
class ActivitiesPage:
    """One answer's activities, oldest first. `next` lists what follows; None on the last page."""

    activities: tuple[BrokerActivity, ...]
    next: ActivitiesQuery | None = None


@dataclass(frozen=True, slots=True)
class OrdersQuery:
    """Which orders to list: the open ones or all, submitted after `after_ns` (since 1970), oldest first."""

    status: Literal["open", "all"]
    after_ns: int | None = None


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """One answer's orders, oldest first, each followed by its exits.

    `next` lists what follows; None on the last page.

    A following page may repeat orders of this one: those submitted at the moment at which this page ended.
    """

    orders: tuple[BrokerOrder | UnreadableOrder, ...]
    next: OrdersQuery | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has the order. `sent_ns`: the first byte left; `acknowledged_ns`: the answer was read."""

    order: BrokerOrder
    sent_ns: int
    acknowledged_ns: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A definite no: the order was not carried out. `by` says whose: the broker's, or the OMS's own."""

    by: Literal["broker", "oms"]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order may be at the broker: look for it, and never send it again."""

    why: str


Outcome = Accepted | Rejected | Unknown

# Asked directly before the first byte, with budget and an open connection in hand. A reason: it is not sent.
MaySend = Callable[[], Reason | None]


class Broker(Protocol):
    """Requests to a broker; each call is one request, bounded in time and never repeated.

    Questions and cancels raise BrokerRefused, BrokerUnreachable, RateLimited (nothing was carried out) or
    OutcomeUnknown. Orders return their outcome, and raise RateLimited alone.
    """

    def watch(self, watcher: Watcher) -> None:
        """Have this watcher hear of every request from now on, before its outcome is returned."""
        ...

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Send a new order."""
        ...

    async def replace(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Send that an approved order takes the place of the one that `approved.replaces_broker_id` names."""
        ...

    async def cancel(self, broker_order_id: str) -> None:
        """Ask for a cancel; that it happened is heard later. Asking twice does no harm."""
        ...

    async def cancel_all(self) -> None:
        """Ask for a cancel of every open order of the account; that it happened is heard later."""
        ...

    async def find(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order of this client id, or None where the broker knows none."""
        ...

    async def orders_page(self, query: OrdersQuery) -> OrdersPage:
        """Return the first page of the orders that the query names."""
        ...

    async def positions(self) -> list[BrokerPosition | UnreadablePosition]:
        """Return every position of the account."""
        ...

    async def account(self) -> BrokerAccount:
        """Return the account of the keys."""
        ...

    async def activities_page(self, query: ActivitiesQuery) -> ActivitiesPage:
        """Return the first page of the activities that the query names."""
        ...

    async def asset(self, symbol: str) -> Asset:
        """Return what the broker says of a symbol; `UNKNOWN` where it lists none of this name."""
        ...

    async def is_market_open(self) -> bool:
        """Return whether the regular session of shares is on."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def same_symbol_and_side(terms: OrderTerms, found: BrokerOrder) -> bool:
    """Whether the broker's order is on the same side of the same symbol."""
    return terms.symbol.replace("/", "") == found.symbol.replace("/", "") and terms.side == found.side


def same_order(terms: OrderTerms, found: BrokerOrder) -> bool:
    """Whether the broker's order is the one with these terms: symbol, side, quantity and prices compared."""
    return (
        same_symbol_and_side(terms, found)
        and (found.quantity == terms.quantity if terms.notional is None else found.notional == terms.notional)
        and terms.limit_price in (None, found.limit_price)
        and terms.stop_price in (None, found.stop_price)
    )
