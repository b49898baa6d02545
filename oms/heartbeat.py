"""What the OMS says of itself in its heartbeat. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from bus.codec import Message
from bus.heartbeat import HaltFileDetails, OmsCounters, OmsDetails, SendingDetails, State, StateReason
from bus.order_events import (
    EntryDeadLettered,
    OrderApproved,
    OrderFilled,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from oms.amounts import text
from oms.book.orders import Order
from oms.engine import Engine
from oms.halts.flatten_details import flatten_details
from oms.limits.limit_names import unmatched
from oms.limits.limit_places import place_text, value_text
from oms.requests import shadow
from oms.risk.assets import UNKNOWN
from oms.shown_books import shown_books, unexplained
from oms.state.observed import Observed

_COUNTED: dict[type[Message], str] = {
    OrderApproved: "approved",
    OrderSent: "sent",
    OrderUncertain: "uncertain",
    OrderUpdated: "updates",
    OrderFilled: "fills",
    EntryDeadLettered: "dead",
}


_NOTHING_WAITS = SendingDetails()
_NO_HALT_FILE = HaltFileDetails()

# A heartbeat is small: it says no more of these than somebody can look at.
_MOST_SHOWN = 20


def state(engine: Engine, failing: str = "") -> tuple[State, list[StateReason]]:
    """The heartbeat's state and its reasons; `failing` is why the broker is not asked now."""
    why = engine.not_ready
    if why is None:
        reasons = [StateReason("broker_failing", failing)] if failing else []
        reasons += [
            StateReason("halted_automatically", f"{event.scope} was halted: {event.reason}")
            for event in engine.state.triggers.in_force.values()
        ]
        return State.DEGRADED if failing else State.READY, reasons
    reason = StateReason(why.code, why.message)
    if engine.observed.stopping:
        return State.STOPPING, [reason]
    return State.DEGRADED if engine.observed.started else State.STARTING, [reason]


def details(
    engine: Engine,
    *,
    ready: bool,
    leads: bool,
    budget: int,
    commits: int,
    digest: str,
    digest_at: str,
    head: str,
    head_at: str,
    snapshot_at: str,
    halt_file: HaltFileDetails = _NO_HALT_FILE,
    sending: SendingDetails = _NOTHING_WAITS,
    last_prices: Mapping[str, Decimal] | None = None,
) -> OmsDetails:
    """How orders stand: holdings by algorithm, halts by scope, refusals by code.

    `digest_at` is the journal's id at which the state had this digest; `head_at` is its last durable entry,
    with the hash `head`, and `snapshot_at` the one after which the last snapshot was made.
    """
    state, observed = engine.state, engine.observed
    return OmsDetails(
        ready=ready,
        leads=leads,
        account_number="" if state.pinned is None else state.pinned.number,
        trading="" if state.pinned is None else state.pinned.trading,
        open_orders=state.book.open_count(),
        positions={
            name: {symbol: text(size) for symbol, size in held.items()}
            for name, held in state.book.positions().items()
        },
        cash=text(state.book.cash()),
        reserved=text(state.book.reserved()),
        halts={scope: type(mode).__name__ for scope, mode in state.halts.scopes.items()},
        halts_known=state.halts.known,
        halt_file=halt_file,
        flattening=flatten_details(engine.account, state, observed),
        budget=budget,
        sending=sending,
        external_orders=tuple(_shown(order) for order in state.book.open.elsewhere()[-_MOST_SHOWN:]),
        not_understood=dict(list(state.not_understood.items())[-_MOST_SHOWN:]),
        agreed_ns=observed.agreed_ns,
        differences={
            symbol: f"{text(booked)} in the book, {text(at_broker)} at the broker"
            for symbol, (booked, at_broker) in state.differences.items()
        },
        unprotected={
            f"{name} {symbol}": f"{text(told.quantity)} without a stop-loss: {told.why}"
            for (name, symbol), told in state.unprotected.items()
        },
        books=shown_books(state, last_prices or {}),
        unexplained=unexplained(state),
        refused=dict(observed.refused),
        uncertain_now=len(observed.doubts),
        commits=commits,
        digest=digest,
        digest_at=digest_at,
        head=head,
        head_at=head_at,
        snapshot_at=snapshot_at,
        limits_version=0 if state.limits is None else state.limits.version,
        limits_unmatched=_unmatched(engine),
        limits_differ=(
            *state.limits_in_force.differing(),
            *((observed.limits_edited,) if observed.limits_edited else ()),
        ),
        limits_in_shadow=_in_shadow(engine),
        counters=_counters(observed),
    )


def _counters(observed: Observed) -> OmsCounters:
    events = {_COUNTED[kind]: count for kind, count in observed.events.items() if kind in _COUNTED}
    return OmsCounters(refused=observed.orders_refused, **events, **observed.counts)


def _unmatched(engine: Engine) -> tuple[str, ...]:
    """A sentence for each name in the limits that binds nothing."""
    limits = engine.state.limits
    if limits is None:
        return ()
    unknown = {symbol for symbol, asset in engine.observed.assets.items() if asset == UNKNOWN}
    return unmatched(limits, engine.state.registered, unknown)


def _in_shadow(engine: Engine) -> dict[str, int]:
    """How many orders each limit in shadow would have refused, by where it stands and its value."""
    force = engine.state.limits_in_force
    return {
        f"{place_text(place)} = {value_text(force.shadows[place].value)}": orders
        for place, orders in shadow.refused(force, engine.observed.in_shadow).items()
    }


def _shown(order: Order) -> str:
    """One line, such as `buy 10 AAPL limit at 99.5: new, 61e69015-…`."""
    terms = order.working
    if terms is None:
        return f"{order.side} {order.symbol}: {order.status}, {order.broker_order_id}"
    size = f"${text(terms.notional)}" if terms.notional is not None else text(order.leaves())
    price = terms.limit_price if terms.limit_price is not None else terms.stop_price
    at = "" if price is None else f" at {text(price)}"
    return f"{order.side} {size} {order.symbol} {terms.type}{at}: {order.status}, {order.broker_order_id}"
