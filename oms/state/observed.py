"""What an OMS has observed and need not know after a restart: leases, what is under way, doubts. Pure."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from bus.codec import Message
from bus.control_messages import Reconcile
from bus.delivery import Delivery
from bus.halt_messages import Market
from bus.order_messages import Reason
from oms.risk.assets import Asset, MarketClock
from oms.risk.preconditions import SpendingPower
from oms.risk.request_rate import RequestRate
from oms.state.inputs import BrokerMessageRead, Question, RequestRead


@dataclass(slots=True)
class Doubt:
    """An order of which nobody knows whether the broker has it. Mutable: every field.

    A "not found" counts from `counts_from_monotonic_ns` on; None until the next tick tells the time.
    """

    counts_from_monotonic_ns: int | None = None
    next_question_monotonic_ns: int | None = None
    asked: int = 0
    not_found: int = 0


@dataclass(frozen=True, slots=True)
class Reconciling:
    """An operator waits for a comparison of which the questions are asked from then on."""

    message: Reconcile
    since_monotonic_ns: int


@dataclass(slots=True)
class Waiting:
    """Until when a question waits, and how long the wait after that is. Mutable: both."""

    until_monotonic_ns: int
    next_ns: int


@dataclass(slots=True)
class CatchingUp:
    """Bringing the book level with the broker: after a start, or after its stream was interrupted.

    `breaks` are the new connections, by entry id, before which something may have been missed; `awaited` are
    orders that are asked for one by one; `asked_before` are those among them whose question was under way
    already: its answer may be older than what was missed. `further_back_ns` is since when orders are listed
    where a shorter list said nothing of too many; None before that. Mutable: all but `at_start` and `breaks`.
    """

    at_start: bool
    breaks: dict[str, BrokerMessageRead]
    listed: bool = False
    further_back_ns: int | None = None
    awaited: set[str] = field(default_factory=set)
    asked_before: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Closing:
    """How far the flattening of one symbol is. Mutable: every field; times are monotonic.

    `asks`: the broker is to be asked what it holds, from `ask_from_ns` on; `at_broker` is its answer, None
    before there is one, and `doubted` an answer that a second is to confirm.
    `canceled` is when the cancel of an order was last asked for, by client id; `look_ns` when to ask for what
    nothing is heard of, None before that is known; `exits` are orders of which the broker was asked for exits
    that the book does not know; `for_nothing` how many orders in a row came to nothing, and `not_before_ns`
    when the next may be sent.
    """

    asks: bool = False
    ask_from_ns: int = 0
    at_broker: Decimal | None = None
    doubted: Decimal | None = None
    canceled: dict[str, int] = field(default_factory=dict)
    look_ns: int | None = None
    exits: set[str] = field(default_factory=set)
    for_nothing: int = 0
    not_before_ns: int = 0


@dataclass(slots=True)
class Counted:
    """What automatic halts are counted from.

    Mutable: times of rejects and refusals of the last second, by kind and name; since when something is
    away, by what and whom (monotonic); when one listened first and last; the feeds that an ingest named
    last; halts that are asked for already.
    """

    times: dict[tuple[str, str], deque[int]] = field(default_factory=dict)
    since: dict[tuple[str, str], int] = field(default_factory=dict)
    first_monotonic_ns: int | None = None
    last_monotonic_ns: int = 0
    feeds: frozenset[str] = frozenset()
    asked: set[str] = field(default_factory=set)


@dataclass(slots=True)
class InShadow:
    """What a limit in shadow would have refused of an algorithm since that was last told. Mutable: all."""

    orders: int = 0
    first_order_id: str = ""
    last_order_id: str = ""
    reason: Reason | None = None
    since_ns: int = 0
    told_ns: int = 0


@dataclass(slots=True)
class Observed:
    """Mutable, all by the engine's `take`; journalled only in the decisions that used it."""

    leases: Mapping[str, str] = field(default_factory=dict)
    # What the broker said of symbols and of the market; before it has, the calendar tells.
    assets: dict[str, Asset] = field(default_factory=dict)
    market_clock: MarketClock = field(default_factory=MarketClock)
    # Orders, replaces and cancels as they came.
    requests: RequestRate = field(default_factory=RequestRate)
    monotonic_ns: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    started: bool = False
    stopping: bool = False
    # What the limits file says by now that is not in force, in a sentence; "" for nothing.
    limits_edited: str = ""
    # Why the broker's orders are not known, as it was last told; "" while they are, or nothing was asked.
    trouble: str = ""
    # The trading day of the last look at it; None before the first.
    day: date | None = None
    # New connections of the broker's stream, by entry id, that nobody has caught up with yet.
    breaks: dict[str, BrokerMessageRead] = field(default_factory=dict)
    # The broker may know more than the book, whatever the reason.
    behind: bool = False
    catching_up: CatchingUp | None = None
    # When book and broker were last compared, by both clocks, and when they last agreed.
    compared_monotonic_ns: int | None = None
    compared_ns: int = 0
    agreed_ns: int = 0
    # Orders that are asked for although nothing waits for the answer, by client order id.
    looked_up: set[str] = field(default_factory=set)
    # Orders that ended with more filled than was told, by client id; the next comparison asks for them.
    partly_told: set[str] = field(default_factory=set)
    # Whether somebody asked for a comparison now.
    compare_now: bool = False
    # Whether the last comparison found what the one before had not.
    look_again: bool = False
    # What the last comparison found and the next has to find again: by client order id, and by symbol, how
    # much the broker has at least and at most that nothing explains.
    suspected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    suspected_positions: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    # Since the broker was last asked for a comparison: what was booked by then of orders that were filled
    # since, by client order id, and symbols in which something else than an execution was booked.
    filled_before: dict[str, Decimal] = field(default_factory=dict)
    booked_since: set[str] = field(default_factory=set)
    # What the broker last said may be spent.
    spending_power: SpendingPower | None = None
    suspected_cash: Decimal | None = None
    # When activities of the account were last listed.
    activities_ns: int = 0
    # An operator's requests to compare, by their entry in control, that are not answered yet.
    reconciling: dict[str, Reconciling] = field(default_factory=dict)
    asked: set[Question] = field(default_factory=set)
    # By section, name and algorithm.
    in_shadow: dict[tuple[str, str, str], InShadow] = field(default_factory=dict)
    # Approved orders whose outcome is still to come, and those that are in doubt.
    under_way: set[str] = field(default_factory=set)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    # Given up as never sent, and looked for among the broker's open orders all the same.
    given_up: set[str] = field(default_factory=set)
    looked_monotonic_ns: int = 0
    # Requests for a cancel by the order's client id: until the broker has it, and until it has answered.
    cancels_waiting: dict[str, list[Delivery]] = field(default_factory=dict)
    cancels_under_way: dict[str, list[Delivery]] = field(default_factory=dict)
    # Those of the former that an operator asked for: they go with the kill switch.
    urgent_cancels: set[str] = field(default_factory=set)
    # Replaces by the client id of the order that they replace, until the broker has answered that one.
    replaces_waiting: dict[str, list[RequestRead]] = field(default_factory=dict)
    # Orders whose exits are asked for, by client id, and updates of what may be one of these exits.
    legs_asked: dict[str, Waiting] = field(default_factory=dict)
    may_be_legs: list[Delivery] = field(default_factory=list)
    # Since when positions are seen to be without their stop-loss, by algorithm and symbol.
    unprotected_since: dict[tuple[str, str], int] = field(default_factory=dict)
    # The one request that cancels all is under way: what is sent meanwhile may be canceled with the rest.
    canceling_all: bool = False
    # Symbols that are being flattened, by the flatten's entry id, and those whose position was asked for.
    closing: dict[tuple[str, str], Closing] = field(default_factory=dict)
    positions_asked_for: set[tuple[str, str]] = field(default_factory=set)
    # Entries that could not be read, held until the account is halted.
    unreadable: list[Delivery] = field(default_factory=list)
    # What automatic halts are counted from.
    counted: Counted = field(default_factory=Counted)
    # Rejects and refusals of this input: by whom, of which algorithm, for which code, how many.
    refused_now: list[tuple[str, str, str, int]] = field(default_factory=list)
    # Profits of the days, by market and name, since when a new day waits for prices, and since when each
    # symbol that is held has none.
    profits: dict[Market, dict[str, Decimal]] = field(default_factory=dict)
    day_awaited: dict[str, int] = field(default_factory=dict)
    unpriced_since: dict[Market, dict[str, int]] = field(default_factory=dict)
    # Days at whose beginning nobody had anything, by market.
    begins_empty: dict[Market, str] = field(default_factory=dict)
    # How often what happened since the process started: requests by kind, events, refusals by code.
    counts: Counter[str] = field(default_factory=Counter)
    events: Counter[type[Message]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    # And refusals of orders and cancels by algorithm, with requests of it that could not be read.
    refusals_of: Counter[str] = field(default_factory=Counter)
    orders_refused: int = 0
