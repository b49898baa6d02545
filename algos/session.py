"""An algorithm's process as one engine: inputs in, the author's handlers called, their requests out.

Pure: no clock, no input or output, and it calls nobody but the handlers. Live, replay and backtest drive the
same session; given the same inputs it asks for the same requests.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from algos.handlers import Handlers
from algos.inputs import (
    ALL_SYMBOLS,
    ControlEntry,
    GapEntry,
    Input,
    MarketEntry,
    OrderEvent,
    ShutdownRequested,
    StateChanged,
    StreamEntry,
    TimerDue,
    TrimmedEntry,
    UnreadableEntry,
)
from algos.lifecycle import State, moved
from algos.portfolio import Order, Portfolio
from bus.book_messages import Booked
from bus.clock import next_stamp_ns
from bus.entry_position import entry_position
from bus.market_messages import (
    Bar,
    CanceledTrade,
    Correction,
    DailyBar,
    Imbalance,
    MarketMessage,
    News,
    OrderBook,
    PriceBand,
    Quote,
    Trade,
    TradingStatus,
    UpdatedBar,
)
from bus.order_events import (
    OrderFilled,
    OrdersRefused,
    PositionProtected,
    PositionUnprotected,
    Registered,
)
from bus.order_id import client_order_id
from bus.order_messages import (
    CancelRequest,
    Change,
    OrderRequest,
    OrderTerms,
    ReplaceRequest,
    ShutdownAcknowledged,
)
from bus.streams import market

Request = OrderRequest | CancelRequest | ReplaceRequest

# Of what comes so seldom that it is looked up.
_HANDLERS: dict[type[MarketMessage], str] = {
    UpdatedBar: "on_updated_bar",
    DailyBar: "on_daily_bar",
    TradingStatus: "on_trading_status",
    PriceBand: "on_luld",
    Correction: "on_correction",
    CanceledTrade: "on_canceled_trade",
    Imbalance: "on_imbalance",
    OrderBook: "on_order_book",
    News: "on_news",
}


class Failure(msgspec.Struct, frozen=True):
    """A handler that raised, and what it was handling."""

    handler: str
    trigger: str
    error: BaseException

    def __str__(self) -> str:
        said = f"{type(self.error).__name__}: {self.error}"
        return f"{self.handler} raised {said} (while handling {self.trigger})"


class Session:
    """One algorithm's session.

    Mutable: everything here. Its driver changes it through `take`, `empty_outbox`, `put_back`,
    `lease_regained` and `acknowledge_shutdown`; the author's handlers, which `take` runs, through `order`,
    `cancel`, `timers` and `acknowledged`.
    """

    def __init__(self, handlers: Handlers, name: str, lineage: str = "") -> None:
        self.name = name
        self.lineage = lineage
        self.state = State.BOOTSTRAP
        # The value of the lease under which it leads, or led when it aborted.
        self.lease = ""
        # The OMS reads this algorithm's requests.
        self.registered = False
        # Nothing that is asked for afterwards leaves.
        self.acknowledged = False
        self.portfolio = Portfolio()
        # Timers by name, with their period in nanoseconds.
        self.timers: dict[str, int] = {}
        self.last_prices: dict[str, Decimal] = {}
        # Requests that wait to leave, not yet stamped with the time and the lease at which they do.
        self.outbox: list[Request] = []
        # What aborted it comes first; a handler that is told of that may fail too.
        self.failures: list[Failure] = []
        # The handler that runs now, for whoever watches over its time.
        self.running = ""
        self.handled = 0
        self.requested = 0
        self.suppressed = 0
        self.dropped_stale = 0
        self.unreadable = 0
        self._handlers = handlers
        self._input: Input = StateChanged(State.BOOTSTRAP, "", 0)
        self._orders_of_input = 0
        # By stream: the entry that was taken last.
        self._taken: dict[str, str] = {}
        self._cancel_requested: set[str] = set()
        self._last_requested_ns = 0

    def __repr__(self) -> str:
        return f"session of {self.name}, {self.state}, {len(self.outbox)} requests to leave"

    @property
    def now_ns(self) -> int:
        """The time of the input at hand."""
        return self._input.received_ns

    @property
    def failure(self) -> str:
        """What aborted it, as a sentence; empty while nothing did."""
        return str(self.failures[0]) if self.failures else ""

    def take(self, input: Input) -> Sequence[Request]:
        """Take one input; returns all requests that wait in the outbox now.

        A handler that raises aborts the session: `failures` says what happened. Raises ValueError for a
        change of state that does not exist.
        """
        if type(input) is MarketEntry:
            self._take_market(input)
            return self.outbox
        match input:
            case OrderEvent():
                self._take_event(input)
            case TimerDue():
                if self.state.runs_handlers:
                    self._call("on_timer", self._handlers.on_timer, input, input.timer)
            case GapEntry() | TrimmedEntry():
                if self._is_next(input):
                    self._call("on_gap", self._handlers.on_gap, input, input.gap)
            case UnreadableEntry():
                if not self.has_taken(input):
                    self._taken[input.stream] = input.entry_id
                    self.unreadable += 1
            case ControlEntry():
                if self.state is not State.ABORTED:
                    self._call("on_kill_switch", self._handlers.on_kill_switch, input, input.message)
            case ShutdownRequested():
                if self.state.runs_handlers:
                    self._call("on_shutdown", self._handlers.on_shutdown, input)
            case StateChanged():
                self._change_state(input)
        return self.outbox

    def has_taken(self, entry: StreamEntry) -> bool:
        """Whether this entry comes again: it was redelivered, and the session took it before."""
        if not entry.redelivered or entry.stream not in self._taken:
            return False
        return entry_position(entry.entry_id) <= entry_position(self._taken[entry.stream])

    def empty_outbox(self, now_ns: int, trigger_max_age_ns: int) -> list[Request]:
        """Take the requests out, stamped with now. No two are equal: a lost one is found by its content.

        Orders of an input that is older than `trigger_max_age_ns` are dropped and counted: they answer a
        market that is gone. Cancels never are.
        """
        requests: list[Request] = []
        for request in self.outbox:
            if not isinstance(request, CancelRequest) and request.received_ns < now_ns - trigger_max_age_ns:
                self.dropped_stale += 1
                self.portfolio.dropped(request.client_order_id)
                continue
            self._last_requested_ns = next_stamp_ns(now_ns, self._last_requested_ns)
            stamped = {"requested_ns": self._last_requested_ns, "lease": self.lease or request.lease}
            requests.append(msgspec.structs.replace(request, **stamped))
        self.outbox.clear()
        self.requested += len(requests)
        return requests

    def put_back(self, requests: Sequence[Request]) -> None:
        """These certainly did not leave: they go first with the next that do, unless too old by then."""
        self.outbox[:0] = requests
        self.requested -= len(requests)

    def lease_regained(self, lease: str) -> None:
        """The lease ran out and was taken again, nobody having led in between: requests leave under it."""
        self.lease = lease

    def acknowledge_shutdown(self, now_ns: int) -> ShutdownAcknowledged:
        """Let nothing leave any more; returns the message that says so. The outbox is to be empty."""
        assert not self.outbox, "what was asked for before the acknowledgement leaves before it"
        self.acknowledged = True
        return ShutdownAcknowledged(lease=self.lease, at_ns=now_ns)

    # What the handlers ask for.

    def order(
        self, terms: OrderTerms, replaces: str | None = None, changes: tuple[Change, ...] | None = None
    ) -> str:
        """Ask for an order, or for one that changes so much of another; returns its client order id.

        An order that is known already, because its input was delivered again, is not asked for twice.
        """
        trigger, content, received_ns = self._input.trigger, self._input.content, self._input.received_ns
        new_id = client_order_id(self.name, self.lineage, trigger, content, self._orders_of_input)
        self._orders_of_input += 1
        if not self.state.may_order or self.acknowledged:
            self.suppressed += 1
            return new_id
        known = self.portfolio.order(new_id)
        if known is not None and known.terms == terms:
            # Entries come again. An instant does only where the clock was set back before a restart.
            self.suppressed += isinstance(self._input, TimerDue)
            return new_id
        self.portfolio.requested(new_id, terms, replaces)
        request = OrderRequest(
            client_order_id=new_id,
            terms=terms,
            lease=self.lease,
            trigger=trigger,
            received_ns=received_ns,
            requested_ns=0,
        )
        self.outbox.append(request if replaces is None else self._replacing(request, replaces, changes))
        return new_id

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; an order that is known to be closed needs none."""
        known = self.portfolio.order(order_id)
        if known is not None and not known.is_open:
            return
        # A follower that aborts has no lease: its orders are its leader's to cancel.
        if not self.state.may_cancel or not self.lease or self.acknowledged:
            self.suppressed += 1
            return
        self.outbox.append(CancelRequest(client_order_id=order_id, lease=self.lease, requested_ns=0))

    # How each input is taken.

    def _take_market(self, entry: MarketEntry) -> None:
        # As `_is_next`, without a call: nearly every input comes this way.
        if not self.state.runs_handlers or (entry.redelivered and self.has_taken(entry)):
            return
        self._taken[entry.stream] = entry.entry_id
        message = entry.message
        if type(message) is Trade:
            self.last_prices[message.symbol] = message.price
            self._call("on_trade", self._handlers.on_trade, entry, message)
        elif type(message) is Quote:
            self._call("on_quote", self._handlers.on_quote, entry, message)
        elif type(message) is Bar:
            self.last_prices[message.symbol] = message.close
            self._call("on_bar", self._handlers.on_bar, entry, message)
        elif type(message) is not News or self._is_first_copy(entry.stream, message):
            name = _HANDLERS[type(message)]
            self._call(name, getattr(self._handlers, name), entry, message)

    def _is_first_copy(self, stream: str, news: News) -> bool:
        """Whether no symbol before this stream's had the article too: each of them has a copy of it."""
        read = self._handlers.symbols
        first = next((symbol for symbol in news.symbols if symbol in read), None)
        return first is None or stream == market(first, "news") or ALL_SYMBOLS in read

    def _take_event(self, entry: OrderEvent) -> None:
        """The portfolio is kept up to date in every state; only a leader's handlers hear of it."""
        event = entry.event
        if self.state.runs_handlers and not self._is_next(entry):
            return
        # Each of several refusals is told by itself, as if it had come alone.
        together = event.one_by_one() if isinstance(event, OrdersRefused) else (event,)
        orders = [order for one in together if (order := self.portfolio.apply(one)) is not None]
        self.registered = self.registered or isinstance(event, Registered)
        if self.state is State.ABORTED:
            # An order that was on its way when the algorithm failed may show up now.
            self._cancel_open_orders()
        elif not self.state.runs_handlers:
            return
        elif isinstance(event, OrderFilled):
            self._call("on_fill", self._handlers.on_fill, entry, event)
        elif isinstance(event, Booked):
            self._call("on_booked", self._handlers.on_booked, entry, event)
        elif isinstance(event, PositionUnprotected | PositionProtected):
            self._call("on_protection", self._handlers.on_protection, entry, event)
        else:
            self._tell_orders(entry, orders)

    def _tell_orders(self, entry: OrderEvent, orders: Sequence[Order]) -> None:
        """What the handlers ask for is numbered on from one to the next: one entry triggers all of it."""
        asked = 0
        for order in orders:
            if self.state.runs_handlers:
                self._call("on_order", self._handlers.on_order, entry, order, asked=asked)
                asked = self._orders_of_input

    def _is_next(self, entry: StreamEntry) -> bool:
        """Whether handlers run and this entry is new to them; it counts as taken from now on."""
        if not self.state.runs_handlers or (entry.redelivered and self.has_taken(entry)):
            return False
        self._taken[entry.stream] = entry.entry_id
        return True

    def _change_state(self, change: StateChanged) -> None:
        previous, self.state = self.state, moved(self.state, change.state)
        if self.state is not State.ABORTED:
            self.lease = change.lease if self.state is State.LEADER else ""
        self._call("on_status_change", self._handlers.on_status_change, change, previous, self.state)
        if self.state is State.ABORTED:
            self._cancel_open_orders()

    def _call(
        self, name: str, handler: Callable[..., None], input: Input, *arguments: object, asked: int = 0
    ) -> None:
        self._input = input
        self._orders_of_input = asked
        waiting = len(self.outbox)
        self.running = name
        try:
            handler(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever else a handler raises aborts the session
            self._abandon(waiting)
            self._abort(Failure(name, input.trigger, error))
        else:
            self.handled += 1
        finally:
            self.running = ""

    def _abandon(self, waiting: int) -> None:
        """Forget what the failed handler asked for in this call."""
        for request in self.outbox[waiting:]:
            if not isinstance(request, CancelRequest):
                self.portfolio.dropped(request.client_order_id)
        del self.outbox[waiting:]

    def _abort(self, failure: Failure) -> None:
        """The algorithm's state is half changed: it handles nothing more, and its policy is carried out."""
        self.failures.append(failure)
        if self.state is not State.ABORTED:
            self._change_state(StateChanged(State.ABORTED, self.lease, self.now_ns))

    def _cancel_open_orders(self) -> None:
        """Ask once that each open order be canceled, where that is the policy of the algorithm.

        Exits stay: without them what it holds would be without protection, and nobody watches it now.
        """
        if self._handlers.on_abort == "keep" or not self.lease:
            return
        for order in self.portfolio.open_orders:
            if order.role in ("take_profit", "stop_loss"):
                continue
            if order.client_order_id not in self._cancel_requested:
                self._cancel_requested.add(order.client_order_id)
                self.cancel(order.client_order_id)

    def _replacing(
        self, request: OrderRequest, replaces: str, changes: tuple[Change, ...] | None
    ) -> ReplaceRequest:
        old = self.portfolio.order(replaces)
        return ReplaceRequest(
            replaces=replaces,
            changes=changes,
            seen_quantity=None if old is None else old.quantity,
            **msgspec.structs.asdict(request),
        )
