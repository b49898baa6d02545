"""Everything that an OMS takes in, as one union: requests, what the broker says, what is observed. Pure.

Times that are compared with the clock on the wall end in `_ns`; those of a clock that never steps back in
`_monotonic_ns`. A `Question` is asked of the broker; it comes back in an `Answered` once there is an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from bus.account_messages import Trading
from bus.codec import MessageCodec
from bus.control_messages import AccountCommand, CancelOrders, Flatten
from bus.delivery import Delivery
from bus.errors import Unreadable
from bus.halt_state import HaltState
from bus.order_messages import REQUESTS, OrderRequest, Reason, ReplaceRequest, Request
from bus.symbols import canonical_symbol
from oms.broker.protocol import (
    BrokerAccount,
    BrokerActivity,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Outcome,
    UnreadableOrder,
    UnreadablePosition,
)
from oms.limits.limits import Limits
from oms.prices.reference_price import Known
from oms.risk.assets import Asset


class RequestRead(msgspec.Struct, frozen=True, gc=False):
    """A request of one algorithm, or why it cannot be read.

    `late` is why an order is not decided on any more; None where it did not wait too long.
    """

    delivery: Delivery
    algorithm: str
    message: Request | Unreadable
    late: Reason | None = None


_REQUESTS = MessageCodec(REQUESTS)
# Made once: a union of two classes written where it is asked for would be made for each request.
_WITH_TERMS = (OrderRequest, ReplaceRequest)


def read_request(delivery: Delivery, prefix: str) -> RequestRead:
    """A request, its symbol in the one spelling, or why it cannot be read.

    What follows `prefix` in the stream's name is its algorithm.
    """
    message: Request | Unreadable
    try:
        message = _REQUESTS.decode(delivery.fields)  # type: ignore[assignment]
    except Unreadable as error:
        message = error
    if isinstance(message, _WITH_TERMS):
        symbol = canonical_symbol(message.terms.symbol)
        if symbol != message.terms.symbol:
            message = replace(message, terms=replace(message.terms, symbol=symbol))
    return RequestRead(delivery, delivery.stream[len(prefix) :], message)


class BrokerMessageRead(msgspec.Struct, frozen=True, gc=False):
    """An entry of the account stream, as it was written; its type is TradeUpdate, Connected or Disconnected.

    `heard_before_ns`, of a Connected alone: when the stream was last heard before; 0 where it never was.
    """

    delivery: Delivery
    heard_before_ns: int = 0


@dataclass(frozen=True, slots=True)
class RequestsRead:
    """Requests that were read together, in order, with what was observed for them.

    `control_fresh`: the halt state was read just now. `prices` are the reference prices of their symbols, as
    last read, or the halts of their trading; a symbol of which nothing was heard is missing.
    """

    requests: Sequence[RequestRead]
    control_fresh: bool
    prices: Mapping[str, Known]


@dataclass(frozen=True, slots=True)
class BrokerMessagesRead:
    """Entries of the account stream that were read together, in order."""

    messages: Sequence[BrokerMessageRead]


@dataclass(frozen=True, slots=True)
class OrderAnswered:
    """What came of sending an approved order."""

    client_order_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """What came of asking for a cancel; `error` is None where the broker took it."""

    client_order_id: str
    error: BrokerError | None


@dataclass(frozen=True, slots=True)
class ControlRead:
    """An operator's word to the OMS, as it was heard on control.

    `prices` are the last reference prices that are known, however old.
    """

    entry_id: str
    message: CancelOrders | Flatten | AccountCommand
    prices: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AllCancelsAnswered:
    """What came of asking for a cancel of every order; `error` is None where the broker took it."""

    error: BrokerError | None


@dataclass(frozen=True, slots=True)
class FindOrder:
    """A question: the order of this client id."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class ListOrders:
    """A question: every order that was submitted after this time, and all that are open."""

    since_ns: int


@dataclass(frozen=True, slots=True)
class ListOpenOrders:
    """A question: every order that may still be filled."""


@dataclass(frozen=True, slots=True)
class ListAccount:
    """A question: positions, money, orders submitted after this time and all open ones, as of one moment.

    With activities after `activities_since_ns`.
    """

    since_ns: int
    activities_since_ns: int = 0


@dataclass(frozen=True, slots=True)
class CompareAccount:
    """A question while orders are taken: the same, asked once, whatever happens to orders meanwhile."""

    since_ns: int
    activities_since_ns: int = 0


@dataclass(frozen=True, slots=True)
class ListPositions:
    """A question: the account's positions, in an AccountListed without orders."""


Question = FindOrder | ListOrders | ListOpenOrders | ListAccount | CompareAccount | ListPositions


@dataclass(frozen=True, slots=True)
class AccountListed:
    """What an account holds: orders, and positions and money of directly before they were listed.

    `before` are the orders as they were directly before positions and money, None where they were the same:
    only then all of it is of one moment. `positions` is None where what changed meanwhile cannot be read.
    `account` is the money, None where it was not asked for, and `activities` what happened to it that is no
    trade.
    """

    orders: Sequence[BrokerOrder | UnreadableOrder]
    positions: Sequence[BrokerPosition | UnreadablePosition] | None
    account: BrokerAccount | None = None
    activities: Sequence[BrokerActivity] = ()
    before: Sequence[BrokerOrder | UnreadableOrder] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker's answer: an order or None, orders, or an account, as the question wants."""

    question: Question
    answer: BrokerOrder | Sequence[BrokerOrder | UnreadableOrder] | AccountListed | None
    asked_monotonic_ns: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The broker did not answer a question yet, and why; it is asked again without being told.

    A CompareAccount is not: it comes up again by itself.
    """

    question: Question
    why: str


@dataclass(frozen=True, slots=True)
class AccountRead:
    """The account of the keys, as the broker told its number."""

    number: str
    trading: Trading


@dataclass(frozen=True, slots=True)
class EntriesMissing:
    """The journal was known to go on after `after_id`, up to an entry `until_id` with this hash."""

    after_id: str
    until_id: str
    until_hash: str


@dataclass(frozen=True, slots=True)
class HaltStateRead:
    """The halt state as last read."""

    halts: HaltState


@dataclass(frozen=True, slots=True)
class LimitsRead:
    """Limits as read from `source`, put into force by `by`."""

    limits: Limits
    source: str
    by: str


@dataclass(frozen=True, slots=True)
class LimitsEdited:
    """What the limits file says by now that is not in force, in a sentence; "" for nothing."""

    sentence: str


@dataclass(frozen=True, slots=True)
class LeasesRead:
    """The lease value of each registered algorithm, "" where nobody leads; and the symbols that it declared.

    One that declared none, as those of earlier releases, is missing in `declared`.
    """

    leases: Mapping[str, str]
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssetRead:
    """What the broker says of a symbol."""

    symbol: str
    asset: Asset


@dataclass(frozen=True, slots=True)
class MarketClockRead:
    """Whether the market is open, by the broker's word."""

    is_open: bool


@dataclass(frozen=True, slots=True)
class Listened:
    """What was seen just now.

    `feeds`: whether each kind that an ingest names is connected; whether the market-data server answers; the
    names of the processes and algorithms that are `alive`; the last `prices` of what is held, however old.
    """

    feeds: Mapping[str, bool]
    market_data_readable: bool
    alive: frozenset[str]
    prices: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Started:
    """The journal is folded and what the account stream kept is taken: the broker may be asked.

    `first_ns` and `last_ns` are the times of the journal's ends; None of a journal that is empty.
    """

    first_ns: int | None
    last_ns: int | None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process is to end: no orders are taken any more."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    monotonic_ns: int


Input = (
    RequestsRead
    | BrokerMessagesRead
    | OrderAnswered
    | CancelAnswered
    | ControlRead
    | AllCancelsAnswered
    | Answered
    | Unanswered
    | AccountRead
    | EntriesMissing
    | HaltStateRead
    | LimitsRead
    | LimitsEdited
    | LeasesRead
    | AssetRead
    | MarketClockRead
    | Started
    | Stopping
    | Tick
    | Listened
)
