"""Says each message in one line, for `backbone tail` and the live view. Pure."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bus.account_messages import (
    AccountPinned,
    HaltsRead,
    JournalSetAside,
    OrdersCanceled,
    PositionAgrees,
    PositionDiffers,
    PositionNotUnderstood,
)
from bus.book_messages import (
    ActivityHeard,
    Booked,
    CashAgrees,
    CashDiffers,
    CashOpened,
    CorporateActionTaken,
    Declined,
    Reconciled,
)
from bus.control_messages import (
    AssignPosition,
    CancelOrders,
    Flatten,
    Halt,
    Reconcile,
    ReduceOnly,
    Resume,
    Shutdown,
    TakeCorporateAction,
)
from bus.flatten_messages import (
    FlattenBegun,
    FlattenEnded,
    FlattenOutcome,
    SymbolFlattenEnded,
)
from bus.halt_messages import HaltLifted, HaltTriggered, TradingDayBegun
from bus.journal_messages import ChainBegun, JournalForked, OrdersPutAway
from bus.limit_messages import (
    LimitChange,
    LimitsChanged,
    LimitsSet,
    LoadLimits,
    RefusedInShadow,
    SetLimit,
    UnsetLimit,
)
from bus.market_messages import (
    Bar,
    CanceledTrade,
    Correction,
    DailyBar,
    GapClosed,
    GapOpened,
    Imbalance,
    News,
    OrderBook,
    PriceBand,
    Quote,
    Snapshot,
    Trade,
    TradingStatus,
    UpdatedBar,
)
from bus.order_events import (
    CancelRefused,
    EntryDeadLettered,
    ExternalOrderFound,
    FillAbsorbed,
    LeaseRetired,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderNotUnderstood,
    OrderRefused,
    OrderSent,
    OrdersRefused,
    OrderUncertain,
    OrderUpdated,
    PositionProtected,
    PositionUnprotected,
    Registered,
)
from bus.order_messages import (
    CancelRequest,
    OrderRequest,
    OrderTerms,
    ReplaceRequest,
    ShutdownAcknowledged,
)
from oms.amounts import text
from oms.limits.limit_places import place_text, value_text


def number(value: Decimal | None) -> str:
    """Format a decimal as everywhere; "?" where there is none."""
    return "?" if value is None else text(value)


def terms(order: OrderTerms) -> str:
    """Format what is to be bought or sold: `buy 10 AAPL limit 230.1`."""
    amount = number(order.quantity) if order.quantity is not None else f"${number(order.notional)} of"
    prices = [
        f"{word} {number(price)}"
        for word, price in (
            ("stop", order.stop_price),
            ("limit", order.limit_price),
            ("trailing by $", order.trail_price),
            ("trailing by %", order.trail_percent),
            ("take profit", order.take_profit),
            ("stop loss", order.stop_loss),
        )
        if price is not None
    ]
    return f"{order.side} {amount} {order.symbol} {' '.join(prices) or order.type}"


def short(client_order_id: str) -> str:
    """Shorten a client order id to its end, enough to tell orders apart by eye."""
    return client_order_id if len(client_order_id) <= 14 else f"…{client_order_id[-8:]}"


def outcome(of: FlattenOutcome) -> str:
    """Say what came of flattening a symbol: `AAPL is flat`."""
    return f"{of.symbol}: {number(of.left)} left, {of.why}" if of.why else f"{of.symbol} is flat"


_VERBS = {"buy": "bought", "sell": "sold"}


def _refused_together(event: OrdersRefused) -> str:
    symbols = sorted({one.terms.symbol for one in event.orders if one.terms is not None})
    what = f" in {', '.join(symbols)}" if symbols else ""
    why = "; ".join(reason.message for reason in event.reasons)
    last = short(event.orders[-1].client_order_id) if event.orders else "none"
    return f"{event.algorithm}: {len(event.orders)} more refused by {event.by}{what}, last {last}, {why}"


def _refused(event: OrderRefused) -> str:
    why = "; ".join(f"{reason.code}: {reason.message}" for reason in event.reasons)
    what = f" {terms(event.terms)}" if event.terms is not None else ""
    return f"{event.algorithm}: refused by {event.by}{what} {short(event.client_order_id)}, {why}"


def _filled(event: OrderFilled) -> str:
    part = "" if event.status == "filled" else f" ({event.status.replace('_', ' ')})"
    unit = event.symbol.partition("/")[0] if event.side == "buy" else "dollars"
    fee = f", fee {number(event.fee)} {unit}" if event.fee else ""
    what = f"{_VERBS[event.side]} {number(event.quantity)} {event.symbol} at {number(event.price)}"
    return f"{event.algorithm}: {what}{part}{fee}"


def _booked(event: Booked) -> str:
    amounts = [f"{number(event.quantity)} {event.symbol}"] if event.symbol else []
    if event.cash or not amounts:
        amounts.append(f"{number(event.cash)} dollars")
    kind = event.kind.replace("_", " ")
    return f"{event.algorithm}: {' and '.join(amounts)} booked, {kind}: {event.reason} (by {event.by})"


def _reconciled(event: Reconciled) -> str:
    if event.agrees and not event.accepted:
        return f"compared with the broker: all agrees (asked by {event.by})"
    said = [f"{one.what} accepted" for one in event.accepted]
    said += [f"{one.what} DIFFERS" for one in event.differences]
    said += [f"{what} CANNOT BE READ" for what in event.unread]
    why = f": {event.reason}" if event.reason else ""
    return f"compared with the broker: {', '.join(said)}{why} (asked by {event.by})"


def _action(message: CorporateActionTaken | TakeCorporateAction) -> str:
    if message.new_symbol != message.symbol:
        return f"{message.symbol} is {message.new_symbol} now"
    return f"{message.new} for {message.old} {message.symbol}"


def _limit(message: SetLimit | UnsetLimit) -> str:
    return f"{place_text((message.section, message.name))}{' in shadow' if message.shadow else ''}"


def _limit_change(change: LimitChange) -> str:
    place = place_text((change.section, change.name))
    if change.mode == "shadow":
        return f"{place} {value_text(change.value)} in shadow"
    if change.mode == "shadow_ended":
        return f"{place} in shadow no more"
    return f"{place} {value_text(change.before)} -> {value_text(change.value)}"


def _reconcile(message: Reconcile) -> str:
    accepted = "all" if message.accept_all else ", ".join(message.accept)
    accepting = f", accepting {accepted}: {message.reason}" if accepted else ""
    return f"compare {message.account} with the broker{accepting} (by {message.by})"


def _found_elsewhere(event: ExternalOrderFound) -> str:
    amount = number(event.quantity) if event.quantity is not None else f"${number(event.notional)} of"
    return f"made elsewhere: {event.side} {amount} {event.symbol} {event.type} {event.broker_order_id}"


def _halts(message: HaltsRead) -> str:
    if not message.known:
        return "halt state: unknown"
    return f"halt state: {', '.join(message.scopes) or 'nothing is halted'}"


def _bar(what: str, bar: Bar) -> str:
    return (
        f"{bar.symbol} {what} open {number(bar.open)} high {number(bar.high)} low {number(bar.low)} "
        f"close {number(bar.close)} volume {number(bar.volume)}"
    )


def _control(verb: str) -> Callable[[Any], str]:
    return lambda message: f"{verb} {message.scope}: {message.reason} (by {message.by})"


_LINES: dict[type[Any], Callable[[Any], str]] = {
    HaltTriggered: lambda m: f"HALTED {m.scope} automatically, {m.code}: {m.reason}",
    HaltLifted: lambda m: f"automatic halt of {m.scope} lifted ({m.code}); it counts anew",
    TradingDayBegun: lambda m: f"trading day {m.day} of {m.market} begun, profit so far {number(m.account)}",
    Trade: lambda m: f"{m.symbol} trade {number(m.size)} at {number(m.price)}",
    Quote: lambda m: (
        f"{m.symbol} quote bid {number(m.bid_price)} x {number(m.bid_size)}, "
        f"ask {number(m.ask_price)} x {number(m.ask_size)}"
    ),
    Bar: lambda m: _bar("bar", m),
    UpdatedBar: lambda m: _bar("updated bar", m),
    DailyBar: lambda m: _bar("daily bar", m),
    TradingStatus: lambda m: (
        f"{m.symbol} status {m.code} {m.meaning}, because of {m.reason_code} {m.reason}".rstrip()
    ),
    PriceBand: lambda m: f"{m.symbol} may trade from {number(m.limit_down)} to {number(m.limit_up)}",
    Correction: lambda m: f"{m.symbol} trade {m.original_id} corrected: it was at {number(m.price)}",
    CanceledTrade: lambda m: f"{m.symbol} trade {m.id} at {number(m.price)} canceled ({m.action})",
    Imbalance: lambda m: f"{m.symbol} imbalance at {number(m.price)}",
    OrderBook: lambda m: (
        f"{m.symbol} order book {'as a whole' if m.resets else 'changed'}: "
        f"{len(m.bids)} bids, {len(m.asks)} asks"
    ),
    News: lambda m: f"news of {', '.join(m.symbols) or 'no symbol'}: {m.headline}",
    Snapshot: lambda m: (
        f"{m.symbol} snapshot: "
        + "; ".join(message_line(part) for part in (m.trade, m.quote) if part is not None)
    ),
    GapOpened: lambda m: f"GAP: the {m.feed} feed broke ({m.reason}); what follows may miss entries",
    GapClosed: lambda m: (
        f"gap closed: the {m.feed} feed was back after {(m.until_ns - m.since_ns) / 1e9:.1f} s; "
        + ("what was missed is lost" if m.backfilled is None else f"{m.backfilled:,} entries from history")
        + (f", in {m.history}" if m.history else "")
    ),
    OrderRequest: lambda m: f"asks to {terms(m.terms)} {short(m.client_order_id)}, because of {m.trigger}",
    CancelRequest: lambda m: f"asks to cancel {short(m.client_order_id)}",
    ReplaceRequest: lambda m: (
        f"asks to replace {short(m.replaces)} by {terms(m.terms)} {short(m.client_order_id)}"
    ),
    ShutdownAcknowledged: lambda m: "has stopped asking",
    Registered: lambda m: f"{m.algorithm}: registered",
    OrderApproved: lambda m: f"{m.algorithm}: approved {terms(m.terms)} {short(m.client_order_id)}",
    OrderRefused: _refused,
    OrdersRefused: _refused_together,
    OrderSent: lambda m: (
        f"{m.algorithm}: sent {short(m.client_order_id)}, acknowledged after "
        f"{(m.acknowledged_ns - m.sent_ns) / 1e6:.1f} ms"
    ),
    LegFound: lambda m: (
        f"{m.algorithm}: {m.role.replace('_', ' ')} of {short(m.parent)} is {short(m.client_order_id)}: "
        f"{terms(m.terms)}"
    ),
    OrderUncertain: lambda m: f"{m.algorithm}: uncertain {short(m.client_order_id)}, {m.why}",
    OrderUpdated: lambda m: f"{m.algorithm}: {m.symbol} {short(m.client_order_id)} is {m.status} ({m.event})",
    OrderFilled: _filled,
    CancelRefused: lambda m: f"{m.algorithm}: not canceled {short(m.client_order_id)}, {m.reason.message}",
    FillAbsorbed: lambda m: (
        f"{m.algorithm}: heard late of {number(m.quantity)} of {short(m.client_order_id)}, booked already"
    ),
    ExternalOrderFound: _found_elsewhere,
    OrderNotUnderstood: lambda m: f"{m.algorithm}: order {m.broker_order_id} not understood: {m.error}",
    Booked: _booked,
    CashOpened: lambda m: f"cash of before: {number(m.cash)} dollars",
    ActivityHeard: lambda m: f"{m.type} {m.symbol}: nothing to book that is not booked ({m.description})",
    CashDiffers: lambda m: (
        f"CASH DIFFERS: {number(m.booked)} in the book, {number(m.at_broker)} at the broker"
    ),
    CashAgrees: lambda m: "cash agrees again",
    Reconciled: _reconciled,
    CorporateActionTaken: lambda m: f"corporate action: {_action(m)}: {m.reason} (by {m.by})",
    Declined: lambda m: f"declined: {m.why} (asked by {m.by})",
    PositionDiffers: lambda m: (
        f"POSITION DIFFERS in {m.symbol}: {number(m.booked)} in the book, {number(m.at_broker)} at the broker"
    ),
    PositionNotUnderstood: lambda m: f"POSITION NOT UNDERSTOOD in {m.symbol or 'no symbol'}: {m.error}",
    PositionAgrees: lambda m: f"position in {m.symbol} agrees again",
    PositionUnprotected: lambda m: (
        f"{m.algorithm}: UNPROTECTED, {number(m.quantity)} {m.symbol} without a stop-loss: {m.why}"
    ),
    PositionProtected: lambda m: f"{m.algorithm}: {m.symbol} is protected again, or closed",
    LeaseRetired: lambda m: f"{m.algorithm}: has stopped; nothing under lease {m.lease} is taken any more",
    AccountPinned: lambda m: f"the journal belongs to Alpaca's {m.trading} account {m.number}",
    JournalSetAside: lambda m: f"set aside as {m.kept_as}: {m.reason} (by {m.by})",
    ChainBegun: lambda m: f"chain begun after {m.after_id}: {m.reason} (by {m.by})",
    OrdersPutAway: lambda m: f"trading day {m.day}: orders that ended before the last one are put away",
    JournalForked: lambda m: f"ENTRIES ARE GONE: after {m.after_id} up to {m.until_id}",
    OrdersCanceled: lambda m: f"canceling {len(m.orders)} open orders of {m.scope}: {m.reason} (by {m.by})",
    FlattenBegun: lambda m: f"flattening {m.scope}: {m.reason} (by {m.by})",
    SymbolFlattenEnded: lambda m: outcome(m.outcome),
    FlattenEnded: lambda m: (
        f"flattening {m.scope} ended: {', '.join(outcome(one) for one in m.outcomes) or 'nothing was held'}"
    ),
    LimitsChanged: lambda m: f"limits version {m.limits_version} from {m.source}, by {m.by}",
    HaltsRead: lambda m: _halts(m),
    EntryDeadLettered: lambda m: f"could not be read, kept: {m.stream} {m.entry_id}: {m.error}",
    Halt: _control("HALT"),
    ReduceOnly: _control("REDUCE ONLY"),
    Resume: _control("resume"),
    CancelOrders: _control("cancel orders of"),
    Flatten: _control("FLATTEN"),
    Shutdown: _control("shut down"),
    Reconcile: _reconcile,
    AssignPosition: lambda m: (
        f"assign {number(m.quantity)} {m.symbol} of {m.giver} to {m.taker}: {m.reason} (by {m.by})"
    ),
    SetLimit: lambda m: f"set {_limit(m)} to {value_text(m.value)}: {m.reason} (by {m.by})",
    UnsetLimit: lambda m: f"take back {_limit(m)}: {m.reason} (by {m.by})",
    LoadLimits: lambda m: f"load the limits of {m.source}: {m.reason} (by {m.by})",
    LimitsSet: lambda m: (
        f"limits version {m.limits_version}: {'; '.join(map(_limit_change, m.changes)) or 'nothing changed'}"
        f"{f', from {m.source}' if m.source else ''}: {m.reason} (by {m.by})"
    ),
    RefusedInShadow: lambda m: (
        f"{place_text((m.section, m.name))}, in shadow, would have refused {m.orders} orders of {m.whose}; "
        f"the first, {m.first_order_id}: {m.reason.message}"
    ),
    TakeCorporateAction: lambda m: f"corporate action: {_action(m)}: {m.reason} (by {m.by})",
}


def message_line(message: Any) -> str:
    """Say a message in one line; its repr where its type has no line of its own."""
    say = _LINES.get(type(message))
    return say(message) if say is not None else repr(message)
